/// The bits of a paging-structure entry of IA-32e paging (SDM vol. 3, 4.5.4, tables 4-15 to 4-20), which PAE and 32-bit
/// paging share as far as they have them (tables 4-4 to 4-11).
public enum EntryBit {
  public static let present: UInt64 = 1 << 0
  public static let writable: UInt64 = 1 << 1
  public static let user: UInt64 = 1 << 2
  public static let writeThrough: UInt64 = 1 << 3
  public static let cacheDisable: UInt64 = 1 << 4
  public static let accessed: UInt64 = 1 << 5
  public static let dirty: UInt64 = 1 << 6
  /// PS in a PDE or PDPTE, PAT in a PTE.
  public static let large: UInt64 = 1 << 7
  public static let global: UInt64 = 1 << 8
  /// Bit 11, which IA-32e paging ignores: in a shadow entry under agile paging, that the next table is the guest's own
  /// and the walk goes on in two dimensions (Agile, section III: the switching bit).
  public static let switching: UInt64 = 1 << 11
  public static let noExecute: UInt64 = 1 << 63
  /// Bits 62:59 of an entry that maps a page: its protection key.
  public static let keyShift: UInt64 = 59
  @inline(__always) public static func key(_ entry: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: entry >> keyShift & 15)
  }
  /// Bits 51:12.
  public static let frameMask: UInt64 = 0x000f_ffff_ffff_f000
}

/// The bits of an extended-page-table entry (SDM vol. 3, 29.3.2, tables 29-1 to 29-6).
public enum EPTBit {
  public static let read: UInt64 = 1 << 0
  public static let write: UInt64 = 1 << 1
  public static let execute: UInt64 = 1 << 2
  public static let large: UInt64 = 1 << 7
  public static let accessed: UInt64 = 1 << 8
  public static let dirty: UInt64 = 1 << 9
}

/// What a path through the tables permits, accumulated level by level: AND of R/W and U/S, OR of XD, and the protection
/// key of the entry that maps the page.
@frozen public struct PagePermissions: Equatable, Sendable {
  public var writable: Bool
  public var user: Bool
  public var executable: Bool
  /// 0 ... 15. Counts while protection keys are enabled only.
  public var key: UInt8

  @inlinable public init(writable: Bool, user: Bool, executable: Bool, key: UInt8 = 0) {
    self.writable = writable
    self.user = user
    self.executable = executable
    self.key = key
  }

  /// What is permitted before any entry has said otherwise.
  public static let all = PagePermissions(writable: true, user: true, executable: true)

  /// What two entries permit together, of which the second is nearer to the page: the key is its.
  @inlinable public static func & (a: PagePermissions, b: PagePermissions) -> PagePermissions {
    PagePermissions(
      writable: a.writable && b.writable, user: a.user && b.user, executable: a.executable && b.executable, key: b.key)
  }
}

/// How one dimension's entries are laid out. The walker is the same for all.
@frozen public enum TableFormat: Equatable, Sendable {
  /// The guest's tables with EFER.NXE as given (32-bit paging knows no XD), shadow tables, and AMD's nested tables.
  case ordinary(noExecute: Bool)
  /// Intel's extended page tables.
  case extended

  @inline(__always) func isPresent(_ entry: UInt64) -> Bool {
    switch self {
    case .ordinary: entry & EntryBit.present != 0
    case .extended: entry & 7 != 0
    }
  }

  /// What one entry permits, whatever it leads to. Every access of a guest is a user's to AMD's nested tables (APM vol. 2,
  /// 15.25.5): U/S lets it in at all. An extended entry has R in its place, which fetches do not ask for.
  @inline(__always) public func permissions(_ entry: UInt64) -> PagePermissions {
    switch self {
    case .ordinary(let noExecute):
      PagePermissions(
        writable: entry & EntryBit.writable != 0, user: entry & EntryBit.user != 0,
        executable: !(noExecute && entry & EntryBit.noExecute != 0))
    case .extended:
      PagePermissions(
        writable: entry & EPTBit.write != 0, user: entry & EPTBit.read != 0, executable: entry & EPTBit.execute != 0)
    }
  }

  /// What an entry permits that maps a page, with its protection key.
  public func leafPermissions(_ entry: UInt64) -> PagePermissions {
    var permissions = permissions(entry)
    permissions.key = EntryBit.key(entry)
    return permissions
  }

  /// Whether a present entry is malformed beyond its reserved bits (SDM vol. 3, 29.3.3.1): an extended entry that can be
  /// written and not read; one that can be executed and not read, where the processor has no such pages
  /// (IA32_VMX_EPT_VPID_CAP bit 0); and one that maps a page with a memory type of 2, 3 or 7.
  @inline(__always) func isMalformed(_ entry: UInt64, leaf: Bool, executeOnly: Bool) -> Bool {
    guard self == .extended else { return false }
    if entry & EPTBit.read == 0 && (!executeOnly || entry & EPTBit.write != 0) { return true }
    return leaf && TableFormat.reservedMemoryTypes &>> (entry &>> 3 & 7) & 1 != 0
  }

  private static let reservedMemoryTypes: UInt64 = 1 << 2 | 1 << 3 | 1 << 7

  @inline(__always) var accessedBit: UInt64 { self == .extended ? EPTBit.accessed : EntryBit.accessed }
  @inline(__always) var dirtyBit: UInt64 { self == .extended ? EPTBit.dirty : EntryBit.dirty }
}
