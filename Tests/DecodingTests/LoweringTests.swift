import Machine
import Testing

@Suite("Hot instructions")
struct LoweringTests {
  /// An instruction and what becomes of its last operation.
  struct Case: CustomTestStringConvertible, Sendable {
    var bytes: [UInt8]
    var handler: Handler
    var dst = Slot.zero
    var src = Slot.zero
    var imm: Int64 = 0
    var n: UInt8 = 0

    var testDescription: String { bytes.map { String($0, radix: 16) }.joined(separator: " ") }
  }

  static let moves = [
    Case(bytes: [0x48, 0x89, 0xd8], handler: .movRR64, dst: 0, src: 3),
    Case(bytes: [0x89, 0xd8], handler: .movRR32, dst: 0, src: 3),
    Case(bytes: [0x66, 0x89, 0xd8], handler: .mergeRR16, dst: 0, src: 3),
    Case(bytes: [0x40, 0x88, 0xf0], handler: .mergeRR8, dst: 0, src: 6),
    Case(bytes: [0xb8, 0xff, 0xff, 0xff, 0xff], handler: .movRI, dst: 0, imm: 0xffff_ffff),
    Case(bytes: [0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff], handler: .movRI, dst: 0, imm: -1),
    Case(bytes: [0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1], handler: .movRI, dst: 0, imm: 0x0102_0304_0506_0708),
    Case(bytes: [0xb1, 0x80], handler: .mergeRI8, dst: 1, imm: -128),
    Case(bytes: [0x0f, 0xb6, 0xc1], handler: .zeroRR8, dst: 0, src: 1),
    Case(bytes: [0x0f, 0xbf, 0xc1], handler: .signRR16to32, dst: 0, src: 1),
    Case(bytes: [0x48, 0x63, 0xc1], handler: .signRR32to64, dst: 0, src: 1),
    Case(bytes: [0x63, 0xc1], handler: .movRR32, dst: 0, src: 1),
    Case(bytes: [0x48, 0x98], handler: .signRR32to64, dst: 0, src: 0),
    Case(bytes: [0x98], handler: .signRR16to32, dst: 0, src: 0),
    Case(bytes: [0x0f, 0x94, 0xc1], handler: .setcc, dst: 1, n: 4),
    Case(bytes: [0x0f, 0x4f, 0xc1], handler: .cmov32, dst: 0, src: 1, n: 15),
  ]

  static let arithmetic = [
    Case(bytes: [0x01, 0xd8], handler: .addRR32, dst: 0, src: 3),
    Case(bytes: [0x03, 0xd8], handler: .addRR32, dst: 3, src: 0),
    Case(bytes: [0x48, 0x83, 0xec, 0x08], handler: .subRI64, dst: 4, imm: 8),
    Case(bytes: [0x83, 0xc0, 0xff], handler: .addRI32, dst: 0, imm: -1),
    Case(bytes: [0x31, 0xc0], handler: .xorRR32, dst: 0, src: 0),
    Case(bytes: [0x3c, 0x0a], handler: .cmpRI8, dst: 0, imm: 10),
    Case(bytes: [0x85, 0xc8], handler: .testRR32, dst: 0, src: 1),
    Case(bytes: [0x48, 0x11, 0xd8], handler: .adcRR64, dst: 0, src: 3),
    Case(bytes: [0x48, 0xff, 0xc1], handler: .incR64, dst: 1),
    Case(bytes: [0xf7, 0xd9], handler: .negR32, dst: 1),
    Case(bytes: [0x0f, 0xaf, 0xc3], handler: .imulRR32, dst: 0, src: 3),
    Case(bytes: [0x6b, 0xc3, 0x05], handler: .imulRRI32, dst: 0, src: 3, imm: 5),
    Case(bytes: [0xd1, 0xe0], handler: .shlRI32, dst: 0, imm: 1),
    Case(bytes: [0x48, 0xc1, 0xe8, 0x23], handler: .shrRI64, dst: 0, imm: 0x23),
    Case(bytes: [0xd3, 0xf8], handler: .sarRC32, dst: 0),
    Case(bytes: [0xc1, 0xc0, 0x25], handler: .rolRI32, dst: 0, imm: 5),
    Case(bytes: [0x48, 0x0f, 0xba, 0xe0, 0x41], handler: .btRI64, dst: 0, imm: 1),
  ]

  static let control = [
    Case(bytes: [0x74, 0x10], handler: .jcc, imm: 0x1012, n: 4),
    Case(bytes: [0xeb, 0xfe], handler: .jump, imm: 0x1000),
    Case(bytes: [0xe8, 0, 0, 0x10, 0], handler: .call64, imm: 0x10_1005),
    Case(bytes: [0xc3], handler: .ret64),
    Case(bytes: [0xff, 0xe0], handler: .jumpR64, dst: 0),
    Case(bytes: [0x41, 0xff, 0xd3], handler: .callR64, dst: 11),
    Case(bytes: [0x41, 0x57], handler: .push64, dst: 15),
    Case(bytes: [0x6a, 0x80], handler: .pushI64, imm: -128),
    Case(bytes: [0x5b], handler: .pop64, dst: 3),
    Case(bytes: [0xc9], handler: .leave64),
    Case(bytes: [0x90], handler: .nop),
    Case(bytes: [0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], handler: .nop),
    Case(bytes: [0xf3, 0x0f, 0x1e, 0xfa], handler: .nop),
    Case(bytes: [0x0f, 0x18, 0x08], handler: .nop),
    Case(bytes: [0x0f, 0x1f, 0x84, 0, 0x07, 0x4e, 0x45, 0x50], handler: .mark, n: 7),
  ]

  @Test("an instruction becomes its handler", arguments: moves + arithmetic + control)
  func handlers(expected: Case) {
    let decoded = Decoded(expected.bytes)
    #expect(decoded.result == .decoded(length: expected.bytes.count, operations: 1))
    #expect(decoded.handler == expected.handler)
    #expect(Int(decoded.last.length) == expected.bytes.count)
    #expect(decoded.last.dst == expected.dst)
    #expect(decoded.last.src == expected.src)
    #expect(decoded.last.imm == expected.imm)
    #expect(decoded.last.n == expected.n)
  }

  @Test func `memory forms name the register that is not memory`() {
    let store = Decoded([0x48, 0x89, 0x5c, 0x24, 0x08])
    #expect(store.handler == .store64)
    #expect(store.last.src == Slot.rbx)
    #expect(store.place == Place(base: Slot.rsp, disp: 8))
    let compare = Decoded([0x39, 0x18])
    #expect(compare.handler == .cmpMR32)
    #expect(compare.last.src == Slot.rbx)
    #expect(Decoded([0x3b, 0x18]).last.dst == Slot.rbx)
    #expect(Decoded([0x83, 0x00, 0xff]).handler == .addMI32)
    #expect(Decoded([0x0f, 0xb6, 0x00]).handler == .load8)
    #expect(Decoded([0x48, 0x0f, 0xbe, 0x00]).handler == .loadSign8to64)
    #expect(Decoded([0x8a, 0x00]).handler == .loadMerge8)
    #expect(Decoded([0xc6, 0x00, 0x80]).last.imm == -128)
    #expect(Decoded([0xff, 0x70, 0x08]).handler == .pushM64)
    #expect(Decoded([0x0f, 0xc3, 0x03]).handler == .store32)
  }

  @Test func `a shift of a 32-bit register by nothing still clears its upper half`() {
    #expect(Decoded([0xc1, 0xe0, 0x20]).handler == .movRR32)
    #expect(Decoded([0x48, 0xc1, 0xe0, 0x40]).handler == .nop)
    #expect(Decoded([0xc0, 0xe0, 0x20]).handler == .nop)
    #expect(Decoded([0x0f, 0xa4, 0xd8, 0x20]).handler == .movRR32)
  }

  @Test func `branch targets of 16- and 32-bit code wrap at their operand size`() {
    #expect(Decoded([0x74, 0x10], .bits32, rip: 0xffff_fff0).last.imm == 2)
    #expect(Decoded([0x74, 0x20], .bits16, rip: 0xfff0).last.imm == 0x12)
    #expect(Decoded([0x66, 0xe9, 0x00, 0x00, 0x01, 0x00], .bits16, rip: 0xfff0).last.imm == 0x1_fff6)
  }

  @Test func `a displacement near the mark is an ordinary NOP`() {
    #expect(Decoded([0x0f, 0x1f, 0x84, 0, 0x07, 0x4f, 0x45, 0x50]).handler == .nop)
    #expect(Decoded([0x0f, 0x1f, 0x80, 0x07, 0x4e, 0x45, 0x50]).handler == .nop)
  }
}
