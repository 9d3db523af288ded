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
    if touch(l2, address, tick) { return .l2 }
    return touch(l3, address, tick) ? .l3 : .memory
  }

  /// The same with L1 before it.
  @inline(__always) func dataReference(_ address: UInt64, tick: UInt64) -> Level {
    if touch(l1, address, tick) { return .l1 }
    return reference(address, tick: tick)
  }

  /// Whether the line was there; it is afterwards.
  @inline(__always) private func touch(_ array: AssociativeArray, _ address: UInt64, _ tick: UInt64) -> Bool {
    guard array.isPresent else { return false }
    let line = address >> 6
    let set = array.set(of: line)
    // As other keys have it: the number above 16 bits that could tell contexts apart.
    let key = line << 16
    let way = array.find(key, inSet: set)
    if way >= 0 {
      array.stamps[way] = tick
      return true
    }
    array.put(key, 0, stamp: tick, at: array.victim(inSet: set))
    return false
  }
}
