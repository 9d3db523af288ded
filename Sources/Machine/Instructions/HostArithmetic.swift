/// Floating-point arithmetic by the host's own, where that is known to give what the exact one gives: rounding to
/// nearest, operands and result that are no denormals, NaNs or infinities. What remains is whether a result is exact.
extension Processor {
  // MARK: In the dispatch loop

  /// Whether a result that is inexact changes nothing: MXCSR rounds to nearest, and has the precision flag set and
  /// masked.
  @inline(__always) private var isPlain: Bool { FloatUnit(s.pointee.vector.mxcsr).isPlain }

  @inline(__always) func hostSum(_ a: Double, _ b: Double) -> Double? {
    let sum = a + b
    // What rounding took away is itself a double (Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B).
    let part = sum - a
    return host(a, b, sum, isExact: (a - (sum - part)) + (b - part) == 0)
  }
  @inline(__always) func hostDifference(_ a: Double, _ b: Double) -> Double? { hostSum(a, -b) }
  @inline(__always) func hostProduct(_ a: Double, _ b: Double) -> Double? { host(a, b, a * b) }
  @inline(__always) func hostQuotient(_ a: Double, _ b: Double) -> Double? { host(a, b, a / b) }

  /// - Parameter isExact: known to be so: then no flag matters, if rounding is to nearest as the host's.
  @inline(__always)
  private func host(_ a: Double, _ b: Double, _ result: Double, isExact: @autoclosure () -> Bool = false) -> Double? {
    guard result.bitPattern.hasLargeExponent && a.bitPattern.isNormal && b.bitPattern.isNormal else { return nil }
    return isPlain || FloatUnit(s.pointee.vector.mxcsr).roundsToNearest && isExact() ? result : nil
  }

  /// The flags of COMISD.
  @inline(__always) func hostOrder(_ a: Double, _ b: Double) -> UInt64? {
    guard a.bitPattern.isNormal || a == 0, b.bitPattern.isNormal || b == 0 else { return nil }
    return a < b ? Flag.carry : a == b ? Flag.zero : 0
  }

  /// CVTTSD2SI. The greatest integers are beyond what a double tells apart.
  @inline(__always) func hostInteger32(_ a: Double) -> UInt64? {
    guard a.magnitude < 0x1p31 else { return nil }
    let result = Int32(a)
    return Double(result) == a || isPlain ? UInt64(UInt32(bitPattern: result)) : nil
  }

  @inline(__always) func hostInteger64(_ a: Double) -> UInt64? {
    guard a.magnitude < 0x1p63 else { return nil }
    let result = Int64(a)
    return Double(result) == a || isPlain ? UInt64(bitPattern: result) : nil
  }

  /// CVTSI2SD.
  @inline(__always) func hostDouble(_ a: UInt64) -> Double? {
    let value = Int64(bitPattern: a)
    return value.magnitude <= 1 << 53 ? Double(value) : nil
  }
}

// MARK: In one piece

extension Processor {
  /// Addition, subtraction, multiplication and division, packed or of singles: nil where the host's result is not the
  /// exact one's in every element.
  @inline(__always)
  func hostVector(_ operation: VectorFloat, _ form: VectorForm, _ a: Vector128, _ b: Vector128) -> Vector128? {
    guard isPlain else { return nil }
    switch (form.isScalar, form.isDouble) {
    case (false, true):
      return host(operation, a.lanes(SIMD2<Double>.self), b.lanes(SIMD2<Double>.self)).map { Vector128(lanes: $0) }
    case (false, false):
      return host(operation, a.lanes(SIMD4<Float>.self), b.lanes(SIMD4<Float>.self)).map { Vector128(lanes: $0) }
    case (true, false):
      let result: Float
      let x = Float(low: a.x)
      let y = Float(low: b.x)
      switch operation {
      case .add: result = x + y
      case .subtract: result = x - y
      case .multiply: result = x * y
      case .divide: result = x / y
      default: return nil
      }
      guard UInt64(result.bitPattern).isClearlySingle, a.x.isSingle, b.x.isSingle else { return nil }
      return a.replacing(low: 4, by: UInt64(result.bitPattern))
    case (true, true): return nil
    }
  }

  @inline(__always)
  private func host(_ operation: VectorFloat, _ a: SIMD2<Double>, _ b: SIMD2<Double>) -> SIMD2<Double>? {
    let result: SIMD2<Double>
    switch operation {
    case .add: result = a + b
    case .subtract: result = a - b
    case .multiply: result = a * b
    case .divide: result = a / b
    default: return nil
    }
    let doubts = Vector128(lanes: result).haveNoLargeExponents | Vector128(lanes: a).areSpecial
    return (doubts | Vector128(lanes: b).areSpecial).signs64 == 0 ? result : nil
  }

  @inline(__always)
  private func host(_ operation: VectorFloat, _ a: SIMD4<Float>, _ b: SIMD4<Float>) -> SIMD4<Float>? {
    let result: SIMD4<Float>
    switch operation {
    case .add: result = a + b
    case .subtract: result = a - b
    case .multiply: result = a * b
    case .divide: result = a / b
    default: return nil
    }
    let doubts = Vector128(lanes: result).haveNoLargeSingleExponents | Vector128(lanes: a).areSpecialSingles
    return (doubts | Vector128(lanes: b).areSpecialSingles).signs32 == 0 ? result : nil
  }
}

// What an exponent says, in few instructions. With one added, the exponents of zeros and denormals and those of
// infinities and NaNs, 0 and all ones, have no bit set above the lowest; 1 and 2 beside them none above the second.

extension UInt64 {
  /// A double that is no zero, denormal, infinity or NaN.
  @inline(__always) fileprivate var isNormal: Bool { (self &+ 1 << 52) & 0x7fe0_0000_0000_0000 != 0 }
  /// The same of a result that cannot have been rounded up from a denormal either.
  @inline(__always) fileprivate var hasLargeExponent: Bool { (self &+ 1 << 52) & 0x7fc0_0000_0000_0000 != 0 }
  /// The same of the single in the low half.
  @inline(__always) fileprivate var isSingle: Bool { (self &+ 1 << 23) & 0x7f00_0000 != 0 }
  @inline(__always) fileprivate var isClearlySingle: Bool { (self &+ 1 << 23) & 0x7e00_0000 != 0 }
}

/// The opposite of all elements at once, as their top bits: one less than those bits has the top bit set where there
/// are none, and not otherwise.
extension SIMD2<UInt64> {
  @inline(__always) fileprivate var areSpecial: Vector128 { lack64(0x7fe0_0000_0000_0000) }
  @inline(__always) fileprivate var haveNoLargeExponents: Vector128 { lack64(0x7fc0_0000_0000_0000) }
  @inline(__always) fileprivate var areSpecialSingles: Vector128 { lack32(0x7f00_0000) }
  @inline(__always) fileprivate var haveNoLargeSingleExponents: Vector128 { lack32(0x7e00_0000) }

  @inline(__always) private func lack64(_ bits: UInt64) -> Vector128 {
    ((self &+ Vector128(repeating: 1 << 52)) & Vector128(repeating: bits)) &- Vector128(repeating: 1)
  }
  @inline(__always) private func lack32(_ bits: UInt32) -> Vector128 {
    let sums = lanes(SIMD4<UInt32>.self) &+ SIMD4(repeating: 1 << 23)
    return Vector128(lanes: (sums & SIMD4(repeating: bits)) &- SIMD4(repeating: 1))
  }

  @inline(__always) fileprivate var signs64: UInt64 { (x | y) & 1 << 63 }
  @inline(__always) fileprivate var signs32: UInt64 { (x | y) & 0x8000_0000_8000_0000 }
}

extension VectorFloat {
  /// The operations that the host does in one piece; nil for another.
  @inline(__always) init?(hosted operation: UInt8) {
    switch operation {
    case VectorFloat.add.rawValue: self = .add
    case VectorFloat.multiply.rawValue: self = .multiply
    case VectorFloat.subtract.rawValue: self = .subtract
    case VectorFloat.divide.rawValue: self = .divide
    default: return nil
    }
  }
}

extension FloatUnit {
  /// Whether rounding is to nearest and an inexact result raises no exception.
  @inline(__always) var roundsPlainly: Bool {
    mxcsr & (3 << MXCSR.roundingShift | MXCSR.precision << MXCSR.maskShift) == MXCSR.precision << MXCSR.maskShift
  }

  /// The result, with the precision flag where it is inexact; nil where the host's arithmetic does not tell.
  @inline(__always)
  mutating func hosted<Number: HostNumber>(_ operation: VectorFloat, _ a: Number, _ b: Number) -> Number? {
    guard roundsPlainly, a.isZeroOrNormal, b.isZeroOrNormal else { return nil }
    let result: Number
    switch operation {
    case .add: result = a + b
    case .subtract: result = a - b
    case .multiply: result = a * b
    default: result = a / b
    }
    guard result.isClearlyNormal else {
      // An exact zero: of a sum that cancels, or of a zero.
      guard result == 0, operation == .add || operation == .subtract || a == 0 || operation == .multiply && b == 0,
        b.isFinite, a.isFinite
      else { return nil }
      return result
    }
    if mxcsr & MXCSR.precision != 0 { return result }
    let isExact: Bool?
    switch operation {
    case .add: isExact = Number.isExact(sum: a, b, result)
    case .subtract: isExact = Number.isExact(sum: a, -b, result)
    case .multiply: isExact = Number.isExact(product: a, b, result)
    // The dividend is the exact product of quotient and divisor.
    default: isExact = Number.isExact(product: result, b, a)
    }
    guard let isExact else { return nil }
    if !isExact { raised |= MXCSR.precision }
    return result
  }

  @inline(__always) mutating func hostedRoot<Number: HostNumber>(_ a: Number) -> Number? {
    guard roundsPlainly, a.isClearlyNormal, a > 0 else { return nil }
    let result = a.squareRoot()
    if mxcsr & MXCSR.precision != 0 { return result }
    guard let isExact = Number.isExact(product: result, result, a) else { return nil }
    if !isExact { raised |= MXCSR.precision }
    return result
  }
}

/// The host's formats that are the guest's too.
protocol HostNumber: BinaryFloatingPoint {
  /// Whether the product is exactly the number that it was rounded to; nil where that cannot be told.
  static func isExact(product a: Self, _ b: Self, _ product: Self) -> Bool?
  /// Numbers so large that an intermediate result of the sum's proof might overflow.
  static var large: Self { get }
}

extension HostNumber {
  /// Normal, whatever it was rounded from: the least normal number may have been rounded up to.
  @inline(__always) var isClearlyNormal: Bool { magnitude > Self.leastNormalMagnitude && magnitude < .infinity }
  /// No denormal and no NaN.
  @inline(__always) var isZeroOrNormal: Bool { magnitude >= Self.leastNormalMagnitude || self == 0 }

  /// Knuth's error of a sum is itself exact.
  @inline(__always) static func isExact(sum a: Self, _ b: Self, _ sum: Self) -> Bool? {
    guard a.magnitude < large, b.magnitude < large else { return nil }
    let other = sum - a
    return (a - (sum - other)) + (b - other) == 0
  }
}

extension Double: HostNumber {
  static var large: Double { 0x1p1020 }

  /// The error of a product is a double unless it is too small, and a fused multiplication gives it.
  @inline(__always) static func isExact(product a: Double, _ b: Double, _ product: Double) -> Bool? {
    guard product.magnitude > 0x1p-900 else { return nil }
    return (-product).addingProduct(a, b) == 0
  }
}

extension Float: HostNumber {
  @inline(__always) init(low bits: UInt64) { self.init(bitPattern: UInt32(truncatingIfNeeded: bits)) }

  static var large: Float { 0x1p120 }

  /// A product of singles is a double.
  @inline(__always) static func isExact(product a: Float, _ b: Float, _ product: Float) -> Bool? {
    Double(a) * Double(b) == Double(product)
  }
}
