/// What the callout `x87` does. Operations are named for what they do and not for the mnemonic: FADD, FADDP and FIADD
/// are one.
@frozen public enum X87Operation: UInt8, Sendable {
  // Two operands: the destination, ST(0) or ST(i), and ST(i), ST(0) or memory.
  case add, multiply, subtract, divide
  /// FCOM, FUCOM, FTST; FCOMI, FUCOMI.
  case compare, compareUnordered, compareFlags, compareFlagsUnordered, test
  // To the stack and from it; real or integer memory by form.
  case load, loadDecimal, loadConstant, store, storeTruncated, storeDecimal
  case exchange, moveConditionally
  // ST(0), and ST(1) where a second operand is needed.
  case changeSign, absolute, examine, squareRoot, integral, scale, extract, remainder, remainderNearest
  /// F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS.
  case exponential, logarithm, logarithmOfSum, tangent, arctangent, sine, cosine, sineAndCosine
  // The stack's pointer and tags.
  case incrementTop, decrementTop, free
  /// FNOP.
  case nothing
  // Control: these leave the pointers to the last instruction as they are. From here on to `storeStatus` nothing waits
  // for a pending exception.
  case initialize, clearExceptions, storeControl, storeEnvironment, save, storeStatus
  /// FENI, FDISI and FSETPM, which only earlier coprocessors obeyed.
  case nothingUnwaited
  case loadControl, loadEnvironment, restore
  case wait
}

/// `OperandForm.extra` of the callout `x87`. `Operation.src` is the ModRM byte, `Operation.imm` the instruction's
/// offset in CS.
@frozen public struct X87Form: Sendable {
  public var rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - opcode: the first byte; its low three bits count.
  ///   - pops: how many registers are popped at the end.
  ///   - reversed: the destination is subtracted or divides, and not the source; FCMOVcc moves if the condition is not
  ///     met; FSTP takes an empty register as it is.
  ///   - toRegister: the destination is ST(i) and not ST(0).
  ///   - integer: the memory operand is one.
  @inlinable public init(
    _ operation: X87Operation, opcode: UInt8, pops: UInt16 = 0, reversed: Bool = false, toRegister: Bool = false,
    integer: Bool = false
  ) {
    rawValue =
      UInt16(operation.rawValue) | UInt16(opcode & 7) << 8 | pops << 11 | (reversed ? 1 << 13 : 0)
      | (toRegister ? 1 << 14 : 0) | (integer ? 1 << 15 : 0)
  }

  @inlinable public var operation: X87Operation {
    X87Operation(rawValue: UInt8(truncatingIfNeeded: rawValue)) ?? .nothing
  }
  @inlinable public var pops: Int { Int(rawValue >> 11 & 3) }
  @inlinable public var isReversed: Bool { rawValue & 1 << 13 != 0 }
  @inlinable public var isToRegister: Bool { rawValue & 1 << 14 != 0 }
  @inlinable public var isInteger: Bool { rawValue & 1 << 15 != 0 }

  /// The eleven bits of opcode that the x87 keeps of an instruction (SDM vol. 1, 8.1.9).
  @inlinable public func opcode(modRM: UInt8) -> UInt16 { rawValue & 0x700 | UInt16(modRM) }
}
