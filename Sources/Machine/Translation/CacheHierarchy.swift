/// The caches of 64-byte lines, by host-physical address. They hold no data, only which lines are near.
struct CacheHierarchy {
  let l1: AssociativeArray
  let l2: AssociativeArray
  let l3: AssociativeArray

  /// Which level served a reference.
  enum Level { case l1, l2, l3, memory }

  init(profile: CostProfile) {
    func cache(_ bytes: CostKey, _ ways: CostKey) -> AssociativeArray {
      AssociativeArray(entries: Int(profile[bytes] / 64), ways: Int(profile[ways]))
    }
    l1 = cache(.cacheL1Bytes, .cacheL1Ways)
    l2 = cache(.cacheL2Bytes, .cacheL2Ways)
    l3 = cache(.cacheL3Bytes, .cacheL3Ways)
  }

  func deallocate() {
    for array in arrays { array.deallocate() }
  }

  var arrays: [AssociativeArray] { [l1, l2, l3] }

  /// Looks a line up in L2, then L3, and brings it into both.
  @inline(__always) func reference(_ address: UInt64, tick: UInt64) -> Level {
    let line = address >> 6
    if l2.touch(line, stamp: tick) { return .l2 }
    return l3.touch(line, stamp: tick) ? .l3 : .memory
  }

  /// The same with L1 before it.
  @inline(__always) func dataReference(_ address: UInt64, tick: UInt64) -> Level {
    if l1.touch(address >> 6, stamp: tick) { return .l1 }
    return reference(address, tick: tick)
  }
}
