import Machine
import Support
import Testing

/// FXSAVE, XSAVE, MXCSR and the x87's control word.
struct VectorStateTests {
  /// A machine with numbers in its vector registers.
  private static func machine(_ code: [UInt8], _ change: (inout ProcessorState) -> Void = { _ in }) -> TinyMachine {
    VectorExceptionTests.machine(code) { state in
      for number in 0..<16 { state.vector.xmm[number] = Vector128(UInt64(number) + 1, UInt64(number) << 32) }
      state.vector.mxcsr = 0x1fa0
      state.vector.x87.registers[3] = ExtendedReal(significand: 0x1234, head: 0x5678)
      change(&state)
    }
  }

  @Test func `FXSAVE writes the registers and FXRSTOR reads them back`() {
    // fxsave (%rdi); fxrstor (%rsi)
    let machine = Self.machine([0x0f, 0xae, 0x07, 0x0f, 0xae, 0x0e]) { $0.slots[Int(Slot.rsi)] = 0x2200 }
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x2000) == 0x37f)
    #expect(machine.guest.word(atPhysical: 0x2018) == 0xffff_0000_1fa0)
    #expect(machine.guest.word(atPhysical: 0x2050) == 0x1234)
    for number in 0..<16 as Range<UInt64> {
      #expect(machine.guest.word(atPhysical: 0x20a0 + 16 * number) == number + 1)
      #expect(machine.guest.word(atPhysical: 0x20a8 + 16 * number) == number << 32)
    }
    // The same, but for one register and MXCSR.
    for word in 0..<64 as Range<UInt64> {
      machine.guest.setWord(machine.guest.word(atPhysical: 0x2000 + 8 * word), atPhysical: 0x2200 + 8 * word)
    }
    machine.guest.setWord(99, atPhysical: 0x22a0 + 15 * 16)
    machine.guest.setWord(0x1f80, atPhysical: 0x2218)
    machine.run(1)
    let vector = machine.processor.state.vector
    #expect(vector.xmm[15] == Vector128(99, 15 << 32) && vector.xmm[14] == Vector128(15, 14 << 32))
    #expect(vector.mxcsr == 0x1f80 && vector.x87.registers[3] == ExtendedReal(significand: 0x1234, head: 0x5678))
  }

  @Test func `reserved bits of MXCSR are refused`() {
    // ldmxcsr (%rdi), fxrstor (%rdi)
    for code in [[0x0f, 0xae, 0x17], [0x0f, 0xae, 0x0f], [0x0f, 0xae, 0x2f]] as [[UInt8]] {
      let machine = Self.machine(code) { state in
        state.slots[Int(Slot.rax)] = 3
      }
      machine.guest.setWord(0x1_0000, atPhysical: code[2] == 0x17 ? 0x2000 : 0x2018)
      machine.run(1)
      #expect(machine.lastException == .generalProtection(0), "\(code)")
      #expect(machine.processor.state.vector.mxcsr == 0x1fa0)
    }
    let machine = Self.machine([0x0f, 0xae, 0x17, 0x0f, 0xae, 0x5f, 4])
    machine.guest.setWord(0xffff, atPhysical: 0x2000)
    machine.run(2)
    #expect(machine.processor.state.vector.mxcsr == 0xffff)
    #expect(machine.guest.word(atPhysical: 0x2000) == 0xffff_0000_ffff)
  }

  @Test func `XSAVE and XRSTOR take the components that are asked for`() {
    // xsave (%rdi); xrstor (%rdi)
    let machine = Self.machine([0x0f, 0xae, 0x27, 0x0f, 0xae, 0x2f]) { $0.slots[Int(Slot.rax)] = 2 }
    machine.guest.setWord(77, atPhysical: 0x2000)
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x2200) == 2)
    #expect(machine.guest.word(atPhysical: 0x2000) == 77)
    #expect(machine.guest.word(atPhysical: 0x20b0) == 2)
    machine.update { state in
      state.vector.xmm[1] = Vector128(5, 5)
      state.slots[Int(Slot.rax)] = 3
    }
    machine.run(1)
    let vector = machine.processor.state.vector
    #expect(vector.xmm[1] == Vector128(2, 1 << 32))
    // What the header has not is initial.
    #expect(vector.x87.registers[3] == ExtendedReal())
  }

  @Test func `XRSTOR refuses headers that say what XCR0 has not`() {
    for (word, value) in [(0x2200, 4), (0x2208, 1), (0x2210, 1)] as [(UInt64, UInt64)] {
      let machine = Self.machine([0x0f, 0xae, 0x2f]) { $0.slots[Int(Slot.rax)] = 3 }
      machine.guest.setWord(0x1f80, atPhysical: 0x2018)
      machine.guest.setWord(value, atPhysical: word)
      machine.run(1)
      #expect(machine.lastException == .generalProtection(0))
    }
  }

  @Test func `XSETBV takes x87 with or without SSE, and AVX with it, and CPUID tells the size`() {
    // xsetbv
    let values: [(UInt64, Bool)] = [
      (1, true), (3, true), (7, true), (0, false), (2, false), (5, false), (6, false), (0xf, false),
      (1 << 63 | 1, false),
    ]
    for (value, isValid) in values {
      let machine = Self.machine([0x0f, 0x01, 0xd1]) { state in
        state.slots[Int(Slot.rax)] = value & 0xffff_ffff
        state.slots[Int(Slot.rdx)] = value >> 32
      }
      machine.run(1)
      #expect(machine.lastException == (isValid ? nil : .generalProtection(0)))
      #expect(machine.processor.state.xcr0 == (isValid ? value : 3))
    }
    let machine = Self.machine([0x0f, 0xa2]) { $0.slots[Int(Slot.rax)] = 0xd }
    machine.run(1)
    #expect(machine[Slot.rax] == 0x207 && machine[Slot.rbx] == 576 && machine[Slot.rcx] == 840)
  }

  @Test func `the x87 can be initialised and its control word kept`() {
    // fninit; fnstcw (%rdi); fldcw 2(%rdi); fnstcw 4(%rdi); fnstsw %ax; fnstsw 6(%rdi); fwait; fnclex
    let machine = Self.machine([
      0xdb, 0xe3, 0xd9, 0x3f, 0xd9, 0x6f, 2, 0xd9, 0x7f, 4, 0xdf, 0xe0, 0xdd, 0x7f, 6, 0x9b, 0xdb, 0xe2,
    ]) { state in
      state.vector.x87.control = 0
      state.vector.x87.statusWord = 0xbfff
      state.slots[Int(Slot.rax)] = .max
    }
    machine.guest.setWord(0xffff_ffff_ffff_0000, atPhysical: 0x2000)
    machine.run(8)
    #expect(machine.lastException == nil)
    #expect(machine.guest.word(atPhysical: 0x2000) == 0x0000_1f7f_ffff_037f)
    #expect(machine[Slot.rax] == 0xffff_ffff_ffff_0000)
  }

  @Test func `32-bit code saves and restores eight registers`() {
    let machine = Self.machine([0x0f, 0xae, 0x07]) { state in
      state[.cs] = Segment(selector: 8, base: 0, limit: .max, attributes: 0xc09b)
    }
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x20a0 + 7 * 16) == 8)
    #expect(machine.guest.word(atPhysical: 0x20a0 + 8 * 16) == 0)
  }

  @Test func `the vector state is part of a snapshot`() {
    let machine = Self.machine([0x0f, 0x57, 0xc9])
    let snapshot = machine.processor.snapshot()
    machine.run(1)
    #expect(machine.processor.state.vector.xmm[1] == Vector128())
    machine.processor.restore(snapshot)
    #expect(machine.processor.state.vector.xmm[1] == Vector128(2, 1 << 32))
  }

  @Test func `MASKMOVDQU touches no byte that its mask leaves out`() {
    // maskmovdqu %xmm2, %xmm1 at the end of the pages
    let machine = Self.machine([0x66, 0x0f, 0xf7, 0xca]) { state in
      state.slots[Int(Slot.rdi)] = 0x3ffc
      state.vector.xmm[2] = Vector128(0x80_0080, 0)
    }
    machine.guest.setWord(.max, atPhysical: 0x3ff8)
    machine.run(1)
    #expect(machine.lastException == nil)
    #expect(machine.guest.word(atPhysical: 0x3ff8) == 0xff00_ff02_ffff_ffff)
  }
}
