import Machine

/// What is known of each entry that one processor's buffers held for the running context at an exit.
///
/// The buffers are gone through in a fixed order, and from one exit to the next most entries stay where they are. So they are
/// kept in that order, and one is looked for where the last search ended; only where something has come or gone since is a
/// table made by which to find the rest.
struct VerifiedEntries {
  /// What is known of one entry.
  struct Found {
    /// The check at which it was last found to follow from the tables, or after which it was made and they changed; 0: it was
    /// there before anything was known.
    var since: UInt64
    /// The extent of the guest's page of which it was the whole or a piece then.
    var length: UInt64
  }

  private var entries: [BufferedTranslation] = []
  private var found: [Found] = []
  /// Where the next entry is expected.
  private var cursor = 0
  private var places: [BufferedTranslation: Int] = [:]

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

  private mutating func place(of entry: BufferedTranslation) -> Int? {
    if cursor < entries.count && entries[cursor] == entry { return cursor }
    if places.isEmpty {
      places.reserveCapacity(entries.count)
      for (place, entry) in entries.enumerated() { places[entry] = place }
    }
    return places[entry]
  }
}
