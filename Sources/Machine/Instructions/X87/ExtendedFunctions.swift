/// The transcendental instructions with their special operands (SDM vol. 2: F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN).
extension ExtendedUnit {
  /// A result that counts as inexact even where it happens not to be, as on silicon.
  private mutating func inexact(_ number: WideReal) -> ExtendedReal {
    let result = register(number)
    raised |= X87Status.precision | (result.isDenormal ? X87Status.underflow : 0)
    return result
  }

  /// F2XM1: `2^a - 1`. Beyond -1...1, where the manual leaves the result open, it is the operand.
  mutating func exponential(_ a: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a) { return nan }
    if a.isInfinite { return a.isNegative ? ExtendedReal.one.with(isNegative: true) : a }
    if a.isZero { return a }
    guard admitsDenormals(a) else { return a }
    if a == .one { return inexact(.one) }
    if a == ExtendedReal.one.with(isNegative: true) { return inexact(WideReal.one.negated.scaled(by: -1)) }
    if a.exponent >= ExtendedReal.bias {
      raised |= X87Status.precision
      return a
    }
    return inexact(WideReal(a).powerLessOne)
  }

  /// FYL2X: `b * log2 a`.
  mutating func logarithm(_ a: ExtendedReal, times b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    if a.isNegative && !a.isZero { return invalid() }
    if a.isZero {
      if b.isZero { return invalid() }
      if !b.isInfinite { raised |= X87Status.zeroDivide }
      return .infinity(isNegative: !b.isNegative)
    }
    let isBelowOne = a.exponent < ExtendedReal.bias
    if a.isInfinite || b.isInfinite {
      if a.isInfinite ? b.isZero : a == .one { return invalid() }
      guard admitsDenormals(a, b) else { return a }
      return .infinity(isNegative: b.isNegative != isBelowOne)
    }
    guard admitsDenormals(a, b) else { return a }
    if b.isZero { return .zero(isNegative: b.isNegative != isBelowOne) }
    guard let result = WideReal(a).binaryLogarithm else { return .zero(isNegative: b.isNegative) }
    return inexact(WideReal(b) * result)
  }

  /// FYL2XP1: `b * log2(a + 1)`. The manual leaves open what it is for a beyond 1 - sqrt(2)/2; where there is no
  /// logarithm it is `a` here.
  mutating func logarithmOfSum(_ a: ExtendedReal, times b: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a, b) { return nan }
    if a.isNegative && a.isInfinite { return invalid() }
    if a.isZero && b.isInfinite || a.isInfinite && b.isZero { return invalid() }
    guard admitsDenormals(a, b) else { return a }
    let isNegative = a.isNegative != b.isNegative
    if a.isInfinite || b.isInfinite { return .infinity(isNegative: isNegative) }
    if a.isZero || b.isZero { return .zero(isNegative: isNegative) }
    if a.isNegative && a.exponent >= ExtendedReal.bias {
      raised |= X87Status.precision
      return a
    }
    guard let result = WideReal(a).binaryLogarithmOfSum else { return .zero(isNegative: isNegative) }
    return inexact(WideReal(b) * result)
  }

  /// FPATAN: the angle of the point (x, y).
  mutating func arctangent(_ y: ExtendedReal, over x: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(x, y) { return nan }
    guard admitsDenormals(x, y) else { return x }
    func angle(_ eighths: UInt64) -> WideReal {
      (WideReal.pi * WideReal(magnitude: eighths)).scaled(by: -3).with(isNegative: y.isNegative)
    }
    if y.isInfinite { return inexact(angle(x.isInfinite ? (x.isNegative ? 6 : 2) : 4)) }
    if y.isZero || x.isInfinite {
      return x.isNegative ? inexact(angle(8)) : .zero(isNegative: y.isNegative)
    }
    if x.isZero { return inexact(angle(4)) }
    let acute = WideReal.arctangent(
      WideReal(y).with(isNegative: false), over: WideReal(x).with(isNegative: false))
    let result = x.isNegative ? .pi + acute.negated : acute
    return inexact(result.with(isNegative: y.isNegative))
  }

  /// What stands between an angle and its sine, cosine and tangent.
  enum Angle {
    /// No angle: the NaN that results.
    case none(ExtendedReal)
    case zero
    /// 2^63 and more: the instruction does nothing and sets C2.
    case tooLarge
    case reduced(ReducedAngle)
  }

  mutating func angle(_ a: ExtendedReal) -> Angle {
    if let nan = propagated(a) { return .none(nan) }
    if a.isInfinite { return .none(invalid()) }
    if a.isZero { return .zero }
    if a.exponent >= ExtendedReal.bias &+ 63 { return .tooLarge }
    guard admitsDenormals(a) else { return .zero }
    return .reduced(ReducedAngle(WideReal(a)))
  }

  /// A sine, cosine or tangent in a register.
  mutating func function(_ value: WideReal?) -> ExtendedReal { value.map { inexact($0) } ?? .zero() }
}

extension ExtendedReal {
  /// FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ, as ModRM numbers them, rounded as the control word says.
  static func constant(_ number: Int, _ control: UInt16) -> ExtendedReal {
    let wide: WideReal
    switch number {
    case 0: return .one
    case 1: wide = WideReal(isNegative: false, exponent: 1, significand: 0xd49a_784b_cd1b_8afe_492b_f6ff_4daf_db4d)
    case 2: wide = .binaryOfE
    case 3: wide = .pi
    case 4: wide = WideReal(isNegative: false, exponent: -2, significand: 0x9a20_9a84_fbcf_f798_8f89_59ac_0b7c_9178)
    case 5: wide = .naturalOf2
    default: return .zero()
    }
    var unit = ExtendedUnit(control)
    return unit.register(wide)
  }
}
