import Machine
import Support
import Testing

/// What instructions behind a VEX prefix raise (SDM vol. 2, 2.3 and tables 2-18 to 2-31), and what they leave in the
/// upper halves of registers.
struct VEXExceptionTests {
  /// vaddps %ymm2, %ymm3, %ymm1; vmovaps and vmovups (%rdi), %ymm1.
  static let vaddps: [UInt8] = [0xc5, 0xe4, 0x58, 0xca]
  static let vmovaps: [UInt8] = [0xc5, 0xfc, 0x28, 0x0f], vmovups: [UInt8] = [0xc5, 0xfc, 0x10, 0x0f]

  static func machine(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> TinyMachine {
    VectorExceptionTests.machine(code, without: hidden) { state in
      state.xcr0 = 7
      change(&state)
    }
  }

  static func exception(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> GuestException? {
    let machine = machine(code, without: hidden, change)
    machine.run(1)
    return machine.lastException
  }

  @Test func `the system has to have enabled the state, and CR4 OSFXSR and CR0 EM do not count`() {
    for code in [Self.vaddps, Self.vmovups, [0xc5, 0xf8, 0x77], [0xc5, 0xf8, 0xae, 0x1f]] {
      #expect(Self.exception(code) == nil, "\(code)")
      #expect(Self.exception(code) { $0.xcr0 = 3 } == .invalidOpcode, "\(code)")
      #expect(Self.exception(code) { $0.cr4 &= ~CR4.osXSAVE } == .invalidOpcode, "\(code)")
      #expect(Self.exception(code) { $0.cr4 &= ~CR4.osFXSR } == nil, "\(code)")
      #expect(Self.exception(code) { $0.cr0 |= CR0.emulation } == nil, "\(code)")
      #expect(Self.exception(code) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable, "\(code)")
      #expect(
        Self.exception(code) { state in
          state.xcr0 = 3
          state.cr0 |= CR0.taskSwitched
        } == .invalidOpcode, "\(code)")
    }
  }

  @Test func `a hidden feature is undefined`() {
    let features: [(FeatureSet, [UInt8])] = [
      (.avx, Self.vaddps), (.avx2, [0xc5, 0xe5, 0xfe, 0xca]), (.avx2, [0xc4, 0xe2, 0x7d, 0x18, 0xca]),
      (.fma, [0xc4, 0xe2, 0x65, 0x98, 0xca]), (.f16c, [0xc4, 0xe2, 0x7d, 0x13, 0xca]),
      (.aes, [0x66, 0x0f, 0x38, 0xdc, 0xca]), (.aes, [0xc4, 0xe2, 0x61, 0xdc, 0xca]),
      (.vaes, [0xc4, 0xe2, 0x65, 0xdc, 0xca]), (.pclmulqdq, [0x66, 0x0f, 0x3a, 0x44, 0xca, 0]),
      (.vpclmulqdq, [0xc4, 0xe3, 0x65, 0x44, 0xca, 0]), (.sha, [0x0f, 0x38, 0xc8, 0xca]),
    ]
    for (feature, code) in features {
      #expect(Self.exception(code) == nil, "\(code)")
      #expect(Self.exception(code, without: feature) == .invalidOpcode, "\(code)")
    }
    // Of 128 bits integers came with AVX.
    #expect(Self.exception([0xc5, 0xe1, 0xfe, 0xca], without: .avx2) == nil)
  }

  @Test func `prefixes and fields that an instruction has not are undefined`() {
    let codes: [[UInt8]] = [
      // LOCK, 66, F2, F3, REX before VEX.
      [0xf0] + Self.vmovups, [0x66] + Self.vaddps, [0xf2] + Self.vaddps, [0xf3] + Self.vaddps, [0x48] + Self.vaddps,
      // VEX.vvvv where there are two operands: vmovups, vsqrtps, vpabsb, vpshufd.
      [0xc5, 0xe4, 0x10, 0xca], [0xc5, 0xe4, 0x51, 0xca], [0xc4, 0xe2, 0x65, 0x1c, 0xca], [0xc5, 0xe5, 0x70, 0xca, 0],
      // VEX.L of 256: vmovd, vmovq, vmovhlps, vpextrw, vphminposuw, vdppd, vaesimc.
      [0xc5, 0xfd, 0x6e, 0xca], [0xc5, 0xfe, 0x7e, 0xca], [0xc5, 0xe4, 0x12, 0xca], [0xc5, 0xfd, 0xc5, 0xca, 0],
      [0xc4, 0xe2, 0x7d, 0x41, 0xca], [0xc4, 0xe3, 0x65, 0x41, 0xca, 0], [0xc4, 0xe2, 0x7d, 0xdb, 0xca],
      // VEX.L of 128: vpermq, vperm2f128, vinsertf128, vbroadcastsd, vpermd.
      [0xc4, 0xe3, 0xf9, 0x00, 0xca, 0], [0xc4, 0xe3, 0x61, 0x06, 0xca, 0], [0xc4, 0xe3, 0x61, 0x18, 0xca, 0],
      [0xc4, 0xe2, 0x79, 0x19, 0xca], [0xc4, 0xe2, 0x61, 0x36, 0xca],
      // VEX.W: vpermilps, vpsravd, vblendvps with 1, vpermq with 0.
      [0xc4, 0xe2, 0xe1, 0x0c, 0xca], [0xc4, 0xe2, 0xe1, 0x46, 0xca], [0xc4, 0xe3, 0xe1, 0x4a, 0xca, 0],
      [0xc4, 0xe3, 0x7d, 0x00, 0xca, 0],
      // Legacy instructions without a VEX form: pblendvb, sha1nexte, MMX; maps and prefixes of nothing.
      [0xc4, 0xe2, 0x61, 0x10, 0xca], [0xc4, 0xe2, 0x60, 0xc8, 0xca], [0xc5, 0xe0, 0xfe, 0xca],
      [0xc4, 0xe4, 0x61, 0x58, 0xca], [0xc5, 0xf9, 0x77],
      // A broadcast of 128 bits and a masked load between registers, a gather without SIB or with registers alike.
      [0xc4, 0xe2, 0x7d, 0x1a, 0xca], [0xc4, 0xe2, 0x65, 0x2c, 0xca], [0xc4, 0xe2, 0x65, 0x90, 0x0f],
      [0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x0f], [0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x1f], [0xc4, 0xe2, 0x75, 0x90, 0x0c, 0x17],
    ]
    for code in codes { #expect(Self.exception(code) == .invalidOpcode, "\(code)") }
    #expect(Self.exception([0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x17]) == nil)
  }

  @Test func `only moves that say so want aligned memory`() {
    for (code, isAligned) in [
      (Self.vmovaps, true), ([0xc5, 0xfd, 0x6f, 0x0f], true), ([0xc5, 0xfc, 0x29, 0x0f], true),
      ([0xc5, 0xfd, 0xe7, 0x0f], true), ([0xc4, 0xe2, 0x7d, 0x2a, 0x0f], true), (Self.vmovups, false),
      ([0xc5, 0xe4, 0x58, 0x0f], false), ([0xc5, 0xe5, 0xfe, 0x0f], false), ([0xc4, 0xe2, 0x61, 0xdc, 0x0f], false),
    ] as [([UInt8], Bool)] {
      #expect(Self.exception(code) == nil, "\(code)")
      #expect(
        Self.exception(code) { $0.slots[Int(Slot.rdi)] += 16 } == (isAligned ? .generalProtection(0) : nil), "\(code)")
      #expect(
        Self.exception(code) { $0.slots[Int(Slot.rdi)] += 4 } == (isAligned ? .generalProtection(0) : nil), "\(code)")
    }
    // Of 128 bits a multiple of 16 is enough.
    #expect(Self.exception([0xc5, 0xf8, 0x28, 0x0f]) { $0.slots[Int(Slot.rdi)] += 16 } == nil)
  }

  @Test func `legacy instructions leave the upper half, and VEX clears it`() {
    let results: [(code: [UInt8], upper: Vector128)] = [
      ([0x0f, 0x58, 0xca], Vector128(7, 8)), ([0x0f, 0x28, 0xca], Vector128(7, 8)),
      ([0x0f, 0x10, 0x0f], Vector128(7, 8)),
      ([0xf2, 0x0f, 0x58, 0xca], Vector128(7, 8)), ([0xc5, 0xe0, 0x58, 0xca], Vector128()),
      ([0xc5, 0xe3, 0x58, 0xca], Vector128()), ([0xc5, 0xf8, 0x10, 0x0f], Vector128()),
      ([0xc5, 0xf9, 0x6e, 0xc8], Vector128()), ([0xc5, 0xf8, 0x77], Vector128()),
    ]
    for (code, upper) in results {
      let machine = Self.machine(code) { $0.vector.upper[1] = Vector128(7, 8) }
      machine.run(1)
      #expect(machine.lastException == nil)
      #expect(machine.processor.state.vector.upper[1] == upper, "\(code)")
    }
  }

  @Test func `VZEROALL and VZEROUPPER clear sixteen registers, in 32-bit code eight`() {
    for (code, isAll) in [([0xc5, 0xfc, 0x77], true), ([0xc5, 0xf8, 0x77], false)] as [([UInt8], Bool)] {
      for is32 in [false, true] {
        let machine = Self.machine(code) { state in
          state.vector.xmm = InlineArray(repeating: Vector128(1, 2))
          state.vector.upper = InlineArray(repeating: Vector128(1, 2))
          if is32 { state[.cs] = Segment(selector: 8, base: 0, limit: .max, attributes: 0xc09b) }
        }
        machine.run(1)
        let vector = machine.processor.state.vector
        #expect(vector.upper[7] == Vector128() && (vector.upper[8] == Vector128()) == !is32)
        #expect((vector.xmm[7] == Vector128()) == isAll && (vector.xmm[8] == Vector128()) == (isAll && !is32))
      }
    }
  }

  @Test func `a gather that faults keeps what it has, and goes on from there`() {
    // vpgatherdd %ymm3, (%rdi,%ymm2,1), %ymm1
    let machine = Self.machine([0xc4, 0xe2, 0x65, 0x90, 0x0c, 0x17]) { state in
      state.slots[Int(Slot.rdi)] = 0x3ff8
      state.vector.xmm[2] = Vector128(4 << 32, 0x10 << 32)
      state.vector.xmm[3] = Vector128(.max, .max)
      state.vector.upper[3] = Vector128(1 << 63, 0)
      state.vector.xmm[1] = Vector128(5, 5)
    }
    machine.guest.setWord(0x2222_2222_1111_1111, atPhysical: 0x3ff8)
    machine.run(1)
    #expect(machine.lastException?.vector == 14)
    #expect(machine.processor.state.cr2 == 0x4008)
    var vector = machine.processor.state.vector
    #expect(vector.xmm[1] == Vector128(0x2222_2222_1111_1111, 0x1111_1111))
    #expect(vector.xmm[3] == Vector128(0, 0xffff_ffff_0000_0000))
    machine.guest.map(map(0x4000, to: 0x4000, .writable))
    machine.guest.setWord(0x3333_3333, atPhysical: 0x4008)
    machine.update { state in
      state.rip = 0x1000
      state.isHalted = false
    }
    machine.run(1)
    vector = machine.processor.state.vector
    #expect(vector.xmm[1] == Vector128(0x2222_2222_1111_1111, 0x3333_3333_1111_1111))
    // Its index is 0.
    #expect(vector.upper[1] == Vector128(0x1111_1111_0000_0000, 0))
    #expect(vector.xmm[3] == Vector128() && vector.upper[3] == Vector128())
  }

  @Test func `masked elements are not accessed, and a store happens as a whole or not at all`() {
    // vmaskmovps (%rdi), %ymm3, %ymm1; vmaskmovps %ymm1, %ymm3, (%rdi)
    for (mask, faults) in [(Vector128(1 << 63, 0), true), (Vector128(), false)] as [(Vector128, Bool)] {
      for code in [[0xc4, 0xe2, 0x65, 0x2c, 0x0f], [0xc4, 0xe2, 0x65, 0x2e, 0x0f]] as [[UInt8]] {
        let machine = Self.machine(code) { state in
          state.slots[Int(Slot.rdi)] = 0x3ff0
          state.vector.xmm[1] = Vector128(.max, .max)
          state.vector.upper[1] = Vector128(.max, .max)
          state.vector.xmm[3] = Vector128(1 << 31, 0)
          state.vector.upper[3] = mask
        }
        machine.guest.setWord(0x2222_2222_1111_1111, atPhysical: 0x3ff0)
        machine.run(1)
        #expect((machine.lastException?.vector == 14) == faults)
        if faults { #expect(machine.processor.state.cr2 == 0x4004) }
        let isLoad = code[3] == 0x2c
        let word = machine.guest.word(atPhysical: 0x3ff0)
        #expect(word == (isLoad || faults ? 0x2222_2222_1111_1111 : 0x2222_2222_ffff_ffff))
        if isLoad && !faults {
          #expect(machine.processor.state.vector.xmm[1] == Vector128(0x1111_1111, 0))
          #expect(machine.processor.state.vector.upper[1] == Vector128())
        }
      }
    }
  }

  @Test func `an access of 32 bytes crosses pages as a whole or not at all`() {
    // vmovups %ymm1, (%rdi), and back
    for offset in [0xfe1, 0xfe8, 0xff0, 0xff8, 0xfff] as [UInt64] {
      let machine = Self.machine([0xc5, 0xfc, 0x11, 0x0f, 0xc5, 0xfc, 0x10, 0x17]) { state in
        state.slots[Int(Slot.rdi)] = 0x3000 + offset
        state.vector.xmm[1] = Vector128(0x1716_1514_1312_1110, 0x2726_2524_2322_2120)
        state.vector.upper[1] = Vector128(0x3736_3534_3332_3130, 0x4746_4544_4342_4140)
      }
      machine.run(1)
      #expect(machine.lastException?.vector == 14 && machine.processor.state.cr2 == 0x4000)
      #expect(machine.guest.word(atPhysical: 0x3ff8) == 0)
      machine.guest.map(map(0x4000, to: 0x4000, .writable))
      machine.update { state in
        state.rip = 0x1000
        state.isHalted = false
      }
      machine.run(2)
      let vector = machine.processor.state.vector
      #expect(vector.xmm[2] == vector.xmm[1] && vector.upper[2] == vector.upper[1])
    }
  }

  @Test func `a fused multiplication that is not exact raises the exception that is not masked`() {
    // vfmadd231sd %xmm2, %xmm3, %xmm1: 1 + 2^-60 * 2^-60
    let machine = Self.machine([0xc4, 0xe2, 0xe1, 0xb9, 0xca]) { state in
      state.vector.mxcsr = MXCSR.initial & ~(MXCSR.precision << MXCSR.maskShift)
      state.vector.xmm[1] = Vector128(1.0.bitPattern, 7)
      state.vector.xmm[2] = Vector128(0x1p-60.bitPattern, 0)
      state.vector.xmm[3] = Vector128(0x1p-60.bitPattern, 0)
    }
    machine.run(1)
    #expect(machine.lastException == .vectorFloat)
    #expect(machine.processor.state.vector.xmm[1] == Vector128(1.0.bitPattern, 7))
    #expect(machine.processor.state.vector.mxcsr & MXCSR.flags == MXCSR.precision)
  }
}
