import Machine
import Testing

@testable import Hypervisor

/// A host that unmaps, moves and write-protects frames, and a guest that does not notice.
@Suite struct ChurnTests {
  private static let code = Code {
    for round in UInt64(0)..<30 {
      $0.store(Place.window + (round & 7) << 12, round)
      $0.load(Place.window + (round &+ 3 & 7) << 12)
      $0.raw(0x48, 0x01, 0xc1)
      $0.store(Place.entry(of: Place.window + 0x7000), (Place.data + (round & 7) << 12) | 0x63)
      $0.invalidate(Place.window + 0x7000)
      $0.load(Place.window + 0x7000)
      $0.raw(0x48, 0x01, 0xc1)
    }
  }

  @Test(arguments: Kind.allCases.filter { $0 != .native })
  func `the guest ends as it does when the host leaves it alone`(kind: Kind) throws {
    let calm = try TinyGuest(kind, Self.code.bytes)
    #expect(calm.run() == .haltedForEver)
    let disturbed = try TinyGuest(kind, Self.code.bytes) { $0.churn = 50_000 }
    #expect(disturbed.run() == .haltedForEver)
    #expect(disturbed.architecture == calm.architecture)
    #expect(disturbed.allMemory == calm.allMemory)
    #expect(disturbed.violations == [])
    let statistics = try #require(disturbed.hypervisor).statistics
    #expect(statistics.churned.allSatisfy { $0 > 0 }, "\(statistics.churned)")
    #expect(disturbed.processor.ledger[.hostChurn] == statistics.work.cycles(.hostChurn, at: disturbed.profile))
    #expect(calm.processor.ledger[.hostChurn] == 0)
  }

  @Test func `a piece of a large page that was taken away comes back by itself`() throws {
    let guest = try TinyGuest(
      .nested2M,
      Code {
        $0.load(Place.window)
        $0.raw(0xe6, 0x11)
        $0.load(Place.window)
      }.bytes)
    let hypervisor = try #require(guest.hypervisor)
    func level() -> Int? { hypervisor.nested?.leaf(for: GuestPhysical(Place.data), guest.memory)?.level }
    #expect(guest.run(retiredLimit: 3) == .limit)
    #expect(level() == 2)
    #expect(hypervisor.changeNested { $0.unmap(GuestPhysical(Place.data), $1, &$2) })
    #expect(level() == nil)
    hypervisor.flushNestedEverywhere()
    hypervisor.enter()
    #expect(guest.run() == .haltedForEver)
    #expect(level() == 1 && guest.violations == [])
  }

  @Test func `the same disturbance every time, from a snapshot too`() throws {
    for kind in [Kind.shadow, .nested2M, .agile] {
      let guest = try TinyGuest(kind, Self.code.bytes) { $0.churn = 50_000 }
      let hypervisor = try #require(guest.hypervisor)
      #expect(guest.run(retiredLimit: 150) == .limit)
      let saved = (hypervisor.snapshot(), guest.memory.image(), guest.processor.snapshot())
      #expect(guest.run() == .haltedForEver)
      let ledger = guest.processor.ledger
      guest.memory.restore(saved.1)
      hypervisor.restore(saved.0)
      guest.processor.restore(saved.2)
      #expect(guest.run() == .haltedForEver)
      #expect(guest.processor.ledger == ledger, "\(kind)")
    }
  }
}
