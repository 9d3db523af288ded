/// A finite number that is not zero, with more bits than any result keeps: `significand * 2^(exponent - 127)`, the top
/// bit of the significand set. Where an exact number has yet more bits, the lowest one here is set for them, which
/// rounds alike.
struct WideReal {
  var isNegative: Bool
  var exponent: Int
  var significand: UInt128

  init(isNegative: Bool, exponent: Int, significand: UInt128) {
    self.isNegative = isNegative
    self.exponent = exponent
    self.significand = significand
  }

  /// `significand * 2^(exponent - 127)` for a significand that is not zero and need not have its top bit.
  init(isNegative: Bool, exponent: Int, unnormalized significand: UInt128) {
    let shift = significand.leadingZeroBitCount
    self.init(isNegative: isNegative, exponent: exponent &- shift, significand: significand &<< UInt128(shift))
  }

  /// A finite number that is not zero.
  init(_ number: ExtendedReal) {
    self.init(
      isNegative: number.isNegative, exponent: max(number.exponent, 1) &- ExtendedReal.bias,
      unnormalized: UInt128(number.significand) << 64)
  }

  /// An integer that is not zero.
  init(magnitude: UInt64, isNegative: Bool = false) {
    self.init(isNegative: isNegative, exponent: 63, unnormalized: UInt128(magnitude) << 64)
  }

  static let one = WideReal(magnitude: 1)

  var negated: WideReal { with(isNegative: !isNegative) }

  func with(isNegative: Bool) -> WideReal {
    WideReal(isNegative: isNegative, exponent: exponent, significand: significand)
  }

  /// Times a power of two.
  func scaled(by steps: Int) -> WideReal {
    WideReal(isNegative: isNegative, exponent: exponent &+ steps, significand: significand)
  }

  /// The next number away from zero, or toward it.
  func nudged(outward: Bool) -> WideReal {
    if outward {
      return significand == .max
        ? WideReal(isNegative: isNegative, exponent: exponent &+ 1, significand: 1 << 127)
        : WideReal(isNegative: isNegative, exponent: exponent, significand: significand &+ 1)
    }
    return significand == 1 << 127
      ? WideReal(isNegative: isNegative, exponent: exponent &- 1, significand: .max)
      : WideReal(isNegative: isNegative, exponent: exponent, significand: significand &- 1)
  }

  // MARK: Arithmetic, exact but for the lowest bit

  /// Nil: zero.
  @inline(__always) static func sum(_ a: WideReal, _ b: WideReal) -> WideReal? {
    let aIsLarger = a.exponent != b.exponent ? a.exponent > b.exponent : a.significand >= b.significand
    let large = aIsLarger ? a : b
    let small = aIsLarger ? b : a
    // One bit of room above for the carry; the lowest bit stands for all that is shifted out.
    let shift = large.exponent &- small.exponent &+ 1
    let addend: UInt128
    if shift > 127 {
      addend = 1
    } else {
      let lost = small.significand & (1 &<< UInt128(shift) &- 1)
      addend = small.significand &>> UInt128(shift) | (lost != 0 ? 1 : 0)
    }
    let base = large.significand &>> 1 | large.significand & 1
    let result = large.isNegative == small.isNegative ? base &+ addend : base &- addend
    guard result != 0 else { return nil }
    return WideReal(isNegative: large.isNegative, exponent: large.exponent &+ 1, unnormalized: result)
  }

  /// A sum that cannot be zero.
  static func + (a: WideReal, b: WideReal) -> WideReal { sum(a, b) ?? a }

  static func * (a: WideReal, b: WideReal) -> WideReal {
    let (high, low) = a.significand.multipliedFullWidth(by: b.significand)
    return WideReal(
      isNegative: a.isNegative != b.isNegative, exponent: a.exponent &+ b.exponent &+ 1,
      unnormalized: high | (low != 0 ? 1 : 0))
  }

  static func / (a: WideReal, b: WideReal) -> WideReal {
    let (quotient, rest) = b.significand.dividingFullWidth((a.significand >> 1, a.significand << 127))
    return WideReal(
      isNegative: a.isNegative != b.isNegative, exponent: a.exponent &- b.exponent,
      unnormalized: quotient | (rest != 0 ? 1 : 0))
  }

  static func / (a: WideReal, b: UInt64) -> WideReal {
    let divisor = UInt128(b)
    return WideReal(
      isNegative: a.isNegative, exponent: a.exponent,
      unnormalized: a.significand / divisor | (a.significand % divisor != 0 ? 1 : 0))
  }

  @inline(__always) static func product(_ a: ExtendedReal, _ b: ExtendedReal) -> WideReal {
    let x = WideReal(a)
    let y = WideReal(b)
    let (high, low) = UInt64(truncatingIfNeeded: x.significand >> 64)
      .multipliedFullWidth(by: UInt64(truncatingIfNeeded: y.significand >> 64))
    return WideReal(
      isNegative: x.isNegative != y.isNegative, exponent: x.exponent &+ y.exponent &+ 1,
      unnormalized: UInt128(high) << 64 | UInt128(low))
  }

  @inline(__always) static func quotient(_ a: ExtendedReal, _ b: ExtendedReal) -> WideReal {
    let x = WideReal(a)
    let y = WideReal(b)
    let divisor = UInt64(truncatingIfNeeded: y.significand >> 64)
    // Half the dividend, so that the quotient of the leading words fits.
    let dividend = x.significand >> 1
    let (first, rest) = divisor.dividingFullWidth(
      (UInt64(truncatingIfNeeded: dividend >> 64), UInt64(truncatingIfNeeded: dividend)))
    let (second, last) = divisor.dividingFullWidth((rest, 0))
    return WideReal(
      isNegative: x.isNegative != y.isNegative, exponent: x.exponent &- y.exponent,
      unnormalized: UInt128(first) << 64 | UInt128(second | (last != 0 ? 1 : 0)))
  }

  static func squareRoot(_ a: ExtendedReal) -> WideReal {
    let x = WideReal(a)
    // The radicand is an integer of 127 or 128 bits with an even exponent.
    let isOdd = x.exponent & 1 != 0
    let radicand = isOdd ? x.significand : x.significand &>> 1
    let root = radicand.integerRoot
    let remainder = radicand &- UInt128(root) &* UInt128(root)
    // 64 bits of the root, and three more to round by.
    var wide = UInt128(root)
    var rest = remainder
    for _ in 0..<3 {
      let trial = wide &* 4 &+ 1
      rest &*= 4
      if rest >= trial {
        rest &-= trial
        wide = wide &* 2 &+ 1
      } else {
        wide &*= 2
      }
    }
    let significand = wide &<< 61 | (rest != 0 ? 1 : 0)
    return WideReal(
      isNegative: false, exponent: (isOdd ? x.exponent &- 1 : x.exponent) / 2, unnormalized: significand)
  }
}

extension UInt128 {
  /// The greatest integer whose square is not larger; the number has its top or second bit set.
  fileprivate var integerRoot: UInt64 {
    var root: UInt128 = 0
    var rest = self
    var bit: UInt128 = 1 << 126
    while bit != 0 {
      if rest >= root &+ bit {
        rest &-= root &+ bit
        root = root &>> 1 &+ bit
      } else {
        root &>>= 1
      }
      bit &>>= 2
    }
    return UInt64(truncatingIfNeeded: root)
  }
}
