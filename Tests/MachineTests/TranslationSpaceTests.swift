import Support
import Testing

@testable import Machine

/// Linear, guest-physical and combined mappings, and what INVEPT and INVVPID drop of them (SDM vol. 3, 29.4).
struct TranslationSpaceTests {
  static let address: UInt64 = 0x40_0000

  private static let figures: [CostKey: UInt64] =
    .commonTLBs + .commonStructureCaches + [.nestedTLBEntries: 32, .pscNestedPDE: 8, .pscNestedPDPTE: 4]

  /// mov al, [rbx] at 0x1000.
  private static func machine() -> (TinyMachine, NestedPlan, NestedPlan)? {
    let guest = GuestMemory(hostPage: .page4K) { map(0x1000, to: 0x1000, .global) }
    guest.map(map(address, to: 0x20_0000, pages: 2, .writable))
    let machine = TinyMachine(guest, code: [0x8a, 0x03], at: 0x1000, profile: .flat(figures))
    machine.update { $0.cr4 |= CR4.pageGlobal }
    machine[Slot.rbx] = address
    guard let plan = guest.nestedPlan(), let top = guest.nested else { return nil }
    // The same tables by another root.
    var other = plan
    other.root = HostPhysical(0x80f0_0000)
    for number in 0..<512 as Range<UInt64> {
      guest.host.setWord(
        guest.host.word(at: HostPhysical(top.root + number * 8)), at: other.root.advanced(by: number * 8))
    }
    return (machine, plan, other)
  }

  private static func load(_ machine: TinyMachine, _ plan: NestedPlan, vpid: UInt16, at address: UInt64 = address) {
    machine.processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: vpid))
    machine[Slot.rbx] = address
    machine.update { $0.rip = 0x1000 }
    #expect(machine.run(1) == .limit)
  }

  /// How many linear or combined mappings each VPID has, and how many guest-physical ones there are.
  private struct Held: Equatable {
    var combined: [UInt16: Int] = [:]
    var nested = 0
  }

  private static func held(_ machine: TinyMachine) -> Held {
    var held = Held()
    for entry in machine.processor.cachedTranslations {
      if entry.holder.isNested { held.nested += 1 } else { held.combined[entry.vpid, default: 0] += 1 }
    }
    return held
  }

  @Test func `guest-physical mappings serve every VPID under one root, combined ones their own`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    Self.load(machine, plan, vpid: 1)
    let walks = machine.processor.counters.nestedWalks
    let hits = machine.processor.counters.nestedTLBHits
    let own = machine.processor.counters.walks
    Self.load(machine, plan, vpid: 2)
    #expect(machine.processor.counters.walks > own, "the first one's combined mappings are not the second's")
    #expect(machine.processor.counters.nestedWalks == walks && machine.processor.counters.nestedTLBHits > hits)
    Self.load(machine, other, vpid: 2)
    #expect(machine.processor.counters.nestedWalks > walks, "nor those of another root")
    let after = machine.processor.counters.walks
    Self.load(machine, plan, vpid: 1)
    #expect(machine.processor.counters.walks == after, "what was there is there still")
  }

  @Test func `INVEPT of one root drops its guest-physical and combined mappings, whatever their VPID`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    Self.load(machine, plan, vpid: 1)
    let one = Self.held(machine)
    Self.load(machine, plan, vpid: 2)
    Self.load(machine, other, vpid: 3)
    let all = Self.held(machine)
    #expect(all.combined == [1: one.combined[1] ?? 0, 2: one.combined[1] ?? 0, 3: one.combined[1] ?? 0])
    #expect(all.nested == 2 * one.nested && one.nested > 0)
    machine.processor.invalidateExtended(.singleContext(plan.root))
    #expect(Self.held(machine).combined == [3: one.combined[1] ?? 0] && Self.held(machine).nested == one.nested)
    machine.processor.invalidateExtended(.allContexts)
    #expect(Self.held(machine).combined == [:] && Self.held(machine).nested == 0)
  }

  @Test func `a flush of an ASID drops the guest-physical mappings of its root too, and of no other`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    Self.load(machine, plan, vpid: 1)
    let one = Self.held(machine)
    Self.load(machine, other, vpid: 2)
    #expect(Self.held(machine).nested == 2 * one.nested && one.nested > 0)
    machine.processor.flushAll()
    #expect(Self.held(machine) == one)
  }

  @Test func `INVEPT leaves linear mappings`() throws {
    let guest = GuestMemory { map(0x1000, to: 0x1000) }
    guest.map(map(Self.address, to: 0x20_0000, .writable))
    let machine = TinyMachine(guest, code: [0x8a, 0x03], at: 0x1000, profile: .flat(Self.figures))
    machine[Slot.rbx] = Self.address
    #expect(machine.run(1) == .limit)
    let before = Self.held(machine)
    machine.processor.invalidateExtended(.allContexts)
    #expect(Self.held(machine) == before && before.combined[0] ?? 0 > 0)
    machine.processor.invalidateVirtualProcessor(.allContexts)
    #expect(Self.held(machine) == before, "VPID 0 is the bare processor's")
    machine.processor.invalidateVirtualProcessor(.singleContext(0))
    #expect(Self.held(machine).combined == [:])
  }

  @Test func `INVVPID drops linear and combined mappings of its VPID, and no guest-physical ones`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    Self.load(machine, plan, vpid: 1)
    Self.load(machine, other, vpid: 1)
    Self.load(machine, plan, vpid: 2)
    let all = Self.held(machine)
    machine.processor.invalidateVirtualProcessor(.singleContext(1))
    #expect(Self.held(machine).combined == [2: all.combined[2] ?? 0] && Self.held(machine).nested == all.nested)
    machine.processor.invalidateVirtualProcessor(.allContexts)
    #expect(Self.held(machine).combined == [:] && Self.held(machine).nested == all.nested)
  }

  @Test func `INVVPID of all but globals leaves those`() throws {
    let (machine, plan, _) = try #require(Self.machine())
    Self.load(machine, plan, vpid: 1)
    machine.processor.invalidateVirtualProcessor(.singleContextButGlobals(1))
    let left = machine.processor.cachedTranslations.filter { !$0.holder.isNested }
    #expect(!left.isEmpty && left.allSatisfy { $0.isGlobal && $0.address == 0x1000 })
  }

  @Test func `INVVPID of an address drops its page, of every PCID, and the way to it`() throws {
    let (machine, plan, _) = try #require(Self.machine())
    for pcid in [UInt64(1), 2] {
      machine.update { state in
        state.cr4 |= CR4.pcid
        state.cr3 = state.cr3 & ~0xfff | pcid
      }
      for page in [UInt64(0), 0x1000] { Self.load(machine, plan, vpid: 1, at: Self.address + page) }
    }
    func pages(_ address: UInt64) -> Int {
      machine.processor.cachedTranslations.count {
        $0.holder.holdsPages && !$0.holder.isNested && $0.address == address
      }
    }
    let before = (pages(Self.address), pages(Self.address + 0x1000))
    #expect(before.0 >= 4 && before.0 == before.1)
    machine.processor.invalidateVirtualProcessor(.address(GuestVirtual(Self.address + 0x123), vpid: 2))
    #expect(pages(Self.address) == before.0, "another VPID's")
    machine.processor.invalidateVirtualProcessor(.address(GuestVirtual(Self.address + 0x123), vpid: 1))
    #expect(pages(Self.address) == 0 && pages(Self.address + 0x1000) == before.1)
    #expect(machine.processor.cachedTranslations.allSatisfy { $0.holder != .pde || $0.address != Self.address })
  }

  @Test func `INVLPG reaches combined mappings of every root`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    for each in [plan, other] { Self.load(machine, each, vpid: 1) }
    machine.processor.invalidatePage(GuestVirtual(Self.address), pcid: 0, globals: true)
    #expect(machine.processor.cachedTranslations.allSatisfy { $0.holder.isNested || $0.address != Self.address })
  }

  @Test func `a ninth space takes the number of the one used longest ago, and finds nothing of it`() throws {
    let (machine, plan, other) = try #require(Self.machine())
    var vpids: [UInt16] = []
    for vpid in UInt16(1)...7 {
      Self.load(machine, plan, vpid: vpid)
      vpids.append(vpid)
    }
    // Native paging had the first number; the second root's first space takes it, and the next one VPID 1's.
    for vpid in UInt16(1)...2 {
      let walks = machine.processor.counters.walks
      Self.load(machine, other, vpid: vpid)
      #expect(machine.processor.counters.walks > walks)
    }
    let walks = machine.processor.counters.walks
    Self.load(machine, plan, vpid: 7)
    #expect(machine.processor.counters.walks == walks)
    Self.load(machine, plan, vpid: 1)
    #expect(machine.processor.counters.walks > walks)
  }

  @Test func `a number is a name's until eight others have come`() {
    var numbers = KeyNumbers<Int>()
    var taken: [Int] = []
    let given = (0..<8).map { numbers.number(of: $0) { taken.append($0) } }
    #expect(given == Array(0..<8))
    let again = numbers.number(of: 0) { taken.append($0) }
    #expect(again == 0 && taken == [])
    let ninth = numbers.number(of: 8) { taken.append($0) }
    #expect(ninth == 1 && taken == [1])
    #expect(numbers.known(1) == nil && numbers.known(0) == 0)
  }
}
