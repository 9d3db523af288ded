import Machine
import Support
import Testing
import Vectors

/// Every instruction of the vector unit against the host's own processor: operands at random, with a preference for the
/// numbers at which something changes, under every way of rounding and of treating denormals.
@Suite(.enabled(if: HostInstruction.isAvailable, "the host has no SSE4.2"))
struct VectorDifferentialTests {
  @Test(arguments: VectorInstruction.moves) func `moves do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 120)
  }

  @Test(arguments: VectorInstruction.shuffles) func `shuffles do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 300)
  }

  @Test(arguments: VectorInstruction.integers) func `integers do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 400)
  }

  @Test(arguments: VectorInstruction.floats) func `arithmetic does what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 4000)
  }

  @Test(arguments: VectorInstruction.conversions)
  func `conversions do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 2000)
  }

  @Test(arguments: VectorInstruction.ciphers.filter(\.isOnHost))
  func `ciphers and hashes do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 400)
  }

  @Test(arguments: VectorInstruction.behindVEX.filter(\.isOnHost))
  func `what a VEX prefix makes of legacy instructions is what the host makes of it`(instruction: VectorInstruction) {
    compare(instruction, sets: instruction.elements == .integers ? 100 : 600)
  }

  @Test(arguments: VectorInstruction.ofVEXAlone.filter(\.isOnHost))
  func `AVX, AVX2 and F16C do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 600)
  }

  @Test(arguments: VectorInstruction.fused.filter(\.isOnHost))
  func `fused multiplications do what the host does`(instruction: VectorInstruction) {
    compare(instruction, sets: 1500)
  }

  /// Runs an instruction's forms on both, each with that many sets of operands.
  private func compare(_ instruction: VectorInstruction, sets: Int) {
    var operands = VectorOperands(seed: instruction.name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    let immediates: [UInt8] =
      instruction.hasImmediate
      ? [0, instruction.greatestImmediate]
        + (0..<14).map { _ in UInt8.random(in: 0...instruction.greatestImmediate, using: &operands.random) } : [0]
    for memory in [false, true] where memory ? instruction.hasMemoryForm : instruction.hasRegisterForm {
      for immediate in immediates {
        let bytes = instruction.bytes(memory: memory, immediate: immediate)
        let host = HostInstruction(bytes)
        let machine = VectorMachine(bytes)
        for _ in 0..<max(sets / immediates.count, 1) {
          let before = operands.registers(instruction.elements)
          let expected = host.run(before)
          let found = machine.run(before)
          guard found == expected else {
            Issue.record(
              "\(instruction.name) \(bytes): from \(before.text)\nhost  \(expected.text)\nfound \(found.text)")
            return
          }
        }
      }
    }
  }

  /// The approximations differ from one processor to another: they are as near as the manual promises.
  @Test(arguments: [false, true]) func `approximations are within their error`(isRoot: Bool) {
    var operands = VectorOperands(seed: 5)
    let machine = VectorMachine([0xf3, 0x0f, isRoot ? 0x52 : 0x53, 0xca])
    for _ in 0..<1000 {
      let x = Float.random(in: 1e-30...1e30, using: &operands.random)
      var before = VectorRegisters()
      before.xmm[4] = UInt64(x.bitPattern)
      let after = machine.run(before)
      let exact = isRoot ? 1 / Double(x).squareRoot() : 1 / Double(x)
      let found = Double(Float(bitPattern: UInt32(truncatingIfNeeded: after.xmm[2])))
      #expect(abs(found / exact - 1) <= 1.5 / 4096)
      #expect(after.mxcsr == before.mxcsr)
    }
  }
}

/// The modelled processor at one instruction.
final class VectorMachine {
  private let machine: TinyMachine

  init(_ instruction: [UInt8]) {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x2000, to: 0x2000, .writable)
    }
    machine = TinyMachine(guest, code: instruction + [0xf4], at: 0x1000)
    machine.update { state in
      state.cr4 |= CR4.osFXSR | CR4.osXMMExceptions | CR4.osXSAVE
      state.xcr0 = 7
    }
  }

  func run(_ before: VectorRegisters) -> VectorRegisters {
    for (index, word) in before.memory.enumerated() {
      machine.guest.setWord(word, atPhysical: 0x2000 + 8 * UInt64(index))
    }
    machine.update { state in
      state.rip = 0x1000
      state.slots[Int(Slot.rdi)] = 0x2000
      for index in 0..<4 { state.slots[index] = before.general[index] }
      for index in 0..<4 { state.vector.xmm[index] = Vector128(before.xmm[2 * index], before.xmm[2 * index + 1]) }
      for index in 0..<4 {
        state.vector.upper[index] = Vector128(before.upper[2 * index], before.upper[2 * index + 1])
      }
      state.vector.mxcsr = before.mxcsr
      state.rflags = before.flags
    }
    let result = machine.run(1)
    let state = machine.processor.state
    var after = VectorRegisters()
    guard result == .limit, machine.processor.recentlyRaised.isEmpty else {
      Issue.record("the run ended with \(result), \(machine.processor.recentlyRaised)")
      return after
    }
    after.memory = (0..<4).map { machine.guest.word(atPhysical: 0x2000 + 8 * $0) }
    after.general = (0..<4).map { state.slots[$0] }
    after.xmm = (0..<4).flatMap { [state.vector.xmm[$0].x, state.vector.xmm[$0].y] }
    after.upper = (0..<4).flatMap { [state.vector.upper[$0].x, state.vector.upper[$0].y] }
    after.mxcsr = state.vector.mxcsr
    after.flags = state.rflags & Flag.arithmetic
    return after
  }
}

extension VectorRegisters {
  var text: String {
    func hex(_ words: [UInt64]) -> String { words.map { String($0, radix: 16) }.joined(separator: " ") }
    return "xmm \(hex(xmm)), upper \(hex(upper)), memory \(hex(memory)), general \(hex(general)), "
      + "mxcsr \(String(mxcsr, radix: 16)), flags \(String(flags, radix: 16))"
  }
}

/// Operands at random.
struct VectorOperands {
  private var floating: FloatingOperands<RepeatableRandom>
  var random: RepeatableRandom {
    get { floating.random }
    set { floating.random = newValue }
  }

  init(seed: UInt64) { floating = FloatingOperands(RepeatableRandom(seed: seed)) }

  mutating func registers(_ elements: VectorInstruction.Elements) -> VectorRegisters {
    var result = VectorRegisters()
    result.xmm = (0..<8).map { _ in word(elements) }
    if HostInstruction.hasAVX { result.upper = (0..<8).map { _ in word(elements) } }
    result.memory = (0..<4).map { _ in word(elements) }
    result.general = (0..<4).map { _ in word(.integers) }
    // Now and then the operands are neighbours, opposites or equal.
    if elements == .singles || elements == .doubles, Int.random(in: 0..<4, using: &random) == 0 {
      let near: [UInt64] = [0, 1, .max, 1 << 63, 1 << 63 | 1, 0x8000_0000_8000_0000]
      for half in 2...3 {
        result.xmm[2 + half] = result.xmm[half] ^ near.randomElement(using: &random)!
        result.memory[half - 2] = result.xmm[2 + half]
        result.xmm[4 + half] = result.xmm[half] ^ near.randomElement(using: &random)!
      }
    }
    let modes = UInt32.random(in: 0..<32, using: &random)
    // Rounding, DAZ, FTZ, and whether a result was inexact before.
    result.mxcsr =
      0x1f80 | (modes & 3) << 13 | (modes & 4 != 0 ? 1 << 6 : 0) | (modes & 8 != 0 ? 1 << 15 : 0)
      | (modes & 16 != 0 ? 1 << 5 : 0)
    return result
  }

  private mutating func word(_ elements: VectorInstruction.Elements) -> UInt64 {
    switch elements {
    case .singles: UInt64(floating.single()) | UInt64(floating.single()) << 32
    case .doubles: floating.double()
    case .integers: integer()
    case .halves: (0..<4).reduce(0) { word, _ in word << 16 | UInt64(floating.half()) }
    // Within half of the memory's bytes, in elements of 4 or 8.
    case .indices32: index(4) & 0xffff_ffff | index(4) << 32
    case .indices64: index(2)
    }
  }

  private mutating func integer() -> UInt64 {
    switch Int.random(in: 0..<6, using: &random) {
    case 0:
      [
        0, .max, 1, 0x8000_8000_8000_8000, 0x7fff_7fff_7fff_7fff, 0x8080_8080_8080_8080, 0x8000_0000_8000_0000,
        1 << 63, .max >> 1, 0x0001_0203_0405_0607,
      ].randomElement(using: &random)!
    // Small: shift counts, lengths.
    case 1: random.next() & 0x1f
    // Few different characters, some of them zero.
    case 2: random.next() & 0x0303_0303_0303_0303
    case 3: random.next() & random.next() & random.next()
    default: random.next()
    }
  }

  /// A signed number less than a bound in magnitude, or its negative.
  private mutating func index(_ bound: Int64) -> UInt64 {
    UInt64(bitPattern: Int64.random(in: -bound..<bound, using: &random))
  }
}
