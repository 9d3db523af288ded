/// A set-associative array with exact LRU replacement: the shape of every TLB, paging-structure cache and data cache.
///
/// Keys, stamps and values stand in arrays of their own. A search reads none of them at first: every way has a signature of one byte
/// beside those of its set, and eight are compared at a time, so that a miss costs a few operations however many ways there are, and the
/// host's caches hold the signatures. Sets and ways may be any numbers. A way that holds nothing has the key `AssociativeArray.empty`,
/// signature 0 and stamp 0, so that it is replaced first.
///
/// Safety: the buffers are owned by the array's owner, who calls `deallocate`, and are indexed only by numbers that this type computed.
struct AssociativeArray {
  static let empty: UInt64 = .max

  let sets: Int
  let ways: Int
  let keys: UnsafeMutablePointer<UInt64>
  let stamps: UnsafeMutablePointer<UInt64>
  let values: UnsafeMutablePointer<UInt64>
  /// `words` words of eight signatures for each set; the last ones of a set that is no multiple of eight stay 0.
  private let signatures: UnsafeMutablePointer<UInt64>
  private let words: Int
  /// How many ways hold keys of each page size (the keys' top bits); what is nowhere need not be looked for.
  private let population: UnsafeMutablePointer<Int>
  private let queue: VictimQueue?
  /// `sets - 1` where that makes a mask, else 0.
  private let mask: UInt64

  var count: Int { sets * ways }

  /// - Parameters:
  ///   - entries: how many in all; 0 makes an array that never hits.
  ///   - ways: how many a set; equal to `entries` for full associativity.
  init(entries: Int, ways: Int) {
    let ways = max(1, min(ways, max(entries, 1)))
    self.ways = entries == 0 ? 0 : ways
    sets = max(1, entries / ways)
    mask = sets & (sets - 1) == 0 ? UInt64(sets - 1) : 0
    words = (self.ways + 7) / 8
    let capacity = max(1, sets * self.ways)
    keys = .allocate(capacity: capacity)
    stamps = .allocate(capacity: capacity)
    values = .allocate(capacity: capacity)
    signatures = .allocate(capacity: max(1, sets * words))
    population = .allocate(capacity: 8)
    queue = sets == 1 && self.ways > 16 ? VictimQueue(ways: self.ways) : nil
    keys.initialize(repeating: AssociativeArray.empty, count: capacity)
    stamps.initialize(repeating: 0, count: capacity)
    values.initialize(repeating: 0, count: capacity)
    signatures.initialize(repeating: 0, count: max(1, sets * words))
    population.initialize(repeating: 0, count: 8)
  }

  func deallocate() {
    keys.deallocate()
    stamps.deallocate()
    values.deallocate()
    signatures.deallocate()
    population.deallocate()
    queue?.deallocate()
  }

  var isPresent: Bool { ways != 0 }

  /// Whether some way holds a key of a page size.
  @inline(__always) func holds(_ size: PageSize) -> Bool { population[Int(size.rawValue)] != 0 }

  /// The set that a number selects.
  @inline(__always) func set(of number: UInt64) -> Int {
    if sets == 1 { return 0 }
    return mask != 0 ? Int(number & mask) : Int(number % UInt64(sets))
  }

  /// The way that holds a key, or -1.
  @inline(__always) func find(_ key: UInt64, inSet set: Int) -> Int { find(key, or: key, inSet: set) }

  /// The way that holds either of two keys that differ in their tags only (an entry of the context, or a global one), or -1.
  @inline(__always) func find(_ key: UInt64, or other: UInt64, inSet set: Int) -> Int {
    let pattern = AssociativeArray.signature(of: key) &* 0x0101_0101_0101_0101
    var word = 0
    while word < words {
      // The bytes that are equal to the signature become 0; the top bit of each zero byte stays. A byte above a zero byte may be taken
      // for one wrongly: the keys decide.
      let difference = signatures[set &* words &+ word] ^ pattern
      var candidates = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
      while candidates != 0 {
        let way = set &* ways &+ word &* 8 &+ candidates.trailingZeroBitCount &>> 3
        if keys[way] == key || keys[way] == other { return way }
        candidates &= candidates &- 1
      }
      word &+= 1
    }
    return -1
  }

  /// Seven bits of the page number, above which a bit tells it from an empty way's. The tag, the lowest 16 bits of a key, is not in it.
  @inline(__always) private static func signature(of key: UInt64) -> UInt64 {
    (key >> 16 &* 0x9e37_79b9_7f4a_7c15) >> 57 | 0x80
  }

  /// The way to replace: the one used longest ago, empty ones and then the first of equals first.
  @inline(__always) func victim(inSet set: Int) -> Int {
    if let queue { return queue.victim(stamps) }
    let first = set &* ways
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

  /// Fills a way of a set.
  @inline(__always) func put(_ key: UInt64, _ value: UInt64, stamp: UInt64, inSet set: Int, at way: Int) {
    let old = keys[way]
    if old != AssociativeArray.empty { population[Int(old >> 61)] &-= 1 }
    population[Int(key >> 61)] &+= 1
    keys[way] = key
    values[way] = value
    stamps[way] = stamp
    sign(way, inSet: set, AssociativeArray.signature(of: key))
  }

  @inline(__always) private func sign(_ way: Int, inSet set: Int, _ signature: UInt64) {
    let place = way &- set &* ways
    let word = signatures + (set &* words &+ place &>> 3)
    let shift = UInt64(place & 7) &* 8
    word.pointee = word.pointee & ~(0xff &<< shift) | signature &<< shift
  }

  /// Empties a way.
  func drop(_ way: Int) {
    let old = keys[way]
    guard old != AssociativeArray.empty else { return }
    population[Int(old >> 61)] &-= 1
    keys[way] = AssociativeArray.empty
    stamps[way] = 0
    sign(way, inSet: way / ways, 0)
    queue?.forget()
  }

  /// Drops every entry whose key satisfies `(key & mask) == wanted`.
  func dropAll(where mask: UInt64, equals wanted: UInt64) {
    forEach { way in
      if keys[way] & mask == wanted { drop(way) }
    }
  }

  /// Calls `body` with every way that holds something, in order. `body` may drop it.
  @inline(__always) func forEach(_ body: (Int) -> Void) {
    guard population[0] | population[1] | population[2] != 0 else { return }
    for set in 0..<sets {
      for word in 0..<words {
        // The top bit of a signature says that the way is filled.
        var filled = signatures[set &* words &+ word] & 0x8080_8080_8080_8080
        while filled != 0 {
          body(set &* ways &+ word &* 8 &+ filled.trailingZeroBitCount &>> 3)
          filled &= filled &- 1
        }
      }
    }
  }

  /// Everything, for a snapshot.
  func image() -> [UInt64] {
    var copy: [UInt64] = []
    copy.reserveCapacity(3 * count)
    copy.append(contentsOf: UnsafeBufferPointer(start: keys, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: stamps, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: values, count: count))
    return copy
  }

  func restore(_ image: [UInt64]) {
    guard image.count == 3 * count else { return }
    for way in 0..<count {
      drop(way)
      if image[way] != AssociativeArray.empty {
        put(image[way], image[2 * count + way], stamp: image[count + way], inSet: way / ways, at: way)
      }
    }
    queue?.forget()
  }
}
