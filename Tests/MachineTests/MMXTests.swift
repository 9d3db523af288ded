import Machine
import Support
import Testing

/// An instruction on MMX registers to compare with the host's.
struct MMXInstruction: CustomTestStringConvertible, Sendable {
  var name: String
  var opcode: [UInt8]
  var digit: UInt8?
  var hasImmediate = false
  var hasRegisterForm = true
  var hasMemoryForm = true
  /// XMM registers hold numbers to convert, single or double.
  var numbers: Character?
  /// ModRM.rm, or ModRM.reg, is a general register: RAX.
  var hasGeneralRM = false
  var hasGeneralReg = false
  var testDescription: String { name }

  /// Reads a row: name, opcode, and then `r` or `m` for forms with a register or memory alone, `#` for an immediate,
  /// `/n` for an opcode's extension, `s` or `d` for a conversion, `grm` or `greg` for a
  /// general register.
  private init(_ row: Substring) {
    let words = row.split(separator: " ")
    name = String(words[0])
    let digits = Array(words[1])
    opcode = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    for option in words.dropFirst(2) {
      switch option {
      case "r": hasMemoryForm = false
      case "m": hasRegisterForm = false
      case "#": hasImmediate = true
      case "s", "d": numbers = option.first
      case "grm": hasGeneralRM = true
      case "greg": hasGeneralReg = true
      default: digit = UInt8(option.dropFirst())
      }
    }
  }

  /// The operands are registers 1 and 2, or register 1 and memory.
  func bytes(memory: Bool, immediate: UInt8) -> [UInt8] {
    if opcode == [0x0f, 0x77] { return opcode }
    let reg = hasGeneralReg ? 0 : (digit ?? 1) << 3
    return opcode + (memory ? [0x87 | reg, 0, 4, 0, 0] : [(hasGeneralRM ? 0xc0 : 0xc2) | reg])
      + (hasImmediate ? [immediate] : [])
  }

  private static func rows(_ table: String) -> [MMXInstruction] {
    table.split(separator: "\n").map { MMXInstruction($0) }
  }

  static let moves = rows(
    """
    movd 0f6e grm
    movq-general 480f6e grm
    movd-store 0f7e grm
    movq-general-store 480f7e grm
    movq 0f6f
    movq-store 0f7f
    movntq 0fe7 m
    pmovmskb 0fd7 r greg
    pinsrw 0fc4 # grm
    pextrw 0fc5 r # greg
    movq2dq f30fd6 r
    movdq2q f20fd6 r
    emms 0f77 r
    """)

  static let lanes = rows(
    """
    punpcklbw 0f60
    punpcklwd 0f61
    punpckldq 0f62
    packsswb 0f63
    pcmpgtb 0f64
    pcmpgtw 0f65
    pcmpgtd 0f66
    packuswb 0f67
    punpckhbw 0f68
    punpckhwd 0f69
    punpckhdq 0f6a
    packssdw 0f6b
    pshufw 0f70 #
    psrlw-i 0f71 r # /2
    psraw-i 0f71 r # /4
    psllw-i 0f71 r # /6
    psrld-i 0f72 r # /2
    psrad-i 0f72 r # /4
    pslld-i 0f72 r # /6
    psrlq-i 0f73 r # /2
    psllq-i 0f73 r # /6
    pcmpeqb 0f74
    pcmpeqw 0f75
    pcmpeqd 0f76
    psrlw 0fd1
    psrld 0fd2
    psrlq 0fd3
    paddq 0fd4
    pmullw 0fd5
    psubusb 0fd8
    psubusw 0fd9
    pminub 0fda
    pand 0fdb
    paddusb 0fdc
    paddusw 0fdd
    pmaxub 0fde
    pandn 0fdf
    pavgb 0fe0
    psraw 0fe1
    psrad 0fe2
    pavgw 0fe3
    pmulhuw 0fe4
    pmulhw 0fe5
    psubsb 0fe8
    psubsw 0fe9
    pminsw 0fea
    por 0feb
    paddsb 0fec
    paddsw 0fed
    pmaxsw 0fee
    pxor 0fef
    psllw 0ff1
    pslld 0ff2
    psllq 0ff3
    pmuludq 0ff4
    pmaddwd 0ff5
    psadbw 0ff6
    psubb 0ff8
    psubw 0ff9
    psubd 0ffa
    psubq 0ffb
    paddb 0ffc
    paddw 0ffd
    paddd 0ffe
    pshufb 0f3800
    phaddw 0f3801
    phaddd 0f3802
    phaddsw 0f3803
    pmaddubsw 0f3804
    phsubw 0f3805
    phsubd 0f3806
    phsubsw 0f3807
    psignb 0f3808
    psignw 0f3809
    psignd 0f380a
    pmulhrsw 0f380b
    pabsb 0f381c
    pabsw 0f381d
    pabsd 0f381e
    palignr 0f3a0f #
    """)

  static let conversions = rows(
    """
    cvtpi2ps 0f2a
    cvtpi2pd 660f2a
    cvttps2pi 0f2c s
    cvtps2pi 0f2d s
    cvttpd2pi 660f2c d
    cvtpd2pi 660f2d d
    """)
}

#if os(Linux) && arch(x86_64)
  /// Every instruction on MMX registers against the host's own processor.
  @Suite(.enabled(if: HostFloating.isAvailable, "no processor to compare with"))
  struct MMXDifferentialTests {
    @Test(arguments: MMXInstruction.moves) func `moves of MMX are the host's`(instruction: MMXInstruction) {
      compare(instruction, sets: 400)
    }

    @Test(arguments: MMXInstruction.lanes) func `what MMX does to lanes is the host's`(instruction: MMXInstruction) {
      compare(instruction, sets: 800)
    }

    @Test(arguments: MMXInstruction.conversions)
    func `conversions to and from MMX are the host's`(instruction: MMXInstruction) {
      compare(instruction, sets: 2000)
    }

    private func compare(_ instruction: MMXInstruction, sets: Int) {
      var random = RepeatableRandom(seed: instruction.name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
      let immediates: [UInt8] =
        instruction.hasImmediate ? [0, 0xff] + (0..<30).map { _ in UInt8.random(in: 0...255, using: &random) } : [0]
      for memory in [false, true] where memory ? instruction.hasMemoryForm : instruction.hasRegisterForm {
        for immediate in immediates {
          let bytes = instruction.bytes(memory: memory, immediate: immediate)
          let count = max(sets / immediates.count, 1)
          let host = HostFloating(bytes, capacity: count)
          let machine = FloatingMachine(bytes, features: HostFloating.features, vendor: HostFloating.vendor)
          let before = (0..<count).map { _ in Self.record(instruction, &random) }
          for (record, expected) in zip(before, host.run(before)) {
            let found = machine.run(record)
            guard found.words == expected.words && found.registers == expected.registers else {
              Issue.record(
                "\(instruction.name) \(bytes): from \(record.text)\nhost  \(expected.text)\nfound \(found.text)")
              return
            }
          }
        }
      }
    }

    private static func record(_ instruction: MMXInstruction, _ random: inout RepeatableRandom) -> FloatingRecord {
      var record = FloatingRecord()
      func lanes() -> UInt64 {
        let special: [UInt64] = [
          0, .max, 1, 0x8000_8000_8000_8000, 0x7fff_7fff_7fff_7fff, 0x8080_8080_8080_8080, 0x8000_0000_8000_0000,
          1 << 63, .max >> 1, 0x0001_0203_0405_0607,
        ]
        switch random.next() & 3 {
        case 0: return special.randomElement(using: &random)!
        // Counts of shifts.
        case 1: return random.next() & 0x1f
        default: return random.next()
        }
      }
      func number(_ kind: Character) -> UInt64 {
        let bits = random.next()
        guard kind == "s" else {
          return random.next() & 3 == 0
            ? bits : bits & 0x800f_ffff_ffff_ffff | UInt64.random(in: 1015...1057, using: &random) << 52
        }
        return random.next() & 3 == 0
          ? bits
          : bits & 0x807f_ffff_807f_ffff | UInt64.random(in: 120...160, using: &random) << 23
            | UInt64.random(in: 120...160, using: &random) << 55
      }
      func word() -> UInt64 { instruction.numbers.map(number) ?? lanes() }
      record.x87.top = Int(random.next() & 7)
      record.x87.status |= UInt16(truncatingIfNeeded: random.next()) & 0x473f
      record.x87.tags = UInt8(truncatingIfNeeded: random.next())
      for number in 0..<8 {
        record.x87.registers[number] = ExtendedReal(
          significand: lanes(), head: UInt16(truncatingIfNeeded: random.next()))
      }
      record.xmm = (0..<8).map { _ in Vector128(word(), word()) }
      record.memory = (0..<16).map { _ in word() }
      record.mxcsr = 0x1f80 | UInt32(random.next() & 3) << 13 | (random.next() & 1 == 0 ? 0 : 0x40)
      record.rax = random.next()
      return record
    }
  }
#endif

/// When instructions on MMX registers raise what (SDM vol. 2, tables 2-25 to 2-30).
struct MMXTests {
  private static let paddb: [UInt8] = [0x0f, 0xfc, 0xca]
  private static let cvtpi2ps: [UInt8] = [0x0f, 0x2a, 0xca]
  private static let emms: [UInt8] = [0x0f, 0x77]

  private static func exception(
    _ code: [UInt8], without hidden: FeatureSet = [], _ change: (inout ProcessorState) -> Void = { _ in }
  ) -> GuestException? {
    VectorExceptionTests.exception(code, without: hidden) { state in
      state.cr0 |= CR0.numericError
      change(&state)
    }
  }

  private static func makePending(_ state: inout ProcessorState) {
    state.vector.x87.control = 0x37b
    state.vector.x87.status = X87Status.zeroDivide
  }

  @Test func `EM makes them undefined, TS the device unavailable, and a pending exception of the x87 comes first`() {
    for code in [Self.paddb, Self.emms, [0x0f, 0x6f, 0x0f], [0x0f, 0x7e, 0xc8], Self.cvtpi2ps] {
      #expect(Self.exception(code) == nil)
      #expect(Self.exception(code) { $0.cr0 |= CR0.emulation | CR0.taskSwitched } == .invalidOpcode)
      #expect(Self.exception(code) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable)
      #expect(Self.exception(code, Self.makePending) == .coprocessorError)
      #expect(Self.exception(code, without: .mmx) == .invalidOpcode)
    }
    #expect(
      Self.exception(Self.paddb) { state in
        Self.makePending(&state)
        state.cr0 |= CR0.taskSwitched
      } == .deviceNotAvailable)
    // cvtpi2pd (%rdi), %xmm1 has nothing to do with the x87.
    #expect(Self.exception([0x66, 0x0f, 0x2a, 0x0f], Self.makePending) == nil)
    #expect(Self.exception([0x66, 0x0f, 0x2a, 0xca], Self.makePending) == .coprocessorError)
  }

  @Test func `what XMM registers take part in wants OSFXSR, the rest does not`() {
    for code in [Self.cvtpi2ps, [0xf3, 0x0f, 0xd6, 0xca], [0xf2, 0x0f, 0xd6, 0xca]] {
      #expect(Self.exception(code) { $0.cr4 &= ~CR4.osFXSR } == .invalidOpcode)
    }
    for code in [Self.paddb, [0x0f, 0xe0, 0xca], [0x0f, 0xd4, 0xca], [0x0f, 0x38, 0x00, 0xca]] as [[UInt8]] {
      #expect(Self.exception(code) { $0.cr4 &= ~CR4.osFXSR } == nil)
    }
  }

  @Test func `each addition goes with its feature`() {
    let pavgb: [UInt8] = [0x0f, 0xe0, 0xca]
    #expect(Self.exception(pavgb, without: .mmxExtensions) == nil && Self.exception(pavgb, without: .sse) == nil)
    #expect(Self.exception(pavgb, without: [.mmxExtensions, .sse]) == .invalidOpcode)
    #expect(Self.exception([0x0f, 0xd4, 0xca], without: .sse2) == .invalidOpcode)
    #expect(Self.exception([0x0f, 0x38, 0x00, 0xca], without: .ssse3) == .invalidOpcode)
    #expect(Self.exception(Self.paddb, without: [.sse, .sse2, .ssse3, .mmxExtensions]) == nil)
  }

  @Test func `a load that faults leaves the x87's tags and top`() {
    // paddb (%rdi), %mm1
    let machine = VectorExceptionTests.machine([0x0f, 0xfc, 0x0f]) { state in
      state.vector.x87.top = 3
      state.slots[Int(Slot.rdi)] = 0x70_0000
    }
    machine.run(1)
    #expect(machine.lastException?.vector == 14)
    #expect(machine.processor.state.vector.x87.tags == 0 && machine.processor.state.vector.x87.top == 3)
  }

  @Test func `a conversion wants its sixteen bytes aligned`() {
    // cvtpd2pi 8(%rdi), %mm1; cvtps2pi 8(%rdi), %mm1
    #expect(Self.exception([0x66, 0x0f, 0x2d, 0x4f, 8]) == .generalProtection(0))
    #expect(Self.exception([0x0f, 0x2d, 0x4f, 8]) == nil)
  }

  @Test func `MASKMOVQ stores the bytes that its mask chooses`() {
    // maskmovq %mm2, %mm1 at the end of the pages
    let machine = VectorExceptionTests.machine([0x0f, 0xf7, 0xca]) { state in
      state.slots[Int(Slot.rdi)] = 0x3ffc
      state.vector.x87.registers[1].significand = 0x8877_6655_4433_2211
      state.vector.x87.registers[2].significand = 0x80_0080
    }
    machine.guest.setWord(.max, atPhysical: 0x3ff8)
    machine.run(1)
    #expect(machine.lastException == nil)
    #expect(machine.guest.word(atPhysical: 0x3ff8) == 0xff33_ff11_ffff_ffff)
    #expect(machine.processor.state.vector.x87.tags == 0xff)
  }
}
