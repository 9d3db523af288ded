/// What a processor knows of 4K pages in the second-level TLB: the verdicts of `DirectCache` a level further out.
///
/// A verdict says that the page of a way may be brought into the first level without another question: it is memory,
/// may be read (and written) in the context in force, and no large page of the first level covers it. It is a word, the
/// page's address with the epoch in bits 11:1 and in bit 0 whether writes are allowed as well; so that one comparison
/// asks for all of it. Verdicts end with their epoch: whenever anything changes that verdicts of the direct cache or
/// these rest on.
///
/// Safety: the words belong to the second level's array, which forgets a way's when it is taken by another page.
struct KnownPages {
  private static let generations: UInt64 = 1 << 9

  private let words: UnsafeMutablePointer<UInt64>?
  private let count: Int
  private var generation: UInt64 = 1
  private var context = KnownPages.nobody
  /// Of verdicts that hold now.
  private(set) var epoch: UInt64 = 0

  /// The context in which nothing is known. The others are those of `DirectCache`.
  private static let nobody: UInt64 = 3

  init(_ second: AssociativeArray) {
    words = second.known
    count = second.count
    follow()
  }

  private mutating func follow() { epoch = (generation << 2 | context) << 1 }

  /// - Parameter context: nil where no verdict may be used.
  mutating func select(_ context: Int?) {
    self.context = context.map { UInt64(truncatingIfNeeded: $0) & 3 } ?? KnownPages.nobody
    follow()
  }

  mutating func forget() {
    generation &+= 1
    if generation == KnownPages.generations {
      generation = 1
      words?.update(repeating: 0, count: count)
    }
    follow()
  }

  /// Notes what is allowed on the page of a way.
  @inline(__always) func remember(_ page: UInt64, isWritable: Bool, way: Int) {
    words?[way] = page | epoch | (isWritable ? 1 : 0)
  }
}
