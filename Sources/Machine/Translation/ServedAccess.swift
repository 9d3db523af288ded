/// Which TLB entries serve which accesses, for one setting of the control bits: `TLBEntry.serves` asked beforehand for
/// every combination of the bits that it depends on. What protection keys deny, where they do, is asked apart
/// (`Processor.serves`).
///
/// An entry's permission bits are its lowest six, so that one word has an answer for each of the 64 combinations.
struct ServedAccess: @unchecked Sendable {
  /// Nine words, by privilege and kind. Written once, never freed: there are sixteen such tables in all.
  private let masks: UnsafePointer<UInt64>

  private init(_ controls: PagingControls) {
    let masks = UnsafeMutablePointer<UInt64>.allocate(capacity: 9)
    masks.initialize(repeating: 0, count: 9)
    for privilege in Privilege.allCases {
      for kind in AccessKind.allCases {
        let access = Access(kind, privilege)
        for bits in 0..<UInt64(64) where TLBEntry(rawValue: bits).serves(access, controls) {
          masks[ServedAccess.index(access)] |= 1 << bits
        }
      }
    }
    self.masks = UnsafePointer(masks)
  }

  @inline(__always) private static func index(_ access: Access) -> Int {
    Int(access.privilege.rawValue) &* 3 &+ Int(access.kind.rawValue)
  }

  /// The entries that an access may use, as bits by their lowest six.
  @inline(__always) func mask(_ access: Access) -> UInt64 { masks[ServedAccess.index(access)] }

  /// Whether an access may use an entry as it stands.
  @inline(__always) func contains(_ access: Access, by entry: TLBEntry) -> Bool {
    mask(access) &>> (entry.rawValue & 63) & 1 != 0
  }

  /// Those of all settings, made once.
  private static let all: [ServedAccess] = (0..<16).map { bits in
    ServedAccess(
      PagingControls(
        writeProtect: bits & 1 != 0, smep: bits & 2 != 0, smap: bits & 4 != 0, alignmentCheckFlag: bits & 8 != 0))
  }

  static func under(_ controls: PagingControls) -> ServedAccess {
    all[
      (controls.writeProtect ? 1 : 0) | (controls.smep ? 2 : 0) | (controls.smap ? 4 : 0)
        | (controls.alignmentCheckFlag ? 8 : 0)]
  }
}

extension Processor {
  /// Whether an access may use an entry as it stands.
  @inline(__always) func serves(_ entry: TLBEntry, _ access: Access) -> Bool {
    served.contains(access, by: entry)
      && !(hasKeys && pagingControls.deniesByKey(access, to: entry.permissions))
  }

  /// Whether a protection key denies the code that runs what the other bits of an entry permit.
  @inline(never) func isDeniedByKey(_ entry: TLBEntry, writes: Bool) -> Bool {
    pagingControls.deniesByKey(Access(writes ? .write : .read, privilege), to: entry.permissions)
  }
}
