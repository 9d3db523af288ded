/// Conversions between floating-point formats and integers (SDM vol. 2: CVTSI2SD, CVTTSS2SI, CVTPS2DQ, CVTSD2SS,
/// VCVTPH2PS and their kin). The form's format is the floating-point one; of those between formats, the source's.
extension Processor {
  func vectorConvert(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorConvert(rawValue: vector.operation) else { return }
    var unit = FloatUnit(s.pointee.vector.mxcsr)
    let format = vector.isDouble ? FloatFormat.double : .single
    switch operation {
    case .fromInteger:
      let value =
        form.shape == .rm
        ? try loadVectorPart(effectiveAddress(op), width: form.width, stack: form.usesStack)
        : register(op.pointee.src, width: form.width)
      let bits = unit.fromInteger(Int64(bitPattern: value.signExtended(from: form.width)), format)
      try finish(unit)
      setResult(op, vector, xmm(vector.first).replacing(low: vector.isDouble ? 8 : 4, by: bits))
    case .toInteger, .toIntegerTruncated:
      let source = try vectorSource(op, form).low.low(vector)
      let value = unit.toInteger(
        source, format, bits: UInt64(8 &* form.sourceWidth), truncates: operation == .toIntegerTruncated)
      try finish(unit)
      setRegister(op.pointee.dst, width: form.sourceWidth, value)
    case .format:
      let source = try vectorSource(op, form)
      let result = unit.reformatted(source, into: xmm(vector.first), vector)
      try finish(unit)
      setResult(op, vector, result)
    case .packedFromInteger:
      let source = try vectorSource(op, form)
      let result = unit.fromIntegers(source, vector, format)
      try finish(unit)
      setResult(op, vector, result)
    case .packedToInteger, .packedToIntegerTruncated:
      let source = try vectorSource(op, form)
      let result = unit.toIntegers(source, vector, format, truncates: operation == .packedToIntegerTruncated)
      try finish(unit)
      setResult(op, vector, result)
    case .fromHalf:
      let source = try vectorSource(op, form).low
      // Denormals of half precision are normal numbers of single, whatever MXCSR says of denormals.
      var unit = FloatUnit(s.pointee.vector.mxcsr & ~MXCSR.denormalsAreZeros)
      var result = Vector256(unit.fromHalves(source.x))
      if vector.isWide { result.high = unit.fromHalves(source.y) }
      unit.raised &= ~MXCSR.denormal
      try finish(unit)
      setResult(op, vector, result)
    case .toHalf: try toHalf(op, form)
    }
  }

  private func toHalf(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let vector = form.vector
    var unit = FloatUnit(s.pointee.vector.mxcsr).forHalves(UInt8(truncatingIfNeeded: op.pointee.imm))
    let source = self.vector(op.pointee.src)
    let result = Vector128(unit.toHalves(source.low), vector.isWide ? unit.toHalves(source.high) : 0)
    guard form.shape == .mri else {
      try finish(unit)
      // The result has half the width of the source.
      var narrow = vector
      narrow.isWide = false
      return setResult(op, narrow, result)
    }
    // A fault of the store comes before exceptions that are not masked (SDM vol. 3, table 6-2), and leaves no flags.
    let mxcsr = s.pointee.vector.mxcsr
    if unit.pending != 0 && controls.grants.isEmpty {
      try probeWrite(effectiveAddress(op), width: form.width, privilege: privilege, stack: form.usesStack)
    }
    try finish(unit)
    do {
      if form.width == 16 {
        try storeVector(effectiveAddress(op), result, stack: form.usesStack)
      } else {
        try store(effectiveAddress(op), width: 8, value: result.x, stack: form.usesStack)
      }
    } catch {
      s.pointee.vector.mxcsr = mxcsr
      throw error
    }
  }
}

extension FloatUnit {
  /// CVTSS2SD, CVTSD2SS, CVTPS2PD, CVTPD2PS.
  fileprivate mutating func reformatted(
    _ source: Vector256, into destination: Vector128, _ form: VectorForm
  ) -> Vector256 {
    if form.isDouble {
      let low = converted(source.low.x, from: .double, to: .single)
      if form.isScalar { return Vector256(destination.replacing(low: 4, by: low)) }
      var result = Vector128(low | converted(source.low.y, from: .double, to: .single) << 32, 0)
      if form.isWide {
        let third = converted(source.high.x, from: .double, to: .single)
        result.y = third | converted(source.high.y, from: .double, to: .single) << 32
      }
      return Vector256(result)
    }
    if form.isScalar {
      return Vector256(
        Vector128(converted(source.low.x & 0xffff_ffff, from: .single, to: .double), destination.y))
    }
    var result = Vector256(toDoubles(source.low.x))
    if form.isWide { result.high = toDoubles(source.low.y) }
    return result
  }

  private mutating func toDoubles(_ singles: UInt64) -> Vector128 {
    let low = converted(singles & 0xffff_ffff, from: .single, to: .double)
    return Vector128(low, converted(singles >> 32, from: .single, to: .double))
  }

  /// CVTDQ2PD, CVTDQ2PS.
  fileprivate mutating func fromIntegers(
    _ source: Vector256, _ form: VectorForm, _ format: FloatFormat
  ) -> Vector256 {
    func number(_ bits: UInt64) -> Int64 { Int64(Int32(truncatingIfNeeded: bits)) }
    guard form.isDouble else {
      var result = Vector256()
      result.low = source.low.mapped(as: SIMD4<UInt32>.self) {
        UInt32(truncatingIfNeeded: fromInteger(number(UInt64($0)), format))
      }
      if form.isWide {
        result.high = source.high.mapped(as: SIMD4<UInt32>.self) {
          UInt32(truncatingIfNeeded: fromInteger(number(UInt64($0)), format))
        }
      }
      return result
    }
    // Every 32-bit integer is a double.
    let (x, y) = (source.low.x, source.low.y)
    return Vector256(
      Vector128(fromInteger(number(x), format), fromInteger(number(x >> 32), format)),
      Vector128(fromInteger(number(y), format), fromInteger(number(y >> 32), format)))
  }

  /// CVTPD2DQ, CVTPS2DQ and those that truncate.
  fileprivate mutating func toIntegers(
    _ source: Vector256, _ form: VectorForm, _ format: FloatFormat, truncates: Bool
  ) -> Vector256 {
    if form.isDouble {
      return Vector256(
        Vector128(
          toIntegers(source.low, format, truncates), form.isWide ? toIntegers(source.high, format, truncates) : 0))
    }
    var result = Vector256()
    result.low = source.low.mapped(as: SIMD4<UInt32>.self) {
      UInt32(truncatingIfNeeded: toInteger(UInt64($0), format, bits: 32, truncates: truncates))
    }
    if form.isWide {
      result.high = source.high.mapped(as: SIMD4<UInt32>.self) {
        UInt32(truncatingIfNeeded: toInteger(UInt64($0), format, bits: 32, truncates: truncates))
      }
    }
    return result
  }

  private mutating func toIntegers(_ doubles: Vector128, _ format: FloatFormat, _ truncates: Bool) -> UInt64 {
    let low = toInteger(doubles.x, format, bits: 32, truncates: truncates)
    return low | toInteger(doubles.y, format, bits: 32, truncates: truncates) << 32
  }

  // MARK: Half precision

  /// VCVTPH2PS: four of them.
  fileprivate mutating func fromHalves(_ source: UInt64) -> Vector128 {
    var result = SIMD4<UInt32>()
    for lane in 0..<4 {
      let half = source &>> UInt64(16 &* lane) & 0xffff
      result[lane] = UInt32(truncatingIfNeeded: converted(half, from: .half, to: .single))
    }
    return Vector128(lanes: result)
  }

  /// VCVTPS2PH: four of them.
  fileprivate mutating func toHalves(_ source: Vector128) -> UInt64 {
    let singles = source.lanes(SIMD4<UInt32>.self)
    var result: UInt64 = 0
    for lane in 0..<4 {
      result |= converted(UInt64(singles[lane]), from: .single, to: .half) &<< UInt64(16 &* lane)
    }
    return result
  }

  /// VCVTPS2PH's own rounding mode, unless its control leaves that to MXCSR; denormal results are never flushed.
  fileprivate func forHalves(_ control: UInt8) -> FloatUnit {
    let kept = mxcsr & ~MXCSR.flushToZero
    guard control & 4 == 0 else { return FloatUnit(kept) }
    return FloatUnit(kept & ~(3 << MXCSR.roundingShift) | UInt32(control & 3) << MXCSR.roundingShift)
  }
}

extension FloatFormat {
  fileprivate static let half = FloatFormat(fraction: 10, exponent: 5)
}
