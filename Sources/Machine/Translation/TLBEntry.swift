/// The key of a cached translation: page size, page number and tag in 64 bits.
///
/// The tag is the number of a `TranslationSpace` (3 bits) and the PCID (12 bits); a global page's tag has the top bit
/// instead of a PCID, so that one look-up asks for two keys. What is keyed by guest-physical addresses has the number of
/// its nested root alone.
enum TranslationKey {
  static let tagMask: UInt64 = 0xffff
  static let spaceMask: UInt64 = 0x7000
  static let globalBit: UInt64 = 0x8000

  @inline(__always) static func tag(space: Int, pcid: UInt16) -> UInt64 {
    UInt64(space & 7) << 12 | UInt64(pcid & 0xfff)
  }
  @inline(__always) static func globalTag(space: Int) -> UInt64 { UInt64(space & 7) << 12 | globalBit }
  /// The space of a key, or the root of one that is keyed by guest-physical addresses.
  @inline(__always) static func space(_ key: UInt64) -> Int { Int(key >> 12 & 7) }

  /// The number of a page of a size: 45 bits of it are kept, which is all of a 57-bit address.
  @inline(__always) static func number(_ address: UInt64, _ size: PageSize) -> UInt64 {
    (address >> size.shift) & 0x1fff_ffff_ffff
  }

  @inline(__always) static func make(_ number: UInt64, _ size: PageSize, tag: UInt64) -> UInt64 {
    UInt64(size.rawValue) << 61 | number << 16 | tag
  }

  /// The key of a paging-structure cache: the address bits that select the entry cached. Those above the ones that are
  /// translated go with them, so that the halves of the address space do not share entries.
  @inline(__always) static func table(_ address: UInt64, _ shift: UInt64, tag: UInt64) -> UInt64 {
    (address >> shift) << 16 & 0x1fff_ffff_ffff_0000 | tag
  }
}

/// The value of a TLB entry: the frame and what the tables said of it. The modelled entry, not a verdict: whether an
/// access may use it is decided at every use from the control bits in force.
struct TLBEntry {
  let rawValue: UInt64

  private static let writable: UInt64 = 1 << 0
  private static let user: UInt64 = 1 << 1
  private static let executable: UInt64 = 1 << 2
  private static let dirtyBit: UInt64 = 1 << 3
  private static let hostWritable: UInt64 = 1 << 4
  private static let hostExecutable: UInt64 = 1 << 5
  private static let globalBit: UInt64 = 1 << 6
  /// Two bits: the page's size, or 3 for one of 4 MiB.
  private static let pageSizeShift: UInt64 = 7
  /// Above the frame.
  private static let keyShift: UInt64 = 52

  @inline(__always) init(rawValue: UInt64) { self.rawValue = rawValue }

  @inline(__always) init(_ mapping: Mapping) {
    let mask = mapping.effectiveSize.offsetMask
    rawValue =
      (mapping.host.address.rawValue & ~mask & EntryBit.frameMask)
      | (mapping.permissions.writable ? TLBEntry.writable : 0) | (mapping.permissions.user ? TLBEntry.user : 0)
      | (mapping.permissions.executable ? TLBEntry.executable : 0) | (mapping.dirty ? TLBEntry.dirtyBit : 0)
      | (mapping.host.writable ? TLBEntry.hostWritable : 0)
      | (mapping.host.executable ? TLBEntry.hostExecutable : 0) | (mapping.global ? TLBEntry.globalBit : 0)
      | (mapping.isHalf ? 3 : UInt64(mapping.pageSize.rawValue)) << TLBEntry.pageSizeShift
      | UInt64(mapping.permissions.key) << TLBEntry.keyShift
  }

  @inline(__always) var base: UInt64 { rawValue & EntryBit.frameMask }
  @inline(__always) var permissions: PagePermissions {
    PagePermissions(
      writable: rawValue & TLBEntry.writable != 0, user: rawValue & TLBEntry.user != 0,
      executable: rawValue & TLBEntry.executable != 0, key: UInt8((rawValue >> TLBEntry.keyShift) & 15))
  }
  @inline(__always) var isDirty: Bool { rawValue & TLBEntry.dirtyBit != 0 }
  @inline(__always) var isHostWritable: Bool { rawValue & TLBEntry.hostWritable != 0 }
  @inline(__always) var isHostExecutable: Bool { rawValue & TLBEntry.hostExecutable != 0 }
  /// The page of the first dimension that the entry is of, or a splinter of where it is larger than the entry.
  @inline(__always) var page: GuestPageSize {
    GuestPageSize(rawValue: UInt8((rawValue >> TLBEntry.pageSizeShift) & 3)) ?? .page4K
  }
  @inline(__always) var isGlobal: Bool { rawValue & TLBEntry.globalBit != 0 }

  /// Whether an access may use the entry as it stands: permitted by the guest's bits and the host's, and for a write
  /// already dirty. Otherwise the walker is asked again, which finds the truth.
  @inline(__always) func serves(_ access: Access, _ controls: PagingControls) -> Bool {
    guard controls.allows(access, to: permissions) else { return false }
    switch access.kind {
    case .read: return true
    case .write: return (isDirty || mutated("clean-entry-written")) && isHostWritable
    case .fetch: return isHostExecutable
    }
  }
}

/// The sizes of page that a guest's tables map, which are one more than TLBs hold.
enum GuestPageSize: UInt8, CaseIterable {
  case page4K, page2M, page1G, page4M

  /// log2 of the size in bytes.
  @inline(__always) var shift: UInt64 { self == .page4M ? 22 : 12 &+ 9 &* UInt64(rawValue) }

  /// The number of the page that holds an address, of which 57 bits count.
  @inline(__always) func number(_ address: UInt64) -> UInt64 { (address & 0x01ff_ffff_ffff_ffff) >> shift }
}

extension Mapping {
  @inline(__always) var guestPage: GuestPageSize {
    isHalf ? .page4M : GuestPageSize(rawValue: pageSize.rawValue) ?? .page4K
  }
}
