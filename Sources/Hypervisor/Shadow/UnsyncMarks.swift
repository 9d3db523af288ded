/// Which shadow entries lead to pages that are out of step, at once or further down (KVM: `unsync_child_bitmap`), so that
/// the pages below a root that have to be brought into step are found without looking at the others.
///
/// Invariant: where a page is out of step, or has marks, every entry that leads to it is marked. A mark may outlive its
/// reason, until somebody follows it.
struct UnsyncMarks {
  /// A bit for each slot of the shadow pages, and the number of them for each page.
  private var bits: ContiguousArray<UInt64> = []
  private var counts: ContiguousArray<UInt16> = []

  private static let wordsOfPage = 8

  func hasAny(_ page: Int) -> Bool { counts[page] != 0 }

  func contains(_ slot: Int) -> Bool { bits[slot >> 6] & 1 << UInt64(slot & 63) != 0 }

  mutating func reserve(page: Int) {
    while counts.count <= page {
      counts.append(0)
      bits.append(contentsOf: repeatElement(0, count: UnsyncMarks.wordsOfPage))
    }
  }

  /// Marks a slot.
  ///
  /// - Returns: whether it is the only one of its page now and was not before: then those that lead to the page are to be
  ///   marked too.
  mutating func insert(_ slot: Int) -> Bool {
    guard !contains(slot) else { return false }
    bits[slot >> 6] |= 1 << UInt64(slot & 63)
    counts[slot >> 9] += 1
    return counts[slot >> 9] == 1
  }

  mutating func remove(_ slot: Int) {
    guard contains(slot) else { return }
    bits[slot >> 6] &= ~(1 << UInt64(slot & 63))
    counts[slot >> 9] -= 1
  }

  /// The first marked slot of a page.
  func first(of page: Int) -> Int? {
    guard hasAny(page) else { return nil }
    let start = page * UnsyncMarks.wordsOfPage
    for word in start..<start + UnsyncMarks.wordsOfPage where bits[word] != 0 {
      return word << 6 | bits[word].trailingZeroBitCount
    }
    return nil
  }
}
