/// Conversions between registers and what memory holds: single and double reals, integers, decimals (SDM vol. 2: FLD,
/// FST, FILD, FIST, FISTTP, FBLD, FBSTP, FRNDINT).
extension ExtendedUnit {
  // MARK: Reals

  /// A single or double real as a register has it; exceptions are left to what is done with it.
  static func widened(_ bits: UInt64, _ format: FloatFormat) -> ExtendedReal {
    let head: UInt16 = format.isNegative(bits) ? 0x8000 : 0
    if bits & format.exponentMask == format.exponentMask {
      let fraction = (bits & format.fractionMask) &<< (63 &- format.fraction)
      return ExtendedReal(significand: fraction | ExtendedReal.integerBit, head: head | 0x7fff)
    }
    if format.isZero(bits) { return .zero(isNegative: head != 0) }
    let number = Unpacked(bits, format)
    return ExtendedReal(
      significand: number.significand,
      head: head | UInt16(truncatingIfNeeded: number.exponent &+ ExtendedReal.bias))
  }

  /// The same as an instruction of its own: FLD.
  mutating func extended(_ bits: UInt64, _ format: FloatFormat) -> ExtendedReal {
    let result = Self.widened(bits, format)
    if format.isDenormal(bits) { raised |= X87Status.denormal }
    return propagated(result) ?? result
  }

  /// A register as single or double.
  mutating func stored(_ a: ExtendedReal, _ format: FloatFormat) -> UInt64 {
    if a.isUnsupported {
      raised |= X87Status.invalid
      return format.indefinite
    }
    let sign = a.isNegative ? format.signBit : 0
    if a.isNaN {
      if a.isSignalling { raised |= X87Status.invalid }
      return sign | format.exponentMask
        | a.quieted.significand &>> (63 &- format.fraction) & format.fractionMask
    }
    if a.isInfinite { return sign | format.infinity }
    if a.isZero { return sign }
    let result = rounded(WideReal(a), to: format.fraction == 23 ? .single : .double)
    if result.isInfinite { return sign | format.infinity }
    let isNormal = result.significand & ExtendedReal.integerBit != 0
    let biased = isNormal ? UInt64(truncatingIfNeeded: result.exponent &+ format.bias) : 0
    return sign | biased &<< format.fraction
      | result.significand &>> (63 &- format.fraction) & format.fractionMask
  }

  // MARK: Integers

  /// Rounded to an integer's magnitude; nil where that has more than 64 bits, or the operand is no number.
  private mutating func magnitude(_ a: ExtendedReal, truncates: Bool) -> (value: UInt64, isInexact: Bool, isUp: Bool)? {
    if a.isUnsupported || a.exponent == 0x7fff { return nil }
    if a.isZero { return (0, false, false) }
    let number = WideReal(a)
    guard number.exponent < 64 else { return nil }
    let unit = truncates ? ExtendedUnit(control | 3 << X87Control.roundingShift) : self
    let (kept, isInexact, isUp) = unit.cut(
      number.significand, bits: number.exponent &+ 1, isNegative: number.isNegative)
    guard kept >> 64 == 0 else { return nil }
    return (UInt64(truncatingIfNeeded: kept), isInexact, isUp)
  }

  /// A signed integer of 16, 32 or 64 bits; what does not fit is invalid and the least one.
  mutating func integer(_ a: ExtendedReal, bits: UInt64, truncates: Bool) -> UInt64 {
    let indefinite: UInt64 = 1 &<< (bits &- 1)
    guard let (value, isInexact, isUp) = magnitude(a, truncates: truncates),
      value <= (a.isNegative ? indefinite : indefinite &- 1)
    else {
      raised |= X87Status.invalid
      return indefinite
    }
    if isInexact { raised |= X87Status.precision }
    roundedUp = isUp
    return (a.isNegative ? 0 &- value : value) & (UInt64.max &>> (64 &- bits))
  }

  /// A signed integer, exactly.
  static func extended(_ value: Int64) -> ExtendedReal {
    guard value != 0 else { return .zero() }
    let shift = value.magnitude.leadingZeroBitCount
    return ExtendedReal(
      significand: value.magnitude &<< UInt64(shift),
      head: UInt16(truncatingIfNeeded: ExtendedReal.bias &+ 63 &- shift) | (value < 0 ? 0x8000 : 0))
  }

  /// FRNDINT.
  mutating func integral(_ a: ExtendedReal) -> ExtendedReal {
    if let nan = propagated(a) { return nan }
    guard !a.isZero, !a.isInfinite, a.exponent < ExtendedReal.bias &+ 63 else { return a }
    guard admitsDenormals(a), let (value, isInexact, isUp) = magnitude(a, truncates: false) else { return a }
    if isInexact { raised |= X87Status.precision }
    roundedUp = isUp
    return Self.extended(Int64(truncatingIfNeeded: value)).with(isNegative: a.isNegative)
  }

  // MARK: Decimals

  /// Eighteen digits, two a byte, and a byte with the sign (SDM vol. 1, 4.7). What is no digit counts for what its bits
  /// say, as on silicon.
  static func extended(decimal low: UInt64, _ high: UInt16) -> ExtendedReal {
    let isNegative = high & 0x8000 != 0
    var value: UInt64 = 0
    for digit in (0..<18 as Range<UInt64>).reversed() {
      let next = digit < 16 ? low &>> (4 &* digit) & 15 : UInt64(high) &>> (4 &* (digit &- 16)) & 15
      value = value &* 10 &+ next
    }
    guard value != 0 else { return .zero(isNegative: isNegative) }
    return extended(Int64(truncatingIfNeeded: value)).with(isNegative: isNegative)
  }

  mutating func decimal(_ a: ExtendedReal) -> (low: UInt64, high: UInt16) {
    guard let (value, isInexact, isUp) = magnitude(a, truncates: false), value <= 999_999_999_999_999_999 else {
      raised |= X87Status.invalid
      return (0xc000_0000_0000_0000, 0xffff)
    }
    if isInexact { raised |= X87Status.precision }
    roundedUp = isUp
    var rest = value
    var low: UInt64 = 0
    var high: UInt16 = a.isNegative ? 0x8000 : 0
    for digit in 0..<18 as Range<UInt64> {
      let next = rest % 10
      rest /= 10
      if digit < 16 { low |= next &<< (4 &* digit) } else { high |= UInt16(next) &<< UInt16(4 &* (digit &- 16)) }
    }
    return (low, high)
  }
}
