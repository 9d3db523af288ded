/// What the dispatch loop does with operands: the result returned, the flags left to be computed when asked for.
extension UnsafeMutablePointer<ProcessorState> {
  @inline(__always) private func setFlags(_ kind: UInt8, _ a: UInt64, _ b: UInt64) {
    pointee.flags.kind = kind
    pointee.flags.a = a
    pointee.flags.b = b
  }

  @inline(__always) var signedA: Int64 { Int64(bitPattern: pointee.flags.a) }
  @inline(__always) var signedB: Int64 { Int64(bitPattern: pointee.flags.b) }

  @inline(__always) func holds(_ condition: UInt8) -> Bool {
    pointee.flags.holds(unsafeBitCast(condition & 15, to: Condition.self))
  }

  /// Adds a finished block to the account.
  @inline(__always) func finish(_ block: UnsafeMutablePointer<Block>) {
    pointee.executed &+= block.pointee.cycles
    pointee.retired &+= block.pointee.instructions
    pointee.accesses &+= block.pointee.accesses
  }

  @inline(__always) func add<T: OperandWidth>(_ a: T, _ b: T) -> T {
    setFlags(LazyFlags.Operation.add | T.scale, a.extended, b.extended)
    return a &+ b
  }

  @inline(__always) func subtract<T: OperandWidth>(_ a: T, _ b: T) -> T {
    setFlags(LazyFlags.Operation.subtract | T.scale, a.extended, b.extended)
    return a &- b
  }

  @inline(__always) func addCarry<T: OperandWidth>(_ a: T, _ b: T) -> T {
    let carry: T = pointee.flags.carry ? 1 : 0
    setFlags(
      (carry != 0 ? LazyFlags.Operation.addCarry : LazyFlags.Operation.add) | T.scale, a.extended, b.extended)
    return a &+ b &+ carry
  }

  @inline(__always) func subtractBorrow<T: OperandWidth>(_ a: T, _ b: T) -> T {
    let borrow: T = pointee.flags.carry ? 1 : 0
    setFlags(
      (borrow != 0 ? LazyFlags.Operation.subtractBorrow : LazyFlags.Operation.subtract) | T.scale, a.extended,
      b.extended)
    return a &- b &- borrow
  }

  @inline(__always) private func logic<T: OperandWidth>(_ result: T) -> T {
    setFlags(LazyFlags.Operation.logic | T.scale, result.extended, 0)
    return result
  }

  @inline(__always) func and<T: OperandWidth>(_ a: T, _ b: T) -> T { logic(a & b) }
  @inline(__always) func or<T: OperandWidth>(_ a: T, _ b: T) -> T { logic(a | b) }
  @inline(__always) func xor<T: OperandWidth>(_ a: T, _ b: T) -> T { logic(a ^ b) }

  @inline(__always) func increment<T: OperandWidth>(_ a: T) -> T {
    let result = a &+ 1
    setFlags(LazyFlags.Operation.increment | T.scale, result.extended, pointee.flags.carry ? 1 : 0)
    return result
  }

  @inline(__always) func decrement<T: OperandWidth>(_ a: T) -> T {
    let result = a &- 1
    setFlags(LazyFlags.Operation.decrement | T.scale, result.extended, pointee.flags.carry ? 1 : 0)
    return result
  }

  /// The count is not 0 and less than the width.
  @inline(__always) func shiftLeft<T: OperandWidth>(_ a: T, _ count: UInt64) -> T {
    setFlags(LazyFlags.Operation.shiftLeft | T.scale, a.extended, count)
    return a &<< T(truncatingIfNeeded: count)
  }

  @inline(__always) func shiftRight<T: OperandWidth>(_ a: T, _ count: UInt64) -> T {
    setFlags(LazyFlags.Operation.shiftRight | T.scale, a.extended, count)
    return a &>> T(truncatingIfNeeded: count)
  }

  @inline(__always) func shiftArithmetic<T: OperandWidth>(_ a: T, _ count: UInt64) -> T {
    setFlags(LazyFlags.Operation.shiftArithmetic | T.scale, a.extended, count)
    return T(truncatingIfNeeded: Int64(bitPattern: a.extended) &>> Int64(bitPattern: count))
  }

  /// The count is not 0. Only CF and OF change; OF by the rule for a count of 1, as silicon does it for all.
  @inline(__always) func rotateLeft<T: OperandWidth>(_ a: T, _ count: UInt64) -> T {
    let n = T(truncatingIfNeeded: count)
    let result = a &<< n | a &>> (T(truncatingIfNeeded: T.bitWidth) &- n)
    let carry = result & 1 != 0
    let top = result >> T(truncatingIfNeeded: T.bitWidth - 1) != 0
    setCarryOverflow(carry, carry != top)
    return result
  }

  @inline(__always) func rotateRight<T: OperandWidth>(_ a: T, _ count: UInt64) -> T {
    let n = T(truncatingIfNeeded: count)
    let result = a &>> n | a &<< (T(truncatingIfNeeded: T.bitWidth) &- n)
    let top = result >> T(truncatingIfNeeded: T.bitWidth - 1) != 0
    let next = (result >> T(truncatingIfNeeded: T.bitWidth - 2)) & 1 != 0
    setCarryOverflow(top, top != next)
    return result
  }

  /// A value rotated left, flags untouched.
  @inline(__always) func rotated<T: OperandWidth>(_ a: T, left count: UInt64) -> T {
    let n = T(truncatingIfNeeded: count)
    return a &<< n | a &>> (T(truncatingIfNeeded: T.bitWidth) &- n)
  }

  @inline(__always) private func setCarryOverflow(_ carry: Bool, _ overflow: Bool) {
    let others = pointee.flags.bits & ~(Flag.carry | Flag.overflow)
    setFlags(LazyFlags.Operation.eager, others | (carry ? Flag.carry : 0) | (overflow ? Flag.overflow : 0), 0)
  }

  /// The truncated product of signed operands.
  @inline(__always) func multiply<T: OperandWidth>(_ a: T, _ b: T) -> T {
    setFlags(LazyFlags.Operation.multiply | T.scale, a.extended, b.extended)
    return a &* b
  }

  /// BT: CF is the bit; the other flags stay.
  @inline(__always) func bitTest<T: OperandWidth>(_ a: T, _ number: UInt64) {
    let bit = a &>> T(truncatingIfNeeded: number) & 1 != 0
    let others = pointee.flags.bits & ~Flag.carry
    setFlags(LazyFlags.Operation.eager, others | (bit ? Flag.carry : 0), 0)
  }
}
