import Support
import Testing

@testable import Machine

/// The arrays of TLBs and caches against lists in the order of use, which share nothing with them.
struct AssociativeArrayTests {
  /// Ways of one set in no order; the victim is the one with the lowest stamp, the first of equals.
  private struct Reference {
    var entries: [(key: UInt64, value: UInt64, stamp: UInt64)]

    var victim: Int { entries.indices.min { (entries[$0].stamp, $0) < (entries[$1].stamp, $1) } ?? 0 }
    func find(_ key: UInt64, or other: UInt64) -> Int? {
      entries.firstIndex { $0.key == key || $0.key == other }
    }
  }

  private static let geometries: [(entries: Int, ways: Int)] = [
    (72, 72), (64, 4), (1536, 12), (16, 16), (24, 24), (1, 1), (15, 5), (33, 11), (18, 18), (7, 7), (48, 24), (6, 2),
  ]

  @Test(arguments: geometries, [.plain, .expectingHits, .expectingKeys, .expectingMisses] as [AssociativeArray.Search])
  func `every look-up and every victim is that of a list`(
    geometry: (entries: Int, ways: Int), searched: AssociativeArray.Search
  ) {
    let array = AssociativeArray(entries: geometry.entries, ways: geometry.ways, searched: searched)
    defer { array.deallocate() }
    var sets = Array(
      repeating: Reference(
        entries: Array(repeating: (AssociativeArray.empty, 0, 0), count: geometry.ways)),
      count: geometry.entries / geometry.ways)
    var random = RepeatableRandom(seed: 1)
    var now: UInt64 = 1
    var wrong = 0
    var lacking = 0
    let pages = UInt64(geometry.entries) * 2 + 3
    for step in 0..<20_000 {
      // Several events may have one stamp, as the accesses of one instruction have.
      if random.next() % 4 != 0 { now += 1 }
      let number = random.next() % pages
      let size = PageSize(rawValue: UInt8(random.next() % 8 == 0 ? 1 : 0)) ?? .page4K
      let key = TranslationKey.make(number, size, tag: random.next() % 3)
      let other = TranslationKey.make(number, size, tag: TranslationKey.globalBit)
      let set = Int(number % UInt64(sets.count))
      let first = array.set(of: number)
      let found = array.find(key, or: other, inSet: first)
      // Where the context has an entry and there is a global one too, it may be either.
      var expected = sets[set].find(key, or: other)
      if (found < 0) != (expected == nil) { wrong += 1 }
      if found >= 0 {
        if ![key, other].contains(sets[set].entries[found - first].key) { wrong += 1 }
        expected = found - first
      }
      if found >= 0 && !array.mayHold(number, size) { wrong += 1 }
      let region = AssociativeArray.region(number << size.shift)
      if found >= 0 && size != .page4K && !array.regions.pointee.mayContain(region) { wrong += 1 }
      if found >= 0 && array.hasGuesses && array.guess(key) != found { wrong += 1 }
      if found >= 0 && size == .page4K && array.lacksSmall(key) { wrong += 1 }
      if array.lacksSmall(key) { lacking += 1 }
      switch (random.next() % 64, expected) {
      case (0, let way?):
        array.drop(found)
        sets[set].entries[way] = (AssociativeArray.empty, 0, 0)
      case (1, _) where step % 7 == 0:
        array.dropAll(where: TranslationKey.tagMask, equals: 1)
        for set in sets.indices {
          for way in sets[set].entries.indices where sets[set].entries[way].key & TranslationKey.tagMask == 1 {
            sets[set].entries[way] = (AssociativeArray.empty, 0, 0)
          }
        }
      case (2, _):
        array.restore(array.image())
      case (_, let way?):
        if array.values[found] != sets[set].entries[way].value { wrong += 1 }
        array.stamps[found] = now
        sets[set].entries[way].stamp = now
      case (_, nil):
        let way = array.victim(inSet: first)
        if way - first != sets[set].victim { wrong += 1 }
        let kept = random.next() % 16 == 0 ? other : key
        if size == .page4K && array.keys[way] >> 61 == 0 {
          array.replaceSmall(kept, now ^ number, stamp: now, at: way)
        } else {
          array.put(kept, now ^ number, stamp: now, at: way)
        }
        sets[set].entries[way - first] = (array.keys[way], now ^ number, now)
      }
    }
    #expect(wrong == 0)
    // Numbers that are counted are known to be absent now and then; others never.
    #expect((lacking > 0) == (searched == .expectingMisses))
    var held: [UInt64] = []
    array.forEachFilled { held.append(array.keys[$0]) }
    #expect(held.sorted() == sets.flatMap { $0.entries.map(\.key) }.filter { $0 != AssociativeArray.empty }.sorted())
  }

  @Test func `an array without entries never hits`() {
    let array = AssociativeArray(entries: 0, ways: 0)
    defer { array.deallocate() }
    #expect(!array.isPresent && array.find(0x1_0000, inSet: array.set(of: 1)) < 0 && array.image().isEmpty)
    array.dropAll(where: 0, equals: 0)
  }

  @Test func `a table of what entries serve agrees with the permission check`() {
    for bits in 0..<16 {
      let controls = PagingControls(
        writeProtect: bits & 1 != 0, smep: bits & 2 != 0, smap: bits & 4 != 0, alignmentCheckFlag: bits & 8 != 0)
      let served = ServedAccess.under(controls)
      for privilege in Privilege.allCases {
        for kind in AccessKind.allCases {
          for entry in (0..<128 as Range<UInt64>).map({ TLBEntry(rawValue: 0x1234_5000 | $0) }) {
            let access = Access(kind, privilege)
            #expect(served.contains(access, by: entry) == entry.serves(access, controls))
          }
        }
      }
    }
  }
}
