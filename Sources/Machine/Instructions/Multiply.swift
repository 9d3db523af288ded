/// Multiplication and division (SDM vol. 2: MUL, IMUL, DIV, IDIV).
extension Processor {
  private static let carryAndOverflow = Flag.carry | Flag.overflow

  /// CF and OF tell whether the upper half is needed. SF, ZF, AF and PF are undefined; AMD's processors leave them.
  private func setMultiplyFlags(_ isWide: Bool) {
    setFlags(isWide ? Processor.carryAndOverflow : 0, of: Processor.carryAndOverflow)
  }

  func mul(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let product = register(Slot.rax, width: width).multipliedFullWidth(by: try operand(op, form))
    if width == 8 {
      setAccumulator(low: product.low, high: product.high, width: width)
      setMultiplyFlags(product.high != 0)
    } else {
      let high = product.low &>> (8 &* UInt64(truncatingIfNeeded: width))
      setAccumulator(low: product.low, high: high, width: width)
      setMultiplyFlags(high != 0)
    }
  }

  /// IMUL with one operand.
  func imulWide(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let a = Int64(bitPattern: register(Slot.rax, width: width).signExtended(from: width))
    let b = Int64(bitPattern: try operand(op, form).signExtended(from: width))
    let product = a.multipliedFullWidth(by: b)
    let low = product.low
    let high = width == 8 ? UInt64(bitPattern: product.high) : low &>> (8 &* UInt64(truncatingIfNeeded: width))
    setAccumulator(low: low, high: high, width: width)
    let sign: UInt64 = low.sign(width) ? .max : 0
    setMultiplyFlags((high ^ sign).truncated(to: width) != 0)
  }

  /// IMUL with two and three operands.
  func imul(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let hasImmediate = form.shape == .rri || form.shape == .rmi
    let source = Int64(bitPattern: try sourceOperand(op, form).signExtended(from: width))
    let other =
      hasImmediate
      ? op.pointee.imm : Int64(bitPattern: register(op.pointee.dst, width: width).signExtended(from: width))
    let (product, overflow) = source.multipliedReportingOverflow(by: other)
    let bits = UInt64(bitPattern: product)
    setRegister(op.pointee.dst, width: width, bits)
    setMultiplyFlags(overflow || bits != bits.signExtended(from: width))
  }

  /// DIV. The six flags are undefined: they stay.
  func div(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let divisor = try operand(op, form)
    let (high, low) = accumulator(width)
    // A quotient that does not fit, or a division by zero, is exactly an upper half that is not below the divisor.
    guard high < divisor else { throw raise(.divide) }
    if width == 8 {
      let (quotient, remainder) = divisor.dividingFullWidth((high, low))
      setAccumulator(low: quotient, high: remainder, width: width)
    } else {
      let dividend = high &<< (8 &* UInt64(truncatingIfNeeded: width)) | low
      setAccumulator(low: dividend / divisor, high: dividend % divisor, width: width)
    }
  }

  /// IDIV, by magnitudes: the quotient is rounded to zero and the remainder has the dividend's sign.
  func idiv(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let divisor = try operand(op, form).signExtended(from: width)
    var (high, low) = accumulator(width)
    if width < 8 {
      low = (high &<< (8 &* UInt64(truncatingIfNeeded: width)) | low).signExtended(from: 2 &* width)
      high = low.sign(8) ? .max : 0
    }
    let isNegative = high.sign(8)
    let isOpposite = isNegative != divisor.sign(8)
    if isNegative {
      high = ~high &+ (low == 0 ? 1 : 0)
      low = 0 &- low
    }
    let magnitude = divisor.sign(8) ? 0 &- divisor : divisor
    guard high < magnitude else { throw raise(.divide) }
    let (quotient, remainder) = magnitude.dividingFullWidth((high, low))
    let limit: UInt64 = 1 &<< (8 &* UInt64(truncatingIfNeeded: width) &- 1)
    guard quotient < limit || (isOpposite && quotient == limit) else { throw raise(.divide) }
    setAccumulator(
      low: isOpposite ? 0 &- quotient : quotient, high: isNegative ? 0 &- remainder : remainder, width: width)
  }

  /// AH:AL, DX:AX, EDX:EAX or RDX:RAX.
  private func accumulator(_ width: Int) -> (high: UInt64, low: UInt64) {
    let high = register(width == 1 ? Slot.highByte | Slot.rax : Slot.rdx, width: width)
    return (high, register(Slot.rax, width: width))
  }

  private func setAccumulator(low: UInt64, high: UInt64, width: Int) {
    setRegister(Slot.rax, width: width, low)
    setRegister(width == 1 ? Slot.highByte | Slot.rax : Slot.rdx, width: width, high)
  }
}
