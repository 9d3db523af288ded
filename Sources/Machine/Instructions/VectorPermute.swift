/// What AVX and AVX2 brought besides three operands: moves across the whole of a register, broadcasts, masked moves,
/// gathers (SDM vol. 2: VBROADCASTSS, VPERM2F128, VPERMQ, VPERMD, VINSERTF128, VMASKMOVPS, VPGATHERDD and their kin,
/// VZEROALL, VZEROUPPER).
extension Processor {
  func vectorPermute(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorPermute(rawValue: vector.operation) else { return }
    let control = UInt8(truncatingIfNeeded: op.pointee.imm)
    switch operation {
    case .broadcast8: try broadcast(op, form) { ($0.x & 0xff) &* 0x0101_0101_0101_0101 }
    case .broadcast16: try broadcast(op, form) { ($0.x & 0xffff) &* 0x0001_0001_0001_0001 }
    case .broadcast32: try broadcast(op, form) { ($0.x & 0xffff_ffff) &* 0x1_0000_0001 }
    case .broadcast64: try broadcast(op, form) { $0.x }
    case .broadcast128:
      let source = try vectorSource(op, form).low
      setResult(op, vector, Vector256(source, source))
    case .insert128:
      let source = try vectorSource(op, form).low
      let first = self.vector(vector.first)
      setResult(
        op, vector, control & 1 == 0 ? Vector256(source, first.high) : Vector256(first.low, source))
    case .extract128: try extractHalf(op, form, control)
    case .permute128:
      let source = try vectorSource(op, form)
      let first = self.vector(vector.first)
      func half(_ control: UInt8) -> Vector128 {
        if control & 8 != 0 { return Vector128() }
        let chosen = control & 2 == 0 ? first : source
        return control & 1 == 0 ? chosen.low : chosen.high
      }
      setResult(op, vector, Vector256(half(control), half(control >> 4)))
    case .permute64:
      let source = try vectorSource(op, form)
      func word(_ place: UInt8) -> UInt64 { source.word64(Int(control >> (2 * place) & 3)) }
      setResult(op, vector, Vector256(Vector128(word(0), word(1)), Vector128(word(2), word(3))))
    case .permute32:
      let source = try vectorSource(op, form)
      let places = self.vector(vector.first)
      var result = Vector256()
      for lane in 0..<8 { result.setWord32(lane, source.word32(Int(places.word32(lane) & 7))) }
      setResult(op, vector, result)
    case .loadMasked32: try loadMasked(op, form, width: 4)
    case .loadMasked64: try loadMasked(op, form, width: 8)
    case .storeMasked32: try storeMasked(op, form, width: 4)
    case .storeMasked64: try storeMasked(op, form, width: 8)
    case .gather32: try gather(op, form, indexWidth: 4)
    case .gather64: try gather(op, form, indexWidth: 8)
    case .zeroAll, .zeroUpper:
      for number in 0..<vectorCount {
        s.pointee.vector.upper[number] = Vector128()
        if operation == .zeroAll { s.pointee.vector.xmm[number] = Vector128() }
      }
    }
  }

  @inline(__always) private func broadcast(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ body: (Vector128) -> UInt64
  ) throws(Stopped) {
    let word = body(try vectorSource(op, form).low)
    setResult(op, form.vector, Vector256(Vector128(repeating: word), Vector128(repeating: word)))
  }

  private func extractHalf(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ control: UInt8
  ) throws(Stopped) {
    let source = vector(op.pointee.src)
    let half = control & 1 == 0 ? source.low : source.high
    if form.shape == .mri { return try storeVector(effectiveAddress(op), half, stack: form.usesStack) }
    var narrow = form.vector
    narrow.isWide = false
    setResult(op, narrow, half)
  }

  // MARK: Masked moves

  /// Elements whose mask's sign is clear are zero, and are not accessed.
  private func loadMasked(_ op: UnsafePointer<Operation>, _ form: OperandForm, width: Int) throws(Stopped) {
    let mask = vector(form.vector.first)
    let address = effectiveAddress(op)
    var result = Vector256()
    for element in 0..<form.width / width where mask.isNegative(element, width: width) {
      let value = try load(address &+ UInt64(element &* width), width: width, stack: form.usesStack)
      result.setElement(element, width: width, value)
    }
    setResult(op, form.vector, result)
  }

  /// Nothing is stored unless all can be.
  private func storeMasked(_ op: UnsafePointer<Operation>, _ form: OperandForm, width: Int) throws(Stopped) {
    let mask = vector(form.vector.first)
    let address = effectiveAddress(op)
    let chosen = (0..<form.width / width).filter { mask.isNegative($0, width: width) }
    if controls.grants.isEmpty {
      for element in chosen {
        try probeWrite(
          address &+ UInt64(element &* width), width: width, privilege: privilege, stack: form.usesStack)
      }
    }
    let source = vector(op.pointee.src)
    for element in chosen {
      try store(
        address &+ UInt64(element &* width), width: width, value: source.element(element, width: width),
        stack: form.usesStack)
    }
  }

  /// Elements are loaded from the lowest on; those that are done when one faults are, with their mask cleared, so that
  /// the instruction goes on behind them (SDM vol. 2, VPGATHERDD). What the mask leaves out is done, too, when its turn
  /// has come. The index is the vector register in `src`.
  private func gather(_ op: UnsafePointer<Operation>, _ form: OperandForm, indexWidth: Int) throws(Stopped) {
    let vector = form.vector
    let width = form.width
    let count = (vector.isWide ? 32 : 16) / max(width, indexWidth)
    let indices = self.vector(op.pointee.src)
    let base = s.pointee.slots[Int(op.pointee.base)] &+ UInt64(bitPattern: Int64(op.pointee.disp))
    var result = self.vector(op.pointee.dst)
    var mask = self.vector(vector.first)
    for element in 0..<count {
      guard mask.isNegative(element, width: width) else {
        mask.setElement(element, width: width, 0)
        continue
      }
      let index = indices.element(element, width: indexWidth).signExtended(from: indexWidth)
      let offset = (base &+ index &<< UInt64(op.pointee.scale)) & form.addressSize.mask
      setWhole(vector.first, mask)
      let address = try linear(form.segment ?? .ds, offset, width: width, write: false)
      result.setElement(element, width: width, try load(address, width: width, stack: form.usesStack))
      mask.setElement(element, width: width, 0)
      setWhole(op.pointee.dst, result)
      setWhole(vector.first, mask)
    }
    // Of four indices of 64 bits for elements of 32 the upper half of the destination is beyond the result.
    if count &* width < 16 { result.low.y = 0 }
    if count &* width < 32 { result.high = Vector128() }
    setWhole(op.pointee.dst, result)
    setWhole(vector.first, Vector256())
  }

  private func setWhole(_ number: UInt8, _ value: Vector256) {
    setXMM(number, value.low)
    s.pointee.vector.upper[Int(number & 15)] = value.high
  }
}

extension Vector256 {
  fileprivate func word64(_ place: Int) -> UInt64 { place & 2 == 0 ? low[place & 1] : high[place & 1] }

  fileprivate func word32(_ place: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: word64(place >> 1) &>> UInt64(32 &* (place & 1)))
  }

  fileprivate mutating func setWord32(_ place: Int, _ value: UInt32) {
    setElement(place, width: 4, UInt64(value))
  }

  /// An element of 4 or 8 bytes, zero-extended.
  fileprivate func element(_ place: Int, width: Int) -> UInt64 {
    width == 8 ? word64(place) : UInt64(word32(place))
  }

  fileprivate func isNegative(_ place: Int, width: Int) -> Bool {
    element(place, width: width).sign(width)
  }

  fileprivate mutating func setElement(_ place: Int, width: Int, _ value: UInt64) {
    let word = width == 8 ? place : place >> 1
    var new = value
    if width == 4 {
      let shift = UInt64(32 &* (place & 1))
      new = word64(word) & ~(0xffff_ffff &<< shift) | value &<< shift
    }
    if word & 2 == 0 { low[word & 1] = new } else { high[word & 1] = new }
  }
}
