/// Fused multiplications and additions, rounded once (SDM vol. 2: VFMADD132PD and its kin).
extension Processor {
  func vectorFused(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorFused(rawValue: vector.operation) else { return }
    let one = self.vector(op.pointee.dst)
    let two = self.vector(vector.first)
    let three = try vectorSource(op, form)
    let (a, b, c) =
      switch vector.order {
      case .first132: (one, three, two)
      case .first213: (two, one, three)
      case .first231: (two, three, one)
      }
    var unit = FloatUnit(s.pointee.vector.mxcsr)
    var result = one
    result.low = unit.fused(operation, vector, a.low, b.low, c.low, rest: one.low)
    if vector.isWide { result.high = unit.fused(operation, vector, a.high, b.high, c.high, rest: one.high) }
    try finish(unit)
    setResult(op, vector, result)
  }
}

extension FloatUnit {
  /// - Parameter rest: where the elements come from that a scalar form leaves as they are.
  fileprivate mutating func fused(
    _ operation: VectorFused, _ form: VectorForm, _ a: Vector128, _ b: Vector128, _ c: Vector128, rest: Vector128
  ) -> Vector128 {
    if form.isScalar {
      let bits = fused(operation, a.low(form), b.low(form), c.low(form), isOdd: false, isDouble: form.isDouble)
      return rest.replacing(low: form.isDouble ? 8 : 4, by: bits)
    }
    if form.isDouble {
      let low = fused(operation, a.x, b.x, c.x, isOdd: false, isDouble: true)
      return Vector128(low, fused(operation, a.y, b.y, c.y, isOdd: true, isDouble: true))
    }
    let x = a.lanes(SIMD4<UInt32>.self)
    let y = b.lanes(SIMD4<UInt32>.self)
    let z = c.lanes(SIMD4<UInt32>.self)
    var result = SIMD4<UInt32>()
    for lane in 0..<4 {
      result[lane] = UInt32(
        truncatingIfNeeded: fused(
          operation, UInt64(x[lane]), UInt64(y[lane]), UInt64(z[lane]), isOdd: lane & 1 != 0, isDouble: false))
    }
    return Vector128(lanes: result)
  }

  private mutating func fused(
    _ operation: VectorFused, _ a: UInt64, _ b: UInt64, _ c: UInt64, isOdd: Bool, isDouble: Bool
  ) -> UInt64 {
    let negates = operation == .negatedMultiplyAdd || operation == .negatedMultiplySubtract
    let subtracts =
      switch operation {
      case .multiplyAdd, .negatedMultiplyAdd: false
      case .multiplySubtract, .negatedMultiplySubtract: true
      case .multiplyAddSubtract: !isOdd
      case .multiplySubtractAdd: isOdd
      }
    if isPlain {
      if isDouble {
        let x = Double(bitPattern: a)
        let y = Double(bitPattern: b)
        let z = Double(bitPattern: c)
        if let result = hosted(negates ? -x : x, y, subtracts ? -z : z) { return result.bitPattern }
      } else if let result = hosted(
        negates ? -Float(low: a) : Float(low: a), Float(low: b), subtracts ? -Float(low: c) : Float(low: c))
      {
        return UInt64(result.bitPattern)
      }
    }
    return fused(a, b, c, negates: negates, subtracts: subtracts, isDouble ? .double : .single)
  }

  /// The host's result, where nothing but its precision is to tell.
  @inline(__always) private func hosted<Number: HostNumber>(_ a: Number, _ b: Number, _ c: Number) -> Number? {
    guard a.isZeroOrNormal, b.isZeroOrNormal, c.isZeroOrNormal else { return nil }
    let result = c.addingProduct(a, b)
    return result.isClearlyNormal ? result : nil
  }

  /// `a * b + c`, with a negated product or addend: a NaN keeps its sign.
  private mutating func fused(
    _ a: UInt64, _ b: UInt64, _ c: UInt64, negates: Bool, subtracts: Bool, _ format: FloatFormat
  ) -> UInt64 {
    if let nan = propagated(a, b, c, format) { return nan }
    let x = flushed(a, format)
    let y = flushed(b, format)
    let z = flushed(c, format) ^ (subtracts ? format.signBit : 0)
    let sign = (x ^ y) & format.signBit ^ (negates ? format.signBit : 0)
    let isInfinite = format.isInfinite(x) || format.isInfinite(y)
    if isInfinite && (format.isZero(x) || format.isZero(y)) { return invalid(format) }
    if isInfinite && format.isInfinite(z) && z & format.signBit != sign { return invalid(format) }
    noteDenormal(x, format)
    noteDenormal(y, format)
    noteDenormal(z, format)
    if isInfinite { return sign | format.infinity }
    if format.isInfinite(z) { return z }
    if format.isZero(x) || format.isZero(y) {
      guard format.isZero(z) else { return rounded(Unpacked(z, format), sticky: false, format) }
      return z & format.signBit == sign ? sign : rounding == .down ? format.signBit : 0
    }
    var product = WideSignificand(Unpacked(x, format), Unpacked(y, format))
    product.isNegative = sign != 0
    let total = format.isZero(z) ? product : product.adding(WideSignificand(Unpacked(z, format)))
    guard total.significand != 0 else { return rounding == .down ? format.signBit : 0 }
    return rounded(
      Unpacked(
        isNegative: total.isNegative, exponent: total.exponent,
        significand: UInt64(truncatingIfNeeded: total.significand >> 64)),
      sticky: UInt64(truncatingIfNeeded: total.significand) != 0, format)
  }

  /// The NaN of three operands: the first that is one.
  private mutating func propagated(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ format: FloatFormat) -> UInt64? {
    if format.isSignalling(c) { raised |= MXCSR.invalid }
    if let nan = propagated(a, b, format) { return nan }
    return format.isNaN(c) ? c | format.quietBit : nil
  }
}

/// `significand * 2^(exponent - 127)`, the top bit of the significand set unless it is zero.
private struct WideSignificand {
  var isNegative: Bool
  var exponent: Int
  var significand: UInt128

  init(_ number: Unpacked) {
    isNegative = number.isNegative
    exponent = number.exponent
    significand = UInt128(number.significand) << 64
  }

  /// The exact product of two numbers' magnitudes.
  init(_ a: Unpacked, _ b: Unpacked) {
    isNegative = false
    significand = UInt128(a.significand) &* UInt128(b.significand)
    exponent = a.exponent &+ b.exponent &+ 1
    normalize()
  }

  private mutating func normalize() {
    let shift = significand.leadingZeroBitCount
    guard shift > 0, shift < 128 else { return }
    significand = significand << UInt128(shift)
    exponent &-= shift
  }

  /// The sum, whose lowest bit stands for all that lies below it. Neither number has more than 106 significant bits, so
  /// that two bits of room at the top cost nothing at the bottom.
  func adding(_ other: WideSignificand) -> WideSignificand {
    let isLarger = exponent != other.exponent ? exponent > other.exponent : significand >= other.significand
    let (large, small) = isLarger ? (self, other) : (other, self)
    let distance = large.exponent &- small.exponent
    let room = large.significand >> 2
    let whole = small.significand >> 2
    let shifted: UInt128 =
      distance > 125 ? 1 : whole >> UInt128(distance) | (whole & (1 << UInt128(distance) &- 1) != 0 ? 1 : 0)
    var result = large
    result.exponent &+= 2
    result.significand = large.isNegative == small.isNegative ? room &+ shifted : room &- shifted
    result.normalize()
    return result
  }
}
