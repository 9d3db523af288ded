/// With coherent TLBs: which entries have been checked against the tables and need no other look, in a few places by page.
///
/// A verdict (`DirectCache`) says as much of a page, and an access that finds one never comes here. But two pages may want
/// the same verdict's place, and of two that are used in turn neither would keep it. A check stands exactly as long as a
/// verdict could: it is one of a page, as a TLB entry has it, for one kind of access in one context, and goes with all
/// verdicts, when a table is written that it was read from or other tables or controls come into force.
///
/// Safety: the storage is freed by `deallocate`, and indexed by less than `entries` only.
struct StandingChecks {
  private static let entries: UInt64 = 256

  private struct Check {
    var key: UInt64
    var entry: UInt64
  }

  /// No key: one has a bit above the page's number.
  private static let nothing = Check(key: 0, entry: 0)

  private let storage: UnsafeMutablePointer<Check>
  /// Whether there are any: most are dropped before the next is made.
  private var isEmpty = true

  init() {
    storage = .allocate(capacity: Int(StandingChecks.entries))
    storage.initialize(repeating: StandingChecks.nothing, count: Int(StandingChecks.entries))
  }

  func deallocate() { storage.deallocate() }

  /// What is checked: the page of 4 KiB, the size that the entry is held as, and who accesses it how.
  private static func key(_ address: UInt64, _ size: PageSize, _ access: Access, context: Int) -> UInt64 {
    let who = UInt64(access.kind.rawValue) | UInt64(access.privilege.rawValue) << 2 | UInt64(context) << 4
    return address >> 12 | UInt64(size.rawValue) << 52 | who << 54 | 1 << 63
  }

  /// Pages that want the same verdict's place, by the lowest bits of their numbers, do not want the same one here.
  private static func index(_ key: UInt64) -> Int {
    Int((key ^ key >> 8 ^ key >> 16 ^ key >> 54) & (entries - 1))
  }

  /// Whether an entry has been checked for such an access.
  func contains(_ hit: TranslationLookaside.Hit, _ address: UInt64, _ access: Access, context: Int) -> Bool {
    let key = StandingChecks.key(address, hit.size, access, context: context)
    let place = storage + StandingChecks.index(key)
    return place.pointee.key == key && place.pointee.entry == hit.entry.rawValue
  }

  /// Keeps that an entry has been checked.
  mutating func insert(_ hit: TranslationLookaside.Hit, _ address: UInt64, _ access: Access, context: Int) {
    let key = StandingChecks.key(address, hit.size, access, context: context)
    storage[StandingChecks.index(key)] = Check(key: key, entry: hit.entry.rawValue)
    isEmpty = false
  }

  mutating func removeAll() {
    guard !isEmpty else { return }
    storage.update(repeating: StandingChecks.nothing, count: Int(StandingChecks.entries))
    isEmpty = true
  }
}
