/// Moves of vectors and of their parts (SDM vol. 2: MOVAPS, MOVSS, MOVQ, MOVHPS, MOVMSKPS, MASKMOVDQU and their kin).
extension Processor {
  func vectorMove(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorMove(rawValue: vector.operation) else { return }
    switch operation {
    case .whole: try moveWhole(op, form)
    case .scalar: try moveScalar(op, form)
    case .quadword:
      if form.shape == .mr { return try storePart(op, form, xmm(op.pointee.src).x) }
      setResult(op, vector, Vector128(try vectorSource(op, form).low.x, 0))
    case .fromGeneral:
      let value =
        form.shape == .rm
        ? try loadVectorPart(effectiveAddress(op), width: form.width, stack: form.usesStack)
        : register(op.pointee.src, width: form.width)
      setResult(op, vector, Vector128(value, 0))
    case .toGeneral:
      if form.shape == .mr { return try storePart(op, form, xmm(op.pointee.src).x) }
      setRegister(op.pointee.dst, width: form.width, xmm(op.pointee.src).x.truncated(to: form.width))
    case .loadLow: setResult(op, vector, Vector128(try vectorMemory(op, form).low.x, xmm(vector.first).y))
    case .loadHigh: setResult(op, vector, Vector128(xmm(vector.first).x, try vectorMemory(op, form).low.x))
    case .storeHigh: try storePart(op, form, xmm(op.pointee.src).y)
    case .highToLow: setResult(op, vector, Vector128(xmm(op.pointee.src).y, xmm(vector.first).y))
    case .lowToHigh: setResult(op, vector, Vector128(xmm(vector.first).x, xmm(op.pointee.src).x))
    case .duplicateEven: try duplicate(op, form) { ($0 & 0xffff_ffff) &* 0x1_0000_0001 }
    case .duplicateOdd: try duplicate(op, form) { ($0 >> 32) &* 0x1_0000_0001 }
    case .duplicateLow:
      let source = try vectorSource(op, form)
      setResult(
        op, vector, Vector256(Vector128(repeating: source.low.x), Vector128(repeating: source.high.x)))
    case .maskOfSingles: setMask(op, vector, lanes: 4) { $0.signs(SIMD4<Int32>.self) }
    case .maskOfDoubles: setMask(op, vector, lanes: 2) { $0.signs(SIMD2<Int64>.self) }
    case .maskOfBytes: setMask(op, vector, lanes: 16) { $0.signs8 }
    case .storeMasked: try storeMasked(form, mask: xmm(op.pointee.src), bytes: xmm(op.pointee.dst), width: 16)
    }
  }

  @inline(__always) private func moveWhole(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    guard form.shape == .mr else { return setResult(op, form.vector, try vectorSource(op, form)) }
    let address = effectiveAddress(op)
    try checkVectorAlignment(address, form)
    if form.width == 32 { return try storeWideVector(address, vector(op.pointee.src), stack: form.usesStack) }
    try storeVector(address, xmm(op.pointee.src), stack: form.usesStack)
  }

  private func moveScalar(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let vector = form.vector
    switch form.shape {
    case .mr: try storePart(op, form, xmm(op.pointee.src).x)
    case .rm: setResult(op, vector, try vectorMemory(op, form).low)
    default: setResult(op, vector, xmm(vector.first).replacing(low: form.width, by: xmm(op.pointee.src).x))
    }
  }

  /// Each 64-bit word by itself.
  @inline(__always) private func duplicate(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ body: (UInt64) -> UInt64
  ) throws(Stopped) {
    let source = try vectorSource(op, form)
    setResult(
      op, form.vector,
      Vector256(
        Vector128(body(source.low.x), body(source.low.y)), Vector128(body(source.high.x), body(source.high.y))))
  }

  /// Sign bits to a general register.
  @inline(__always) private func setMask(
    _ op: UnsafePointer<Operation>, _ form: VectorForm, lanes: UInt64, _ signs: (Vector128) -> UInt64
  ) {
    let source = vector(op.pointee.src)
    setRegister(
      op.pointee.dst, width: 8, signs(source.low) | (form.isWide ? signs(source.high) &<< lanes : 0))
  }

  @inline(__always) private func storePart(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ value: UInt64
  ) throws(Stopped) {
    try store(
      effectiveAddress(op), width: form.width, value: value.truncated(to: form.width), stack: form.usesStack)
  }

  /// Bytes go to where rDI points, one by one, once it is known that all can. With an empty mask nothing is accessed, but
  /// the address has to be one (SDM vol. 2, MASKMOVDQU, leaves open which exceptions there are then).
  func storeMasked(_ form: OperandForm, mask: Vector128, bytes: Vector128, width: Int) throws(Stopped) {
    let mask = mask.signs8
    let offset = s.pointee.slots[Int(Slot.rdi)] & form.addressSize.mask
    let address = try linear(form.segment ?? .ds, offset, width: width, write: true)
    guard mask != 0 else {
      if codeSize == .bits64 && !isCanonical(address) {
        throw raise(form.usesStack ? .stack(0) : .generalProtection(0))
      }
      return
    }
    let first = UInt64(mask.trailingZeroBitCount)
    let last = UInt64(63 &- mask.leadingZeroBitCount)
    if controls.grants.isEmpty {
      try probeWrite(
        address &+ first, width: Int(last &- first &+ 1), privilege: privilege, stack: form.usesStack)
    }
    let bytes = bytes.lanes(SIMD16<UInt8>.self)
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
