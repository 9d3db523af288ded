import Support
import Testing

@testable import Machine

/// What the second dimension permits, keeps and refuses.
struct NestedWalkTests {
  static let address: UInt64 = 0x40_0000
  static let physical: UInt64 = 0x20_0000

  /// mov al, [rbx] at 0x1000, mov [rbx], al at 0x1010.
  private static func machine(
    isExtended: Bool, fresh: Bool = true, keepsAccessedDirty: Bool, attributes: PageAttribute...,
    figures: [CostKey: UInt64] = [:]
  ) -> TinyMachine {
    let guest = GuestMemory(hostPage: .page4K, isExtended: isExtended, fresh: fresh) { map(0x1000, to: 0x1000) }
    guest.map(map(address, to: physical, .writable))
    if attributes.contains(where: { if case .fresh = $0 { true } else { false } }) {
      guest.map(map(address, to: physical, .writable, .fresh))
    }
    let machine = TinyMachine(guest, code: [0x8a, 0x03], at: 0x1000, profile: .flat(figures))
    guest.write([0x88, 0x03], atPhysical: 0x1010)
    if let plan = guest.nestedPlan(keepsAccessedDirty: keepsAccessedDirty) {
      machine.processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: 1))
    }
    machine[Slot.rbx] = address
    return machine
  }

  private static func execute(_ machine: TinyMachine, write: Bool) -> RunResult {
    machine.update { $0.rip = write ? 0x1010 : 0x1000 }
    return machine.run(1)
  }

  private static func nestedEntry(_ machine: TinyMachine, _ address: UInt64, level: Int = 1) -> UInt64 {
    machine.guest.nested.map { machine.guest.host.word(at: $0.entry(address, level: level)) } ?? 0
  }

  private static func setNestedEntry(
    _ machine: TinyMachine, _ address: UInt64, level: Int = 1, _ change: (UInt64) -> UInt64
  ) {
    guard let nested = machine.guest.nested else { return }
    let at = nested.entry(address, level: level)
    machine.guest.host.setWord(change(machine.guest.host.word(at: at)), at: at)
  }

  @Test(arguments: [true, false], [[:], .commonTLBs + [.nestedTLBEntries: 16]] as [[CostKey: UInt64]])
  func `a load sets A in the nested entries, the first store D in the last`(
    isExtended: Bool, figures: [CostKey: UInt64]
  ) {
    let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: true, figures: figures)
    let (accessed, dirty): (UInt64, UInt64) = isExtended ? (1 << 8, 1 << 9) : (1 << 5, 1 << 6)
    #expect(Self.execute(machine, write: false) == .limit)
    #expect(Self.nestedEntry(machine, Self.physical) & (accessed | dirty) == accessed)
    #expect(Self.nestedEntry(machine, Self.physical, level: 4) & accessed != 0)
    #expect(Self.execute(machine, write: true) == .limit)
    #expect(Self.nestedEntry(machine, Self.physical) & (accessed | dirty) == accessed | dirty)
    let walks = machine.processor.counters.walks
    #expect(Self.execute(machine, write: true) == .limit)
    if !figures.isEmpty { #expect(machine.processor.counters.walks == walks) }
  }

  @Test(arguments: [true, false]) func `the guest's tables count as written where A and D are kept`(isExtended: Bool) {
    let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: true)
    _ = Self.execute(machine, write: false)
    let dirty: UInt64 = isExtended ? 1 << 9 : 1 << 6
    #expect(Self.nestedEntry(machine, machine.guest.tables.root) & dirty != 0)
  }

  @Test(arguments: [true, false]) func `nothing is kept where nothing is to be kept`(isExtended: Bool) {
    let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: false)
    _ = (Self.execute(machine, write: false), Self.execute(machine, write: true))
    let bits: UInt64 = isExtended ? 0x300 : 0x60
    #expect(Self.nestedEntry(machine, Self.physical) & bits == 0)
  }

  private static func nestedFault(_ result: RunResult) -> NestedFault? {
    guard case .exit(let exit) = result else { return nil }
    return exit.nested
  }

  @Test(arguments: [true, false]) func `a page that is not there is a violation with its guest-physical address`(
    isExtended: Bool
  ) {
    let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: true)
    Self.setNestedEntry(machine, Self.physical) { _ in 0 }
    machine[Slot.rbx] = Self.address + 0x123
    let before = machine.guest.entry(Self.address, level: 1)
    let fault = Self.nestedFault(Self.execute(machine, write: true))
    #expect(fault?.address == GuestPhysical(Self.physical + 0x123))
    #expect(
      fault?.kind == .write && fault?.duringWalk == false && fault?.present == false && fault?.misconfigured == false)
    #expect(machine.processor.state.rip == 0x1010 && machine.processor.recentlyDelivered.isEmpty)
    #expect(machine.guest.entry(Self.address, level: 1) == before)
  }

  @Test(arguments: [true, false]) func `a read-only page refuses a store and serves a load`(isExtended: Bool) {
    let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: false, figures: .commonTLBs)
    Self.setNestedEntry(machine, Self.physical) { $0 & ~2 }
    #expect(Self.execute(machine, write: false) == .limit)
    let fault = Self.nestedFault(Self.execute(machine, write: true))
    #expect(fault?.kind == .write && fault?.present == true && fault?.duringWalk == false)
  }

  @Test(arguments: [true, false])
  func `a table that is read-only can be walked until A has to be set in it`(isExtended: Bool) {
    for (fresh, keeps) in [(false, false), (true, false), (false, true)] {
      let machine =
        fresh
        ? Self.machine(isExtended: isExtended, fresh: false, keepsAccessedDirty: keeps, attributes: .fresh)
        : Self.machine(isExtended: isExtended, fresh: false, keepsAccessedDirty: keeps)
      let table = machine.guest.entry(Self.address, level: 2) & ~0xfff
      #expect(machine.run(0) == .limit)
      Self.setNestedEntry(machine, table) { $0 & ~2 }
      let result = Self.execute(machine, write: false)
      if fresh || keeps {
        let fault = Self.nestedFault(result)
        #expect(fault?.address.pageBase == GuestPhysical(table) && fault?.duringWalk == true && fault?.kind == .write)
        if fresh { #expect(machine.guest.entry(Self.address, level: 1) & 0x20 == 0) }
      } else {
        #expect(result == .limit)
      }
    }
  }

  @Test(arguments: [true, false])
  func `a paging-structure cache remembers that its table is read-only`(isExtended: Bool) {
    let machine = Self.machine(
      isExtended: isExtended, fresh: false, keepsAccessedDirty: false, figures: .commonStructureCaches)
    // Another page of the same table, whose entry wants A.
    machine.guest.map(map(Self.address + 0x1000, to: Self.physical, .fresh))
    let table = machine.guest.entry(Self.address, level: 2) & ~0xfff
    Self.setNestedEntry(machine, table) { $0 & ~2 }
    #expect(Self.execute(machine, write: false) == .limit)
    machine[Slot.rbx] = Self.address + 0x1000
    let fault = Self.nestedFault(Self.execute(machine, write: false))
    #expect(machine.processor.counters.structureHits[1] > 0)
    #expect(fault?.address.pageBase == GuestPhysical(table) && fault?.kind == .write)
    #expect(machine.guest.entry(Self.address + 0x1000, level: 1) & 0x20 == 0)
  }

  @Test func `an extended entry that is writable and not readable is a misconfiguration`() {
    let machine = Self.machine(isExtended: true, keepsAccessedDirty: true)
    Self.setNestedEntry(machine, Self.physical) { $0 & ~1 }
    let result = Self.execute(machine, write: false)
    #expect(Self.nestedFault(result)?.misconfigured == true)
    if case .exit(let exit) = result { #expect(exit.reason == .nestedMisconfiguration) }
  }

  @Test func `a reserved bit in a nested entry is a misconfiguration`() {
    for isExtended in [true, false] {
      let machine = Self.machine(isExtended: isExtended, keepsAccessedDirty: true)
      Self.setNestedEntry(machine, Self.physical) { $0 | 1 << 50 }
      #expect(Self.nestedFault(Self.execute(machine, write: false))?.misconfigured == true)
    }
  }

  // MARK: What entries may say

  @Test func `an entry with R clear and X set serves fetches and refuses loads`() {
    let machine = Self.machine(isExtended: true, keepsAccessedDirty: false, figures: .commonTLBs)
    Self.setNestedEntry(machine, Self.physical) { $0 & ~7 | 4 }
    // A NOP there, which the second-level TLB may not serve a load with afterwards.
    machine.guest.write([0x90], atPhysical: Self.physical)
    machine.update { $0.rip = Self.address }
    #expect(machine.run(1) == .limit)
    for write in [false, true] {
      let fault = Self.nestedFault(Self.execute(machine, write: write))
      #expect(fault?.kind == (write ? .write : .read) && fault?.present == true && fault?.misconfigured == false)
    }
  }

  @Test func `a table's entry with X alone lets nothing behind it be read`() {
    let machine = Self.machine(isExtended: true, keepsAccessedDirty: false)
    Self.setNestedEntry(machine, Self.physical, level: 2) { $0 & ~7 | 4 }
    let fault = Self.nestedFault(Self.execute(machine, write: false))
    #expect(fault?.kind == .read && fault?.present == true && fault?.misconfigured == false)
  }

  @Test func `X alone is a misconfiguration where the processor has no such pages`() {
    let machine = Self.machine(isExtended: true, keepsAccessedDirty: true)
    guard var plan = machine.guest.nestedPlan(keepsAccessedDirty: true) else { return }
    plan.executeOnly = false
    machine.processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: 1))
    Self.setNestedEntry(machine, Self.physical) { $0 & ~7 | 4 }
    #expect(Self.nestedFault(Self.execute(machine, write: false))?.misconfigured == true)
  }

  @Test func `memory types 2, 3 and 7 are misconfigurations, in entries that map pages`() {
    for type in UInt64(0)..<8 {
      let machine = Self.machine(isExtended: true, keepsAccessedDirty: true)
      Self.setNestedEntry(machine, Self.physical) { $0 & ~0x38 | type << 3 }
      let result = Self.execute(machine, write: false)
      #expect((Self.nestedFault(result)?.misconfigured == true) == [2, 3, 7].contains(type), "\(type)")
    }
  }

  @Test func `a guest's access is a user's to AMD's nested tables`() {
    for level in 1...4 {
      let machine = Self.machine(isExtended: false, keepsAccessedDirty: false, figures: .commonTLBs)
      Self.setNestedEntry(machine, Self.physical, level: level) { $0 & ~4 }
      let fault = Self.nestedFault(Self.execute(machine, write: false))
      #expect(fault?.present == true && fault?.misconfigured == false, "\(level)")
      // Above the last level the code's page is behind the entry too.
      #expect(level > 1 || fault?.kind == .read && fault?.address.pageBase == GuestPhysical(Self.physical))
    }
  }

  // MARK: What a violation drops

  @Test(arguments: [true, false])
  func `a violation drops the guest-physical mappings of its address, so that the next try sees the tables`(
    isExtended: Bool
  ) {
    let caches: [CostKey: UInt64] = [.nestedTLBEntries: 16, .pscNestedPDE: 4, .pscNestedPDPTE: 4]
    let machine = Self.machine(
      isExtended: isExtended, fresh: false, keepsAccessedDirty: false, figures: .commonStructureCaches + caches)
    // Another page of the same table, whose entry wants A.
    machine.guest.map(map(Self.address + 0x1000, to: Self.physical, .fresh))
    let table = machine.guest.entry(Self.address, level: 2) & ~0xfff
    Self.setNestedEntry(machine, table) { $0 & ~2 }
    #expect(Self.execute(machine, write: false) == .limit)
    // Somebody lets the table be written again, and this processor still remembers that it may not be.
    Self.setNestedEntry(machine, table) { $0 | 2 }
    machine[Slot.rbx] = Self.address + 0x1000
    let fault = Self.nestedFault(Self.execute(machine, write: false))
    #expect(fault?.address.pageBase == GuestPhysical(table) && fault?.kind == .write && fault?.duringWalk == true)
    #expect(Self.execute(machine, write: false) == .limit)
    #expect(machine.guest.entry(Self.address + 0x1000, level: 1) & 0x20 != 0)
  }

  @Test(arguments: [true, false])
  func `a violation drops what TLBs and paging-structure caches hold for its linear address`(isExtended: Bool) {
    let machine = Self.machine(
      isExtended: isExtended, fresh: false, keepsAccessedDirty: false,
      figures: .commonTLBs + .commonStructureCaches + [.taggedTLB: 1])
    Self.setNestedEntry(machine, Self.physical) { $0 & ~2 }
    func held() -> Int {
      machine.processor.cachedTranslations.count { !$0.holder.isNested && ($0.address ^ Self.address) >> $0.shift == 0 }
    }
    #expect(Self.execute(machine, write: false) == .limit)
    #expect(held() > 2)
    let fault = Self.nestedFault(Self.execute(machine, write: true))
    #expect(fault?.kind == .write && fault?.duringWalk == false)
    #expect(held() == 0)
  }

  @Test func `a misconfiguration drops nothing, and neither does a full log`() {
    let faults = [true, false].map { isLogFull in
      var fault = NestedFault(
        address: GuestPhysical(0), kind: .write, duringWalk: false, misconfigured: !isLogFull, present: true)
      fault.isLogFull = isLogFull
      return fault
    }
    #expect(faults.map(\.exitReason) == [.modificationLogFull, .nestedMisconfiguration])
    let machine = Self.machine(
      isExtended: true, keepsAccessedDirty: false, figures: .commonTLBs + [.nestedTLBEntries: 16])
    #expect(Self.execute(machine, write: false) == .limit)
    func held() -> Int { machine.processor.cachedTranslations.count { $0.holder == .nestedTLB } }
    let before = held()
    for fault in faults {
      var fault = fault
      fault.address = GuestPhysical(Self.physical)
      machine.processor.dropNested(fault)
    }
    #expect(before > 0 && held() == before)
  }

  @Test func `the guest's own faults stay its own`() {
    let machine = Self.machine(isExtended: true, fresh: false, keepsAccessedDirty: true)
    machine.installHandlers()
    machine[Slot.rbx] = 0x7000_0000
    machine.update { $0.rip = 0x1000 }
    #expect(machine.run() == .haltedForEver)
    #expect(machine.lastException == GuestException(vector: 14, errorCode: 0, address: 0x7000_0000))
  }

  @Test func `the entry of the TLB is as large as the smaller of the two pages`() {
    withEvery([PageSize.page4K, .page2M], [PageSize.page4K, .page2M]) { page, hostPage in
      let guest = GuestMemory(hostPage: hostPage) { map(0x1000, to: 0x1000) }
      guest.map(map(0x4000_0000, to: 0, size: .page2M, .writable))
      guest.map(map(0x5000_0000, to: 0, pages: 4, .writable))
      let machine = TinyMachine(guest, code: [0x90, 0x8a, 0x03, 0x8a, 0x01], at: 0x1000, profile: .flat(.commonTLBs))
      let base: UInt64 = page == .page2M ? 0x4000_0000 : 0x5000_0000
      machine[Slot.rbx] = base
      machine[Slot.rcx] = base + 0x2000
      machine.run(2)
      let walks = machine.processor.counters.walks
      machine.run(1)
      #expect(machine.processor.counters.walks - walks == (min(page, hostPage) == .page2M ? 0 : 1))
    }
  }
}
