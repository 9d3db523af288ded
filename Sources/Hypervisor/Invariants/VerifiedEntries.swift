import Machine

/// What is known of each entry that one processor's buffers held for the running context at an exit.
///
/// The buffers are gone through in a fixed order, and from one exit to the next most entries stay where they are. So they are
/// kept in that order, and one is looked for where the last search ended; only where something has come or gone since is a
/// table made by which to find the rest.
struct VerifiedEntries {
  /// What is known of one entry.
  struct Found {
    /// The check at which it was last found to follow from the tables, or after which it was made, or what it may have been
    /// made from, and they changed; 0: it was there before anything was known.
    var since: UInt64
    /// The extent of the guest's page of which it was the whole or a piece then.
    var length: UInt64
    /// It does not follow any more, and is the guest's to invalidate.
    var isStale = false
  }

  private var entries: [BufferedTranslation] = []
  private var found: [Found] = []
  /// Where the next entry is expected.
  private var cursor = 0
  private var places: [BufferedTranslation: Int] = [:]

  /// - Parameter capacity: how many entries there may be.
  init(capacity: Int = 0) {
    entries.reserveCapacity(capacity)
    found.reserveCapacity(capacity)
  }

  mutating func append(_ entry: BufferedTranslation, _ known: Found) {
    entries.append(entry)
    found.append(known)
  }

  /// What is known of an entry; nil where it was not there. One pass asks for each entry once, in the buffers' order.
  mutating func next(_ entry: BufferedTranslation) -> Found? {
    guard let place = place(of: entry) else { return nil }
    cursor = place + 1
    return found[place]
  }

  /// The earliest `since` of what was stale for an address; nil where nothing was. A new entry may have been made from a stale
  /// one: a buffer may be filled from another, and a walk may begin with what a paging-structure cache holds.
  func oldestStale(for address: UInt64) -> UInt64? {
    entries.indices
      .filter { found[$0].isStale && (entries[$0].address ^ address) & ~(entries[$0].length &- 1) == 0 }
      .map { found[$0].since }.min()
  }

  private mutating func place(of entry: BufferedTranslation) -> Int? {
    if cursor < entries.count && entries[cursor] == entry { return cursor }
    if places.isEmpty {
      places.reserveCapacity(entries.count)
      for (place, entry) in entries.enumerated() { places[entry] = place }
    }
    return places[entry]
  }
}
