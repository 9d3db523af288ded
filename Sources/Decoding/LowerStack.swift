import CCapstone
import Machine

extension Lowering {
  mutating func push() -> Outcome {
    let width = encoding.stackOperandSize
    if let segment = segmentOperand { return callout(.push, width: width, extra: 1 + segment) }
    guard let operands = gather() else { return .unsupported }
    if width == 8 {
      switch operands.shape {
      case .r: return finish(.push64, operands)
      case .i: return finish(.pushI64, operands)
      case .m: return finish(.pushM64, operands)
      default: break
      }
    }
    return callout(.push, operands, width: width)
  }

  mutating func pop() -> Outcome {
    let width = encoding.stackOperandSize
    if let segment = segmentOperand {
      return callout(.pop, terminal: true, width: width, extra: 1 + segment, cost: .loadSegment)
    }
    // POP forms the address of its operand after it has moved the stack pointer (SDM vol. 2, POP).
    let target = operand(0)
    let isStackRelative = target.kind == DecodedOperandMemory && slot(target.base) == Slot.rsp
    guard let operands = gather(displacementBias: isStackRelative ? Int64(width) : 0) else { return .unsupported }
    if width == 8 && operands.shape == .r { return finish(.pop64, operands) }
    return callout(.pop, operands, width: width)
  }

  /// The number of the segment register that is the first operand.
  private var segmentOperand: UInt16? {
    let first = operand(0)
    guard first.kind == DecodedOperandRegister, first.base.kind == DecodedRegisterSegment else { return nil }
    return UInt16(first.base.number)
  }

  mutating func pushFlags() -> Outcome {
    callout(.pushFlags, width: encoding.stackOperandSize, cost: .flagsImage)
  }

  /// POPF may change IF and TF.
  mutating func popFlags() -> Outcome {
    callout(.popFlags, terminal: true, width: encoding.stackOperandSize, cost: .flagsImage)
  }

  /// PUSHA and POPA.
  mutating func pushOrPopAll(_ callout: Callout) -> Outcome {
    is64 ? .invalid : self.callout(callout, width: encoding.operandSize, cost: .microcoded)
  }

  mutating func enter() -> Outcome {
    let frame = Int64(bytes[encoding.immediateOffset]) | Int64(bytes[encoding.immediateOffset + 1]) << 8
    // The nesting level is taken modulo 32 (SDM vol. 2, ENTER).
    let nesting = UInt16(bytes[encoding.immediateOffset + 2] & 0x1f)
    return callout(
      .enter, Operands(shape: .i), width: encoding.stackOperandSize, imm: frame, extra: nesting, cost: .microcoded)
  }

  mutating func leave() -> Outcome {
    let width = encoding.stackOperandSize
    return width == 8 ? finish(Operation(.leave64)) : callout(.leave, width: width)
  }
}
