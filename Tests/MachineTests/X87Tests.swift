import Machine
import Support
import Testing

/// When x87 instructions raise what, and what they leave in memory (SDM vol. 1, chapter 8).
struct X87Tests {
  private static let fadd: [UInt8] = [0xd8, 0xc1]
  private static let fwait: [UInt8] = [0x9b]
  private static let fnstcw: [UInt8] = [0xd9, 0x3f]

  private static func exception(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> GuestException? {
    VectorExceptionTests.exception(code, without: hidden) { state in
      state.cr0 |= CR0.numericError
      change(&state)
    }
  }

  /// A division by zero that is not masked any more.
  private static func makePending(_ state: inout ProcessorState) {
    state.vector.x87.control = 0x37b
    state.vector.x87.status = X87Status.zeroDivide
  }

  // MARK: #NM

  @Test func `EM and TS make the device unavailable, WAIT wants MP and TS`() {
    let monitor = CR0.monitorCoprocessor
    let cases: [(cr0: UInt64, raises: Bool, waitRaises: Bool)] = [
      (0, false, false), (CR0.emulation, true, false), (CR0.taskSwitched, true, false), (monitor, false, false),
      (monitor | CR0.taskSwitched, true, true), (monitor | CR0.emulation, true, false),
    ]
    for (cr0, raises, waitRaises) in cases {
      for code in [Self.fadd, Self.fnstcw, [0xdb, 0xe3], [0xdd, 0x37]] {
        #expect(Self.exception(code) { $0.cr0 |= cr0 } == (raises ? .deviceNotAvailable : nil), "\(code), \(cr0)")
      }
      #expect(Self.exception(Self.fwait) { $0.cr0 |= cr0 } == (waitRaises ? .deviceNotAvailable : nil), "\(cr0)")
    }
  }

  @Test func `a processor without x87 does not know its instructions`() {
    #expect(Self.exception(Self.fadd, without: .fpu) == .invalidOpcode)
    #expect(Self.exception(Self.fadd, without: .fpu) { $0.cr0 |= CR0.emulation } == .deviceNotAvailable)
    #expect(Self.exception(Self.fwait, without: .fpu) == nil)
  }

  // MARK: #MF

  @Test func `a pending exception is raised by the next instruction that waits`() {
    let waiting: [[UInt8]] = [
      Self.fadd, Self.fwait, [0xd9, 0x2f], [0xd9, 0x27], [0xdd, 0x27], [0xd9, 0xd0], [0xdd, 0x1f], [0xd9, 0xe8],
    ]
    for code in waiting { #expect(Self.exception(code, Self.makePending) == .coprocessorError, "\(code)") }
    // FNINIT, FNCLEX, FNSTCW, FNSTSW, FNSTENV, FNSAVE, FENI; FXSAVE and FXRSTOR.
    let others: [[UInt8]] = [
      [0xdb, 0xe3], [0xdb, 0xe2], Self.fnstcw, [0xdd, 0x3f], [0xdf, 0xe0], [0xd9, 0x37], [0xdd, 0x37], [0xdb, 0xe0],
      [0x0f, 0xae, 0x07], [0x0f, 0xae, 0x0f],
    ]
    for code in others { #expect(Self.exception(code, Self.makePending) == nil, "\(code)") }
  }

  @Test func `with NE clear a processor waits before the instruction for the interrupt that FERR# brings`() {
    // nop; fld1; hlt
    let machine = VectorExceptionTests.machine([0x90, 0xd9, 0xe8]) { state in
      Self.makePending(&state)
      state.rflags |= Flag.interrupt
    }
    machine.bus.ignoresCoprocessorErrors = false
    #expect(machine.run() == .waitsForNothing)
    #expect(machine.processor.state.isHalted && machine.processor.state.rip == 0x1001)
    #expect(machine.processor.instructionsRetired == 1)
    // Woken by something else, it waits again; the handler is inc ebx; iretq.
    machine.setHandler(0x20, [0xff, 0xc3, 0x48, 0xcf])
    machine.bus.timetable = [(5, 0x20)]
    #expect(machine.run() == .waitsForNothing)
    #expect(machine[Slot.rbx] == 1 && machine.processor.state.rip == 0x1001)
    // fnclex; iretq
    machine.setHandler(0x21, [0xdb, 0xe2, 0x48, 0xcf])
    machine.bus.timetable = [(10, 0x21)]
    machine.run()
    #expect(machine.processor.state.rip == 0x1004)
    #expect(machine.processor.state.vector.x87[0] == ExtendedReal(significand: 1 << 63, head: 0x3fff))
    #expect(machine.bus.coprocessorReports == [true, true, false])
    #expect(machine.lastException == nil)
  }

  @Test func `with NE clear and IGNNE# asserted a pending exception stays pending and the instruction is executed`() {
    let machine = VectorExceptionTests.machine([0xd9, 0xe8]) { state in
      Self.makePending(&state)
      state.cr0 &= ~CR0.numericError
    }
    machine.run(1)
    #expect(machine.lastException == nil)
    #expect(machine.processor.state.vector.x87[0] == ExtendedReal(significand: 1 << 63, head: 0x3fff))
    #expect(machine.processor.state.vector.x87.statusWord == 0xb884)
  }

  @Test func `#NM goes before #MF, and #MF before a page fault`() {
    #expect(
      Self.exception(Self.fadd) { state in
        Self.makePending(&state)
        state.cr0 |= CR0.taskSwitched
      } == .deviceNotAvailable)
    #expect(
      Self.exception([0xd9, 0x07]) { state in
        Self.makePending(&state)
        state.slots[Int(Slot.rdi)] = 0x70_0000
      } == .coprocessorError)
  }

  @Test func `an exception that is not masked is raised behind the instruction that made it, and its address is kept`()
  {
    // fld1; fldz; fdivp; nop; fwait
    let machine = VectorExceptionTests.machine([0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x90, 0x9b]) { state in
      state.cr0 |= CR0.numericError
      state.vector.x87.control = 0x37b
    }
    machine.run(4)
    #expect(machine.lastException == nil)
    #expect(machine.processor.state.vector.x87.statusWord == 0xb084)
    // The operands are as they were.
    #expect(machine.processor.state.vector.x87[0] == ExtendedReal())
    machine.run(1)
    #expect(machine.lastException == .coprocessorError)
    #expect(machine.stackWords(1) == [0x1007])
    #expect(machine.processor.state.vector.x87.instructionPointer == 0x1004)
    #expect(machine.processor.state.vector.x87.opcode == 0x6f9)
  }

  @Test func `FLDCW that unmasks makes an old flag pending, and FNCLEX takes it back`() {
    // fldcw (%rdi); fnstsw %ax; fnclex; fwait
    let machine = VectorExceptionTests.machine([0xd9, 0x2f, 0xdf, 0xe0, 0xdb, 0xe2, 0x9b]) { state in
      state.cr0 |= CR0.numericError
      state.vector.x87.status = X87Status.zeroDivide
    }
    machine.guest.setWord(0x37b, atPhysical: 0x2000)
    machine.run(2)
    #expect(machine[Slot.rax] & 0xffff == 0x8084)
    machine.run(2)
    #expect(machine.lastException == nil && machine.processor.state.vector.x87.statusWord == 0)
  }

  // MARK: All or nothing

  @Test func `a store that faults leaves the stack as it was`() {
    for code in [[0xdb, 0x3f], [0xdd, 0x1f], [0xdf, 0x37], [0xdd, 0x37], [0xd9, 0x37]] as [[UInt8]] {
      let machine = VectorExceptionTests.machine(code) { state in
        state.vector.x87[0] = ExtendedReal(significand: 3 << 62, head: 0x3fff)
        // The last bytes of what is mapped.
        state.slots[Int(Slot.rdi)] = 0x3ffc
      }
      machine.guest.setWord(0x1122_3344_5566_7788, atPhysical: 0x3ff8)
      machine.run(1)
      #expect(machine.lastException?.vector == 14, "\(code)")
      let x87 = machine.processor.state.vector.x87
      #expect(x87.tags == 1 && x87.top == 0 && x87.control == 0x37f, "\(code)")
      #expect(machine.guest.word(atPhysical: 0x3ff8) == 0x1122_3344_5566_7788, "\(code)")
    }
  }

  @Test func `an operand in the stack segment that is not canonical raises #SS`() {
    // fldl (%rbp), fldl (%rdi), fldt (%rdi)
    #expect(Self.exception([0xdd, 0x45, 0]) { $0.slots[Int(Slot.rbp)] = 1 << 62 } == .stack(0))
    #expect(Self.exception([0xdd, 0x07]) { $0.slots[Int(Slot.rdi)] = 1 << 62 } == .generalProtection(0))
    #expect(Self.exception([0xdb, 0x2f]) { $0.slots[Int(Slot.rdi)] = 1 << 62 } == .generalProtection(0))
  }

  // MARK: Pointers and environments

  /// fldl (%rdi) in a code segment, then an FNSTENV, with chosen pointers.
  private static func environment(
    _ code: [UInt8], hidden: FeatureSet = [.zeroSelectors, .dataPointerOnException],
    _ change: (inout ProcessorState) -> Void
  ) -> [UInt64] {
    let machine = VectorExceptionTests.machine(code, without: hidden) { state in
      state.vector.x87.opcode = 0x123
      change(&state)
    }
    machine.run(2)
    #expect(machine.lastException == nil)
    return (0..<4).map { machine.guest.word(atPhysical: 0x2000 + 8 * $0) }
  }

  /// fldl (%rdi); fnstenv (%rdi), with the operand size of the code or the other one.
  private static let load: [UInt8] = [0xdd, 0x07]
  private static let loadAndStore: [UInt8] = load + [0xd9, 0x37]

  @Test func `the environment of protected mode has offsets and selectors`() {
    let words = Self.environment(Self.loadAndStore) { _ in }
    #expect(words == [0xffff_3800_ffff_037f, 0x1000_ffff_7fff, 0x0000_2000_0123_0008, 0xffff_0010])
    #expect(
      Self.environment(Self.load + [0x66, 0xd9, 0x37]) { _ in } == [0x1000_7fff_3800_037f, 0x0010_2000_0008, 0, 0])
  }

  @Test func `later processors keep neither selectors nor the address of an operand that raised nothing`() {
    let words = Self.environment(Self.loadAndStore, hidden: .dataPointerOnException) { _ in }
    #expect(words == [0xffff_3800_ffff_037f, 0x1000_ffff_7fff, 0x0000_2000_0123_0000, 0xffff_0000])
    let others = Self.environment(Self.loadAndStore, hidden: []) { _ in }
    #expect(others == [0xffff_3800_ffff_037f, 0x1000_ffff_7fff, 0x0000_0000_0123_0000, 0xffff_0000])
  }

  @Test func `32-bit code has its own operand size, and offsets in segments with a base`() {
    func base(_ state: inout ProcessorState) {
      state[.cs] = Segment(selector: 8, base: 0x800, limit: .max, attributes: 0xc09b)
      state[.ds] = Segment(selector: 0x18, base: 0x1800, limit: .max, attributes: 0xc093)
      state.rip = 0x800
      // (%edi)
      state.slots[Int(Slot.rdi)] = 0x800
    }
    let words = Self.environment(Self.loadAndStore, base)
    #expect(words == [0xffff_3800_ffff_037f, 0x0800_ffff_7fff, 0x0000_0800_0123_0008, 0xffff_0018])
  }

  @Test func `FXSAVE has the pointers with selectors, or whole`() {
    // fldl (%rdi); fxsave (%rdi), fxsave64 (%rdi)
    let words = Self.environment(Self.load + [0x0f, 0xae, 0x07]) { _ in }
    #expect(words == [0x0123_0080_3800_037f, 0x0008_0000_1000, 0x0010_0000_2000, 0xffff_0000_1f80])
    let wide = Self.environment(Self.load + [0x48, 0x0f, 0xae, 0x07]) { _ in }
    #expect(wide == [0x0123_0080_3800_037f, 0x1000, 0x2000, 0xffff_0000_1f80])
  }

  @Test func `AMD's FXSAVE has the pointers of a pending exception alone`() {
    for isPending in [false, true] {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000)
        map(0x2000, to: 0x2000, pages: 2, .writable)
      }
      // fldl 8(%rdi), a denormal; fxsave64 (%rdi)
      let machine = TinyMachine(
        guest, code: [0xdd, 0x47, 8, 0x48, 0x0f, 0xae, 0x07], at: 0x1000, profile: .flat(vendor: .amd))
      machine.update { state in
        state.cr4 |= CR4.osFXSR
        state.slots[Int(Slot.rdi)] = 0x2000
        state.vector.x87.control = isPending ? 0x37d : 0x37f
      }
      guest.setWord(1, atPhysical: 0x2008)
      machine.run(2)
      #expect(guest.word(atPhysical: 0x2008) == (isPending ? 0x1000 : 0))
      #expect(guest.word(atPhysical: 0x2010) == (isPending ? 0x2008 : 0))
      #expect(guest.word(atPhysical: 0x2000) >> 48 == (isPending ? 0x547 : 0))
    }
  }

  @Test func `real mode's environment has linear addresses`() {
    func real(_ state: inout ProcessorState) {
      state.cr0 = CR0.extensionType
      state.efer = 0
      state[.cs] = Segment(selector: 0x100, base: 0x1000, limit: 0xffff, attributes: 0x9b)
      state[.ds] = Segment(selector: 0x0f0, base: 0x0f00, limit: 0xffff, attributes: 0x93)
      state.rip = 0
      state.slots[Int(Slot.rdi)] = 0x1100
      state.vector.x87.opcode = 0x7ff
    }
    // fldl (%di); fnstenv (%di), of 16 and of 32 bits
    let narrow = Self.environment([0xdd, 0x05, 0xd9, 0x35], real)
    #expect(narrow == [0x1000_7fff_3800_037f, 0x0000_2000_07ff, 0, 0])
    let wide = Self.environment([0xdd, 0x05, 0x66, 0xd9, 0x35], real)
    #expect(wide == [0xffff_3800_ffff_037f, 0xffff_1000_ffff_7fff, 0xffff_2000_0000_07ff, 0])
    // fldenv (%di), whose pointers come back as linear ones: the upper parts share words with the opcode.
    let machine = VectorExceptionTests.machine([0xd9, 0x25], real)
    machine.guest.setWord(0x8765_fffd_0000_037f, atPhysical: 0x2000)
    machine.guest.setWord(0xa000_cf04_f5d1, atPhysical: 0x2008)
    machine.run(1)
    let x87 = machine.processor.state.vector.x87
    #expect(x87.instructionPointer == 0xf_8765 && x87.dataPointer == 0xa_cf04 && x87.opcode == 0x5d1)
    #expect(x87.tags == 1)
  }

  @Test func `FRSTOR brings back what FNSAVE has stored`() {
    // fnsave (%rdi); frstor (%rdi)
    for prefix in [[], [0x66]] as [[UInt8]] {
      let machine = VectorExceptionTests.machine(prefix + [0xdd, 0x37] + prefix + [0xdd, 0x27]) { state in
        state.vector.x87.control = 0x27f
        state.vector.x87.status = 0x2d01
        state.vector.x87.tags = 0x5a
        for number in 0..<8 {
          state.vector.x87.registers[number] = ExtendedReal(significand: UInt64(number) << 60, head: UInt16(number))
        }
      }
      let before = machine.processor.state.vector.x87
      machine.run(1)
      #expect(machine.processor.state.vector.x87.tags == 0)
      #expect(machine.processor.state.vector.x87.control == 0x37f)
      machine.update { state in
        for number in 0..<8 { state.vector.x87.registers[number] = ExtendedReal() }
      }
      machine.run(1)
      let after = machine.processor.state.vector.x87
      #expect(after.control == before.control && after.statusWord == before.statusWord && after.tags == before.tags)
      #expect((0..<8).allSatisfy { after.registers[$0] == before.registers[$0] })
    }
  }

  @Test func `XSAVE has the x87's registers in the order of the stack`() {
    // xsave (%rdi)
    let machine = VectorExceptionTests.machine([0x0f, 0xae, 0x27]) { state in
      state.slots[Int(Slot.rax)] = 1
      state.vector.x87.top = 5
      state.vector.x87[0] = ExtendedReal(significand: 0x1234, head: 0x5678)
    }
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x2020) == 0x1234 && machine.guest.word(atPhysical: 0x2028) == 0x5678)
    #expect(machine.guest.word(atPhysical: 0x2000) == 0x20_2800_037f)
  }

  @Test func `the same operation costs what its class does`() {
    for (code, key) in [
      (Self.fadd, .executeX87), ([0xd8, 0xf1], .executeX87Divide), ([0xd9, 0xfe], .executeX87Transcendental),
      ([0xdd, 0x37], .executeX87State),
    ] as [([UInt8], CostKey)] {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000)
        map(0x2000, to: 0x2000, .writable)
      }
      let machine = TinyMachine(guest, code: code, at: 0x1000, profile: .flat([key: 77]))
      machine.update { $0.slots[Int(Slot.rdi)] = 0x2000 }
      machine.run(1)
      #expect(machine.processor.ledger[.execute] == 77, "\(key)")
    }
  }
}
