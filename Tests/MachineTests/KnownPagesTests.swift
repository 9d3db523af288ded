import Testing

@testable import Machine

/// The verdicts on pages in the second level, which must never outlive what they rest on.
struct KnownPagesTests {
  private static let page: UInt64 = 0xffff_8000_1234_5000
  private static let key = TranslationKey.make(
    TranslationKey.number(page, .page4K), .page4K, tag: TranslationKey.tag(space: 0, pcid: 1))

  private let array = AssociativeArray(entries: 24, ways: 12, searched: .expectingHits)

  /// What the hit path compares: 0 is a page that may be read, 1 one that may be written too.
  private func difference(_ known: KnownPages, way: Int) throws -> UInt64 {
    try #require(array.known)[way] ^ (KnownPagesTests.page | known.epoch)
  }

  private func remembered(isWritable: Bool) -> KnownPages {
    array.put(KnownPagesTests.key, 0, stamp: 1, at: 3)
    var known = KnownPages(array)
    known.select(2)
    known.remember(KnownPagesTests.page, isWritable: isWritable, way: 3)
    return known
  }

  @Test func `a page is known in the context in which it was noted, and as what`() throws {
    defer { array.deallocate() }
    var known = remembered(isWritable: false)
    #expect(try difference(known, way: 3) == 0)
    #expect(try difference(known, way: 4) > 1)
    for context in [0, 1, nil] {
      known.select(context)
      #expect(try difference(known, way: 3) > 1)
    }
    known.select(2)
    known.remember(KnownPagesTests.page, isWritable: true, way: 3)
    #expect(try difference(known, way: 3) == 1)
  }

  @Test func `nothing is known after an end, however often epochs come round`() throws {
    defer { array.deallocate() }
    var known = remembered(isWritable: true)
    for _ in 0..<5000 {
      known.forget()
      #expect(try difference(known, way: 3) > 1)
    }
  }

  @Test(arguments: [true, false]) func `a way that another page takes or none is forgotten`(isTaken: Bool) throws {
    defer { array.deallocate() }
    let known = remembered(isWritable: true)
    if isTaken { array.put(KnownPagesTests.key + (24 << 16), 0, stamp: 2, at: 3) } else { array.drop(3) }
    #expect(try difference(known, way: 3) > 1)
  }
}
