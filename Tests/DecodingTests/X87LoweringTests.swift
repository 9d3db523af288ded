import Decoding
import Machine
import Testing

@Suite("x87 instructions are told from their bytes")
struct X87LoweringTests {
  @Test func `the opcodes that are none are undefined, all others are lowered`() {
    // As processors of both vendors have it; by opcode the ModRM bytes of registers, then the /digits of memory.
    let none: [UInt8: (registers: [ClosedRange<UInt8>], digits: [UInt8])] = [
      0xd8: ([], []), 0xd9: ([0xd1...0xd7, 0xe2...0xe3, 0xe6...0xe7, 0xef...0xef], [1]),
      0xda: ([0xe0...0xe8, 0xea...0xff], []), 0xdb: ([0xe5...0xe7, 0xf8...0xff], [4, 6]), 0xdc: ([], []),
      0xdd: ([0xf0...0xff], [5]), 0xde: ([0xd8...0xd8, 0xda...0xdf], []), 0xdf: ([0xe1...0xe7, 0xf8...0xff], []),
    ]
    for (opcode, (registers, digits)) in none.sorted(by: { $0.key < $1.key }) {
      for modRM in 0...0xff as ClosedRange<UInt8> where modRM >= 0xc0 || modRM & 7 == 7 {
        let isNone = modRM >= 0xc0 ? registers.contains { $0.contains(modRM) } : digits.contains(modRM >> 3 & 7)
        let decoded = Decoded(
          [opcode, modRM] + [UInt8](repeating: 0, count: modRM >> 6 == 1 ? 1 : modRM >> 6 == 2 ? 4 : 0))
        #expect((decoded.result == .invalid) == isNone, "\(opcode) \(modRM)")
        #expect((decoded.callout == .x87) == !isNone, "\(opcode) \(modRM)")
      }
    }
  }

  @Test func `operands, widths and places`() {
    let load = Decoded([0x65, 0xdb, 0x6c, 0x91, 0x10])
    #expect(load.form.shape == .m && load.form.width == 10 && load.last.src == 0x6c && load.last.imm == 0x1000)
    let word = Decoded([0x66, 0xd9, 0x37])
    #expect(word.form.width == 2)
    #expect(Decoded([0xd9, 0x37], .bits16).form.width == 2 && Decoded([0xd9, 0x37]).form.width == 4)
    #expect(Decoded([0x48, 0xd9, 0x37]).form.width == 4)
    #expect(
      Decoded([0xdf, 0x05], .bits16).form.segment == .ds && Decoded([0x2e, 0xdf, 0x05], .bits16).form.segment == .cs)
    let status = Decoded([0xdf, 0xe0])
    #expect(status.form.shape == .r && status.last.dst == Slot.rax && status.form.width == 2)
    let divide = X87Form(rawValue: Decoded([0xde, 0xf1]).form.extra)
    #expect(divide.operation == .divide && divide.isToRegister && divide.isReversed && divide.pops == 1)
    #expect(divide.opcode(modRM: 0xf1) == 0x6f1)
    #expect(Decoded([0xf0, 0xd8, 0x07]).result == .invalid)
  }
}
