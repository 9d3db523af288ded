import Machine
import Support
import Testing

/// The page-walk cache: which references of a walk it serves, by their place.
struct PageWalkCacheTests {
  private static let address: UInt64 = 0x40_0000
  /// mov eax, [rbx]
  private static let load: [UInt8] = [0x8b, 0x03]

  /// Visits two pages in turn, and calls `between`.
  ///
  /// - Returns: what the cache had and had not, by place, of the second visit.
  private func second(
    _ hostPage: PageSize?, _ figures: [CostKey: UInt64], page: UInt64 = 1,
    between: (TinyMachine) -> Void = { _ in }
  ) -> (hits: [String], misses: [String]) {
    @MappingsBuilder func mappings() -> [PageMapping] {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 2)
    }
    let guest = hostPage.map { GuestMemory(hostPage: $0, mappings) } ?? GuestMemory(mappings)
    let machine = TinyMachine(guest, code: Self.load, at: 0x1800, profile: .flat(.commonTLBs + figures))
    if hostPage != nil, let plan = guest.nestedPlan() {
      machine.processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: 1))
    }
    machine[Slot.rbx] = Self.address
    machine.run(1)
    between(machine)
    let before = machine.processor.counters
    machine.update { $0.rip = 0x1800 }
    machine[Slot.rbx] = Self.address + page * 0x1000
    machine.run(1)
    let after = machine.processor.counters
    func places(_ count: (Counters) -> (WalkPosition) -> UInt64) -> [String] {
      WalkPosition.all.filter { count(after)($0) != count(before)($0) }.map(\.name).sorted()
    }
    return (
      places { counters in { counters.walkCache($0).hits } }, places { counters in { counters.walkCache($0).misses } }
    )
  }

  @Test func `a neighbour's walk finds every entry but its own`() {
    let (hits, misses) = second(nil, [.walkCacheEntries: 24])
    #expect(hits == ["gL2", "gL3", "gL4"] && misses == ["gL1"])
  }

  @Test func `entries of both dimensions are there, named by what they lead to`() {
    let (hits, misses) = second(.page4K, [.walkCacheEntries: 64])
    #expect(misses == ["gL1", "gPA.nL1"])
    let nested = (1...4).flatMap { table in (1...4).map { "gL\(table).nL\($0)" } } + (2...4).map { "gPA.nL\($0)" }
    #expect(hits == (["gL2", "gL3", "gL4"] + nested).sorted())
  }

  @Test func `a nested TLB of tables alone leaves the walk to the page`() {
    let (hits, misses) = second(.page4K, [.walkCacheEntries: 64, .nestedTLBEntries: 16, .nestedTLBHoldsPages: 0])
    #expect(hits == ["gL2", "gL3", "gL4", "gPA.nL2", "gPA.nL3", "gPA.nL4"] && misses == ["gL1", "gPA.nL1"])
  }

  @Test func `the place used longest ago goes first`() {
    #expect(second(nil, [.walkCacheEntries: 4]) == (["gL2", "gL3", "gL4"], ["gL1"]))
    // One place too few, and each is gone when its turn comes.
    #expect(second(nil, [.walkCacheEntries: 3]) == ([], ["gL1", "gL2", "gL3", "gL4"]))
  }

  @Test func `what invalidates empties it`() {
    for invalidate in [
      { $0.processor.invalidatePage(GuestVirtual(0x7000), pcid: 0, globals: true) },
      { $0.processor.flushContext(pcid: 0) }, { $0.processor.flushNonGlobal() }, { $0.processor.flushLinear() },
      { $0.processor.flushAll() },
      { $0.processor.invalidateVirtualProcessor(.address(GuestVirtual(Self.address), vpid: 0)) },
    ] as [(TinyMachine) -> Void] {
      // The next instruction is fetched by a walk as well: nothing of the one before helps either.
      let (hits, misses) = second(nil, [.walkCacheEntries: 24], between: invalidate)
      #expect(misses == ["gL1", "gL2", "gL3", "gL4"] && !hits.contains("gL1"))
    }
  }

  @Test func `its hits cost what a structure cache's do, in place of L2's`() {
    var clocks: [UInt64] = []
    for entries in [0, 24] as [UInt64] {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000)
        map(Self.address, to: 0x2000, pages: 2)
      }
      let machine = TinyMachine(
        guest, code: Self.load + Self.load, at: 0x1800,
        profile: .flat(.commonTLBs + .commonCaches + [.walkCacheEntries: entries, .pscHit: 2, .cacheL2Hit: 11]))
      machine[Slot.rbx] = Self.address
      machine.run(1)
      machine[Slot.rbx] = Self.address + 0x1000
      let before = machine.processor.ledger[.walkGuest]
      machine.run(1)
      clocks.append(machine.processor.ledger[.walkGuest] - before)
    }
    #expect(clocks[0] - clocks[1] == 3 * (11 - 2))
  }
}
