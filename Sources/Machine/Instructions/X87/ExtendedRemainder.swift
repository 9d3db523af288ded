/// Operations on the parts of a number, and remainders (SDM vol. 2: FSCALE, FXTRACT, FPREM, FPREM1). All are exact, but
/// where a result is too large or too small.
extension ExtendedUnit {
  /// FSCALE: `a * 2^b`, b truncated to an integer.
  mutating func scaled(_ a: ExtendedReal, by b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    if b.isInfinite {
      if b.isNegative ? a.isInfinite : a.isZero { return invalid() }
      _ = admitsDenormals(a)
      if a.isInfinite || a.isZero { return a }
      return b.isNegative ? .zero(isNegative: a.isNegative) : .infinity(isNegative: a.isNegative)
    }
    guard admitsDenormals(a, b) else { return a }
    if a.isInfinite || a.isZero { return a }
    var number = WideReal(a)
    if !b.isZero {
      let scale = WideReal(b)
      // Beyond 2^16 any result is out of bounds.
      let steps =
        scale.exponent < 0
        ? 0 : scale.exponent > 16 ? 1 << 17 : Int(scale.significand >> UInt128(127 &- scale.exponent))
      number.exponent &+= b.isNegative ? 0 &- steps : steps
    }
    return register(number)
  }

  /// FXTRACT: the exponent, and the significand in 1 ..< 2.
  mutating func parts(_ a: ExtendedReal) -> (exponent: ExtendedReal, significand: ExtendedReal) {
    if let nan = propagated(a) { return (nan, nan) }
    if a.isInfinite { return (.infinity(), a) }
    if a.isZero {
      raised |= X87Status.zeroDivide
      return (.infinity(isNegative: true), a)
    }
    guard admitsDenormals(a) else { return (a, a) }
    let number = WideReal(a)
    return (
      Self.extended(Int64(number.exponent)),
      ExtendedReal(
        significand: UInt64(truncatingIfNeeded: number.significand >> 64), head: ExtendedReal.one.head
      )
      .with(isNegative: a.isNegative)
    )
  }

  /// FPREM, or FPREM1 whose quotient is rounded to the nearest. C2 says that the remainder is not done yet; then the
  /// other conditions are clear, else they are the low bits of the quotient. Without a quotient there are none (nil).
  mutating func remainder(
    _ a: ExtendedReal, _ b: ExtendedReal, isNearest: Bool
  ) -> (value: ExtendedReal, conditions: UInt16?) {
    if let nan = propagated(a, b) { return (nan, nil) }
    if a.isInfinite || b.isZero { return (invalid(), nil) }
    guard admitsDenormals(a, b) else { return (a, nil) }
    if a.isZero { return (a, 0) }
    let dividend = WideReal(a)
    if b.isInfinite { return (register(dividend), 0) }
    let divisor = WideReal(b)
    let distance = dividend.exponent &- divisor.exponent
    // Far below half the divisor.
    if distance < (isNearest ? -1 : 0) { return (register(dividend), 0) }
    let x = dividend.significand >> 64
    let y = divisor.significand >> 64
    if distance >= 64 {
      // The manual leaves open how far one step goes: by 32 to 63 bits.
      let step = 32 &+ distance & 31
      let rest = (x &<< UInt128(step)) % y
      guard rest != 0 else { return (.zero(isNegative: a.isNegative), X87Status.c2) }
      let value = WideReal(
        isNegative: a.isNegative, exponent: divisor.exponent &+ distance &- step, unnormalized: rest << 64)
      return (register(value), X87Status.c2)
    }
    var (quotient, rest) = distance < 0 ? (0, x) : (x &<< UInt128(distance)).quotientAndRemainder(dividingBy: y)
    // The remainder in units of the divisor's last place; half of that where the dividend is the smaller.
    let unit = distance < 0 ? y &* 2 : y
    var isNegative = a.isNegative
    if isNearest && (rest &* 2 > unit || rest &* 2 == unit && quotient & 1 != 0) {
      quotient &+= 1
      rest = unit &- rest
      isNegative.toggle()
    }
    let low = UInt16(truncatingIfNeeded: quotient)
    let conditions =
      (low & 1 != 0 ? X87Status.c1 : 0) | (low & 2 != 0 ? X87Status.c3 : 0) | (low & 4 != 0 ? X87Status.c0 : 0)
    guard rest != 0 else { return (.zero(isNegative: a.isNegative), conditions) }
    let exponent = divisor.exponent &+ min(distance, 0)
    return (
      register(WideReal(isNegative: isNegative, exponent: exponent, unnormalized: rest << 64)), conditions
    )
  }
}
