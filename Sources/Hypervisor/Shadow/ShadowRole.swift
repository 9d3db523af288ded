import Machine

/// What, besides the guest frame, makes two shadow pages different (KVM: `union kvm_mmu_page_role`).
///
/// A shadow page may be used wherever frame and role match: its contents depend on nothing else.
struct ShadowRole: Equatable, Hashable {
  private(set) var rawValue: UInt32

  private static let directBit: UInt32 = 1 << 3
  private static let writableBit: UInt32 = 1 << 4
  private static let userBit: UInt32 = 1 << 5
  private static let executableBit: UInt32 = 1 << 6
  private static let writeProtectBit: UInt32 = 1 << 7
  private static let noExecuteBit: UInt32 = 1 << 8
  private static let smepBit: UInt32 = 1 << 9
  private static let smapBit: UInt32 = 1 << 10
  private static let keysBit: UInt32 = 1 << 11
  /// Four bits.
  private static let keyShift: UInt32 = 12
  private static let narrowBit: UInt32 = 1 << 16
  private static let largePagesBit: UInt32 = 1 << 17
  private static let paeBit: UInt32 = 1 << 18
  /// Two bits.
  private static let quadrantShift: UInt32 = 19

  /// The role of the root for a guest's mode.
  init(_ registers: Processor.PagingRegisters) {
    let mode = registers.mode
    let isPaging = mode != .off
    var bits: UInt32
    switch mode {
    case .levels5: bits = 5
    // While the guest does not page, four levels reach all of its memory.
    case .levels4, .off: bits = 4
    // Four page directories make a root, to which the hardware is led by PDPTEs.
    case .pae: bits = 2 | ShadowRole.paeBit
    case .narrow:
      bits = 2 | ShadowRole.narrowBit
      if registers.cr4 & CR4.pageSizeExtensions != 0 { bits |= ShadowRole.largePagesBit }
    }
    if !isPaging { bits |= ShadowRole.directBit }
    // Without paging nothing of the guest's mode matters.
    let protects = !isPaging || registers.cr0 & CR0.writeProtect != 0
    if protects || mutated("role-without-wp") { bits |= ShadowRole.writeProtectBit }
    if isPaging && mode != .narrow && (registers.efer & EFER.noExecute != 0 || mutated("role-without-nxe")) {
      bits |= ShadowRole.noExecuteBit
    }
    // With CR0.WP the hardware's own checks are right; without it a user page may pose as a supervisor's.
    if !protects && registers.cr4 & CR4.smep != 0 { bits |= ShadowRole.smepBit }
    if !protects && registers.cr4 & CR4.smap != 0 { bits |= ShadowRole.smapBit }
    if !protects && registers.cr4 & (CR4.protectionKeys | CR4.supervisorKeys) != 0 { bits |= ShadowRole.keysBit }
    rawValue = bits
    access = .all
  }

  /// The level of the shadow page's entries, 1 ... 5.
  var level: Int { Int(rawValue & 7) }

  /// Of a root: how many bits of a linear address its tables translate; all where addresses have 32 bits.
  var addressBits: UInt64 { isNarrow || isPAE ? 64 : 12 + 9 * UInt64(level) }

  /// Of a root: the levels that the hardware walks, with PDPTEs above page directories.
  var hardwareLevels: Int { isNarrow || isPAE ? 3 : level }

  /// The guest's tables have entries of four bytes, twice as many as fit into a shadow page; or they are those of PAE
  /// paging, whose entries reserve other bits.
  var isNarrow: Bool { rawValue & ShadowRole.narrowBit != 0 }
  var isPAE: Bool { rawValue & ShadowRole.paeBit != 0 }

  /// How the guest's entries are laid out.
  var layout: EntryLayout {
    isNarrow ? .narrow(largePages: rawValue & ShadowRole.largePagesBit != 0) : .wide
  }

  /// Which part of a guest table of 1024 entries the page shadows (KVM: `quadrant`): half of a page table, which covers
  /// 2 MiB, or a quarter of a page directory, which covers 1 GiB.
  var quadrant: Int {
    get { Int(rawValue >> ShadowRole.quadrantShift & 3) }
    set { rawValue = rawValue & ~(3 << ShadowRole.quadrantShift) | UInt32(newValue & 3) << ShadowRole.quadrantShift }
  }

  /// The shadow entries that stand for an entry of the guest's table: one; two for a PDE of 32-bit paging, which covers
  /// 4 MiB; none where it belongs to another quadrant.
  func entries(of guestEntry: Int) -> Range<Int> {
    guard isNarrow else { return guestEntry..<guestEntry + 1 }
    let width = level > 1 ? 2 : 1
    let first = guestEntry * width - quadrant * 512
    return 0..<512 ~= first ? first..<first + width : 0..<0
  }

  /// The guest's entry that a shadow entry stands for.
  func guestEntry(of entry: Int) -> Int { isNarrow ? (quadrant * 512 + entry) / (level > 1 ? 2 : 1) : entry }

  /// What keeps a guest's entry from being used in this role besides what its present mode reserves: bits that are
  /// reserved in the role's.
  func reserves(_ guestEntry: UInt64) -> Bool {
    guestEntry & (noExecute || isNarrow ? 0 : EntryBit.noExecute) != 0
      || isPAE && guestEntry & 0x7ff0_0000_0000_0000 != 0
  }

  /// The page shadows no guest table but a stretch of guest-physical memory that begins at its frame: part of a large
  /// page of the guest, or under shadow paging everything while the guest does not page.
  var isDirect: Bool { rawValue & ShadowRole.directBit != 0 }

  /// What the entries above permit; for direct pages, what the guest's leaf permits too, and its protection key.
  var access: PagePermissions {
    get {
      PagePermissions(
        writable: rawValue & ShadowRole.writableBit != 0, user: rawValue & ShadowRole.userBit != 0,
        executable: rawValue & ShadowRole.executableBit != 0, key: UInt8(rawValue >> ShadowRole.keyShift & 15))
    }
    set {
      rawValue &=
        ~(ShadowRole.writableBit | ShadowRole.userBit | ShadowRole.executableBit | 15 << ShadowRole.keyShift)
      if newValue.writable { rawValue |= ShadowRole.writableBit }
      if newValue.user { rawValue |= ShadowRole.userBit }
      if newValue.executable { rawValue |= ShadowRole.executableBit }
      rawValue |= UInt32(newValue.key & 15) << ShadowRole.keyShift
    }
  }

  /// The guest's CR0.WP, and EFER.NXE.
  var writeProtect: Bool { rawValue & ShadowRole.writeProtectBit != 0 }
  var noExecute: Bool { rawValue & ShadowRole.noExecuteBit != 0 }
  /// CR4.SMEP, CR4.SMAP, and CR4.PKE or CR4.PKS, of a guest with CR0.WP clear.
  var smepWithoutWP: Bool { rawValue & ShadowRole.smepBit != 0 }
  var smapWithoutWP: Bool { rawValue & ShadowRole.smapBit != 0 }
  var keysWithoutWP: Bool { rawValue & ShadowRole.keysBit != 0 }

  /// Whether the hardware may go on in the guest's own tables from a page of this role: not while the guest does not page,
  /// nor with CR0.WP clear, which the hardware must not honour in shadow entries and would have to in the guest's.
  var mayNest: Bool { !isDirect && writeProtect }

  /// The role of the page one level below that an entry leads to.
  func child(direct: Bool, access: PagePermissions, quadrant: Int = 0) -> ShadowRole {
    var role = self
    role.rawValue = (rawValue & ~(7 | ShadowRole.directBit)) | UInt32(max(level - 1, 1))
    if direct { role.rawValue |= ShadowRole.directBit }
    role.access = mutated("role-without-access") ? .all : access
    role.quadrant = quadrant
    return role
  }
}
