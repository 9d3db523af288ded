/// Sums, products, quotients, roots, comparisons (SDM vol. 2: FADD, FMUL, FDIV, FSQRT, FCOM).
extension ExtendedUnit {
  mutating func sum(_ a: ExtendedReal, _ b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    if a.isInfinite || b.isInfinite {
      if a.isInfinite && b.isInfinite && a.isNegative != b.isNegative { return invalid() }
      _ = admitsDenormals(a, b)
      return a.isInfinite ? a : b
    }
    guard admitsDenormals(a, b) else { return a }
    if a.isZero && b.isZero { return a.isNegative == b.isNegative ? a : differenceOfEquals }
    if a.isZero { return register(WideReal(b), range) }
    if b.isZero { return register(WideReal(a), range) }
    guard let sum = WideReal.sum(WideReal(a), WideReal(b)) else { return differenceOfEquals }
    return register(sum, range)
  }

  mutating func difference(_ a: ExtendedReal, _ b: ExtendedReal) -> ExtendedReal {
    // The sign of a NaN is not touched.
    if let nan = propagated(a, b) { return nan }
    return sum(a, b.with(isNegative: !b.isNegative))
  }

  mutating func product(_ a: ExtendedReal, _ b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    let isNegative = a.isNegative != b.isNegative
    if a.isInfinite || b.isInfinite {
      if a.isZero || b.isZero { return invalid() }
      _ = admitsDenormals(a, b)
      return .infinity(isNegative: isNegative)
    }
    guard admitsDenormals(a, b) else { return a }
    if a.isZero || b.isZero { return .zero(isNegative: isNegative) }
    return register(WideReal.product(a, b), range)
  }

  mutating func quotient(_ a: ExtendedReal, _ b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    let isNegative = a.isNegative != b.isNegative
    if a.isInfinite {
      if b.isInfinite { return invalid() }
      _ = admitsDenormals(b)
      return .infinity(isNegative: isNegative)
    }
    if b.isZero {
      if a.isZero { return invalid() }
      raised |= X87Status.zeroDivide
      return .infinity(isNegative: isNegative)
    }
    guard admitsDenormals(a, b) else { return a }
    if b.isInfinite || a.isZero { return .zero(isNegative: isNegative) }
    return register(WideReal.quotient(a, b), range)
  }

  mutating func squareRoot(_ a: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a) { return nan }
    if a.isZero { return a }
    if a.isNegative { return invalid() }
    if a.isInfinite { return a }
    guard admitsDenormals(a) else { return a }
    return register(WideReal.squareRoot(a), range)
  }

  /// How two numbers compare, as C3, C2 and C0 (SDM vol. 2, FCOM). Of quiet NaNs only the ordered comparison makes an
  /// invalid operation.
  mutating func comparison(_ a: ExtendedReal, _ b: ExtendedReal, isOrdered: Bool) -> UInt16 {
    if a.isUnsupported || b.isUnsupported || a.isNaN || b.isNaN {
      if isOrdered || a.isUnsupported || b.isUnsupported || a.isSignalling || b.isSignalling {
        raised |= X87Status.invalid
      }
      return X87Status.c3 | X87Status.c2 | X87Status.c0
    }
    _ = admitsDenormals(a, b)
    if a.isZero && b.isZero { return X87Status.c3 }
    let isLess: Bool
    if a.isNegative != b.isNegative {
      isLess = a.isNegative
    } else {
      // A pseudo-denormal has the exponent of the least normal number.
      let x = (max(a.exponent, 1), a.significand)
      let y = (max(b.exponent, 1), b.significand)
      if x == y { return X87Status.c3 }
      isLess = (x < y) != a.isNegative
    }
    return isLess ? X87Status.c0 : 0
  }
}
