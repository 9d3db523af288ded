/// Conversions between floating-point formats and integers (SDM vol. 2: CVTSI2SD, CVTTSS2SI, CVTPS2DQ, CVTSD2SS and
/// their kin). The form's format is the floating-point one; of those between formats, the source's.
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
      setXMM(op.pointee.dst, xmm(op.pointee.dst).replacing(low: vector.isDouble ? 8 : 4, by: bits))
    case .toInteger, .toIntegerTruncated:
      let source = try vectorSource(op, form).low(vector)
      let value = unit.toInteger(
        source, format, bits: UInt64(8 &* form.sourceWidth), truncates: operation == .toIntegerTruncated)
      try finish(unit)
      setRegister(op.pointee.dst, width: form.sourceWidth, value)
    case .format:
      let source = try vectorSource(op, form)
      let result = unit.reformatted(source, into: xmm(op.pointee.dst), vector)
      try finish(unit)
      setXMM(op.pointee.dst, result)
    case .packedFromInteger:
      let source = try vectorSource(op, form).lanes(SIMD4<Int32>.self)
      let result: Vector128
      if vector.isDouble {
        result = Vector128(unit.fromInteger(Int64(source[0]), format), unit.fromInteger(Int64(source[1]), format))
      } else {
        result = Vector128(lanes: source).mapped(as: SIMD4<UInt32>.self) {
          UInt32(truncatingIfNeeded: unit.fromInteger(Int64(Int32(bitPattern: $0)), format))
        }
      }
      try finish(unit)
      setXMM(op.pointee.dst, result)
    case .packedToInteger, .packedToIntegerTruncated:
      let source = try vectorSource(op, form)
      let truncates = operation == .packedToIntegerTruncated
      let result: Vector128
      if vector.isDouble {
        let low = unit.toInteger(source.x, format, bits: 32, truncates: truncates)
        let high = unit.toInteger(source.y, format, bits: 32, truncates: truncates)
        result = Vector128(low | high << 32, 0)
      } else {
        result = source.mapped(as: SIMD4<UInt32>.self) {
          UInt32(truncatingIfNeeded: unit.toInteger(UInt64($0), format, bits: 32, truncates: truncates))
        }
      }
      try finish(unit)
      setXMM(op.pointee.dst, result)
    }
  }
}

extension FloatUnit {
  /// CVTSS2SD, CVTSD2SS, CVTPS2PD, CVTPD2PS.
  fileprivate mutating func reformatted(
    _ source: Vector128, into destination: Vector128, _ form: VectorForm
  ) -> Vector128 {
    if form.isDouble {
      let low = converted(source.x, from: .double, to: .single)
      if form.isScalar { return destination.replacing(low: 4, by: low) }
      return Vector128(low | converted(source.y, from: .double, to: .single) << 32, 0)
    }
    let low = converted(source.x & 0xffff_ffff, from: .single, to: .double)
    if form.isScalar { return Vector128(low, destination.y) }
    return Vector128(low, converted(source.x >> 32, from: .single, to: .double))
  }
}
