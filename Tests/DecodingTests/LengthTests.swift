import Decoding
import Machine
import Testing

@Suite("Where an instruction ends")
struct LengthTests {
  @Test func `every prefix of an instruction is truncated, never undefined`() {
    let instruction: [UInt8] = [0x65, 0x48, 0x81, 0x84, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8]
    for count in 1..<instruction.count {
      #expect(Decoded(Array(instruction[..<count])).result == .truncated)
    }
    #expect(Decoded(instruction).length == 13)
  }

  @Test func `bytes that are no instruction are undefined however many follow`() {
    #expect(Decoded([0x06]).result == .invalid)
    #expect(Decoded([0x06] + Array(repeating: 0, count: 14)).result == .invalid)
    #expect(Decoded([0x0f, 0x04]).result == .invalid)
  }

  @Test func `an instruction of more than 15 bytes is too long, one of 15 is not`() {
    let padding = [UInt8](repeating: 0x2e, count: 15)
    #expect(Decoded(padding).result == .tooLong)
    #expect(Decoded(padding[..<14] + [0x90]).length == 15)
    #expect(Decoded(padding[..<14] + [0xb0]).result == .tooLong)
    #expect(Decoded(Array(padding[..<14])).result == .truncated)
  }

  @Test("random bytes never trap and have lengths from 1 to 15", arguments: CodeSize.allCases)
  func sweep(size: CodeSize) {
    let decoder = CapstoneDecoder()
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func next() -> UInt8 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(truncatingIfNeeded: state >> 32)
    }
    for _ in 0..<20_000 {
      var bytes = (0..<15).map { _ in next() }
      // Half of them in the second opcode map, which chance would seldom hit.
      if next() & 1 == 0 { bytes[Int(next() & 1)] = 0x0f }
      let decoded = Decoded(bytes, size, rip: 0x1000, by: decoder)
      switch decoded.result {
      case .decoded(let length, let operations):
        #expect((1...15).contains(length) && (1...3).contains(operations))
        #expect(decoded.operations.dropLast().allSatisfy { $0.length == 0 })
        #expect(Int(decoded.last.length) == length)
        // The bytes behind the instruction have no say in it.
        let alone = Decoded(Array(bytes[..<length]), size, rip: 0x1000, by: decoder)
        #expect(alone.result == decoded.result)
        if length > 1 {
          #expect(Decoded(Array(bytes[..<(length - 1)]), size, rip: 0x1000, by: decoder).result == .truncated)
        }
      case .unsupported(let mnemonic, let length): #expect((1...15).contains(length) && !mnemonic.isEmpty)
      case .invalid, .tooLong: break
      case .truncated: Issue.record("15 bytes are never too few: \(bytes)")
      }
    }
  }

  @Test func `disassembly names mnemonic and operands`() {
    let decoder = CapstoneDecoder()
    #expect(decoder.disassemble([0x48, 0x89, 0xd8], count: 3, rip: 0, size: .bits64) == "mov rax, rbx")
    #expect(decoder.disassemble([0xc3], count: 1, rip: 0, size: .bits64) == "ret")
    #expect(decoder.disassemble([0x06], count: 1, rip: 0, size: .bits64) == nil)
  }
}
