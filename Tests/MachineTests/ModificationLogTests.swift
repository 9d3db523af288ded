import Support
import Testing

@testable import Machine

/// Intel's page-modification log, as the hardware writes it (SDM vol. 3, 29.3.6).
struct ModificationLogTests {
  static let address: UInt64 = 0x40_0000
  static let physical: UInt64 = 0x20_0000
  /// Not the guest's.
  static let log = HostPhysical(0x4_0000)

  /// mov al, [rbx] at 0x1000, mov [rbx], al at 0x1010; the tables of both dimensions in every state but D.
  private static func machine(figures: [CostKey: UInt64] = [:]) -> TinyMachine {
    let guest = GuestMemory(hostPage: .page4K, fresh: true) { map(0x1000, to: 0x1000) }
    guest.map(map(address, to: physical, pages: 16, .writable))
    let machine = TinyMachine(guest, code: [0x8a, 0x03], at: 0x1000, profile: .flat(figures))
    guest.write([0x88, 0x03], atPhysical: 0x1010)
    guard let plan = guest.nestedPlan(keepsAccessedDirty: true) else { return machine }
    var controls = VMControls(paging: .nested(plan), intercepts: [], vpid: 1)
    controls.modificationLog = log
    machine.processor.enter(controls)
    machine[Slot.rbx] = address
    return machine
  }

  private static func execute(_ machine: TinyMachine, write: Bool) -> RunResult {
    machine.update { $0.rip = write ? 0x1010 : 0x1000 }
    return machine.run(1)
  }

  /// The entries written so far, the first one first.
  private static func logged(_ machine: TinyMachine) -> [UInt64] {
    ((machine.processor.modificationLogIndex &+ 1)..<512).reversed().map {
      machine.guest.host.word(at: log.advanced(by: UInt64($0) * 8))
    }
  }

  private static func nestedEntry(_ machine: TinyMachine, _ address: UInt64) -> UInt64 {
    machine.guest.nested.map { machine.guest.host.word(at: $0.entry(address, level: 1)) } ?? 0
  }

  @Test func `every D that is set is logged with its page, from the last entry down, and once`() {
    let machine = Self.machine(figures: .commonTLBs + [.walkModificationLog: 7])
    machine[Slot.rbx] = Self.address + 0x123
    #expect(Self.execute(machine, write: false) == .limit)
    let tables = Self.logged(machine)
    // The guest's five tables, which walks count as written (29.3.5); neither the code nor what is read.
    #expect(tables.count == 5 && Set(tables).count == 5 && tables.allSatisfy { $0 >= 0x2000_0000 && $0 & 0xfff == 0 })
    for _ in 0..<2 { #expect(Self.execute(machine, write: true) == .limit) }
    machine[Slot.rbx] = Self.address + 0x2fff
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(Self.logged(machine) == tables + [Self.physical, Self.physical + 0x2000])
    #expect(machine.processor.modificationLogIndex == 511 - 7)
    #expect(machine.processor.counters.modificationsLogged == 7 && machine.processor.ledger[.dirtyLog] == 49)
  }

  @Test func `a full log lets neither the access nor any bit through`() {
    let machine = Self.machine(figures: .commonTLBs)
    #expect(Self.execute(machine, write: false) == .limit)
    // One entry is left.
    machine.processor.modificationLogIndex = 0
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(machine.processor.modificationLogIndex == 0xffff)
    #expect(machine.guest.host.word(at: Self.log) == Self.physical)
    machine[Slot.rbx] = Self.address + 0x1000
    machine[Slot.rax] = 0x5a
    guard case .exit(let exit) = Self.execute(machine, write: true) else {
      Issue.record("no exit")
      return
    }
    #expect(exit.reason == .modificationLogFull && exit.nested?.address == GuestPhysical(Self.physical + 0x1000))
    #expect(Self.nestedEntry(machine, Self.physical + 0x1000) & 0x300 == 0)
    #expect(machine.guest.word(atPhysical: Self.physical + 0x1000) == 0)
    #expect(machine.processor.modificationLogIndex == 0xffff && machine.processor.state.rip == 0x1010)
    // A alone is not set either (29.3.6); what needs nothing set goes on.
    guard case .exit(let second) = Self.execute(machine, write: false) else {
      Issue.record("no exit")
      return
    }
    #expect(second.reason == .modificationLogFull)
    machine[Slot.rbx] = Self.address
    #expect(Self.execute(machine, write: true) == .limit)
    // With room again the same store is done.
    machine.processor.modificationLogIndex = 511
    machine[Slot.rbx] = Self.address + 0x1000
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(Self.logged(machine) == [Self.physical + 0x1000])
    #expect(machine.guest.word(atPhysical: Self.physical + 0x1000) & 0xff == 0x5a)
  }

  @Test func `without a log D is set, and the index stays`() {
    let machine = Self.machine()
    var controls = machine.processor.activeControls
    controls.modificationLog = nil
    machine.processor.enter(controls)
    machine.processor.modificationLogIndex = 0xffff
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(Self.nestedEntry(machine, Self.physical) & 0x200 != 0)
    #expect(machine.processor.modificationLogIndex == 0xffff)
  }

  @Test func `looking sets nothing and logs nothing`() {
    let machine = Self.machine()
    machine.processor.modificationLogIndex = 0xffff
    _ = machine.processor.peek(GuestVirtual(Self.address), Access(.write, .supervisor))
    #expect(Self.nestedEntry(machine, Self.physical) & 0x300 == 0)
    guard case .mapped = machine.processor.look(GuestVirtual(Self.address)).result else {
      Issue.record("a full log is nothing to somebody who looks")
      return
    }
  }

  @Test func `a snapshot keeps the index`() {
    let machine = Self.machine()
    let saved = machine.processor.snapshot()
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(machine.processor.modificationLogIndex == 511 - 6)
    machine.processor.restore(saved)
    #expect(machine.processor.modificationLogIndex == 511)
  }
}
