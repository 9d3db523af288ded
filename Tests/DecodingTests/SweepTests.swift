import Decoding
import Foundation
import Machine
import Testing

/// The opcode space, read by another disassembler: how long every instruction of one, two and three opcode bytes is that
/// both know, with prefixes and ModRM bytes, in code of each size. `make sweep` takes every ModRM byte, the tests some.
/// Which opcodes are defined is left to the vectors: silicon has more of them than disassemblers know.
@Suite(.serialized) struct SweepTests {
  private static let isWhole = ProcessInfo.processInfo.environment["SWEEP"] == "whole"

  /// What stands before the opcode.
  private static let prefixes: [[UInt8]] = [
    [], [0x66], [0x67], [0xf2], [0xf3], [0x65], [0x48], [0x66, 0x48], [0x66, 0xf2],
    [0x66, 0xf3], [0xf2, 0x66], [0xf3, 0x66], [0x67, 0x66],
  ]
  static let escapes: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]

  /// ModRM bytes: all, or each digit with memory of several forms and with registers.
  private static let modRMs: [UInt8] =
    isWhole
    ? Array(0...0xff)
    : (0..<8).flatMap { digit in
      ([0x00, 0x04, 0x05, 0x46, 0x84, 0xc0, 0xc1, 0xc4, 0xc5] as [UInt8]).map { $0 | digit << 3 }
    }

  /// Every instruction of one map with one prefix. What follows ModRM looks like small numbers.
  private static func instructions(_ prefix: [UInt8], _ escape: [UInt8]) -> [[UInt8]] {
    (0...0xff as ClosedRange<UInt8>).flatMap { opcode -> [[UInt8]] in
      if escape.isEmpty && isPrefixOrEscape(opcode) { return [] }
      if escape == [0x0f] && (opcode == 0x38 || opcode == 0x3a) { return [] }
      // Of two REX prefixes the second counts (SDM vol. 2, 2.2.1); objdump takes the first one's W.
      if escape.isEmpty && prefix.last == 0x48 && 0x40...0x4f ~= opcode { return [] }
      return modRMs.map { prefix + escape + [opcode, $0, 0x11] + (0x02...0x0a) }
    }
  }

  private static func isPrefixOrEscape(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64...0x67, 0xf0, 0xf2, 0xf3: true
    // VEX, EVEX and XOP are another map. WAIT is read together with what it waits for.
    case 0x62, 0xc4, 0xc5, 0x8f, 0x9b: true
    default: false
    }
  }

  @Test(
    .enabled("objdump is not installed") { Disassembler.isAvailable }, arguments: CodeSize.allCases, escapes)
  func `another disassembler reads the same instructions`(size: CodeSize, escape: [UInt8]) throws {
    let decoder = CapstoneDecoder(vendor: .intel)
    var differences: [String: (count: Int, example: String)] = [:]
    var compared = 0
    for prefix in Self.prefixes where size == .bits64 || prefix.allSatisfy({ !(0x40...0x4f).contains($0) }) {
      let instructions = Self.instructions(prefix, escape)
      let readings = try Disassembler(size).read(instructions)
      for (bytes, reading) in zip(instructions, readings) {
        compared += 1
        guard let difference = SweepDifference.between(bytes, size, reading, by: decoder) else { continue }
        let text = bytes.map { String($0, radix: 16) }.joined(separator: " ")
        differences[difference, default: (0, text)].count += 1
      }
    }
    #expect(compared > 50_000)
    for (difference, (count, example)) in differences.sorted(by: { $0.key < $1.key }) {
      Issue.record("\(difference): \(count) times, first in \(example)")
    }
  }

  /// VEX with each map, prefix and length, EVEX, and XOP.
  private static let vectorEscapes: [[UInt8]] =
    [0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd].map { [0xc5, $0] }
    + ([0xe1, 0xe2, 0xe3] as [UInt8]).flatMap { map in
      ([0x78, 0x79, 0x7a, 0x7b, 0x7d, 0xf9, 0xfd, 0xe9] as [UInt8]).map { [0xc4, map, $0] }
    }
    + ([0xf1, 0xf2, 0xf3] as [UInt8]).flatMap { map in
      ([0x7c, 0x7d, 0x7e, 0x7f, 0xfc, 0xfd, 0xfe, 0xff] as [UInt8]).map { [0x62, map, $0, 0x48] }
    }
    + ([0xe8, 0xe9, 0xea] as [UInt8]).flatMap { map in ([0x78, 0xf8, 0x7c] as [UInt8]).map { [0x8f, map, $0] } }

  /// What CPUID shows is executed; what it does not show, or cannot, is #UD.
  @Test(arguments: CodeSize.allCases)
  func `no instruction that Capstone knows stops as unsupported`(size: CodeSize) {
    let decoder = CapstoneDecoder(vendor: .intel)
    var unsupported: [String: [UInt8]] = [:]
    var counts = (decoded: 0, invalid: 0)
    var instructions = Self.vectorEscapes.flatMap { Self.instructions([], $0) }
    for prefix in Self.prefixes + [[0xf3, 0x48], [0xf2, 0x48], [0xf0]] {
      guard size == .bits64 || prefix.allSatisfy({ !(0x40...0x4f).contains($0) }) else { continue }
      instructions += Self.escapes.flatMap { Self.instructions(prefix, $0) }
    }
    for bytes in instructions {
      switch Decoded(bytes, size, rip: 0, by: decoder).result {
      case .unsupported(let mnemonic, _): unsupported[mnemonic] = unsupported[mnemonic] ?? bytes
      case .decoded: counts.decoded += 1
      default: counts.invalid += 1
      }
    }
    #expect(counts.decoded > 200_000 && counts.invalid > 100_000)
    for (mnemonic, bytes) in unsupported.sorted(by: { $0.key < $1.key }) {
      Issue.record("\(mnemonic): \(bytes.map { String($0, radix: 16) }.joined(separator: " "))")
    }
  }
}

/// How Penumbra and another disassembler can differ over an instruction, and where they may.
enum SweepDifference {
  /// Nil where they agree, or where it is known why they do not.
  static func between(_ bytes: [UInt8], _ size: CodeSize, _ other: Disassembler.Reading, by decoder: CapstoneDecoder)
    -> String?
  {
    // Objdump reads the operands of MPX, which Penumbra does not have, as of 32-bit addresses in code of every size.
    if other.mnemonic?.hasPrefix("bnd") == true { return nil }
    let decoded = Decoded(bytes, size, rip: 0, by: decoder)
    switch (decoded.result, other.mnemonic) {
    case (.truncated, let name?): return "truncated, not \(name)"
    case (.decoded(let length, _), let name?), (.unsupported(_, let length), let name?):
      return length == other.length ? nil : "\(name) has \(length) bytes, not \(other.length)"
    default: return nil
    }
  }
}
