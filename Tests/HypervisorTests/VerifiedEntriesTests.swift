import Machine
import Testing

@testable import Hypervisor

/// What the oracle knows of buffered entries is found again whatever has come, gone or changed places since.
@Suite struct VerifiedEntriesTests {
  /// Eight entries, all different, in the order in which they are gone through.
  private func entries() throws -> [BufferedTranslation] {
    let code = Code {
      for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) }
      $0.raw(0xe6, 0x11)
    }
    let guest = try TinyGuest(.nested, code.bytes)
    _ = guest.run()
    var found: [BufferedTranslation] = []
    try #require(guest.hypervisor).running.processor.bufferedTranslations(into: &found)
    try #require(found.count >= 8)
    try #require(Set(found).count == found.count)
    return Array(found.prefix(8))
  }

  @Test func `what is known of an entry is found by the entry alone`() throws {
    let all = try entries()
    // Every way to choose from them what was there before and what is there now, and the last of them first.
    for before in 0...UInt8.max {
      for now in [before, ~before, before << 1, before >> 1, 0xff, 0x55, before & 0x3c] {
        for isRotated in [false, true] {
          func chosen(_ mask: UInt8) -> [Int] { all.indices.filter { mask >> $0 & 1 != 0 } }
          var known = VerifiedEntries()
          for index in chosen(before) { known.append(all[index], .init(since: UInt64(index), length: 1)) }
          let asked = isRotated ? chosen(now).suffix(1) + chosen(now).dropLast() : chosen(now)
          let answers = asked.map { known.next(all[$0])?.since }
          #expect(answers == asked.map { before >> $0 & 1 != 0 ? UInt64($0) : nil })
        }
      }
    }
  }

  @Test func `only what is stale excuses a new entry of its addresses, and the oldest of it most`() throws {
    let all = try entries()
    let pages = all.filter { $0.buffer == .data }
    let page = try #require(pages.first)
    let other = try #require(pages.last)
    try #require(page.address != other.address)
    var known = VerifiedEntries()
    known.append(page, .init(since: 3, length: 4096))
    #expect(known.oldestStale(for: page.address) == nil)
    for (since, entry) in [(7, page), (5, page), (1, other)] as [(UInt64, BufferedTranslation)] {
      known.append(entry, .init(since: since, length: 4096, isStale: true))
    }
    #expect(known.oldestStale(for: page.address | 0xff8) == 5)
    #expect(known.oldestStale(for: other.address) == 1)
    #expect(known.oldestStale(for: page.address ^ 1 << 40) == nil)
  }
}
