/// A set-associative array with exact LRU replacement: the shape of every TLB, paging-structure cache and data cache.
///
/// Keys, stamps and values stand in arrays of their own. In a set of more than four ways a search reads none of them at
/// first: each way has a signature of one byte, and eight are compared at a time, so that a miss costs a few operations
/// however many ways there are, and the host's caches hold the signatures. Sets and ways may be any numbers. A way that
/// holds nothing has the key `AssociativeArray.empty`, signature 0 and stamp 0, so that it is replaced first.
///
/// Safety: the buffers have `count` elements each, belong to the array's owner, who calls `deallocate`, and are indexed
/// only by numbers that this type computed.
struct AssociativeArray {
  static let empty: UInt64 = .max

  /// What an array has besides to make one kind of search short. No search has another result for it.
  enum Search {
    case plain
    /// Mostly for what is there: it is where it was the last time.
    case expectingHits
    /// Mostly for what is not there.
    case expectingMisses
  }

  /// Places for page numbers by their lowest bits.
  private static let buckets = 2048

  let sets: Int
  let ways: Int
  /// From a set's first way to the next one's: `ways`, rounded up to whole words of signatures.
  private let stride: Int
  let keys: UnsafeMutablePointer<UInt64>
  let stamps: UnsafeMutablePointer<UInt64>
  let values: UnsafeMutablePointer<UInt64>
  private let signatures: UnsafeMutableRawPointer
  private let isSigned: Bool
  private let queue: VictimQueue?
  /// `sets - 1` where that makes a mask, as it does for one set.
  private let mask: UInt64
  private let isMasked: Bool
  /// By the lowest bits of a page number, the way where it was found or put last: looked at before the signatures.
  private let guesses: UnsafeMutablePointer<UInt16>?
  /// By the lowest bits of a page number, how many ways hold small pages whose numbers end so: where there are none, a
  /// page need not be looked for.
  private let counts: UnsafeMutablePointer<UInt16>?
  /// How many ways hold something.
  private let filled: UnsafeMutablePointer<Int>
  /// The large pages held, by size (the keys' top bits): what is not there need not be looked for. Nothing is taken out
  /// before the array is empty.
  private let large: UnsafeMutablePointer<PageSet>

  /// Places for entries; some belong to no way and stay empty.
  var count: Int { sets * stride }

  /// - Parameters:
  ///   - entries: how many in all; 0 makes an array that never hits.
  ///   - ways: how many a set; equal to `entries` for full associativity.
  ///   - searched: how the array's owner mostly searches it.
  init(entries: Int, ways: Int, searched: Search = .plain) {
    let ways = max(1, min(ways, max(entries, 1)))
    self.ways = entries == 0 ? 0 : ways
    isSigned = self.ways > 4
    stride = isSigned ? (self.ways + 7) & ~7 : self.ways
    sets = max(1, entries / ways)
    mask = UInt64(sets - 1)
    isMasked = sets & (sets - 1) == 0
    queue = sets == 1 && self.ways > 16 ? VictimQueue(ways: self.ways) : nil
    let capacity = max(1, sets * stride)
    keys = .allocate(capacity: capacity)
    stamps = .allocate(capacity: capacity)
    values = .allocate(capacity: capacity)
    signatures = .allocate(byteCount: capacity, alignment: 8)
    filled = .allocate(capacity: 1)
    large = .allocate(capacity: 8)
    let isNumbered = capacity <= Int(UInt16.max) && self.ways != 0
    guesses = searched == .expectingHits && isNumbered ? .allocate(capacity: AssociativeArray.buckets) : nil
    counts = searched == .expectingMisses && isNumbered ? .allocate(capacity: AssociativeArray.buckets) : nil
    guesses?.initialize(repeating: 0, count: AssociativeArray.buckets)
    counts?.initialize(repeating: 0, count: AssociativeArray.buckets)
    keys.initialize(repeating: AssociativeArray.empty, count: capacity)
    stamps.initialize(repeating: 0, count: capacity)
    values.initialize(repeating: 0, count: capacity)
    signatures.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
    filled.initialize(to: 0)
    large.initialize(repeating: .nothing, count: 8)
  }

  func deallocate() {
    keys.deallocate()
    stamps.deallocate()
    values.deallocate()
    signatures.deallocate()
    filled.deallocate()
    large.deallocate()
    guesses?.deallocate()
    counts?.deallocate()
    queue?.deallocate()
  }

  var isPresent: Bool { ways != 0 }

  /// Whether a page of a size may be there. Small ones are always looked for.
  @inline(__always) func mayHold(_ number: UInt64, _ size: PageSize) -> Bool {
    size == .page4K || large[Int(size.rawValue)].mayContain(number)
  }

  /// The bucket of a key's page number.
  @inline(__always) private static func bucket(_ key: UInt64) -> Int { Int(key >> 16 & UInt64(buckets - 1)) }

  /// Whether it is certain that no context's small page of a key is there.
  @inline(__always) func lacksSmall(_ key: UInt64) -> Bool {
    guard let counts else { return false }
    return counts[AssociativeArray.bucket(key)] == 0
  }

  /// Keeps the counts of small pages: the keys of large ones have bits at the top.
  @inline(__always) private func count(_ key: UInt64, _ change: UInt16) {
    guard let counts, key >> 61 == 0 else { return }
    counts[AssociativeArray.bucket(key)] &+= change
  }

  /// The first way of the set that a number selects.
  @inline(__always) func set(of number: UInt64) -> Int {
    Int(isMasked ? number & mask : number % UInt64(sets)) &* stride
  }

  /// The way that holds a key, or -1.
  @inline(__always) func find(_ key: UInt64, inSet first: @autoclosure () -> Int) -> Int {
    find(key, or: key, inSet: first())
  }

  /// The way that holds either of two keys that differ in their tags only (an entry of the context, or a global one),
  /// or -1.
  @inline(__always)
  func find(_ key: UInt64, or other: UInt64, inSet start: @autoclosure () -> Int) -> Int {
    if let guesses {
      let guess = Int(guesses[AssociativeArray.bucket(key)])
      if keys[guess] == key || keys[guess] == other { return guess }
    }
    let first = start()
    guard isSigned else {
      var way = first
      while way < first &+ ways {
        if keys[way] == key || keys[way] == other { return way }
        way &+= 1
      }
      return -1
    }
    let pattern = UInt64(AssociativeArray.signature(of: key)) &* 0x0101_0101_0101_0101
    var word = first
    while word < first &+ stride {
      // The bytes that are equal to the signature become 0; the top bit of each zero byte stays. A byte above a zero
      // byte may be taken for one wrongly: the keys decide.
      let difference = UInt64(littleEndian: signatures.load(fromByteOffset: word, as: UInt64.self)) ^ pattern
      var candidates = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
      while candidates != 0 {
        let way = word &+ candidates.trailingZeroBitCount &>> 3
        if keys[way] == key || keys[way] == other {
          guesses?[AssociativeArray.bucket(key)] = UInt16(truncatingIfNeeded: way)
          return way
        }
        candidates &= candidates &- 1
      }
      word &+= 8
    }
    return -1
  }

  /// The way that holds a key; nil where none does. It leaves no trace, as a search may.
  func way(of key: UInt64) -> Int? { (0..<count).first { keys[$0] == key } }

  /// Seven bits of the page number, and one that tells it from an empty way's. The tag, the lowest 16 bits of a key, is
  /// not in it.
  @inline(__always) private static func signature(of key: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: (key >> 16 &* 0x9e37_79b9_7f4a_7c15) >> 57 | 0x80)
  }

  /// The way to replace: the one used longest ago, empty ones and then the first of equals first.
  @inline(__always) func victim(inSet first: Int) -> Int {
    if let queue { return queue.victim(stamps) }
    if ways == 4 {
      let stamps = stamps + first
      let low = stamps[1] < stamps[0] ? 1 : 0
      let high = stamps[3] < stamps[2] ? 3 : 2
      return first &+ (stamps[high] < stamps[low] ? high : low)
    }
    var best = first
    var oldest = stamps[first]
    var way = first &+ 1
    while way < first &+ ways {
      let stamp = stamps[way]
      best = stamp < oldest ? way : best
      oldest = min(stamp, oldest)
      way &+= 1
    }
    return best
  }

  /// Fills a way that holds a small page with another one.
  @inline(__always) func replaceSmall(_ key: UInt64, _ value: UInt64, stamp: UInt64, at way: Int) {
    count(keys[way], .max)
    count(key, 1)
    write(key, value, stamp, at: way)
  }

  @inline(__always) private func write(_ key: UInt64, _ value: UInt64, _ stamp: UInt64, at way: Int) {
    keys[way] = key
    values[way] = value
    stamps[way] = stamp
    if isSigned { signatures.storeBytes(of: AssociativeArray.signature(of: key), toByteOffset: way, as: UInt8.self) }
  }

  /// Fills a way.
  @inline(__always) func put(_ key: UInt64, _ value: UInt64, stamp: UInt64, at way: Int) {
    if keys[way] == AssociativeArray.empty { filled.pointee &+= 1 } else { count(keys[way], .max) }
    count(key, 1)
    if let guesses { guesses[AssociativeArray.bucket(key)] = UInt16(truncatingIfNeeded: way) }
    if key >> 61 != 0 { large[Int(key >> 61)].insert(key >> 16 & 0x1fff_ffff_ffff) }
    write(key, value, stamp, at: way)
  }

  /// Empties a way.
  func drop(_ way: Int) {
    guard keys[way] != AssociativeArray.empty else { return }
    filled.pointee &-= 1
    count(keys[way], .max)
    if filled.pointee == 0 { large.update(repeating: .nothing, count: 8) }
    keys[way] = AssociativeArray.empty
    stamps[way] = 0
    signatures.storeBytes(of: 0, toByteOffset: way, as: UInt8.self)
    queue?.forget()
  }

  /// Drops every entry whose key satisfies `(key & mask) == wanted`.
  func dropAll(where mask: UInt64, equals wanted: UInt64) {
    forEachFilled { way in
      if keys[way] & mask == wanted { drop(way) }
    }
  }

  /// Calls `body` with every way that holds something, in order. `body` may drop it.
  @inline(__always) func forEachFilled(_ body: (Int) -> Void) {
    guard filled.pointee != 0 else { return }
    guard isSigned else {
      for way in 0..<count where keys[way] != AssociativeArray.empty { body(way) }
      return
    }
    var word = 0
    while word < count {
      var filled = UInt64(littleEndian: signatures.load(fromByteOffset: word, as: UInt64.self)) & 0x8080_8080_8080_8080
      while filled != 0 {
        body(word &+ filled.trailingZeroBitCount &>> 3)
        filled &= filled &- 1
      }
      word &+= 8
    }
  }

  /// Everything, for a snapshot.
  func image() -> [UInt64] {
    var copy: [UInt64] = []
    copy.reserveCapacity(3 * count + (guesses == nil ? 0 : AssociativeArray.buckets))
    copy.append(contentsOf: UnsafeBufferPointer(start: keys, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: stamps, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: values, count: count))
    // Where a context's own entry and a global one are there for one page, a guess decides between them.
    if let guesses { copy.append(contentsOf: (0..<AssociativeArray.buckets).map { UInt64(guesses[$0]) }) }
    return copy
  }

  func restore(_ image: [UInt64]) {
    guard image.count == 3 * count + (guesses == nil ? 0 : AssociativeArray.buckets) else { return }
    for way in 0..<count {
      drop(way)
      if image[way] != AssociativeArray.empty {
        put(image[way], image[2 * count + way], stamp: image[count + way], at: way)
      }
    }
    if let guesses {
      for bucket in 0..<AssociativeArray.buckets {
        guesses[bucket] = UInt16(truncatingIfNeeded: min(image[3 * count + bucket], UInt64(count - 1)))
      }
    }
    queue?.forget()
  }
}
