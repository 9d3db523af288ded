import Machine
import Support
import Testing

/// XSAVE's area with AVX's component, in both formats (SDM vol. 1, 13).
struct ExtendedAreaTests {
  private enum Code {
    static let xsave: [UInt8] = [0x0f, 0xae, 0x27], xrstor: [UInt8] = [0x0f, 0xae, 0x2f]
    static let xsaveopt: [UInt8] = [0x0f, 0xae, 0x37], xsavec: [UInt8] = [0x0f, 0xc7, 0x27]
    static let xsaves: [UInt8] = [0x0f, 0xc7, 0x2f], xrstors: [UInt8] = [0x0f, 0xc7, 0x1f]
    static let xgetbv: [UInt8] = [0x0f, 0x01, 0xd0]
  }

  /// With XMM1 and the upper halves of YMM1 and YMM15 in use, RDI at 0x2000, and everything asked for.
  private static func machine(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> TinyMachine {
    VectorExceptionTests.machine(code, without: hidden) { state in
      state.xcr0 = 7
      state.vector.xmm[1] = Vector128(1, 2)
      state.vector.upper[1] = Vector128(3, 4)
      state.vector.upper[15] = Vector128(5, 6)
      state.slots[Int(Slot.rax)] = 0xffff_ffff
      state.slots[Int(Slot.rdx)] = 0xffff_ffff
      change(&state)
    }
  }

  private static func word(_ machine: TinyMachine, _ offset: UInt64) -> UInt64 {
    machine.guest.word(atPhysical: 0x2000 + offset)
  }

  private static func clearVectors(_ machine: TinyMachine) {
    machine.update { state in
      for number in 0..<16 {
        state.vector.xmm[number] = Vector128(9, 9)
        state.vector.upper[number] = Vector128(9, 9)
      }
    }
  }

  @Test(arguments: [(Code.xsave, Code.xrstor), (Code.xsavec, Code.xrstor), (Code.xsaves, Code.xrstors)])
  func `what is saved comes back`(save: [UInt8], restore: [UInt8]) {
    let machine = Self.machine(save + restore)
    machine.run(1)
    Self.clearVectors(machine)
    machine.run(1)
    #expect(machine.lastException == nil)
    let vector = machine.processor.state.vector
    #expect(vector.xmm[1] == Vector128(1, 2) && vector.xmm[2] == Vector128())
    #expect(vector.upper[1] == Vector128(3, 4) && vector.upper[15] == Vector128(5, 6))
    #expect(vector.upper[2] == Vector128())
  }

  @Test func `the standard format has the upper halves behind the header`() {
    let machine = Self.machine(Code.xsave)
    machine.guest.setWord(1 << 9, atPhysical: 0x2200)
    machine.run(1)
    // Bits that were not asked for stay; the x87 is initial.
    #expect(Self.word(machine, 512) == 1 << 9 | 6)
    #expect(Self.word(machine, 520) == 0)
    #expect(Self.word(machine, 576 + 16) == 3 && Self.word(machine, 576 + 24) == 4)
    #expect(Self.word(machine, 576 + 15 * 16) == 5)
  }

  @Test func `the compacted format says what it holds, and holds what is in use`() {
    let machine = Self.machine(Code.xsavec) { $0.slots[Int(Slot.rax)] = 5 }
    machine.guest.setWord(77, atPhysical: 0x20b0)
    machine.run(1)
    #expect(Self.word(machine, 512) == 4)
    #expect(Self.word(machine, 520) == UInt64(1) << 63 | 5)
    #expect(Self.word(machine, 0xb0) == 77)
    #expect(Self.word(machine, 576 + 16) == 3)
  }

  @Test func `MXCSR makes the XMM registers count in the compacted format`() {
    let machine = Self.machine(Code.xsavec) { state in
      state.vector = VectorState()
      state.vector.mxcsr = 0x1f81
    }
    machine.guest.setWord(77, atPhysical: 0x2240)
    machine.run(1)
    #expect(Self.word(machine, 512) == 2)
    #expect(Self.word(machine, 24) & 0xffff_ffff == 0x1f81)
    #expect(Self.word(machine, 576) == 77)
  }

  @Test func `XSAVEOPT leaves out what is initial, and XSAVE writes it`() {
    for (code, expected) in [(Code.xsaveopt, 77), (Code.xsave, 0)] as [([UInt8], UInt64)] {
      let machine = Self.machine(code) { $0.vector.upper = InlineArray(repeating: Vector128()) }
      machine.guest.setWord(77, atPhysical: 0x2240)
      machine.run(1)
      #expect(Self.word(machine, 512) == 2)
      #expect(Self.word(machine, 576) == expected)
      #expect(Self.word(machine, 0xb0) == 1)
    }
  }

  @Test func `MXCSR is restored with AVX's component in the standard format only`() {
    for (isCompacted, expected) in [(false, 0x1fa0), (true, 0x1f80)] as [(Bool, UInt32)] {
      let machine = Self.machine(Code.xrstor) { $0.slots[Int(Slot.rax)] = 4 }
      machine.guest.setWord(0x1fa0, atPhysical: 0x2018)
      if isCompacted { machine.guest.setWord(1 << 63 | 7, atPhysical: 0x2208) }
      machine.run(1)
      #expect(machine.lastException == nil)
      #expect(machine.processor.state.vector.mxcsr == expected)
      #expect(machine.processor.state.vector.upper[1] == Vector128())
      #expect(machine.processor.state.vector.xmm[1] == Vector128(1, 2))
    }
  }

  @Test func `outside 64-bit code eight registers take part`() {
    let machine = Self.machine(Code.xsave + Code.xrstor) { state in
      state[.cs] = Segment(selector: 8, base: 0, limit: .max, attributes: 0xc09b)
    }
    machine.run(1)
    #expect(Self.word(machine, 576 + 16) == 3 && Self.word(machine, 576 + 15 * 16) == 0)
    Self.clearVectors(machine)
    machine.run(1)
    #expect(machine.processor.state.vector.upper[1] == Vector128(3, 4))
    #expect(machine.processor.state.vector.upper[15] == Vector128(9, 9))
  }

  @Test func `headers that say what is not enabled are refused`() {
    // XSTATE_BV, XCOMP_BV, and a word further on.
    let headers: [(code: [UInt8], present: UInt64, layout: UInt64, rest: UInt64, isValid: Bool)] = [
      (Code.xrstor, 7, 0, 0, true), (Code.xrstor, 8, 0, 0, false), (Code.xrstor, 7, 7, 0, false),
      (Code.xrstor, 3, 1 << 63 | 7, 0, true), (Code.xrstor, 4, 1 << 63 | 3, 0, false),
      (Code.xrstor, 3, 1 << 63 | 0xf, 0, false), (Code.xrstor, 1 << 63 | 3, 1 << 63 | 7, 0, false),
      (Code.xrstor, 3, 1 << 63 | 7, 1, false), (Code.xrstor, 3, 0, 1, true), (Code.xrstors, 3, 1 << 63 | 7, 0, true),
      (Code.xrstors, 3, 0, 0, false),
    ]
    for (code, present, layout, rest, isValid) in headers {
      let machine = Self.machine(code)
      machine.guest.setWord(0x1f80, atPhysical: 0x2018)
      machine.guest.setWord(present, atPhysical: 0x2200)
      machine.guest.setWord(layout, atPhysical: 0x2208)
      machine.guest.setWord(rest, atPhysical: 0x2220)
      machine.run(1)
      #expect(
        machine.lastException == (isValid ? nil : .generalProtection(0)),
        "\(code) \(present) \(layout) \(rest)")
    }
    // Without XSAVEC and XSAVES there is no compacted format.
    let machine = Self.machine(Code.xrstor, without: [.xsavec, .xsaves])
    machine.guest.setWord(1 << 63 | 7, atPhysical: 0x2208)
    machine.run(1)
    #expect(machine.lastException == .generalProtection(0))
  }

  @Test func `each instruction wants its feature, and the supervisor's want ring 0`() {
    let features: [([UInt8], FeatureSet)] = [
      (Code.xsave, .xsave), (Code.xsaveopt, .xsaveopt), (Code.xsavec, .xsavec), (Code.xsaves, .xsaves),
      (Code.xrstors, .xsaves),
    ]
    for (code, feature) in features {
      func exception(without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in })
        -> GuestException?
      {
        let machine = Self.machine(code, without: hidden, change)
        machine.guest.setWord(1 << 63, atPhysical: 0x2208)
        machine.run(1)
        return machine.lastException
      }
      #expect(exception() == nil, "\(code)")
      #expect(exception(without: feature) == .invalidOpcode, "\(code)")
      #expect(exception { $0.cr4 &= ~CR4.osXSAVE } == .invalidOpcode, "\(code)")
      #expect(exception { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable, "\(code)")
      #expect(exception { $0.slots[Int(Slot.rdi)] += 16 } == .generalProtection(0), "\(code)")
    }
    for code in [Code.xsaves, Code.xrstors] {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000, .user)
        map(0x2000, to: 0x2000, .writable, .user)
      }
      let machine = TinyMachine(guest, code: code, at: 0x1000)
      machine.installHandlers()
      machine.enterRing(3)
      machine.update { state in
        state.cr4 |= CR4.osXSAVE
        state.slots[Int(Slot.rdi)] = 0x2000
      }
      machine.run(1)
      #expect(machine.lastException == .generalProtection(0))
    }
  }

  @Test func `protection keys are a component, before which the compacted format leaves no room`() {
    for (code, offset) in [(Code.xsave, 832), (Code.xsavec, 576)] as [([UInt8], UInt64)] {
      let machine = Self.machine(code + Code.xrstor) { state in
        state.xcr0 = 0x207
        state.pkru = 0x1234_5678
        state.slots[Int(Slot.rax)] = 0x201
      }
      machine.run(1)
      #expect(Self.word(machine, 512) == 0x200)
      #expect(Self.word(machine, offset) == 0x1234_5678)
      machine.update { $0.pkru = 3 }
      machine.run(1)
      #expect(machine.lastException == nil && machine.processor.state.pkru == 0x1234_5678)
      // Not in the header, it becomes initial.
      machine.guest.setWord(0, atPhysical: 0x2200)
      machine.update { $0.rip = 0x1000 + UInt64(code.count) }
      machine.run(1)
      #expect(machine.processor.state.pkru == 0)
    }
  }

  @Test func `XGETBV tells what is in use`() {
    for (change, expected) in [(0, 6), (1, 4), (2, 2), (3, 7)] as [(Int, UInt64)] {
      let machine = Self.machine(Code.xgetbv) { state in
        state.slots[Int(Slot.rcx)] = 1
        if change == 1 { state.vector.xmm[1] = Vector128() }
        if change == 2 { state.vector.upper = InlineArray(repeating: Vector128()) }
        if change == 3 { state.vector.x87.control = 0x27f }
      }
      machine.run(1)
      #expect(machine[Slot.rax] == expected)
    }
    let hidden = Self.machine(Code.xgetbv, without: .xgetbv1) { $0.slots[Int(Slot.rcx)] = 1 }
    hidden.run(1)
    #expect(hidden.lastException == .generalProtection(0))
  }

  @Test func `IA32_XSS exists with XSAVES, and has no bit yet`() {
    // rdmsr; wrmsr
    for (value, hidden, expected) in [
      (0, [], nil), (1 << 8, [], .generalProtection(0)), (0, .xsaves, .generalProtection(0)),
    ] as [(UInt64, FeatureSet, GuestException?)] {
      let machine = Self.machine([0x0f, 0x30], without: hidden) { state in
        state.slots[Int(Slot.rcx)] = 0xda0
        state.slots[Int(Slot.rax)] = value
        state.slots[Int(Slot.rdx)] = 0
      }
      machine.run(1)
      #expect(machine.lastException == expected)
    }
  }

  @Test func `CPUID tells where a component is, and how large an area gets`() {
    func leaf(_ subleaf: UInt64, without hidden: FeatureSet = []) -> [UInt64] {
      let machine = Self.machine([0x0f, 0xa2], without: hidden) { state in
        state.slots[Int(Slot.rax)] = 0xd
        state.slots[Int(Slot.rcx)] = subleaf
        if hidden.contains(.avx) { state.xcr0 = 3 }
      }
      machine.run(1)
      return [machine[Slot.rax], machine[Slot.rbx], machine[Slot.rcx], machine[Slot.rdx]]
    }
    #expect(leaf(0) == [0x207, 832, 840, 0])
    #expect(leaf(0, without: [.avx, .pku]) == [3, 576, 576, 0])
    #expect(leaf(1) == [0xf, 832, 0, 0])
    #expect(leaf(9) == [8, 832, 0, 0])
    #expect(leaf(1, without: [.xsavec, .xsaves]) == [5, 0, 0, 0])
    #expect(leaf(2) == [256, 576, 0, 0])
    #expect(leaf(2, without: .avx) == [0, 0, 0, 0])
    #expect(leaf(3) == [0, 0, 0, 0])
  }
}
