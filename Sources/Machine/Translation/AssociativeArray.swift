/// A set-associative array with exact LRU replacement: the shape of every TLB, paging-structure cache and data cache.
///
/// Keys, stamps and values stand in arrays of their own, so that a search reads only keys. Sets and ways may be any numbers. A way that holds
/// nothing has the key `AssociativeArray.empty` and stamp 0, so that it is replaced first.
///
/// Safety: the three buffers have `count` elements each, are owned by the array's owner, who calls `deallocate`, and are indexed only by
/// numbers that this type computed.
struct AssociativeArray {
  static let empty: UInt64 = .max

  let sets: Int
  let ways: Int
  let keys: UnsafeMutablePointer<UInt64>
  let stamps: UnsafeMutablePointer<UInt64>
  let values: UnsafeMutablePointer<UInt64>
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
    let capacity = max(1, sets * self.ways)
    keys = .allocate(capacity: capacity)
    stamps = .allocate(capacity: capacity)
    values = .allocate(capacity: capacity)
    keys.initialize(repeating: AssociativeArray.empty, count: capacity)
    stamps.initialize(repeating: 0, count: capacity)
    values.initialize(repeating: 0, count: capacity)
  }

  func deallocate() {
    keys.deallocate()
    stamps.deallocate()
    values.deallocate()
  }

  var isPresent: Bool { ways != 0 }

  /// The first way of the set that a number selects.
  @inline(__always) func set(of number: UInt64) -> Int {
    if sets == 1 { return 0 }
    return (mask != 0 ? Int(number & mask) : Int(number % UInt64(sets))) &* ways
  }

  /// The way that holds a key, or -1.
  @inline(__always) func find(_ key: UInt64, inSet first: Int) -> Int {
    var at = first
    let end = first &+ ways
    while at < end {
      if keys[at] == key { return at }
      at &+= 1
    }
    return -1
  }

  /// The way that holds either of two keys (an entry of the context, or a global one), or -1. Without branches in the loop, so that
  /// the compiler can compare several at a time.
  @inline(__always) func find(_ key: UInt64, or other: UInt64, inSet first: Int) -> Int {
    var found = -1
    var way = 0
    while way < ways {
      let candidate = keys[first &+ way]
      found = candidate == key || candidate == other ? first &+ way : found
      way &+= 1
    }
    return found
  }

  /// The way to replace: the one used longest ago, empty ones first.
  @inline(__always) func victim(inSet first: Int) -> Int {
    var best = first
    var oldest = stamps[first]
    var way = 1
    while way < ways {
      let stamp = stamps[first &+ way]
      if stamp < oldest {
        oldest = stamp
        best = first &+ way
      }
      way &+= 1
    }
    return best
  }

  @inline(__always) func put(_ key: UInt64, _ value: UInt64, stamp: UInt64, at way: Int) {
    keys[way] = key
    values[way] = value
    stamps[way] = stamp
  }

  @inline(__always) func drop(_ way: Int) {
    keys[way] = AssociativeArray.empty
    stamps[way] = 0
  }

  /// Drops every entry whose key satisfies `(key & mask) == wanted`; returns how many.
  func dropAll(where mask: UInt64, equals wanted: UInt64, _ dropped: (Int) -> Void = { _ in }) {
    guard ways != 0 else { return }
    for way in 0..<count where keys[way] & mask == wanted && keys[way] != AssociativeArray.empty {
      drop(way)
      dropped(way)
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
    for index in 0..<count {
      keys[index] = image[index]
      stamps[index] = image[count + index]
      values[index] = image[2 * count + index]
    }
  }
}
