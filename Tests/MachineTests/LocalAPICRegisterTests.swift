import Machine
import Support
import Testing

/// RDMSR and WRMSR of the local APIC's registers, CR8, NMIs, and what CPUID says of the APIC.
struct LocalAPICRegisterTests {
  typealias Place = TinyMachine.Place

  /// Code at 0x1000 in ring 0.
  private static func machine(
    _ code: [UInt8], without hidden: Set<String> = [], index: Int = 0, count: Int = 1
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x40_0000, to: 0x20_0000, .writable)
    }
    var options = ProcessorOptions()
    options.index = index
    options.count = count
    let machine = TinyMachine(
      guest, code: code, at: 0x1000, profile: .flat([.deviceAccess: 50]), options: options,
      features: FeatureSet(names: FeatureSet.known.map(\.name).filter { !hidden.contains($0) }))
    machine.installHandlers()
    machine.update { $0.awaitsStartUp = false }
    return machine
  }

  private static let readMSR: [UInt8] = [0x0f, 0x32]
  private static let writeMSR: [UInt8] = [0x0f, 0x30]

  /// Executes one instruction; the exception that it raised.
  private static func execute(
    _ machine: TinyMachine, rax: UInt64 = 0, rcx: UInt64 = 0, rdx: UInt64 = 0
  ) -> GuestException? {
    machine.update { state in
      state.rip = 0x1000
      state.slots[Int(Slot.rax)] = rax
      state.slots[Int(Slot.rcx)] = rcx
      state.slots[Int(Slot.rdx)] = rdx
    }
    let before = machine.processor.counters.exceptions
    machine.run(1)
    return machine.processor.counters.exceptions == before ? nil : machine.lastException
  }

  @Test func `a register of x2APIC mode is the bus's, and costs what a device's register costs`() {
    let machine = Self.machine(Self.writeMSR)
    let before = machine.processor.ledger[.io]
    #expect(Self.execute(machine, rax: 0x51, rcx: 0x830, rdx: 3) == nil)
    #expect(machine.bus.localRegisters[0x830] == 3 << 32 | 0x51)
    #expect(machine.processor.ledger[.io] == before + 50 && machine.processor.counters.deviceAccesses == 1)
    let reader = Self.machine(Self.readMSR)
    reader.bus.localRegisters[0x830] = 3 << 32 | 0x51
    #expect(Self.execute(reader, rcx: 0x830) == nil)
    #expect(reader[Slot.rax] == 0x51 && reader[Slot.rdx] == 3)
  }

  @Test func `what the bus refuses raises #GP`() {
    #expect(Self.execute(Self.machine(Self.writeMSR), rcx: 0x8ff) == .generalProtection(0))
    #expect(Self.execute(Self.machine(Self.readMSR), rcx: 0x8ff) == .generalProtection(0))
  }

  @Test(
    arguments: [
      (0x830, "x2apic"), (0x8ff, "x2apic"), (0x6e0, "tsc_deadline_timer"), (0x1b, "apic"), (0x802, "apic"),
      (0x6e0, "apic"),
    ] as [(UInt64, String)])
  func `without its feature a register raises #GP and is listed`(number: UInt64, feature: String) {
    let reader = Self.machine(Self.readMSR, without: [feature])
    #expect(Self.execute(reader, rcx: number) == .generalProtection(0))
    let writer = Self.machine(Self.writeMSR, without: [feature])
    #expect(Self.execute(writer, rcx: number) == .generalProtection(0))
    for machine in [reader, writer] {
      #expect(machine.processor.counters.unknownMSRs.accesses.map(\.number) == [UInt32(number)])
    }
  }

  @Test func `IA32_APIC_BASE has reserved bits, x2APIC's among them where the feature is hidden`() {
    for bit in 0..<64 as Range<UInt64> {
      let machine = Self.machine(Self.writeMSR)
      let value: UInt64 = 0xfee0_0800 ^ 1 << bit
      let isReserved = bit < 8 || bit == 9 || bit >= 46
      let exception = Self.execute(machine, rax: value & 0xffff_ffff, rcx: 0x1b, rdx: value >> 32)
      #expect(exception == (isReserved ? .generalProtection(0) : nil), "bit \(bit)")
    }
    #expect(
      Self.execute(Self.machine(Self.writeMSR, without: ["x2apic"]), rax: 0xfee0_0c00, rcx: 0x1b)
        == .generalProtection(0))
  }

  @Test func `writing the time stamp counter or its adjustment moves the deadline`() {
    let machine = Self.machine(Self.writeMSR)
    #expect(Self.execute(machine, rax: 5000, rcx: 0x3b) == nil)
    #expect(machine.bus.timeStampOffset == 5000)
    #expect(Self.execute(machine, rax: 0, rcx: 0x10, rdx: 1) == nil)
    #expect(machine.bus.timeStampOffset == machine.processor.state.tscOffset && machine.bus.timeStampOffset > 1 << 31)
  }

  @Test func `CR8 is the class of the task priority`() {
    let machine = Self.machine([0x44, 0x0f, 0x20, 0xc0])
    machine.bus.taskPriority = 7
    #expect(Self.execute(machine, rax: .max) == nil && machine[Slot.rax] == 7)
  }

  // MARK: CPUID

  private static func cpuid(_ machine: TinyMachine, _ leaf: UInt64, _ subleaf: UInt64 = 0) -> [UInt64] {
    #expect(execute(machine, rax: leaf, rcx: subleaf) == nil)
    return [Slot.rax, Slot.rbx, Slot.rcx, Slot.rdx].map { machine[$0] }
  }

  @Test func `CPUID shows identifiers, the number of processors, and the APIC while it is enabled`() {
    let machine = Self.machine([0x0f, 0xa2], index: 5, count: 6)
    let leaf = Self.cpuid(machine, 1)
    #expect(leaf[1] >> 16 == 0x0506)
    #expect(leaf[2] & (1 << 21 | 1 << 24) == 1 << 21 | 1 << 24 && leaf[3] & (1 << 9 | 1 << 28) == 1 << 9 | 1 << 28)
    machine.bus.localRegisters[MSR.apicBase] = 0xfee0_0000
    #expect(Self.cpuid(machine, 1)[3] & 1 << 9 == 0)
    #expect(Self.cpuid(machine, 0xb, 0) == [0, 1, 0x100, 5])
    #expect(Self.cpuid(machine, 0xb, 1) == [3, 6, 0x201, 5])
    #expect(Self.cpuid(machine, 0xb, 2) == [0, 0, 2, 5])
    let single = Self.machine([0x0f, 0xa2])
    #expect(Self.cpuid(single, 1)[3] & 1 << 28 == 0 && Self.cpuid(single, 0xb, 1) == [0, 1, 0x201, 0])
  }

  // MARK: NMI

  /// NOPs with NMIs at vector 2, whose handler is `handler`.
  private static func interrupted(_ code: [UInt8], handler: [UInt8]) -> TinyMachine {
    let machine = Self.machine(code)
    machine.setHandler(2, handler)
    machine.bus.latched = .nonMaskable
    return machine
  }

  @Test func `an NMI is delivered with interrupts off, and another one waits for IRET`() {
    // NOP; IRETQ.
    let machine = Self.interrupted([0x90, 0x90, 0x90], handler: [0x90, 0x48, 0xcf])
    machine.run(1)
    #expect(machine.processor.state.rip == Place.handlers + 0x21 && machine.processor.state.blocksNonMaskable)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [.nonMaskable] && machine.bus.latched == [])
    machine.bus.latched = .nonMaskable
    machine.run(1)
    #expect(machine.processor.state.rip == 0x1000 && !machine.processor.state.blocksNonMaskable)
    machine.run(1)
    #expect(machine.processor.state.rip == Place.handlers + 0x21 && machine.bus.latched == [])
  }

  @Test func `an IRET that faults lets NMIs come again`() {
    // MOV RSP, [a page that is not there]; IRETQ.
    let machine = Self.interrupted([0x90], handler: [0x48, 0xc7, 0xc4, 0x00, 0x00, 0x80, 0x00, 0x48, 0xcf])
    machine.run(1)
    #expect(machine.processor.state.blocksNonMaskable)
    machine.setGate(14, stack: 1)
    machine.run(1)
    #expect(machine.lastException?.vector == 14 && !machine.processor.state.blocksNonMaskable)
  }

  @Test func `an NMI waits behind STI and MOV SS`() {
    // STI; NOP; NOP.
    let machine = Self.machine([0xfb, 0x90, 0x90])
    machine.run(1)
    machine.bus.latched = .nonMaskable
    machine.run(1)
    #expect(machine.processor.state.rip == 0x1002)
    machine.run(1)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [.nonMaskable])
  }

  @Test func `an NMI wakes from HLT with interrupts off`() {
    let machine = Self.machine([0xf4, 0x90])
    #expect(machine.run(5) == .haltedForEver)
    machine.bus.latched = .nonMaskable
    machine.run(1)
    #expect(machine.processor.recentlyDelivered.map(\.rip) == [0x1001])
  }

  @Test func `an NMI comes before a maskable interrupt`() {
    let machine = Self.interrupted([0x90, 0x90, 0x90], handler: [0x48, 0xcf])
    machine.update { $0.rflags = Flag.interrupt }
    machine.bus.timetable = [(0, 0x30)]
    machine.run(2)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [.nonMaskable, .interrupt(0x30)])
  }
}
