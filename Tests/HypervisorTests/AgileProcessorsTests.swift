import Machine
import Testing

@testable import Hypervisor

/// Agile paging on several processors: what one of them does without an exit, the others' handlers respect.
@Suite struct AgileProcessorsTests {
  private static let otherRoot = Second.root
  private static let thirdRoot = Second.pointers
  private static let otherCode: UInt64 = 0x1_4000

  /// A guest of two processors, each with code of its own.
  private func pair(
    _ kind: Kind, _ first: Code, _ second: Code, _ change: (inout HypervisorOptions) -> Void = { _ in }
  ) throws -> TinyGuest {
    let guest = try TinyGuest(kind, first.bytes, cpus: 2, options: change)
    guest.set(Self.otherCode, second.bytes)
    for root in [Self.otherRoot, Self.thirdRoot] { guest.set(root, guest.word(Place.root)) }
    var state = guest.processors[1].state
    state.rip = Self.otherCode
    state.slots[Int(Slot.rsp)] = Place.stack - 0x1000
    guest.processors[1].state = state
    guest.processors[1].refresh()
    return guest
  }

  @Test func `a root that the hardware has loaded without an exit is not given up`() throws {
    let tables = UInt64(2)..<80
    let guest = try pair(
      .agileStay,
      Code {
        for root in [Self.otherRoot, Self.thirdRoot, Self.otherRoot] { $0.cr3(root) }
        $0.load(Place.window)
      }, Code { for table in tables { $0.load(table << 21) } }
    ) { $0.shadowPages = 1 }
    let hypervisor = try #require(guest.hypervisor)
    for table in tables {
      guest.set(Place.directory + 8 * table, (0x40_0000 + table << 12) | 7)
      guest.set(0x40_0000 + table << 12, Place.data | 3)
    }
    #expect(hypervisor.run(0, retiredLimit: 6) == .limit)
    #expect(guest.processors[0].counters.controlRegister3Loads == 1)
    func loaded() throws -> ShadowPage {
      guard case .shadow(let paging) = guest.processors[0].activeControls.paging else { throw TestError.noShadow }
      let owner = hypervisor.allocator.owner(of: paging.root)
      #expect(owner.use == .shadowTable)
      return hypervisor.shadows.pool[Int(owner.number)]
    }
    #expect(try loaded().gfn == Self.otherRoot >> 12)
    #expect(hypervisor.run(1) == .waits)
    #expect(hypervisor.statistics.mmuRecycled > 0)
    #expect(try loaded().gfn == Self.otherRoot >> 12 && loaded().isLive)
    let made = hypervisor.statistics.mmuCacheMiss
    #expect(hypervisor.run(0) == .waits && guest.violations == [])
    // Of its path the second processor has used all but the root.
    #expect(hypervisor.statistics.mmuCacheMiss == made)
  }

  private enum TestError: Error { case noShadow }

  @Test func `who loses its root to another's handler pays for the next one`() throws {
    let code = Code { for page in UInt64(0)..<4 { $0.load(Place.window + page << 12) } }
    let guest = try pair(.agile, code, code)
    let hypervisor = try #require(guest.hypervisor)
    #expect(hypervisor.run(0, retiredLimit: 4) == .limit)
    #expect(hypervisor.run(1, retiredLimit: 4) == .limit)
    func spent(_ processor: Int) -> UInt64 { guest.processors[processor].ledger[.shadowRoot] }
    let before = spent(0)
    hypervisor.comeBack(Place.root >> 12)
    hypervisor.enter()
    #expect(spent(1) > 0, "its own")
    #expect(hypervisor.run(0) == .waits && hypervisor.run(1) == .waits)
    #expect(spent(0) > before)
    let work = hypervisor.statistics.work
    #expect(spent(0) + spent(1) == work.cycles(.shadowRoot, at: guest.profile))
    #expect(guest.violations == [])
  }
}
