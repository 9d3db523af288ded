/// A translation lookaside buffer of one level and side: arrays for 4K, 2M and 1G pages, or one for all sizes.
struct TranslationLookaside {
  /// Indexed by page size. Unified buffers have the same array in more than one place.
  let small: AssociativeArray
  let medium: AssociativeArray
  let large: AssociativeArray
  /// Sizes that share the 4K array.
  let unifiedMedium: Bool
  let unifiedLarge: Bool

  init(
    small: (entries: UInt64, ways: UInt64), medium: (entries: UInt64, ways: UInt64),
    large: (entries: UInt64, ways: UInt64), unifiedMedium: Bool, unifiedLarge: Bool
  ) {
    self.small = AssociativeArray(entries: Int(small.entries), ways: Int(small.ways))
    self.medium =
      unifiedMedium ? self.small : AssociativeArray(entries: Int(medium.entries), ways: Int(medium.ways))
    self.large = unifiedLarge ? self.small : AssociativeArray(entries: Int(large.entries), ways: Int(large.ways))
    self.unifiedMedium = unifiedMedium
    self.unifiedLarge = unifiedLarge
  }

  func deallocate() {
    for array in distinct { array.deallocate() }
  }

  /// The arrays, each once.
  var distinct: [AssociativeArray] {
    [small] + (unifiedMedium ? [] : [medium]) + (unifiedLarge ? [] : [large])
  }

  @inline(__always) func array(for size: PageSize) -> AssociativeArray {
    switch size {
    case .page4K: small
    case .page2M: medium
    case .page1G: large
    }
  }

  /// The entry for an address in a context, of whatever page size, and its stamp's place.
  @inline(__always) func find(_ address: UInt64, tag: UInt64, globalTag: UInt64) -> Hit? {
    if let hit = find(address, .page4K, small, tag, globalTag) { return hit }
    if medium.isPresent, let hit = find(address, .page2M, medium, tag, globalTag) { return hit }
    if large.isPresent, let hit = find(address, .page1G, large, tag, globalTag) { return hit }
    return nil
  }

  struct Hit {
    let size: PageSize
    let way: Int
    let entry: TLBEntry
  }

  @inline(__always) private func find(
    _ address: UInt64, _ size: PageSize, _ array: AssociativeArray, _ tag: UInt64, _ globalTag: UInt64
  ) -> Hit? {
    let number = TranslationKey.number(address, size)
    let way = array.find(
      TranslationKey.make(number, size, tag: tag), or: TranslationKey.make(number, size, tag: globalTag),
      inSet: array.set(of: number))
    return way < 0 ? nil : Hit(size: size, way: way, entry: TLBEntry(rawValue: array.values[way]))
  }

  /// Drops the entries for one page address in a context, and its global ones where asked.
  func drop(_ address: UInt64, tag: UInt64, globalTag: UInt64?, _ dropped: (PageSize, Int) -> Void) {
    for size in PageSize.allCases {
      let array = array(for: size)
      guard array.isPresent else { continue }
      let number = TranslationKey.number(address, size)
      let set = array.set(of: number)
      for tag in [tag, globalTag ?? tag] {
        let way = array.find(TranslationKey.make(number, size, tag: tag), inSet: set)
        if way >= 0 {
          array.drop(way)
          dropped(size, way)
        }
      }
    }
  }
}
