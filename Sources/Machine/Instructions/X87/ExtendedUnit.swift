/// What the destination of a rounded result holds: bits of the significand, and the exponents of normal numbers.
struct RealRange {
  var bits: Int
  var least: Int
  var greatest: Int
  /// The result goes to a register, where an unmasked overflow or underflow leaves it with an exponent out of place by
  /// 24576. To memory nothing goes then (SDM vol. 1, 8.5.4 and 8.5.5).
  var isRegister = false

  static let single = RealRange(bits: 24, least: -126, greatest: 127)
  static let double = RealRange(bits: 53, least: -1022, greatest: 1023)
  /// 64 bits, whatever the precision control.
  static let extended = register(bits: 64)

  static func register(bits: Int) -> RealRange {
    RealRange(bits: bits, least: 1 - ExtendedReal.bias, greatest: ExtendedReal.bias, isRegister: true)
  }
}

/// The x87's arithmetic for one instruction: the control word in force, and what the instruction has raised so far.
///
/// All of it is on bits and in integers (SDM vol. 1, 4.8, 4.9 and 8.5; IEEE 754): the same on every host.
struct ExtendedUnit {
  let control: UInt16
  /// Exceptions raised, as bits of the status word.
  var raised: UInt16 = 0
  /// The last rounding was away from zero (C1).
  var roundedUp = false
  /// The operand that came from memory was denormal there; as an extended real it is not.
  var hasDenormalOperand = false

  init(_ control: UInt16) { self.control = control }

  @inline(__always) var rounding: Rounding {
    Rounding(rawValue: UInt32(control >> X87Control.roundingShift & 3)) ?? .nearest
  }

  /// What a result is rounded to that the precision control counts for: FADD, FSUB, FMUL, FDIV and FSQRT.
  @inline(__always) var range: RealRange {
    switch control >> X87Control.precisionShift & 3 {
    case 0: .register(bits: 24)
    case 2: .register(bits: 53)
    default: .extended
    }
  }

  @inline(__always) func isMasked(_ exception: UInt16) -> Bool { control & exception != 0 }

  /// The exceptions raised that are not masked.
  @inline(__always) var unmasked: UInt16 { raised & ~control & X87Status.exceptions }

  /// Whether an exception found among the operands leaves them as they are, and nothing is computed.
  @inline(__always) var isAborted: Bool {
    unmasked & (X87Status.invalid | X87Status.denormal | X87Status.zeroDivide) != 0
  }

  // MARK: Operands

  @inline(__always) mutating func invalid() -> ExtendedReal {
    raised |= X87Status.invalid
    return .indefinite
  }

  /// Notes a denormal operand. False: it is not masked, and that is the end.
  @inline(__always) mutating func admitsDenormals(_ a: ExtendedReal, _ b: ExtendedReal = .one) -> Bool {
    guard a.isDenormal || b.isDenormal || hasDenormalOperand else { return true }
    raised |= X87Status.denormal
    return isMasked(X87Status.denormal)
  }

  /// What an operation on a NaN gives, quiet; nil where the operand is none.
  @inline(__always) mutating func propagated(_ a: ExtendedReal) -> ExtendedReal? {
    if a.isUnsupported { return invalid() }
    guard a.isNaN else { return nil }
    if a.isSignalling { raised |= X87Status.invalid }
    return a.quieted
  }

  /// The same of two operands. Of a signalling and a quiet NaN it is the quiet one, of two of a kind that with the
  /// larger significand, of equal ones the positive (SDM vol. 1, table 4-7).
  @inline(__always) mutating func propagated(_ a: ExtendedReal, _ b: ExtendedReal) -> ExtendedReal? {
    guard a.exponent == 0x7fff || b.exponent == 0x7fff || a.isUnsupported || b.isUnsupported else { return nil }
    if a.isUnsupported || b.isUnsupported { return invalid() }
    guard a.isNaN || b.isNaN else { return nil }
    if a.isSignalling || b.isSignalling { raised |= X87Status.invalid }
    guard a.isNaN else { return b.quieted }
    guard b.isNaN else { return a.quieted }
    if a.isSignalling != b.isSignalling { return a.isSignalling ? b : a }
    if a.significand != b.significand { return a.significand > b.significand ? a.quieted : b.quieted }
    return a.isNegative ? b.quieted : a.quieted
  }

  // MARK: Rounding

  /// Cuts a significand off behind its top `bits` and rounds it, which may carry into one bit more. `bits` may be 0 or
  /// negative, where all of it lies below the last place.
  func cut(_ significand: UInt128, bits: Int, isNegative: Bool) -> (kept: UInt128, isInexact: Bool, isUp: Bool) {
    if bits >= 128 { return (significand, false, false) }
    let kept: UInt128
    let half: Bool
    let rest: Bool
    if bits < 0 {
      kept = 0
      half = false
      rest = true
    } else {
      let drop = UInt128(128 &- bits)
      kept = bits == 0 ? 0 : significand &>> drop
      half = significand &>> (drop &- 1) & 1 != 0
      rest = significand & (1 &<< (drop &- 1) &- 1) != 0
    }
    let isUp: Bool =
      switch rounding {
      case .nearest: half && (rest || kept & 1 != 0)
      case .down: isNegative && (half || rest)
      case .up: !isNegative && (half || rest)
      case .zero: false
      }
    return (isUp ? kept &+ 1 : kept, half || rest, isUp)
  }

  /// A number rounded to what its destination holds.
  struct Rounded {
    var isNegative: Bool
    /// Unbiased; of a denormal number that of the least normal one.
    var exponent: Int
    /// The top bit is clear where the number is denormal or zero.
    var significand: UInt64
    var isInfinite = false
  }

  /// Rounds an exact number, with overflow, underflow and precision.
  mutating func rounded(_ number: WideReal, to range: RealRange) -> Rounded {
    var (kept, isInexact, isUp) = cut(number.significand, bits: range.bits, isNegative: number.isNegative)
    var exponent = number.exponent
    if kept &>> UInt128(range.bits) != 0 {
      kept &>>= 1
      exponent &+= 1
    }
    // A result is tiny if it is so after rounding with an exponent that has no bounds.
    if exponent < range.least {
      if isMasked(X87Status.underflow) { return denormal(number, range) }
      raised |= X87Status.underflow
      if !range.isRegister { return Rounded(isNegative: number.isNegative, exponent: range.least, significand: 0) }
      exponent &+= 24576
      if exponent < range.least { return outOfReach(number.isNegative, range, isInfinite: false) }
    } else if exponent > range.greatest {
      raised |= X87Status.overflow
      if isMasked(X87Status.overflow) { return overflowed(number.isNegative, range) }
      if !range.isRegister { return Rounded(isNegative: number.isNegative, exponent: range.least, significand: 0) }
      exponent &-= 24576
      if exponent > range.greatest { return outOfReach(number.isNegative, range, isInfinite: true) }
    }
    if isInexact { raised |= X87Status.precision }
    roundedUp = isUp
    return Rounded(
      isNegative: number.isNegative, exponent: exponent,
      significand: UInt64(truncatingIfNeeded: kept) &<< UInt64(64 &- range.bits))
  }

  private mutating func denormal(_ number: WideReal, _ range: RealRange) -> Rounded {
    let bits = range.bits &- (range.least &- number.exponent)
    let (kept, isInexact, isUp) = cut(number.significand, bits: bits, isNegative: number.isNegative)
    if isInexact { raised |= X87Status.underflow | X87Status.precision }
    roundedUp = isUp
    return Rounded(
      isNegative: number.isNegative, exponent: range.least,
      significand: UInt64(truncatingIfNeeded: kept) &<< UInt64(64 &- range.bits))
  }

  /// FSCALE can leave even the displaced exponents behind (SDM vol. 1, 8.5.4 and 8.5.5).
  private mutating func outOfReach(_ isNegative: Bool, _ range: RealRange, isInfinite: Bool) -> Rounded {
    raised |= X87Status.precision
    roundedUp = isInfinite
    return Rounded(isNegative: isNegative, exponent: range.least, significand: 0, isInfinite: isInfinite)
  }

  private mutating func overflowed(_ isNegative: Bool, _ range: RealRange) -> Rounded {
    raised |= X87Status.precision
    let isInfinite: Bool =
      switch rounding {
      case .nearest: true
      case .down: isNegative
      case .up: !isNegative
      case .zero: false
      }
    roundedUp = isInfinite
    return Rounded(
      isNegative: isNegative, exponent: range.greatest, significand: UInt64.max &<< UInt64(64 &- range.bits),
      isInfinite: isInfinite)
  }

  /// Rounds to a register.
  @inline(__always) mutating func register(_ number: WideReal, _ range: RealRange = .extended) -> ExtendedReal {
    let result = rounded(number, to: range)
    if result.isInfinite { return .infinity(isNegative: result.isNegative) }
    let isNormal = result.significand & ExtendedReal.integerBit != 0
    let biased = isNormal ? result.exponent &+ ExtendedReal.bias : 0
    return ExtendedReal(
      significand: result.significand,
      head: UInt16(truncatingIfNeeded: biased) & 0x7fff | (result.isNegative ? 0x8000 : 0))
  }

  /// The zero that an exact difference of equal numbers is.
  @inline(__always) var differenceOfEquals: ExtendedReal { .zero(isNegative: rounding == .down) }
}
