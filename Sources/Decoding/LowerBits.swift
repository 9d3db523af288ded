import CCapstone
import Machine

extension Lowering {
  /// BT, BTS, BTR, BTC.
  mutating func bitTest(_ callout: Callout) -> Outcome {
    guard var operands = gather(memoryFirst: true) else { return .unsupported }
    let width = encoding.operandSize
    // The bit number of the immediate forms is taken modulo the operand's size (SDM vol. 2, BT).
    if encoding.immediateSize > 0 { operands.imm &= Int64(8 * width - 1) }
    if callout == .bt && width > 2 {
      if operands.shape == .ri { return finish(width == 8 ? .btRI64 : .btRI32, operands) }
      if operands.shape == .rr { return finish(width == 8 ? .btRR64 : .btRR32, operands) }
    }
    return self.callout(callout, operands, width: width, locked: encoding.hasLock)
  }

  /// BSF, BSR, TZCNT, LZCNT, POPCNT.
  mutating func bitScan(_ callout: Callout) -> Outcome {
    guard let operands = gather() else { return .unsupported }
    return self.callout(callout, operands, width: encoding.operandSize)
  }
}
