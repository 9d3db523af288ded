/// Instructions that put elements of vectors elsewhere (SDM vol. 2: PUNPCKLBW, PACKSSWB, PSHUFD, SHUFPS, PINSRW,
/// PBLENDW, PMOVSXBW and their kin).
extension Processor {
  func vectorShuffle(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorShuffle(rawValue: vector.operation) else { return }
    let control = UInt8(truncatingIfNeeded: op.pointee.imm)
    switch operation {
    case .insert8, .insert16, .insert32, .insert64: return try insert(op, form, at: Int(control))
    case .extract8, .extract16, .extract32, .extract64: return try extract(op, form, at: Int(control))
    default: break
    }
    let source = try vectorSource(op, form)
    let first = self.vector(vector.first)
    if operation.takesMask {
      let mask = self.vector(vector.mask)
      return setResult(
        op, vector,
        Vector256(
          operation.blended(first.low, source.low, by: mask.low),
          operation.blended(first.high, source.high, by: mask.high)))
    }
    var result = Vector256(VectorShuffle.made(vector.operation, first.low, source.low, control))
    if vector.isWide {
      // The elements that PMOVSXBW and its kin make wider are the next ones.
      let high = operation.widens.map { source.low.shiftedRight(bytes: 16 / $0) } ?? source.high
      result.high = VectorShuffle.made(vector.operation, first.high, high, control >> operation.controlBits)
    }
    setResult(op, vector, result)
  }

  /// PINSRB and its kin: the form's width is the element's.
  private func insert(_ op: UnsafePointer<Operation>, _ form: OperandForm, at place: Int) throws(Stopped) {
    let value =
      form.shape == .rmi
      ? try load(effectiveAddress(op), width: form.width, stack: form.usesStack)
      : register(op.pointee.src, width: 8).truncated(to: form.width)
    var words = xmm(form.vector.first)
    let (word, shift, mask) = element(place, width: form.width)
    words[word] = words[word] & ~(mask &<< shift) | value &<< shift
    setResult(op, form.vector, words)
  }

  /// PEXTRB and its kin: the element, zero-extended into a general register, or to memory.
  private func extract(_ op: UnsafePointer<Operation>, _ form: OperandForm, at place: Int) throws(Stopped) {
    let (word, shift, mask) = element(place, width: form.width)
    let value = xmm(op.pointee.src)[word] &>> shift & mask
    if form.shape == .mri {
      try store(effectiveAddress(op), width: form.width, value: value, stack: form.usesStack)
    } else {
      setRegister(op.pointee.dst, width: 8, value)
    }
  }

  /// Where an element is: its 64-bit word, how far up in it, and the mask of its width.
  private func element(_ place: Int, width: Int) -> (word: Int, shift: UInt64, mask: UInt64) {
    let byte = (place &* width) & 15
    return (byte >> 3, UInt64(8 &* (byte & 7)), UInt64.max.truncated(to: width))
  }
}

extension VectorShuffle {
  /// Whether the operation has a mask for a third operand.
  var takesMask: Bool { self == .blendVariable8 || self == .blendVariable32 || self == .blendVariable64 }

  fileprivate func blended(_ destination: Vector128, _ source: Vector128, by mask: Vector128) -> Vector128 {
    switch self {
    case .blendVariable8: destination.blended(source, SIMD16<Int8>.self, bySignsOf: mask)
    case .blendVariable32: destination.blended(source, SIMD4<Int32>.self, bySignsOf: mask)
    default: destination.blended(source, SIMD2<Int64>.self, bySignsOf: mask)
    }
  }

  /// How many times wider elements become.
  fileprivate var widens: UInt64? {
    switch self {
    case .signExtend8to16, .signExtend16to32, .signExtend32to64, .zeroExtend8to16, .zeroExtend16to32, .zeroExtend32to64:
      2
    case .signExtend8to32, .signExtend16to64, .zeroExtend8to32, .zeroExtend16to64: 4
    case .signExtend8to64, .zeroExtend8to64: 8
    default: nil
    }
  }

  /// How many bits of the control are the lower half's alone, those for the upper half standing above them.
  fileprivate var controlBits: UInt8 {
    switch self {
    case .pairOf64, .select64, .blend64: 2
    case .blend32: 4
    default: 0
    }
  }

  /// What an operation makes of two vectors.
  @inline(never)
  static func made(
    _ operation: UInt8, _ destination: Vector128, _ source: Vector128, _ control: UInt8
  ) -> Vector128 {
    VectorShuffle(rawValue: operation).map { $0.made(destination, source, control) } ?? destination
  }

  @inline(__always)
  private func made(_ destination: Vector128, _ source: Vector128, _ control: UInt8) -> Vector128 {
    switch self {
    case .unpackLow8: destination.unpacked(with: source, SIMD16<UInt8>.self, from: 0)
    case .unpackLow16: destination.unpacked(with: source, SIMD8<UInt16>.self, from: 0)
    case .unpackLow32: destination.unpacked(with: source, SIMD4<UInt32>.self, from: 0)
    case .unpackLow64: Vector128(destination.x, source.x)
    case .unpackHigh8: destination.unpacked(with: source, SIMD16<UInt8>.self, from: 8)
    case .unpackHigh16: destination.unpacked(with: source, SIMD8<UInt16>.self, from: 4)
    case .unpackHigh32: destination.unpacked(with: source, SIMD4<UInt32>.self, from: 2)
    case .unpackHigh64: Vector128(destination.y, source.y)
    case .packSigned16: destination.packed(with: source, SIMD8<Int16>.self, SIMD16<Int8>.self)
    case .packSigned32: destination.packed(with: source, SIMD4<Int32>.self, SIMD8<Int16>.self)
    case .packUnsigned16: destination.packed(with: source, SIMD8<Int16>.self, SIMD16<UInt8>.self)
    case .packUnsigned32: destination.packed(with: source, SIMD4<Int32>.self, SIMD8<UInt16>.self)
    case .select32: source.selected32(control)
    case .selectLow16: Vector128(source.x.selected16(control), source.y)
    case .selectHigh16: Vector128(source.x, source.y.selected16(control))
    case .pairOf32: Vector128(destination.selected32(control).x, source.selected32(control).y)
    case .pairOf64: Vector128(destination[Int(control & 1)], source[Int(control >> 1 & 1)])
    case .select64: Vector128(source[Int(control & 1)], source[Int(control >> 1 & 1)])
    case .selectEach32: destination.selectedEach32(source)
    // Bit 1 of each control counts.
    case .selectEach64: Vector128(destination[Int(source.x >> 1 & 1)], destination[Int(source.y >> 1 & 1)])
    case .selectBytes: destination.selectedBytes(source)
    case .alignRight: source.shiftedRight(below: destination, bytes: Int(control))
    case .insertSingle: destination.insertedSingle(source, control)
    case .blend16: destination.blended(source, SIMD8<UInt16>.self) { control >> UInt8($0) & 1 != 0 }
    case .blend32: destination.blended(source, SIMD4<UInt32>.self) { control >> UInt8($0) & 1 != 0 }
    case .blend64: destination.blended(source, SIMD2<UInt64>.self) { control >> UInt8($0) & 1 != 0 }
    case .signExtend8to16: source.extended(SIMD16<Int8>.self, SIMD8<Int16>.self)
    case .signExtend8to32: source.extended(SIMD16<Int8>.self, SIMD4<Int32>.self)
    case .signExtend8to64: source.extended(SIMD16<Int8>.self, SIMD2<Int64>.self)
    case .signExtend16to32: source.extended(SIMD8<Int16>.self, SIMD4<Int32>.self)
    case .signExtend16to64: source.extended(SIMD8<Int16>.self, SIMD2<Int64>.self)
    case .signExtend32to64: source.extended(SIMD4<Int32>.self, SIMD2<Int64>.self)
    case .zeroExtend8to16: source.extended(SIMD16<UInt8>.self, SIMD8<UInt16>.self)
    case .zeroExtend8to32: source.extended(SIMD16<UInt8>.self, SIMD4<UInt32>.self)
    case .zeroExtend8to64: source.extended(SIMD16<UInt8>.self, SIMD2<UInt64>.self)
    case .zeroExtend16to32: source.extended(SIMD8<UInt16>.self, SIMD4<UInt32>.self)
    case .zeroExtend16to64: source.extended(SIMD8<UInt16>.self, SIMD2<UInt64>.self)
    case .zeroExtend32to64: source.extended(SIMD4<UInt32>.self, SIMD2<UInt64>.self)

    case .insert8, .insert16, .insert32, .insert64, .extract8, .extract16, .extract32, .extract64, .blendVariable8,
      .blendVariable32, .blendVariable64:
      destination
    }
  }
}

extension SIMD2<UInt64> {
  @inline(__always) fileprivate func unpacked<Lanes: SIMD>(
    with other: Vector128, _ type: Lanes.Type, from first: Int
  ) -> Vector128 {
    let a = lanes(type)
    let b = other.lanes(type)
    var result = Lanes()
    for lane in 0..<Lanes.scalarCount / 2 {
      result[2 &* lane] = a[first &+ lane]
      result[2 &* lane &+ 1] = b[first &+ lane]
    }
    return Vector128(lanes: result)
  }

  @inline(__always) fileprivate func packed<Wide: SIMD, Narrow: SIMD>(
    with other: Vector128, _ wide: Wide.Type, _ narrow: Narrow.Type
  ) -> Vector128 where Wide.Scalar: FixedWidthInteger, Narrow.Scalar: FixedWidthInteger {
    let a = lanes(wide)
    let b = other.lanes(wide)
    var result = Narrow()
    for lane in 0..<Wide.scalarCount {
      result[lane] = Narrow.Scalar(clamping: a[lane])
      result[Wide.scalarCount &+ lane] = Narrow.Scalar(clamping: b[lane])
    }
    return Vector128(lanes: result)
  }

  /// The low lanes, each made wider.
  @inline(__always) fileprivate func extended<Narrow: SIMD, Wide: SIMD>(
    _ narrow: Narrow.Type, _ wide: Wide.Type
  ) -> Vector128 where Narrow.Scalar: FixedWidthInteger, Wide.Scalar: FixedWidthInteger {
    let a = lanes(narrow)
    var result = Wide()
    for lane in 0..<Wide.scalarCount { result[lane] = Wide.Scalar(truncatingIfNeeded: a[lane]) }
    return Vector128(lanes: result)
  }

  @inline(__always) func selected32(_ control: UInt8) -> Vector128 {
    let a = lanes(SIMD4<UInt32>.self)
    return Vector128(
      lanes: SIMD4(a[Int(control & 3)], a[Int(control >> 2 & 3)], a[Int(control >> 4 & 3)], a[Int(control >> 6)]))
  }

  fileprivate func selectedEach32(_ control: Vector128) -> Vector128 {
    let a = lanes(SIMD4<UInt32>.self)
    return control.mapped(as: SIMD4<UInt32>.self) { a[Int($0 & 3)] }
  }

  fileprivate func selectedBytes(_ control: Vector128) -> Vector128 {
    let a = lanes(SIMD16<UInt8>.self)
    return control.mapped(as: SIMD16<UInt8>.self) { $0 & 0x80 != 0 ? 0 : a[Int($0 & 15)] }
  }

  /// PALIGNR: 32 bytes, these the low ones, shifted right.
  fileprivate func shiftedRight(below high: Vector128, bytes count: Int) -> Vector128 {
    let low = lanes(SIMD16<UInt8>.self)
    let upper = high.lanes(SIMD16<UInt8>.self)
    var result = SIMD16<UInt8>()
    for lane in 0..<16 {
      let from = lane &+ count
      if from < 16 { result[lane] = low[from] } else if from < 32 { result[lane] = upper[from &- 16] }
    }
    return Vector128(lanes: result)
  }

  /// INSERTPS. From memory the source has one element, which counts whatever the control's upper bits say: the decoder
  /// has cleared them.
  fileprivate func insertedSingle(_ source: Vector128, _ control: UInt8) -> Vector128 {
    var result = lanes(SIMD4<UInt32>.self)
    result[Int(control >> 4 & 3)] = source.lanes(SIMD4<UInt32>.self)[Int(control >> 6)]
    for lane in 0..<4 where control >> UInt8(lane) & 1 != 0 { result[lane] = 0 }
    return Vector128(lanes: result)
  }

  @inline(__always) fileprivate func blended<Lanes: SIMD>(
    _ other: Vector128, _ type: Lanes.Type, _ takesOther: (Int) -> Bool
  ) -> Vector128 {
    var result = lanes(type)
    let b = other.lanes(type)
    for lane in 0..<Lanes.scalarCount where takesOther(lane) { result[lane] = b[lane] }
    return Vector128(lanes: result)
  }

  @inline(__always) fileprivate func blended<Lanes: SIMD>(
    _ other: Vector128, _ type: Lanes.Type, bySignsOf mask: Vector128
  ) -> Vector128 where Lanes.Scalar: FixedWidthInteger & SignedInteger {
    let signs = mask.lanes(type)
    return blended(other, type) { signs[$0] < 0 }
  }
}

extension UInt64 {
  /// Four words chosen from these four, two bits of control each.
  @inline(__always) fileprivate func selected16(_ control: UInt8) -> UInt64 {
    var result: UInt64 = 0
    for lane in 0..<4 as Range<UInt64> {
      let from = UInt64(control) &>> (2 &* lane) & 3
      result |= (self &>> (16 &* from) & 0xffff) &<< (16 &* lane)
    }
    return result
  }
}
