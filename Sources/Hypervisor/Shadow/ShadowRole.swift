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

  /// The role of the root for a guest's mode.
  init(_ registers: Processor.PagingRegisters) {
    let isPaging = registers.cr0 & CR0.paging != 0
    // While the guest does not page, four levels reach all of its memory.
    var bits: UInt32 = isPaging && registers.cr4 & CR4.la57 != 0 ? 5 : 4
    if !isPaging { bits |= ShadowRole.directBit }
    // Without paging nothing of the guest's mode matters.
    let protects = !isPaging || registers.cr0 & CR0.writeProtect != 0
    if protects { bits |= ShadowRole.writeProtectBit }
    if isPaging && registers.efer & EFER.noExecute != 0 { bits |= ShadowRole.noExecuteBit }
    // With CR0.WP the hardware's own checks are right; without it a user page may pose as a supervisor's.
    if !protects && registers.cr4 & CR4.smep != 0 { bits |= ShadowRole.smepBit }
    if !protects && registers.cr4 & CR4.smap != 0 { bits |= ShadowRole.smapBit }
    if !protects && registers.cr4 & (CR4.protectionKeys | CR4.supervisorKeys) != 0 { bits |= ShadowRole.keysBit }
    rawValue = bits
    access = .all
  }

  /// The level of the shadow page's entries, 1 ... 5.
  var level: Int { Int(rawValue & 7) }

  /// Of a root: how many bits of a linear address its tables translate.
  var addressBits: UInt64 { 12 + 9 * UInt64(level) }

  /// The page shadows no guest table but a stretch of guest-physical memory that begins at its frame: part of a large
  /// page of the guest, or everything while the guest does not page.
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

  /// The role of the page one level below that an entry leads to.
  func child(direct: Bool, access: PagePermissions) -> ShadowRole {
    var role = self
    role.rawValue = (rawValue & ~(7 | ShadowRole.directBit)) | UInt32(max(level - 1, 1))
    if direct { role.rawValue |= ShadowRole.directBit }
    role.access = access
    return role
  }
}
