import CCapstone
import Machine

extension Lowering {
  /// The target of a relative branch: an offset in CS, truncated to the operand size (SDM vol. 1, 6.3.2).
  private var target: Int64 {
    let target = next &+ UInt64(bitPattern: immediate)
    switch encoding.branchOperandSize {
    case 2: return Int64(target & 0xffff)
    case 4: return Int64(target & 0xffff_ffff)
    default: return Int64(bitPattern: target)
    }
  }

  /// Whether the target has 48 bits, so that it is canonical with paging of four levels and of five. The others have to
  /// be looked at when the branch is taken, which then faults (SDM vol. 2, JMP, Jcc, CALL). The limit of other code's
  /// segment is looked at on the way to the target (`follow`).
  private var isSurelyCanonical: Bool { !is64 || (target << 16) >> 16 == target }

  mutating func conditionalJump() -> Outcome {
    guard isSurelyCanonical else { return checkedJump(condition: encoding.condition) }
    return finish(Operation(.jcc, imm: target, n: encoding.condition))
  }

  /// E9 and EB.
  mutating func relativeJump() -> Outcome {
    guard isSurelyCanonical else { return checkedJump(condition: nil) }
    return finish(Operation(.jump, imm: target))
  }

  private mutating func checkedJump(condition: UInt8?) -> Outcome {
    callout(
      .jumpRelative, terminal: true, Operands(shape: .i), width: encoding.branchOperandSize, imm: target,
      extra: condition.map { UInt16($0) + 1 } ?? 0)
  }

  /// E8.
  mutating func relativeCall() -> Outcome {
    let width = encoding.branchOperandSize
    if width == 8 && isSurelyCanonical { return finish(Operation(.call64, imm: target)) }
    return callout(.callRelative, terminal: true, Operands(shape: .i), width: width, imm: target)
  }

  /// LOOP, LOOPE, LOOPNE, JrCXZ. On AMD's processors a prefix F2 or F3 says which of LOOPNE and LOOPE it is, whatever
  /// the opcode; the manuals do not.
  mutating func countedJump(_ callout: Callout) -> Outcome {
    var callout = callout
    if encoding.vendor == .amd && encoding.repeatPrefix != 0 && (callout == .loope || callout == .loopne) {
      callout = encoding.repeatPrefix == 0xf3 ? .loope : .loopne
    }
    return self.callout(
      callout, terminal: true, Operands(shape: .i), width: encoding.branchOperandSize, imm: target)
  }

  mutating func jump() -> Outcome {
    switch encoding.opcode {
    case 0xe9, 0xeb: return relativeJump()
    case 0xea: return farPointer(.jumpFar)
    default: break
    }
    if encoding.reg == 5 { return farIndirect(.jumpFar) }
    guard let operands = gather() else { return .unsupported }
    let width = encoding.branchOperandSize
    if width == 8 { return finish(operands.shape == .r ? .jumpR64 : .jumpM64, operands) }
    return callout(.jumpIndirect, terminal: true, operands, width: width)
  }

  mutating func call() -> Outcome {
    switch encoding.opcode {
    case 0xe8: return relativeCall()
    case 0x9a: return farPointer(.callFar)
    default: break
    }
    if encoding.reg == 3 { return farIndirect(.callFar) }
    guard let operands = gather() else { return .unsupported }
    let width = encoding.branchOperandSize
    if width == 8 { return finish(operands.shape == .r ? .callR64 : .callM64, operands) }
    return callout(.callIndirect, terminal: true, operands, width: width)
  }

  /// JMP and CALL ptr16:16, ptr16:32: offset, then selector.
  mutating func farPointer(_ callout: Callout) -> Outcome {
    if is64 { return .invalid }
    let width = encoding.operandSize
    let at = encoding.immediateOffset
    let offset = InstructionEncoding.signExtended(bytes + at, size: width)
    let selector = UInt16(bytes[at + width]) | UInt16(bytes[at + width + 1]) << 8
    return self.callout(
      callout, terminal: true, Operands(shape: .i), width: width,
      imm: offset & (width == 2 ? 0xffff : 0xffff_ffff), extra: selector, cost: .farTransfer)
  }

  /// JMP and CALL m16:16, m16:32, m16:64. AMD has no m16:64: it ignores REX.W (AMD64 manual vol. 3, CALL (Far)).
  mutating func farIndirect(_ callout: Callout) -> Outcome {
    if encoding.isRegisterForm { return .invalid }
    guard let operands = gather() else { return .unsupported }
    var width = encoding.operandSize
    if width == 8 && encoding.vendor == .amd { width = encoding.hasOperandSizePrefix ? 2 : 4 }
    return self.callout(callout, terminal: true, operands, width: width, cost: .farTransfer)
  }

  mutating func nearReturn() -> Outcome {
    let width = encoding.branchOperandSize
    if encoding.immediateSize > 0 {
      return callout(.ret, terminal: true, Operands(shape: .i), width: width, imm: unsignedImmediate)
    }
    return width == 8 ? finish(Operation(.ret64)) : callout(.ret, terminal: true, width: width)
  }

  mutating func farReturn() -> Outcome {
    let shape: OperandShape = encoding.immediateSize > 0 ? .i : .none
    return callout(
      .retFar, terminal: true, Operands(shape: shape), width: encoding.operandSize, imm: unsignedImmediate,
      cost: .farTransfer)
  }

  mutating func interruptReturn() -> Outcome {
    callout(.interruptReturn, terminal: true, width: encoding.operandSize, cost: .interruptReturn)
  }

  /// INT n.
  mutating func interrupt() -> Outcome {
    callout(.interrupt, terminal: true, Operands(shape: .i), width: 1, imm: unsignedImmediate, cost: .microcoded)
  }

  /// An instruction without operands.
  mutating func plain(
    _ callout: Callout, terminal: Bool = false, width: Int = 1, extra: UInt16 = 0, cost: CostClass = .simple
  ) -> Outcome {
    self.callout(callout, terminal: terminal, width: width, extra: extra, cost: cost)
  }

  /// IN and OUT: the port in the immediate or in DX.
  mutating func port(_ callout: Callout) -> Outcome {
    let hasImmediate = encoding.immediateSize > 0
    return self.callout(
      callout, terminal: true, Operands(shape: hasImmediate ? .i : .none), width: min(encoding.sizeByLowBit, 4),
      imm: hasImmediate ? unsignedImmediate : 0, cost: .microcoded)
  }
}
