import CCapstone
import Machine

/// The handlers of a shift or rotation by an immediate and by CL; nil where only the callout has it.
struct ShiftHandlers {
  var immediate32: Handler
  var immediate64: Handler
  var count32: Handler?
  var count64: Handler?

  static let shl = ShiftHandlers(
    immediate32: .shlRI32, immediate64: .shlRI64, count32: .shlRC32, count64: .shlRC64)
  static let shr = ShiftHandlers(
    immediate32: .shrRI32, immediate64: .shrRI64, count32: .shrRC32, count64: .shrRC64)
  static let sar = ShiftHandlers(
    immediate32: .sarRI32, immediate64: .sarRI64, count32: .sarRC32, count64: .sarRC64)
  static let rol = ShiftHandlers(immediate32: .rolRI32, immediate64: .rolRI64)
  static let ror = ShiftHandlers(immediate32: .rorRI32, immediate64: .rorRI64)
}

extension Lowering {
  /// Shifts and rotations: by an immediate (C0, C1), by 1 (D0, D1) or by CL (D2, D3).
  mutating func shift(_ callout: Callout, _ handlers: ShiftHandlers?) -> Outcome {
    guard var operands = gather(limit: 1) else { return .unsupported }
    let width = encoding.sizeByLowBit
    let isRegister = encoding.isRegisterForm
    if encoding.opcode & 0xfe == 0xd2 {
      if isRegister && width > 2, let handlers, let hot = width == 8 ? handlers.count64 : handlers.count32 {
        return finish(hot, operands)
      }
      operands.shape = isRegister ? .r : .m
      return self.callout(callout, operands, width: width, countInCL: true)
    }
    let count = maskedCount(encoding.immediateSize > 0 ? immediate : 1, width: width)
    operands.imm = count
    operands.shape = isRegister ? .ri : .mi
    if isRegister && count == 0 { return unshifted(operands, width: width) }
    if isRegister && width > 2, let handlers {
      return finish(width == 8 ? handlers.immediate64 : handlers.immediate32, operands)
    }
    return self.callout(callout, operands, width: width)
  }

  /// SHLD and SHRD.
  mutating func doubleShift(_ callout: Callout) -> Outcome {
    guard var operands = gather(limit: 2) else { return .unsupported }
    let width = encoding.operandSize
    if encoding.opcode & 1 != 0 { return self.callout(callout, operands, width: width, countInCL: true) }
    let count = maskedCount(operands.imm, width: width)
    operands.imm = count
    if encoding.isRegisterForm && count == 0 { return unshifted(operands, width: width) }
    return self.callout(callout, operands, width: width)
  }

  /// The processor masks counts to 5 bits, 6 for 64-bit operands (SDM vol. 2, SAL/SAR/SHL/SHR).
  private func maskedCount(_ count: Int64, width: Int) -> Int64 {
    count & (width == 8 ? 0x3f : 0x1f)
  }

  /// A shift by 0 changes no flag and no bit, but a 32-bit register is still written and loses its upper half.
  private mutating func unshifted(_ operands: Operands, width: Int) -> Outcome {
    if width == 4 { return finish(Operation(.movRR32, dst: operands.dst, src: operands.dst)) }
    return finish(Operation(.nop))
  }
}
