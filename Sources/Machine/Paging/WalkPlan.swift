/// Which of the two dimensions a table belongs to.
@frozen public enum Dimension: UInt8, Sendable, CaseIterable {
  /// Tables that translate guest-virtual addresses: the guest's own, or the hypervisor's shadows of them.
  case first
  /// Tables that translate guest-physical addresses to host-physical ones.
  case second
}

/// What a walk has to do: a value made from the control registers and the hypervisor's controls. The walker knows no
/// modes.
@frozen public struct WalkPlan: Equatable, Sendable {
  /// The second dimension, if any.
  @frozen public enum Second: Equatable, Sendable {
    /// Guest-physical addresses are host-physical: native paging, and shadow tables, which hold host addresses.
    case identity
    /// Nested tables.
    case tables(NestedPlan)
    /// The port knows (`WalkPort.hostFrame`): the hypervisor and the debugger, which look at a guest's tables in
    /// software.
    case software
  }

  /// Physical address of the top table, in the first dimension's own terms.
  public var root: GuestPhysical
  /// 4 or 5; 2 for 32-bit paging, 3 for PAE paging; 0 while paging is off, when addresses are guest-physical already, and
  /// where the root is a table behind a switch (`PageWalk.beyond`).
  public var levels: Int
  public var layout: EntryLayout
  /// Whether the walk reads PDPTEs of PAE paging from memory, as AMD's processors do under nested paging (APM vol. 2,
  /// 15.25.10); otherwise the processor has loaded all four (SDM vol. 3, 4.4.1), and the port knows them.
  public var readsDirectoryPointers: Bool
  public var format: TableFormat
  /// What the entries may not have set.
  public var reserved: ReservedBits
  /// Whether fault codes tell fetches: EFER.NXE or CR4.SMEP (SDM vol. 3, 4.7).
  public var reportsFetch: Bool
  /// Whether leaf entries may be global (CR4.PGE).
  public var globalPages: Bool
  public var second: Second

  public init(
    root: GuestPhysical, levels: Int, layout: EntryLayout = .wide, readsDirectoryPointers: Bool = false,
    format: TableFormat, reserved: ReservedBits, reportsFetch: Bool, globalPages: Bool, second: Second
  ) {
    self.root = root
    self.levels = levels
    self.layout = layout
    self.readsDirectoryPointers = readsDirectoryPointers
    self.format = format
    self.reserved = reserved
    self.reportsFetch = reportsFetch
    self.globalPages = globalPages
    self.second = second
  }

  /// The error code of a page fault (SDM vol. 3, 4.7).
  @inline(__always) public func errorCode(_ access: Access, present: Bool, reserved: Bool) -> UInt32 {
    var code: UInt32 = 0
    if present { code |= PageFault.Code.present }
    if access.isWrite { code |= PageFault.Code.write }
    if access.isUser { code |= PageFault.Code.user }
    if reserved { code |= PageFault.Code.reserved }
    if access.isFetch && reportsFetch { code |= PageFault.Code.fetch }
    return code
  }
}

/// The nested tables of a second dimension.
@frozen public struct NestedPlan: Equatable, Sendable {
  public var root: HostPhysical
  /// 4 or 5.
  public var levels: Int
  public var format: TableFormat
  public var reserved: ReservedBits
  /// Whether the walker keeps accessed and dirty bits here; then its reads of the guest's tables count as writes (SDM
  /// vol. 3, 29.3.5).
  public var keepsAccessedDirty: Bool
  /// Whether an extended entry may permit fetches alone.
  public var executeOnly = true

  public init(root: HostPhysical, levels: Int, format: TableFormat, reserved: ReservedBits, keepsAccessedDirty: Bool) {
    self.root = root
    self.levels = levels
    self.format = format
    self.reserved = reserved
    self.keepsAccessedDirty = keepsAccessedDirty
  }
}

/// What the second dimension says of one guest-physical address.
@frozen public struct HostMapping: Equatable, Sendable {
  /// Where the byte is.
  public var address: HostPhysical
  public var writable: Bool
  public var executable: Bool
  /// The page that maps it.
  public var size: PageSize
  /// Whether it may be read; else it may only be executed.
  public var readable = true

  @inlinable public init(address: HostPhysical, writable: Bool, executable: Bool, size: PageSize) {
    self.address = address
    self.writable = writable
    self.executable = executable
    self.size = size
  }
}

/// A completed translation.
@frozen public struct Mapping: Equatable, Sendable {
  public var host: HostMapping
  /// Where the byte is in the guest's terms; under shadow paging the hardware knows only the host's.
  public var physical: GuestPhysical
  public var permissions: PagePermissions
  /// The page of the first dimension; the TLB holds the smaller of this and `host.size` (BH08 2.4).
  public var pageSize: PageSize
  /// Whether the page is half of one of 4 MiB, which TLBs hold as two of 2 MiB (SDM vol. 2, CPUID leaf 2, descriptor
  /// B1H).
  public var isHalf = false
  public var global: Bool
  /// Whether the leaf's D bit is set, so that writes need not walk again.
  public var dirty: Bool

  /// The page size that a TLB entry for the translation has.
  @inline(__always) public var effectiveSize: PageSize {
    mutated("host-page-ignored") ? pageSize : min(pageSize, host.size)
  }
}

/// How a walk ends. A fault is a value, never a throw.
@frozen public enum WalkResult: Equatable, Sendable {
  case mapped(Mapping)
  case fault(PageFault)
  case nestedFault(NestedFault)
}

/// A table that a paging-structure cache remembers: where to start instead of at the root.
@frozen public struct CachedTable: Equatable, Sendable {
  public var table: HostPhysical
  /// The level of the table's entries.
  public var level: Int
  public var permissions: PagePermissions
  /// Whether the second dimension lets A and D be set in the table's entries.
  public var isWritable: Bool
  /// Whether it is one of the guest's own, to which a switching entry leads.
  public var isBehindSwitch = false
}

/// What a walk is made through: the hardware's port charges every reference, uses the paging-structure caches and sets
/// A and D bits; a port that peeks does none of it.
public protocol WalkPort {
  /// Reads one entry of four or eight bytes.
  mutating func read(_ address: HostPhysical, width: Int, dimension: Dimension, level: Int) -> UInt64
  /// Sets A or D bits in an entry just read.
  mutating func set(_ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension)
  /// The walk goes on behind a switching entry, in the guest's own tables.
  mutating func crossed()
  /// The walk asks the second dimension for one of its tables, whose entries are of a level, or at level 0 for the page.
  mutating func descends(toTable level: Int)
  /// The PDPTE register for an address under PAE paging.
  func directoryPointer(for address: GuestVirtual) -> UInt64
  /// The deepest table that a paging-structure cache of the first dimension has for the address.
  mutating func cachedTable(for address: GuestVirtual) -> CachedTable?
  mutating func remember(_ table: CachedTable, for address: GuestVirtual)
  /// The same for the second dimension: whole translations (nested TLB) and tables.
  mutating func cachedFrame(for address: GuestPhysical) -> HostMapping?
  mutating func remember(_ mapping: HostMapping, for address: GuestPhysical)
  mutating func cachedNestedTable(for address: GuestPhysical) -> CachedTable?
  mutating func rememberNested(_ table: CachedTable, for address: GuestPhysical)
  /// Where a guest-physical address is, under `WalkPlan.Second.software`; nil where the host has nothing.
  mutating func hostFrame(of address: GuestPhysical) -> HostMapping?
  /// Whether there is no room to tell of the next D that is set in the second dimension: none is set, nor A.
  var isLogFull: Bool { get }
  /// D was set in the second dimension for an access to an address.
  mutating func logModification(of address: GuestPhysical)
}

/// What a port does that has no caches and no frames of its own.
extension WalkPort {
  public func crossed() {}
  public func descends(toTable level: Int) {}
  public func cachedTable(for address: GuestVirtual) -> CachedTable? { nil }
  public func remember(_ table: CachedTable, for address: GuestVirtual) {}
  public func cachedFrame(for address: GuestPhysical) -> HostMapping? { nil }
  public func remember(_ mapping: HostMapping, for address: GuestPhysical) {}
  public func cachedNestedTable(for address: GuestPhysical) -> CachedTable? { nil }
  public func rememberNested(_ table: CachedTable, for address: GuestPhysical) {}
  public func hostFrame(of address: GuestPhysical) -> HostMapping? { nil }
  public var isLogFull: Bool { false }
  public func logModification(of address: GuestPhysical) {}
}
