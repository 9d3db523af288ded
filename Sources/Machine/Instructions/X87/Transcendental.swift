/// The functions behind F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FPTAN and FPATAN, on numbers of 128 bits.
///
/// The series are cut off below 2^-128 and each step is exact but for its lowest bit, so a result is right to some 120
/// bits: rounded to 64 it is the correctly rounded one but where the exact number lies within about 2^-56 of a unit in
/// the last place from a border between two. The manual promises an error of less than one unit (SDM vol. 1, 8.3.10),
/// and processors differ in the last bit; all hosts get the same here.
extension WideReal {
  // 128 bits each, as are those in the tables below.
  static let naturalOf2 = WideReal(
    isNegative: false, exponent: -1, significand: 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af)
  static let binaryOfE = WideReal(
    isNegative: false, exponent: 0, significand: 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89)
  static let pi = WideReal(isNegative: false, exponent: 1, significand: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1)
  static let halfPi = pi.scaled(by: -1)

  // MARK: Powers and logarithms

  /// `2^x - 1`, x in -1...1.
  var powerLessOne: WideReal {
    // A sixteenth of the argument by its series; then (e^u - 1) doubles its u by e^2u - 1 = (e^u - 1)(e^u + 1).
    let u = (self * .naturalOf2).scaled(by: -4)
    var series = WideReal.one
    for n in (2...20 as ClosedRange<UInt64>).reversed() { series = .one + u * series / n }
    var result = u * series
    for _ in 0..<4 { result = result * (result + WideReal(magnitude: 2)) }
    return result
  }

  /// The reciprocals of 1, 3, 5...
  private static let oddReciprocals = (0..<28 as Range<UInt64>).map { WideReal.one / (2 * $0 + 1) }

  /// Twice the inverse hyperbolic tangent in units of ln 2: `log2((1 + z) / (1 - z))`, |z| below 0.18.
  private static func binaryLogarithm(ofRatio z: WideReal) -> WideReal {
    let square = z * z
    var series = oddReciprocals[27]
    for n in (0..<27).reversed() { series = oddReciprocals[n] + square * series }
    return (z * series * .binaryOfE).scaled(by: 1)
  }

  /// `log2 x` of a positive x; nil: zero.
  var binaryLogarithm: WideReal? {
    // x = m * 2^k, m between the roots of 1/2 and 2, so that k and log2 m do not cancel.
    let isUpper = significand > 0xb504_f333_f9de_6484_597d_89b3_754a_be9f
    let k = isUpper ? exponent &+ 1 : exponent
    let m = WideReal(isNegative: false, exponent: isUpper ? -1 : 0, significand: significand)
    let whole = k == 0 ? nil : WideReal(magnitude: UInt64(k.magnitude), isNegative: k < 0)
    guard let excess = WideReal.sum(m, WideReal.one.negated) else { return whole }
    let part = Self.binaryLogarithm(ofRatio: excess / (m + .one))
    return whole.map { $0 + part } ?? part
  }

  /// `log2(1 + x)`, x above -1.
  var binaryLogarithmOfSum: WideReal? {
    if exponent < -2 { return Self.binaryLogarithm(ofRatio: self / (WideReal(magnitude: 2) + self)) }
    return WideReal.sum(.one, self)?.binaryLogarithm
  }

  // MARK: Inverse tangent

  /// Those of 0/8 (left out) to 8/8.
  private static let arctangents: [WideReal] = [
    WideReal(isNegative: false, exponent: -4, significand: 0xfead_d4d5_617b_6e32_c897_989f_3e88_8ef8),
    WideReal(isNegative: false, exponent: -3, significand: 0xfadb_afc9_6406_eb15_6dc7_9ef5_f7a2_17e6),
    WideReal(isNegative: false, exponent: -2, significand: 0xb7b0_ca0f_26f7_8473_8aa3_2122_dcfe_4483),
    WideReal(isNegative: false, exponent: -2, significand: 0xed63_382b_0dda_7b45_6fe4_45ec_bc3a_8d03),
    WideReal(isNegative: false, exponent: -1, significand: 0x8f00_5d5e_f7f5_9f9b_5c83_5e16_65c4_3748),
    WideReal(isNegative: false, exponent: -1, significand: 0xa4bc_7d19_34f7_0924_19a8_7f2a_457d_ac9f),
    WideReal(isNegative: false, exponent: -1, significand: 0xb805_3e2b_c231_9e73_cb2d_a552_10a4_443d),
    WideReal(isNegative: false, exponent: -1, significand: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1),
  ]

  /// The angle of the point (x, y), both positive.
  static func arctangent(_ y: WideReal, over x: WideReal) -> WideReal {
    let isSteep = y.exponent != x.exponent ? y.exponent > x.exponent : y.significand > x.significand
    if isSteep { return halfPi + arctangent(x, over: y).negated }
    let t = y / x
    // Below that the next term of the series is less than the lowest bit.
    if t.exponent < -65 { return t.nudged(outward: false) }
    let eighths = t.exponent < -4 ? 0 : Int((t.significand >> UInt128(123 &- t.exponent) &+ 1) >> 1)
    guard eighths > 0 else { return arctangent(small: t) }
    let part = WideReal(magnitude: UInt64(eighths)).scaled(by: -3)
    guard let top = sum(y, (part * x).negated) else { return arctangents[eighths &- 1] }
    return arctangents[eighths &- 1] + arctangent(small: top / (x + part * y))
  }

  /// Of a number not above 1/16 in magnitude.
  private static func arctangent(small t: WideReal) -> WideReal {
    let square = (t * t).negated
    var series = oddReciprocals[17]
    for n in (0..<17).reversed() { series = oddReciprocals[n] + square * series }
    return t * series
  }

  // MARK: Sine and cosine, up to a quarter of pi

  fileprivate var sineSeries: WideReal {
    if exponent < -65 { return nudged(outward: false) }
    let square = (self * self).negated
    var series = WideReal.one
    for n in (1...17 as ClosedRange<UInt64>).reversed() { series = .one + square * series / (2 * n * (2 * n + 1)) }
    return self * series
  }

  fileprivate var cosineSeries: WideReal {
    if exponent < -65 { return WideReal.one.nudged(outward: false) }
    let square = (self * self).negated
    var series = WideReal.one
    for n in (1...18 as ClosedRange<UInt64>).reversed() { series = .one + square * series / (2 * n * (2 * n - 1)) }
    return series
  }
}

/// An angle less a multiple of a quarter turn.
///
/// The x87's pi has 66 bits of fraction (SDM vol. 1, 8.3.8): the remainder by it is exact, and of large angles another
/// than by the true pi, as on silicon.
struct ReducedAngle {
  private let isNegative: Bool
  /// How many quarter turns were taken off; the low two bits count.
  private let quadrant: UInt64
  /// What is left of the magnitude, from minus to plus an eighth of a turn; nil: nothing.
  private let rest: WideReal?

  /// - Parameter angle: less than 2^63 in magnitude.
  init(_ angle: WideReal) {
    isNegative = angle.isNegative
    guard angle.exponent >= -1 else {
      quadrant = 0
      rest = angle.with(isNegative: false)
      return
    }
    // A quarter turn in units of 2^-67, and the angle in the same, shifted in two steps.
    let quarter: UInt128 = 0xc_90fd_aa22_168c_234c
    let shift = angle.exponent &+ 4
    let first = min(shift, 60)
    let high = ((angle.significand >> 64) &<< UInt128(first)).quotientAndRemainder(dividingBy: quarter)
    let low = (high.remainder &<< UInt128(shift &- first)).quotientAndRemainder(dividingBy: quarter)
    let turns = UInt64(truncatingIfNeeded: high.quotient &<< UInt128(shift &- first) &+ low.quotient)
    let isOver = low.remainder > quarter / 2
    quadrant = isOver ? turns &+ 1 : turns
    let magnitude = isOver ? quarter &- low.remainder : low.remainder
    rest =
      magnitude == 0 ? nil : WideReal(isNegative: isOver, exponent: 60, unnormalized: magnitude)
  }

  /// Nil: zero.
  var sine: WideReal? { value(quadrant).map { isNegative ? $0.negated : $0 } }

  var cosine: WideReal? { value(quadrant &+ 1) }

  var tangent: WideReal? {
    // Where nothing is left the angle has been zero: no multiple of this pi is a number of 64 bits.
    guard let rest else { return nil }
    let result: WideReal
    if quadrant & 1 != 0 {
      result = (rest.cosineSeries / rest.sineSeries).negated
    } else if rest.exponent < -65 {
      result = rest.nudged(outward: true)
    } else {
      result = rest.sineSeries / rest.cosineSeries
    }
    return isNegative ? result.negated : result
  }

  /// The sine of the rest and as many quarter turns.
  private func value(_ turns: UInt64) -> WideReal? {
    let result = turns & 1 == 0 ? rest?.sineSeries : rest?.cosineSeries ?? .one
    return turns & 2 == 0 ? result : result?.negated
  }
}
