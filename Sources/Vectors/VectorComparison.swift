import Machine

/// The registers that an instruction has left, beside those that its vector wants.
struct VectorComparison {
  private let initial: PartialRegisters
  private let final: PartialRegisters
  private let found: ProcessorState
  /// Asked for where something differs.
  private let mnemonic: () -> String
  private(set) var differences: [VectorDifference] = []

  /// - Parameter mask: bits of RFLAGS that count.
  init(
    _ vector: borrowing InstructionVector, found: ProcessorState, flags mask: UInt64, mnemonic: @escaping () -> String
  ) {
    initial = vector.initial.registers
    final = vector.final.registers
    self.found = found
    self.mnemonic = mnemonic
    compareGeneral(mask)
    for (name, segment) in ProgramSegments.registers where isListed(name) {
      let selector = UInt64(found[segment].selector)
      // A null selector loses its privilege level when a kernel goes back to the program (SDM vol. 2, IRET), as it may
      // have done on the processor that the vector is from.
      if max(selector, expected(name)) > 3 { compare(name, selector) }
    }
    compareVectors()
    compareX87()
  }

  private func expected(_ register: VectorRegister, otherwise: UInt64 = 0) -> UInt64 {
    final[register] ?? initial[register] ?? otherwise
  }

  /// Whether the vector speaks of a register at all.
  private func isListed(_ register: VectorRegister) -> Bool { final[register] != nil || initial[register] != nil }

  private mutating func compare(_ register: VectorRegister, _ value: UInt64, otherwise: UInt64 = 0) {
    let wanted = expected(register, otherwise: otherwise)
    if value != wanted { differences.append(VectorDifference(register, wanted, value)) }
  }

  private mutating func compareGeneral(_ mask: UInt64) {
    for slot in 0..<16 as Range<UInt8> { compare(.general(slot), found.slots[Int(slot)]) }
    compare(.rip, found.rip)
    let flags = expected(.rflags, otherwise: Flag.one)
    if (found.rflags ^ flags) & mask != 0 {
      differences.append(VectorDifference(flags: flags, found.rflags, mask: mask))
    }
  }

  /// The upper halves count where the vector has any, MXCSR where it has it.
  private mutating func compareVectors() {
    let hasUpper = initial.hasUpper || final.hasUpper
    for number in 0..<16 {
      let low = final[xmm: number] ?? initial[xmm: number] ?? Vector128()
      if found.vector.xmm[number] != low, !isNear(low, found.vector.xmm[number]) {
        differences.append(VectorDifference(xmm: number, low, found.vector.xmm[number]))
      }
      guard hasUpper else { continue }
      let high = final[upper: number] ?? initial[upper: number] ?? Vector128()
      if found.vector.upper[number] != high, !isNear(high, found.vector.upper[number]) {
        differences.append(VectorDifference(upper: number, high, found.vector.upper[number]))
      }
    }
    if isListed(.mxcsr) { compare(.mxcsr, UInt64(found.vector.mxcsr)) }
  }

  /// The x87 counts as a whole where the vector has any of it, its pointers where its final state has
  /// them: some processors keep them only while an exception is pending.
  private mutating func compareX87() {
    let x87 = found.vector.x87
    if final[.opcode] != nil { compare(.opcode, UInt64(x87.opcode)) }
    if final[.instruction] != nil { compare(.instruction, x87.instructionPointer) }
    if final[.operand] != nil { compare(.operand, x87.dataPointer) }
    guard initial.hasX87 || final.hasX87 else { return }
    compare(.control, UInt64(x87.control), otherwise: UInt64(X87State().control))
    compare(.tags, UInt64(x87.tags))
    let status = UInt64(x87.statusWord)
    let difference = status ^ expected(.status)
    if difference & ~UInt64(X87Status.c1) != 0 || difference != 0 && !isApproximate { compare(.status, status) }
    for number in 0..<8 {
      let wanted = final[real: number] ?? initial[real: number] ?? ExtendedReal()
      let value = x87.registers[number]
      if value != wanted, !(isApproximate && ApproximateResults.agree(value, wanted)) {
        differences.append(VectorDifference(real: number, wanted, value))
      }
    }
  }

  private func isNear(_ a: Vector128, _ b: Vector128) -> Bool {
    ApproximateResults.tolerance(mnemonic()) == .reciprocal && ApproximateResults.agree(a, b)
  }

  /// Whether the x87's registers are results that may be a unit off.
  private var isApproximate: Bool { ApproximateResults.tolerance(mnemonic()) == .unitInLastPlace }
}
