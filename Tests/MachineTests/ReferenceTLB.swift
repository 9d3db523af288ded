/// A set-associative buffer with exact LRU replacement as a list a set, the entry used last at the end. Nothing here is
/// shared with the machine's arrays.
struct ReferenceBuffer {
  struct Entry {
    var page: UInt64
    var isDirty: Bool
  }

  private var sets: [[Entry]]
  private let ways: Int

  init(entries: Int, ways: Int) {
    self.ways = entries == 0 ? 0 : ways
    sets = Array(repeating: [], count: max(1, entries / max(ways, 1)))
  }

  var isPresent: Bool { ways != 0 }

  /// The pages held.
  var pages: [UInt64] { sets.joined().map(\.page).sorted() }

  /// Whether the page's entry is there and serves; one that does not serve is dropped. `page` has the page number in
  /// its low bits.
  mutating func use(_ page: UInt64, number: UInt64, isWrite: Bool) -> Entry? {
    let set = Int(number % UInt64(sets.count))
    guard let place = sets[set].firstIndex(where: { $0.page == page }) else { return nil }
    let entry = sets[set].remove(at: place)
    guard entry.isDirty || !isWrite else { return nil }
    sets[set].append(entry)
    return entry
  }

  mutating func insert(_ entry: Entry, number: UInt64) {
    guard ways != 0 else { return }
    let set = Int(number % UInt64(sets.count))
    if sets[set].count == ways { sets[set].removeFirst() }
    sets[set].append(entry)
  }
}
