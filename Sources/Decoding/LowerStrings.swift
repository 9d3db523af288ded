import CCapstone
import Machine

extension Lowering {
  /// MOVS, STOS, LODS, SCAS, CMPS.
  mutating func string(_ callout: Callout) -> Outcome {
    let compares = callout == .scas || callout == .cmps
    let hasSource = callout == .movs || callout == .lods || callout == .cmps
    return string(
      callout, width: encoding.sizeByLowBit, compares: compares, hasSource: hasSource,
      // A repetition can be broken off at a deadline, which has to know the clock.
      terminal: encoding.repeatPrefix != 0)
  }

  /// INS and OUTS, whose elements have at most 32 bits.
  mutating func portString(_ callout: Callout) -> Outcome {
    string(
      callout, width: min(encoding.sizeByLowBit, 4), compares: false, hasSource: callout == .outs, terminal: true)
  }

  private mutating func string(
    _ callout: Callout, width: Int, compares: Bool, hasSource: Bool, terminal: Bool
  ) -> Outcome {
    let repetition: Repetition
    switch encoding.repeatPrefix {
    case 0xf3: repetition = .whileEqual
    // F2 is REP for the instructions that compare nothing.
    case 0xf2: repetition = compares ? .whileNotEqual : .whileEqual
    default: repetition = .once
    }
    let operands = Operands(memory: MemoryOperand(segment: hasSource ? impliedSegment : nil))
    return self.callout(
      callout, terminal: terminal, operands, width: width, extra: repetition.rawValue,
      cost: repetition == .once ? .stringElement : .stringSetup)
  }
}
