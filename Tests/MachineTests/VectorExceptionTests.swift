import Machine
import Support
import Testing

/// What vector instructions raise, and in which order (SDM vol. 2, tables 2-18 to 2-24; vol. 1, 11.5).
struct VectorExceptionTests {
  static let addps: [UInt8] = [0x0f, 0x58, 0xca]
  static let movaps: [UInt8] = [0x0f, 0x28, 0x0f]

  /// A machine before one instruction, RDI at 0x2000, with the vector unit on.
  static func machine(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x2000, to: 0x2000, pages: 2, .writable)
    }
    let all = FeatureSet(names: FeatureSet.known.map(\.name))
    let machine = TinyMachine(guest, code: code + [0xf4], at: 0x1000, features: all.subtracting(hidden))
    machine.installHandlers()
    machine.update { state in
      state.cr4 |= CR4.osFXSR | CR4.osXMMExceptions | CR4.osXSAVE
      state.xcr0 = 3
      state.slots[Int(Slot.rdi)] = 0x2000
      change(&state)
    }
    return machine
  }

  /// The exception that the instruction raises; nil where it raises none.
  static func exception(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> GuestException? {
    let machine = machine(code, without: hidden, change)
    machine.run(1)
    return machine.lastException
  }

  @Test func `without CR4 OSFXSR, with CR0 EM, or with the feature hidden an instruction is undefined`() {
    #expect(Self.exception(Self.addps) == nil)
    #expect(Self.exception(Self.addps) { $0.cr4 &= ~CR4.osFXSR } == .invalidOpcode)
    #expect(Self.exception(Self.addps) { $0.cr0 |= CR0.emulation } == .invalidOpcode)
    let features: [(FeatureSet, [UInt8])] = [
      (.sse, Self.addps), (.sse2, [0x66, 0x0f, 0x58, 0xca]), (.sse3, [0xf2, 0x0f, 0x7c, 0xca]),
      (.ssse3, [0x66, 0x0f, 0x38, 0x00, 0xca]), (.sse41, [0x66, 0x0f, 0x38, 0x17, 0xca]),
      (.sse42, [0x66, 0x0f, 0x38, 0x37, 0xca]), (.fxsr, [0x0f, 0xae, 0x07]), (.xsave, [0x0f, 0xae, 0x27]),
    ]
    for (feature, code) in features {
      #expect(Self.exception(code) == nil, "\(code)")
      #expect(Self.exception(code, without: feature) == .invalidOpcode, "\(code)")
    }
  }

  @Test func `with CR0 TS the device is not available, unless the instruction is undefined`() {
    #expect(Self.exception(Self.addps) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable)
    #expect(Self.exception(Self.movaps) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable)
    #expect(
      Self.exception(Self.addps) { state in
        state.cr0 |= CR0.taskSwitched
        state.cr4 &= ~CR4.osFXSR
      } == .invalidOpcode)
    for code in [[0x0f, 0xae, 0x07], [0x0f, 0xae, 0x0f], [0x0f, 0xae, 0x27], [0xdb, 0xe3], [0xd9, 0x3f]] as [[UInt8]] {
      #expect(Self.exception(code) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable, "\(code)")
    }
    // FWAIT asks for MP too; FNINIT with EM is #NM, not #UD.
    #expect(Self.exception([0x9b]) { $0.cr0 |= CR0.taskSwitched } == nil)
    #expect(Self.exception([0x9b]) { $0.cr0 |= CR0.taskSwitched | CR0.monitorCoprocessor } == .deviceNotAvailable)
    #expect(Self.exception([0xdb, 0xe3]) { $0.cr0 |= CR0.emulation } == .deviceNotAvailable)
  }

  @Test func `LOCK and prefixes that no instruction has are undefined`() {
    let codes: [[UInt8]] = [
      [0xf0, 0x0f, 0x58, 0x0f], [0xf0, 0x0f, 0x28, 0xca], [0xf2, 0x0f, 0x6f, 0xca], [0xf3, 0x0f, 0x28, 0xca],
      [0xf2, 0x0f, 0x14, 0xca], [0x0f, 0x13, 0xca], [0x66, 0x0f, 0x12, 0xca], [0x66, 0x0f, 0xd7, 0x0f],
      [0x66, 0x0f, 0x71, 0x17, 1], [0x66, 0x0f, 0x71, 0xca, 1], [0x66, 0x0f, 0xae, 0x17],
    ]
    for code in codes { #expect(Self.exception(code) == .invalidOpcode, "\(code)") }
  }

  @Test func `aligned forms want aligned memory, others do not`() {
    let aligned: [[UInt8]] = [
      Self.movaps, [0x66, 0x0f, 0x6f, 0x0f], [0x0f, 0x29, 0x0f], [0x66, 0x0f, 0xe7, 0x0f], [0x0f, 0x58, 0x0f],
      [0x66, 0x0f, 0xfe, 0x0f], [0x66, 0x0f, 0x38, 0x00, 0x0f], [0x66, 0x0f, 0x5a, 0x0f], [0x0f, 0xae, 0x07],
      [0x0f, 0xae, 0x0f],
    ]
    for code in aligned {
      #expect(Self.exception(code) == nil, "\(code)")
      #expect(Self.exception(code) { $0.slots[Int(Slot.rdi)] += 8 } == .generalProtection(0), "\(code)")
    }
    let unaligned: [[UInt8]] = [
      [0x0f, 0x10, 0x0f], [0xf3, 0x0f, 0x6f, 0x0f], [0xf2, 0x0f, 0xf0, 0x0f], [0x0f, 0x11, 0x0f], [0x0f, 0x5a, 0x0f],
      [0xf2, 0x0f, 0x58, 0x0f], [0x66, 0x0f, 0x3a, 0x63, 0x0f, 0], [0x66, 0x0f, 0x38, 0x20, 0x0f],
    ]
    for code in unaligned { #expect(Self.exception(code) { $0.slots[Int(Slot.rdi)] += 1 } == nil, "\(code)") }
    // XSAVE's area is aligned to 64.
    #expect(Self.exception([0x0f, 0xae, 0x27]) { $0.slots[Int(Slot.rdi)] += 16 } == .generalProtection(0))
    // Not canonical in the stack segment.
    #expect(Self.exception([0x0f, 0x28, 0x4d, 0]) { $0.slots[Int(Slot.rbp)] = 1 << 63 } == .stack(0))
  }

  @Test func `a store across pages happens as a whole or not at all`() {
    let machine = Self.machine([0x0f, 0x11, 0x0f]) { state in
      state.slots[Int(Slot.rdi)] = 0x3ff8
      state.vector.xmm[1] = Vector128(.max, .max)
    }
    machine.run(1)
    #expect(machine.lastException?.vector == 14)
    #expect(machine.processor.state.cr2 == 0x4000)
    #expect(machine.guest.word(atPhysical: 0x3ff8) == 0)
    machine.guest.map(map(0x4000, to: 0x4000, .writable))
    machine.update { state in
      state.rip = 0x1000
      state.isHalted = false
      state.vector.xmm[1] = Vector128(1, 2)
    }
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x3ff8) == 1 && machine.guest.word(atPhysical: 0x4000) == 2)
  }

  @Test func `an exception that is not masked takes the result's place and leaves its flag`() {
    // 1 / 0, a signalling NaN, the root of -1, a denormal operand, an overflow, an underflow, an inexact sum.
    let cases: [(code: [UInt8], a: UInt64, b: UInt64, flag: UInt32, raised: UInt32)] = [
      ([0xf3, 0x0f, 0x5e, 0xca], 0x3f80_0000, 0, MXCSR.zeroDivide, MXCSR.zeroDivide),
      ([0xf3, 0x0f, 0x58, 0xca], 0x7f80_0001, 0, MXCSR.invalid, MXCSR.invalid),
      ([0xf3, 0x0f, 0x51, 0xca], 0, 0xbf80_0000, MXCSR.invalid, MXCSR.invalid),
      ([0xf3, 0x0f, 0x58, 0xca], 0x3f80_0000, 1, MXCSR.denormal, MXCSR.denormal),
      ([0xf3, 0x0f, 0x59, 0xca], 0x7f00_0000, 0x7f00_0000, MXCSR.overflow, MXCSR.overflow),
      ([0xf3, 0x0f, 0x59, 0xca], 0x80_0000, 0x3f00_0000, MXCSR.underflow, MXCSR.underflow),
      (
        [0xf3, 0x0f, 0x58, 0xca], 0x3f80_0000, 0x0080_0000, MXCSR.precision, MXCSR.precision
      ),
    ]
    for (code, a, b, flag, raised) in cases {
      for hasVector in [true, false] {
        let machine = Self.machine(code) { state in
          state.vector.mxcsr = MXCSR.initial & ~(flag << MXCSR.maskShift)
          state.vector.xmm[1] = Vector128(a, 7)
          state.vector.xmm[2] = Vector128(b, 0)
          if !hasVector { state.cr4 &= ~CR4.osXMMExceptions }
        }
        machine.run(1)
        #expect(machine.lastException == (hasVector ? .vectorFloat : .invalidOpcode), "\(code)")
        #expect(machine.processor.state.vector.xmm[1] == Vector128(a, 7), "\(code)")
        #expect(machine.processor.state.vector.mxcsr & MXCSR.flags == raised, "\(code)")
      }
      // Masked, the same is no exception.
      #expect(
        Self.exception(code) { state in
          state.vector.xmm[1] = Vector128(a, 7)
          state.vector.xmm[2] = Vector128(b, 0)
        } == nil)
    }
  }

  @Test func `of several elements those with invalid operands come first`() {
    let machine = Self.machine(Self.addps) { state in
      // Precision in the first element, a signalling NaN in the second.
      state.vector.mxcsr = 0
      state.vector.xmm[1] = Vector128(0x7f80_0001_3f80_0000, 0)
      state.vector.xmm[2] = Vector128(0x3f80_0000_0080_0000, 0)
    }
    machine.run(1)
    #expect(machine.lastException == .vectorFloat)
    #expect(machine.processor.state.vector.mxcsr == MXCSR.invalid)
  }

  @Test func `a fault's pushed RIP is the instruction's`() {
    let machine = Self.machine(Self.addps) { state in
      state.vector.mxcsr = 0
      state.vector.xmm[1] = Vector128(0x7f80_0001, 0)
    }
    machine.run(1)
    #expect(machine.stackWords(1) == [0x1000])
  }
}
