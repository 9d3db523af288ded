/// A set-associative array with exact LRU replacement: the shape of every TLB, paging-structure cache and data cache.
///
/// It is one pointer, so that passing it costs nothing. Keys, stamps and values stand in arrays of their own. In a set of more than four ways a search reads none of them at
/// first: each way has a signature of one byte, and eight are compared at a time, so that a miss costs a few operations
/// however many ways there are, and the host's caches hold the signatures. Sets and ways may be any numbers. A way that
/// holds nothing has the key `AssociativeArray.empty`, signature 0 and stamp 0, so that it is replaced first.
///
/// Safety: the layout and its buffers, of `count` elements each, belong to the array's owner, who calls `deallocate`;
/// they are indexed only by numbers that this type computed.
struct AssociativeArray {
  static let empty: UInt64 = .max

  /// What an array has besides to make one kind of search short. No search has another result for it.
  enum Search {
    case plain
    /// Mostly for what is there: it is where it was the last time. A TLB's; what is known of its pages goes with them.
    case expectingHits
    /// The same for keys of which none stands for another.
    case expectingKeys
    /// Mostly for what is not there.
    case expectingMisses
  }

  /// Places for page numbers by their lowest bits.
  static let buckets = 2048

  private struct Layout {
    let sets: Int
    let ways: Int
    /// From a set's first way to the next one's: `ways`, rounded up to whole words of signatures.
    let stride: Int
    let keys: UnsafeMutablePointer<UInt64>
    let stamps: UnsafeMutablePointer<UInt64>
    let values: UnsafeMutablePointer<UInt64>
    let signatures: UnsafeMutableRawPointer
    let isSigned: Bool
    /// `sets - 1` where that makes a mask, as it does for one set.
    let isMasked: Bool
    let mask: UInt64
    let queue: VictimQueue?
    /// By the lowest bits of a page number, the way where it was found or put last: looked at before the signatures.
    let guesses: UnsafeMutablePointer<UInt16>?
    /// By the lowest bits of a page number, how many ways hold small pages whose numbers end so: where there are none, a
    /// page need not be looked for.
    let counts: UnsafeMutablePointer<UInt16>?
    /// For each way, what a processor knows of it (`KnownPages`), 0 for nothing: forgotten when another page takes it.
    let known: UnsafeMutablePointer<UInt64>?
    /// The large pages held, by size (the keys' top bits), and in the first place by region: what is not there need not
    /// be looked for. Nothing is taken out before the array is empty.
    let large: UnsafeMutablePointer<PageSet>
    /// How many ways hold something.
    var filled = 0
  }

  private let layout: UnsafeMutablePointer<Layout>

  @inline(__always) var sets: Int { layout.pointee.sets }
  @inline(__always) var ways: Int { layout.pointee.ways }
  @inline(__always) private var stride: Int { layout.pointee.stride }
  @inline(__always) var keys: UnsafeMutablePointer<UInt64> { layout.pointee.keys }
  @inline(__always) var stamps: UnsafeMutablePointer<UInt64> { layout.pointee.stamps }
  @inline(__always) var values: UnsafeMutablePointer<UInt64> { layout.pointee.values }
  @inline(__always) private var signatures: UnsafeMutableRawPointer { layout.pointee.signatures }
  @inline(__always) private var isSigned: Bool { layout.pointee.isSigned }
  @inline(__always) var queue: VictimQueue? { layout.pointee.queue }
  @inline(__always) var guesses: UnsafeMutablePointer<UInt16>? { layout.pointee.guesses }
  @inline(__always) var counts: UnsafeMutablePointer<UInt16>? { layout.pointee.counts }
  @inline(__always) var known: UnsafeMutablePointer<UInt64>? { layout.pointee.known }
  @inline(__always) private var large: UnsafeMutablePointer<PageSet> { layout.pointee.large }

  /// Places for entries; some belong to no way and stay empty.
  @inline(__always) var count: Int { sets &* stride }

  /// - Parameters:
  ///   - entries: how many in all; 0 makes an array that never hits.
  ///   - ways: how many a set; equal to `entries` for full associativity.
  ///   - searched: how the array's owner mostly searches it.
  init(entries: Int, ways: Int, searched: Search = .plain) {
    func buffer<Element>(_ count: Int, of element: Element) -> UnsafeMutablePointer<Element> {
      let buffer = UnsafeMutablePointer<Element>.allocate(capacity: count)
      buffer.initialize(repeating: element, count: count)
      return buffer
    }
    let greatest = max(1, min(ways, max(entries, 1)))
    let ways = entries == 0 ? 0 : greatest
    let stride = ways > 4 ? (ways + 7) & ~7 : ways
    let sets = max(1, entries / greatest)
    let capacity = max(1, sets * stride)
    let signatures = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    signatures.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
    let isNumbered = capacity <= Int(UInt16.max) && ways != 0
    layout = .allocate(capacity: 1)
    layout.initialize(
      to: Layout(
        sets: sets, ways: ways, stride: stride, keys: buffer(capacity, of: AssociativeArray.empty),
        stamps: buffer(capacity, of: 0), values: buffer(capacity, of: 0), signatures: signatures, isSigned: ways > 4,
        isMasked: sets & (sets - 1) == 0, mask: UInt64(sets - 1),
        queue: sets == 1 && ways > 16 ? VictimQueue(ways: ways) : nil,
        guesses: (searched == .expectingHits || searched == .expectingKeys) && isNumbered
          ? buffer(AssociativeArray.buckets, of: 0) : nil,
        counts: searched == .expectingMisses && isNumbered ? buffer(AssociativeArray.buckets, of: 0) : nil,
        known: searched == .expectingHits && isNumbered ? buffer(capacity, of: 0) : nil,
        large: buffer(8, of: .nothing)))
  }

  func deallocate() {
    keys.deallocate()
    stamps.deallocate()
    values.deallocate()
    signatures.deallocate()
    large.deallocate()
    guesses?.deallocate()
    counts?.deallocate()
    known?.deallocate()
    queue?.deallocate()
    layout.deallocate()
  }

  @inline(__always) var isPresent: Bool { ways != 0 }

  /// The gigabytes of the address space that large pages held are in.
  var regions: UnsafePointer<PageSet> { UnsafePointer(large) }

  /// The number of the gigabyte that holds an address.
  @inline(__always) static func region(_ address: UInt64) -> UInt64 { (address >> 30) & 0x7ff_ffff }

  /// Whether a page of a size may be there. Small ones are always looked for.
  @inline(__always) func mayHold(_ number: UInt64, _ size: PageSize) -> Bool {
    size == .page4K || large[Int(size.rawValue)].mayContain(number)
  }

  /// The bucket of a key's page number.
  @inline(__always) private static func bucket(_ key: UInt64) -> Int { bucket(page: key >> 16) }
  @inline(__always) static func bucket(page number: UInt64) -> Int { Int(number & UInt64(buckets - 1)) }

  /// Whether it is certain that no context's small page of a key is there.
  @inline(__always) func lacksSmall(_ key: UInt64) -> Bool {
    guard let counts else { return false }
    return counts[AssociativeArray.bucket(key)] == 0
  }

  /// Whether there are guesses at all.
  var hasGuesses: Bool { guesses != nil }

  /// A way that may hold a page: the one where it was found or put last.
  @inline(__always) func guess(_ key: UInt64) -> Int {
    guard let guesses else { return 0 }
    return Int(guesses[AssociativeArray.bucket(key)])
  }

  /// Keeps the counts of small pages: the keys of large ones have bits at the top.
  @inline(__always) private func count(_ key: UInt64, _ change: UInt16) {
    guard let counts, key >> 61 == 0 else { return }
    counts[AssociativeArray.bucket(key)] &+= change
  }

  /// The first way of the set that a number selects.
  @inline(__always) func set(of number: UInt64) -> Int {
    Int(layout.pointee.isMasked ? number & layout.pointee.mask : number % UInt64(sets)) &* stride
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
        if keys[way] == key || keys[way] == other {
          guesses?[AssociativeArray.bucket(key)] = UInt16(truncatingIfNeeded: way)
          return way
        }
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

  /// The oldest of four ways.
  @inline(__always) static func victim(ofFour stamps: UnsafeMutablePointer<UInt64>) -> Int {
    let low = stamps[1] < stamps[0] ? 1 : 0
    let high = stamps[3] < stamps[2] ? 3 : 2
    return stamps[high] < stamps[low] ? high : low
  }

  /// The way to replace: the one used longest ago, empty ones and then the first of equals first.
  @inline(__always) func victim(inSet first: Int) -> Int {
    if let queue { return queue.victim(stamps) }
    if ways == 4 { return first &+ AssociativeArray.victim(ofFour: stamps + first) }
    return oldest(inSet: first)
  }

  @inline(never) private func oldest(inSet first: Int) -> Int {
    let stamps = stamps
    let end = first &+ ways
    var best = first
    var oldest = stamps[first]
    var way = first &+ 1
    while way < end {
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
    sign(way, as: key)
  }

  /// Fills a way.
  @inline(__always) func put(_ key: UInt64, _ value: UInt64, stamp: UInt64, at way: Int) {
    if keys[way] == AssociativeArray.empty { layout.pointee.filled &+= 1 } else { count(keys[way], .max) }
    count(key, 1)
    if let guesses { guesses[AssociativeArray.bucket(key)] = UInt16(truncatingIfNeeded: way) }
    if key >> 61 != 0 { noteLarge(key) }
    known?[way] = 0
    write(key, value, stamp, at: way)
  }

  /// Whether a number was there, of a cache that knows what is near and holds no data; it is there afterwards, where there is
  /// any room.
  @inline(__always) func touch(_ number: UInt64, stamp: UInt64) -> Bool {
    guard isPresent else { return false }
    let set = set(of: number)
    // As other keys have it: the number above 16 bits that could tell contexts apart.
    let key = number << 16
    let way = find(key, inSet: set)
    if way >= 0 {
      stamps[way] = stamp
      return true
    }
    put(key, 0, stamp: stamp, at: victim(inSet: set))
    return false
  }

  /// The signature of a key that was written into a way.
  @inline(__always) func sign(_ way: Int, as key: UInt64) {
    if isSigned { signatures.storeBytes(of: AssociativeArray.signature(of: key), toByteOffset: way, as: UInt8.self) }
  }

  @inline(never) private func noteLarge(_ key: UInt64) {
    guard let size = PageSize(rawValue: UInt8(key >> 61)) else { return }
    let number = key >> 16 & 0x1fff_ffff_ffff
    large[Int(size.rawValue)].insert(number)
    large[0].insert(AssociativeArray.region(number << size.shift))
  }

  /// Empties a way.
  func drop(_ way: Int) {
    guard keys[way] != AssociativeArray.empty else { return }
    layout.pointee.filled &-= 1
    count(keys[way], .max)
    if layout.pointee.filled == 0 { large.update(repeating: .nothing, count: 8) }
    keys[way] = AssociativeArray.empty
    stamps[way] = 0
    known?[way] = 0
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
    guard layout.pointee.filled != 0 else { return }
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

  /// The guesses that decide something.
  private var keptGuesses: UnsafeMutablePointer<UInt16>? { known == nil ? nil : guesses }

  /// Everything, for a snapshot.
  func image() -> [UInt64] {
    var copy: [UInt64] = []
    copy.reserveCapacity(3 * count + (keptGuesses == nil ? 0 : AssociativeArray.buckets))
    copy.append(contentsOf: UnsafeBufferPointer(start: keys, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: stamps, count: count))
    copy.append(contentsOf: UnsafeBufferPointer(start: values, count: count))
    // Where a context's own entry and a global one are there for one page, a guess decides between them.
    if let keptGuesses { copy.append(contentsOf: (0..<AssociativeArray.buckets).map { UInt64(keptGuesses[$0]) }) }
    return copy
  }

  func restore(_ image: [UInt64]) {
    guard image.count == 3 * count + (keptGuesses == nil ? 0 : AssociativeArray.buckets) else { return }
    for way in 0..<count {
      // Most of a large cache is as it was.
      if keys[way] == image[way], stamps[way] == image[count + way], values[way] == image[2 * count + way] { continue }
      drop(way)
      if image[way] != AssociativeArray.empty {
        put(image[way], image[2 * count + way], stamp: image[count + way], at: way)
      }
    }
    if let keptGuesses {
      for bucket in 0..<AssociativeArray.buckets {
        keptGuesses[bucket] = UInt16(truncatingIfNeeded: min(image[3 * count + bucket], UInt64(count - 1)))
      }
    }
    queue?.forget()
  }
}
