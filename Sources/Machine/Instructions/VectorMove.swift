/// Moves of vectors and of their parts (SDM vol. 2: MOVAPS, MOVSS, MOVQ, MOVHPS, MOVMSKPS, MASKMOVDQU and their kin).
extension Processor {
  func vectorMove(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    guard let operation = VectorMove(rawValue: form.vector.operation) else { return }
    switch operation {
    case .whole: try moveWhole(op, form)
    case .scalar: try moveScalar(op, form)
    case .quadword:
      if form.shape == .mr { return try storePart(op, form, xmm(op.pointee.src).x) }
      setXMM(op.pointee.dst, Vector128(try vectorSource(op, form).x, 0))
    case .fromGeneral:
      let value =
        form.shape == .rm
        ? try loadVectorPart(effectiveAddress(op), width: form.width, stack: form.usesStack)
        : register(op.pointee.src, width: form.width)
      setXMM(op.pointee.dst, Vector128(value, 0))
    case .toGeneral:
      if form.shape == .mr { return try storePart(op, form, xmm(op.pointee.src).x) }
      setRegister(op.pointee.dst, width: form.width, xmm(op.pointee.src).x.truncated(to: form.width))
    case .loadLow: setXMM(op.pointee.dst, Vector128(try vectorMemory(op, form).x, xmm(op.pointee.dst).y))
    case .loadHigh: setXMM(op.pointee.dst, Vector128(xmm(op.pointee.dst).x, try vectorMemory(op, form).x))
    case .storeHigh: try storePart(op, form, xmm(op.pointee.src).y)
    case .highToLow: setXMM(op.pointee.dst, Vector128(xmm(op.pointee.src).y, xmm(op.pointee.dst).y))
    case .lowToHigh: setXMM(op.pointee.dst, Vector128(xmm(op.pointee.dst).x, xmm(op.pointee.src).x))
    case .duplicateEven:
      let a = try vectorSource(op, form).lanes(SIMD4<UInt32>.self)
      setXMM(op.pointee.dst, Vector128(lanes: SIMD4(a[0], a[0], a[2], a[2])))
    case .duplicateOdd:
      let a = try vectorSource(op, form).lanes(SIMD4<UInt32>.self)
      setXMM(op.pointee.dst, Vector128(lanes: SIMD4(a[1], a[1], a[3], a[3])))
    case .duplicateLow:
      let low = try vectorSource(op, form).x
      setXMM(op.pointee.dst, Vector128(low, low))
    case .maskOfSingles: setRegister(op.pointee.dst, width: 8, xmm(op.pointee.src).signs(SIMD4<Int32>.self))
    case .maskOfDoubles: setRegister(op.pointee.dst, width: 8, xmm(op.pointee.src).signs(SIMD2<Int64>.self))
    case .maskOfBytes: setRegister(op.pointee.dst, width: 8, xmm(op.pointee.src).signs8)
    case .storeMasked: try storeMasked(op, form)
    }
  }

  @inline(__always) private func moveWhole(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    guard form.shape == .mr else { return setXMM(op.pointee.dst, try vectorSource(op, form)) }
    let address = effectiveAddress(op)
    try checkVectorAlignment(address, form)
    try storeVector(address, xmm(op.pointee.src), stack: form.usesStack)
  }

  private func moveScalar(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    switch form.shape {
    case .mr: try storePart(op, form, xmm(op.pointee.src).x)
    case .rm: setXMM(op.pointee.dst, try vectorMemory(op, form))
    default: setXMM(op.pointee.dst, xmm(op.pointee.dst).replacing(low: form.width, by: xmm(op.pointee.src).x))
    }
  }

  @inline(__always) private func storePart(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ value: UInt64
  ) throws(Stopped) {
    try store(
      effectiveAddress(op), width: form.width, value: value.truncated(to: form.width), stack: form.usesStack)
  }

  /// Bytes go to where rDI points, one by one, once it is known that all can; with an empty mask nothing is accessed.
  private func storeMasked(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let mask = xmm(op.pointee.src).signs8
    guard mask != 0 else { return }
    let offset = s.pointee.slots[Int(Slot.rdi)] & form.addressSize.mask
    let address = try linear(form.segment ?? .ds, offset, width: 16, write: true)
    let first = UInt64(mask.trailingZeroBitCount)
    let last = UInt64(63 &- mask.leadingZeroBitCount)
    if controls.grants.isEmpty {
      try probeWrite(
        address &+ first, width: Int(last &- first &+ 1), privilege: privilege, stack: form.usesStack)
    }
    let bytes = xmm(op.pointee.dst).lanes(SIMD16<UInt8>.self)
    for byte in first...last where mask >> byte & 1 != 0 {
      try store(address &+ byte, width: 1, value: UInt64(bytes[Int(byte)]), stack: form.usesStack)
    }
  }
}

extension SIMD2<UInt64> {
  /// The sign bits of sixteen bytes: a multiplication gathers those of eight at the top.
  @inline(__always) var signs8: UInt64 {
    let signs = self & 0x8080_8080_8080_8080
    return (signs.x &>> 7 &* 0x0102_0408_1020_4080) >> 56 | (signs.y &>> 7 &* 0x0102_0408_1020_4080) >> 48 & 0xff00
  }

  /// The sign bits of the lanes, the first one lowest.
  @inline(__always) func signs<Lanes: SIMD>(_ type: Lanes.Type) -> UInt64
  where Lanes.Scalar: FixedWidthInteger & SignedInteger {
    let a = lanes(type)
    var result: UInt64 = 0
    for lane in 0..<Lanes.scalarCount where a[lane] < 0 { result |= 1 &<< UInt64(lane) }
    return result
  }

  /// The same with the low 4 or 8 bytes replaced.
  @inline(__always) func replacing(low width: Int, by value: UInt64) -> Vector128 {
    Vector128(width == 4 ? x & ~0xffff_ffff | value & 0xffff_ffff : value, y)
  }
}
