/// A translation lookaside buffer of one level and side: arrays for 4K, 2M and 1G pages, or one for several sizes.
///
/// Safety: the three arrays are owned here until the owner calls `deallocate`, and are indexed by page sizes only.
struct TranslationLookaside {
  /// By page size. Sizes that share an array have the same one in more than one place.
  private let arrays: UnsafeMutablePointer<AssociativeArray>
  /// The arrays, each once.
  let distinct: [AssociativeArray]

  init(
    small: (entries: UInt64, ways: UInt64), medium: (entries: UInt64, ways: UInt64),
    large: (entries: UInt64, ways: UInt64), unifiedMedium: Bool, unifiedLarge: Bool,
    searched: AssociativeArray.Search
  ) {
    func array(_ shape: (entries: UInt64, ways: UInt64)) -> AssociativeArray {
      AssociativeArray(entries: Int(shape.entries), ways: Int(shape.ways), searched: searched)
    }
    var distinct = [array(small)]
    if !unifiedMedium { distinct.append(array(medium)) }
    let mediumArray = distinct[distinct.count - 1]
    if !unifiedLarge { distinct.append(array(large)) }
    self.distinct = distinct
    arrays = .allocate(capacity: 3)
    arrays.initialize(to: distinct[0])
    (arrays + 1).initialize(to: mediumArray)
    (arrays + 2).initialize(to: unifiedLarge ? distinct[0] : distinct[distinct.count - 1])
  }

  func deallocate() {
    for array in distinct { array.deallocate() }
    arrays.deallocate()
  }

  /// The array that holds pages of a size.
  @inline(__always) func array(for size: PageSize) -> UnsafeMutablePointer<AssociativeArray> {
    arrays + Int(size.rawValue)
  }

  /// The size of page that a translation of a size is held as: where there is no array for large pages, the piece of
  /// one that the next smaller array can hold.
  @inline(__always) func heldSize(_ size: PageSize) -> PageSize {
    if size == .page1G && !arrays[2].isPresent { return arrays[1].isPresent ? .page2M : .page4K }
    if size == .page2M && !arrays[1].isPresent { return .page4K }
    return size
  }

  /// An entry found.
  struct Hit {
    let size: PageSize
    let way: Int
    let entry: TLBEntry
    /// Its place in the order of use.
    let stamp: UnsafeMutablePointer<UInt64>
  }

  /// The entry for an address in a context, of whatever page size.
  @inline(__always) func find(_ address: UInt64, tag: UInt64, globalTag: UInt64) -> Hit? {
    if let hit = find(address, .page4K, tag, globalTag) { return hit }
    if let hit = find(address, .page2M, tag, globalTag) { return hit }
    return find(address, .page1G, tag, globalTag)
  }

  @inline(__always) private func find(
    _ address: UInt64, _ size: PageSize, _ tag: UInt64, _ globalTag: UInt64
  ) -> Hit? {
    let array = array(for: size)
    let number = TranslationKey.number(address, size)
    guard array.pointee.mayHold(number, size) else { return nil }
    let way = array.pointee.find(
      TranslationKey.make(number, size, tag: tag), or: TranslationKey.make(number, size, tag: globalTag),
      inSet: array.pointee.set(of: number))
    guard way >= 0 else { return nil }
    return Hit(
      size: size, way: way, entry: TLBEntry(rawValue: array.pointee.values[way]), stamp: array.pointee.stamps + way)
  }

  /// The same for somebody who looks from outside.
  func peek(_ address: UInt64, tag: UInt64, globalTag: UInt64) -> Hit? {
    for size in PageSize.allCases {
      let array = array(for: size)
      let number = TranslationKey.number(address, size)
      for tag in [tag, globalTag] {
        guard let way = array.pointee.way(of: TranslationKey.make(number, size, tag: tag)) else { continue }
        return Hit(
          size: size, way: way, entry: TLBEntry(rawValue: array.pointee.values[way]),
          stamp: array.pointee.stamps + way)
      }
    }
    return nil
  }

  /// Whether a large page that holds an address may be there.
  @inline(__always) func mayHoldLarge(_ address: UInt64) -> Bool {
    arrays[1].mayHold(TranslationKey.number(address, .page2M), .page2M)
      || arrays[2].mayHold(TranslationKey.number(address, .page1G), .page1G)
  }

  /// Drops the entries for one page address in a context, and its global ones where asked.
  ///
  /// - Parameter dropping: called with each way before it is emptied.
  @inline(__always) func drop(
    _ address: UInt64, tag: UInt64, globalTag: UInt64?,
    dropping: (UnsafeMutablePointer<AssociativeArray>, Int) -> Void = { _, _ in }
  ) {
    for raw in 0..<UInt8(3) {
      guard let size = PageSize(rawValue: raw) else { continue }
      let array = array(for: size)
      let number = TranslationKey.number(address, size)
      guard array.pointee.mayHold(number, size) else { continue }
      let key = TranslationKey.make(number, size, tag: tag)
      let other = TranslationKey.make(number, size, tag: globalTag ?? tag)
      let set = array.pointee.set(of: number)
      // The context's own and the global one may both be there.
      var way = array.pointee.find(key, or: other, inSet: set)
      while way >= 0 {
        dropping(array, way)
        array.pointee.drop(way)
        way = array.pointee.find(key, or: other, inSet: set)
      }
    }
  }
}

extension AssociativeArray {
  /// The way that an address's translation takes: the one of its set that was used longest ago.
  @inline(__always) func victim(for address: UInt64, _ size: PageSize) -> Int {
    victim(inSet: set(of: TranslationKey.number(address, size)))
  }

  /// Whether all that is noted of large pages is noted of an address's already.
  @inline(__always) func mayHoldLarge(_ address: UInt64, _ size: PageSize) -> Bool {
    mayHold(TranslationKey.number(address, size), size) && regions.pointee.mayContain(AssociativeArray.region(address))
  }

  /// Holds a translation in a way.
  ///
  /// - Parameter tag: the context's, or the global one for a global page.
  @inline(__always) func put(
    _ address: UInt64, _ size: PageSize, _ entry: TLBEntry, tag: UInt64, stamp: UInt64, at way: Int
  ) {
    put(
      TranslationKey.make(TranslationKey.number(address, size), size, tag: tag), entry.rawValue, stamp: stamp, at: way)
  }
}
