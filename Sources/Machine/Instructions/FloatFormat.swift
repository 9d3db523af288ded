/// Binary floating-point arithmetic as the vector unit has it (SDM vol. 1, 4.8, 4.9, 11.5; IEEE 754), on the bits of
/// numbers and in integers alone: the same on every host, whatever its rounding mode.
///
/// Operands stand in the low bits of a `UInt64`. Results are rounded once, by `FloatUnit.rounded`.
struct FloatFormat {
  /// Bits of the fraction and of the exponent.
  let fraction: UInt64
  let exponent: UInt64

  static let single = FloatFormat(fraction: 23, exponent: 8)
  static let double = FloatFormat(fraction: 52, exponent: 11)

  @inline(__always) var signBit: UInt64 { 1 &<< (fraction &+ exponent) }
  @inline(__always) var fractionMask: UInt64 { 1 &<< fraction &- 1 }
  @inline(__always) var exponentMask: UInt64 { (1 &<< exponent &- 1) &<< fraction }
  @inline(__always) var infinity: UInt64 { exponentMask }
  @inline(__always) var quietBit: UInt64 { 1 &<< (fraction &- 1) }
  /// The NaN of an invalid operation.
  @inline(__always) var indefinite: UInt64 { signBit | exponentMask | quietBit }
  @inline(__always) var bias: Int { 1 &<< Int(exponent &- 1) &- 1 }
  @inline(__always) var one: UInt64 { UInt64(bias) &<< fraction }

  @inline(__always) func isNaN(_ a: UInt64) -> Bool { a & ~signBit > exponentMask }
  @inline(__always) func isSignalling(_ a: UInt64) -> Bool { isNaN(a) && a & quietBit == 0 }
  @inline(__always) func isInfinite(_ a: UInt64) -> Bool { a & ~signBit == exponentMask }
  @inline(__always) func isZero(_ a: UInt64) -> Bool { a & ~signBit == 0 }
  @inline(__always) func isDenormal(_ a: UInt64) -> Bool { a & exponentMask == 0 && a & fractionMask != 0 }
  @inline(__always) func isNegative(_ a: UInt64) -> Bool { a & signBit != 0 }
}

/// How the vector unit rounds: MXCSR's field.
enum Rounding: UInt32 {
  case nearest, down, up, zero
}

/// A finite number that is not zero: `significand * 2^(exponent - 63)`, the top bit of the significand set.
struct Unpacked {
  var isNegative: Bool
  var exponent: Int
  var significand: UInt64

  /// The number in the bits of a format; it must be finite and not zero.
  init(_ bits: UInt64, _ format: FloatFormat) {
    isNegative = format.isNegative(bits)
    let fraction = bits & format.fractionMask
    let biased = (bits & format.exponentMask) &>> format.fraction
    let raw = biased == 0 ? fraction : fraction | 1 &<< format.fraction
    let shift = UInt64(raw.leadingZeroBitCount)
    significand = raw &<< shift
    exponent = max(Int(biased), 1) &- format.bias &+ (63 &- Int(format.fraction)) &- Int(shift)
  }

  init(isNegative: Bool, exponent: Int, significand: UInt64) {
    self.isNegative = isNegative
    self.exponent = exponent
    self.significand = significand
  }
}

/// MXCSR in force, and the exceptions raised so far by one instruction.
struct FloatUnit {
  let mxcsr: UInt32
  var raised: UInt32 = 0
  /// Of these the ones of steps that are through: an exception of a later step's operands leaves them.
  var settled: UInt32 = 0

  init(_ mxcsr: UInt32) { self.mxcsr = mxcsr }

  @inline(__always) var rounding: Rounding { Rounding(rawValue: mxcsr >> MXCSR.roundingShift & 3) ?? .nearest }
  @inline(__always) var roundsToNearest: Bool { mxcsr & (3 << MXCSR.roundingShift) == 0 }
  @inline(__always) func isMasked(_ flag: UInt32) -> Bool { mxcsr >> MXCSR.maskShift & flag != 0 }
  /// The exceptions raised that are not masked.
  var pending: UInt32 { raised & ~(mxcsr >> MXCSR.maskShift) }

  /// Whether the precision flag is set already and masked, and rounding is to nearest: then a result that is normal
  /// need not be looked at for flags, and the host's own arithmetic gives it.
  @inline(__always) var isPlain: Bool {
    mxcsr & (3 << MXCSR.roundingShift | MXCSR.precision << MXCSR.maskShift | MXCSR.precision)
      == MXCSR.precision << MXCSR.maskShift | MXCSR.precision
  }

  // MARK: Operands

  /// An operand as it counts: a denormal is zero with DAZ.
  @inline(__always) func flushed(_ a: UInt64, _ format: FloatFormat) -> UInt64 {
    mxcsr & MXCSR.denormalsAreZeros != 0 && format.isDenormal(a) ? a & format.signBit : a
  }

  /// Notes a denormal operand.
  @inline(__always) mutating func noteDenormal(_ a: UInt64, _ format: FloatFormat) {
    if format.isDenormal(a) { raised |= MXCSR.denormal }
  }

  /// The NaN that an operation with a NaN operand gives: the first operand where that is one (SDM vol. 1, table 4-7);
  /// nil where neither is.
  @inline(__always) mutating func propagated(_ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> UInt64? {
    guard format.isNaN(a) || format.isNaN(b) else { return nil }
    if format.isSignalling(a) || format.isSignalling(b) { raised |= MXCSR.invalid }
    return (format.isNaN(a) ? a : b) | format.quietBit
  }

  mutating func invalid(_ format: FloatFormat) -> UInt64 {
    raised |= MXCSR.invalid
    return format.indefinite
  }

  // MARK: Rounding

  /// Whether the kept part of a number is rounded up in magnitude.
  /// - Parameters:
  ///   - half: how what is cut off compares with half a unit: its top bit, and whether there is anything below.
  private func roundsUp(isNegative: Bool, isOdd: Bool, half: Bool, rest: Bool) -> Bool {
    switch rounding {
    case .nearest: half && (rest || isOdd)
    case .down: isNegative && (half || rest)
    case .up: !isNegative && (half || rest)
    case .zero: false
    }
  }

  /// Cuts a significand off behind its top `bits` (0 ... 63 or 64 of them), and rounds it.
  private func cut(
    _ significand: UInt64, bits: Int, sticky: Bool, isNegative: Bool
  ) -> (kept: UInt64, isInexact: Bool) {
    // Nothing is kept, and half a unit may lie beyond the significand.
    if bits < 0 {
      let up = roundsUp(isNegative: isNegative, isOdd: false, half: false, rest: true)
      return (up ? 1 : 0, true)
    }
    let drop = UInt64(64 &- bits)
    let kept = drop == 64 ? 0 : significand &>> drop
    let half = significand &>> (drop &- 1) & 1 != 0
    let rest = significand & (1 &<< (drop &- 1) &- 1) != 0 || sticky
    let up = roundsUp(isNegative: isNegative, isOdd: kept & 1 != 0, half: half, rest: rest)
    return (up ? kept &+ 1 : kept, half || rest)
  }

  /// Rounds an exact number to a format, with overflow, underflow and precision.
  ///
  /// - Parameter sticky: whether the exact number is a little more than `number` in magnitude.
  mutating func rounded(_ number: Unpacked, sticky: Bool, _ format: FloatFormat) -> UInt64 {
    let bits = Int(format.fraction) &+ 1
    let sign = number.isNegative ? format.signBit : 0
    let least = 1 &- format.bias
    var exponent = number.exponent
    var (kept, isInexact) = cut(number.significand, bits: bits, sticky: sticky, isNegative: number.isNegative)
    if kept &>> UInt64(bits) != 0 {
      kept &>>= 1
      exponent &+= 1
    }
    // Whether a result is tiny is decided after rounding it as if exponents had no bounds.
    if exponent < least { return tiny(number, sticky: sticky, isInexact: isInexact, format) }
    if isInexact { raised |= MXCSR.precision }
    if exponent > format.bias {
      raised |= MXCSR.overflow
      if isMasked(MXCSR.overflow) { raised |= MXCSR.precision }
      return sign | overflowed(isNegative: number.isNegative, format)
    }
    return sign | UInt64(exponent &+ format.bias) &<< format.fraction | kept & format.fractionMask
  }

  private mutating func tiny(_ number: Unpacked, sticky: Bool, isInexact: Bool, _ format: FloatFormat) -> UInt64 {
    let sign = number.isNegative ? format.signBit : 0
    guard isMasked(MXCSR.underflow) else {
      raised |= MXCSR.underflow | (isInexact ? MXCSR.precision : 0)
      return sign
    }
    if mxcsr & MXCSR.flushToZero != 0 {
      raised |= MXCSR.underflow | MXCSR.precision
      return sign
    }
    let room = Int(format.fraction) &+ number.exponent &+ format.bias
    let (kept, isInexact) = cut(number.significand, bits: room, sticky: sticky, isNegative: number.isNegative)
    if isInexact { raised |= MXCSR.underflow | MXCSR.precision }
    // A carry into the exponent is the least normal number.
    return sign | kept
  }

  private func overflowed(isNegative: Bool, _ format: FloatFormat) -> UInt64 {
    let toInfinity: Bool =
      switch rounding {
      case .nearest: true
      case .down: isNegative
      case .up: !isNegative
      case .zero: false
      }
    return toInfinity ? format.infinity : format.infinity &- 1
  }

  // MARK: Integers

  /// A finite number, or none for zero, rounded to an integer: nil where that has more than 63 bits.
  private func integer(_ number: Unpacked, _ rounding: FloatUnit) -> (magnitude: UInt64, isInexact: Bool)? {
    guard number.exponent < 64 else { return nil }
    if number.exponent == 63 { return (number.significand, false) }
    let (kept, isInexact) = rounding.cut(
      number.significand, bits: number.exponent &+ 1, sticky: false, isNegative: number.isNegative)
    return (kept, isInexact)
  }

  /// Converts to a signed integer of 32 or 64 bits; what does not fit is the least one, and invalid.
  mutating func toInteger(_ operand: UInt64, _ format: FloatFormat, bits: UInt64, truncates: Bool) -> UInt64 {
    let a = flushed(operand, format)
    if format.isZero(a) { return 0 }
    let indefinite: UInt64 = 1 &<< (bits &- 1)
    guard !format.isNaN(a), !format.isInfinite(a) else {
      raised |= MXCSR.invalid
      return indefinite
    }
    let number = Unpacked(a, format)
    let limit = number.isNegative ? indefinite : indefinite &- 1
    guard let (magnitude, isInexact) = integer(number, truncates ? truncating : self), magnitude <= limit else {
      raised |= MXCSR.invalid
      return indefinite
    }
    if isInexact { raised |= MXCSR.precision }
    return (number.isNegative ? 0 &- magnitude : magnitude) & (UInt64.max &>> (64 &- bits))
  }

  /// Converts a signed integer.
  mutating func fromInteger(_ value: Int64, _ format: FloatFormat) -> UInt64 {
    guard value != 0 else { return 0 }
    let shift = value.magnitude.leadingZeroBitCount
    let number = Unpacked(
      isNegative: value < 0, exponent: 63 &- shift, significand: value.magnitude &<< UInt64(shift))
    return rounded(number, sticky: false, format)
  }

  /// ROUNDSD and its kin: to an integer in the same format.
  mutating func toIntegral(_ operand: UInt64, _ format: FloatFormat, control: UInt8) -> UInt64 {
    if let result = propagated(operand, operand, format) { return result }
    let a = flushed(operand, format)
    guard !format.isZero(a), !format.isInfinite(a) else { return a }
    let number = Unpacked(a, format)
    guard number.exponent < Int(format.fraction) else { return a }
    let chosen = control & 4 != 0 ? self : with(UInt32(control & 3))
    guard let (magnitude, isInexact) = integer(number, chosen) else { return a }
    if isInexact && control & 8 == 0 { raised |= MXCSR.precision }
    guard magnitude != 0 else { return a & format.signBit }
    let shift = UInt64(magnitude.leadingZeroBitCount)
    return a & format.signBit | UInt64(63 &- Int(shift) &+ format.bias) &<< format.fraction
      | (magnitude &<< shift) &>> (63 &- format.fraction) & format.fractionMask
  }

  private var truncating: FloatUnit { with(Rounding.zero.rawValue) }

  /// The same with another rounding mode.
  private func with(_ mode: UInt32) -> FloatUnit {
    FloatUnit(mxcsr & ~(3 << MXCSR.roundingShift) | mode << MXCSR.roundingShift)
  }

  // MARK: Formats

  /// Single to double and back.
  mutating func converted(_ operand: UInt64, from source: FloatFormat, to target: FloatFormat) -> UInt64 {
    let sign = source.isNegative(operand) ? target.signBit : 0
    if let nan = propagated(operand, operand, source) {
      let payload = nan & source.fractionMask
      return sign | target.exponentMask
        | (target.fraction > source.fraction
          ? payload &<< (target.fraction &- source.fraction) : payload &>> (source.fraction &- target.fraction))
    }
    let a = flushed(operand, source)
    if source.isZero(a) { return sign }
    if source.isInfinite(a) { return sign | target.infinity }
    noteDenormal(a, source)
    return rounded(Unpacked(a, source), sticky: false, target)
  }
}
