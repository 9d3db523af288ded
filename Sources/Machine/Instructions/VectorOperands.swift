/// How vector callouts find their operands, and what stands before all of them.
extension Processor {
  /// Raises what forbids a vector instruction (SDM vol. 2, tables 2-18 to 2-31): #UD without the feature; with CR0.EM or
  /// without CR4.OSFXSR, or, behind a VEX prefix, where the system has not enabled the state or the mode is real or
  /// virtual-8086; #NM with CR0.TS.
  func checkVector(_ form: VectorForm) throws(Stopped) {
    let isOff =
      form.isVEX ? !allowsVEX : s.pointee.cr4 & CR4.osFXSR == 0 || s.pointee.cr0 & CR0.emulation != 0
    guard !isOff, features.contains(form.requirements) else { throw raise(.invalidOpcode) }
    if s.pointee.cr0 & CR0.taskSwitched != 0 { throw raise(.deviceNotAvailable) }
  }

  /// Whether the mode and the system allow AVX, CR0.TS apart.
  var allowsVEX: Bool {
    let state = ExtendedComponents.vectors | ExtendedComponents.upperVectors
    return s.pointee.cr4 & CR4.osXSAVE != 0 && s.pointee.xcr0 & state == state && isProtected
      && s.pointee.systemFlags & Flag.virtual8086 == 0
  }

  // MARK: Registers

  @inline(__always) func xmm(_ number: UInt8) -> Vector128 { s.pointee.vector.xmm[Int(number & 15)] }

  @inline(__always) func setXMM(_ number: UInt8, _ value: Vector128) { s.pointee.vector.xmm[Int(number & 15)] = value }

  @inline(__always) func vector(_ number: UInt8) -> Vector256 {
    Vector256(xmm(number), s.pointee.vector.upper[Int(number & 15)])
  }

  /// Writes the destination. Legacy instructions leave the upper half of the register, others clear what lies beyond
  /// their result (SDM vol. 1, 14.1.1).
  @inline(__always) func setResult(_ op: UnsafePointer<Operation>, _ form: VectorForm, _ value: Vector256) {
    setXMM(op.pointee.dst, value.low)
    if form.isVEX {
      s.pointee.vector.upper[Int(op.pointee.dst & 15)] = form.isWide ? value.high : Vector128()
    }
  }

  @inline(__always) func setResult(_ op: UnsafePointer<Operation>, _ form: VectorForm, _ value: Vector128) {
    setResult(op, form, Vector256(value))
  }

  // MARK: Operands

  /// The second operand: a register whole, or as many bytes of memory as the form says, zero-extended.
  @inline(__always) func vectorSource(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> Vector256
  {
    switch form.shape {
    case .rm, .rmi: try vectorMemory(op, form)
    default: vector(op.pointee.src)
    }
  }

  /// The memory operand of a form that reads it.
  @inline(__always) func vectorMemory(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> Vector256
  {
    let address = effectiveAddress(op)
    guard form.width >= 16 else {
      return Vector256(Vector128(try loadVectorPart(address, width: form.width, stack: form.usesStack), 0))
    }
    try checkVectorAlignment(address, form)
    if form.width == 32 { return try loadWideVector(address, stack: form.usesStack) }
    return Vector256(try loadVector(address, stack: form.usesStack))
  }

  @inline(__always) func checkVectorAlignment(_ address: UInt64, _ form: OperandForm) throws(Stopped) {
    guard address & UInt64(form.width &- 1) != 0, form.vector.isAligned else { return }
    // #GP and not #SS also where the address is not canonical: the manuals leave the order of the two open, and AMD's
    // processors look at the alignment first.
    throw raise(.generalProtection(0))
  }

  // MARK: Memory

  /// Loads 16 bytes at any address.
  @inline(__always) func loadVector(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector128 {
    s.pointee.accesses &+= 1
    let entry = direct + DirectCache.index(address)
    if (address &+ 15) & ~0xfff == entry.pointee.readTag {
      entry.pointee.stamp.pointee = stamp
      return UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .loadUnaligned(as: Vector128.self)
    }
    return try loadVectorSlow(address, stack: stack)
  }

  /// Loads 32 bytes.
  @inline(__always) private func loadWideVector(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector256 {
    s.pointee.accesses &+= 1
    let entry = direct + DirectCache.index(address)
    if (address &+ 31) & ~0xfff == entry.pointee.readTag {
      entry.pointee.stamp.pointee = stamp
      let place = UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      return Vector256(place.loadUnaligned(as: Vector128.self), (place + 16).loadUnaligned(as: Vector128.self))
    }
    return try loadWideVectorSlow(address, stack: stack)
  }

  /// Two parts, whose access has been counted; one more where they lie on two pages.
  @inline(never) func loadVectorSlow(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector128 {
    let last = part(1, of: address)
    // A canonical first part may end at the border of the canonical addresses.
    guard isCanonical(last) else { throw raise(stack ? .stack(0) : .generalProtection(0)) }
    if (last ^ address) & ~0xfff != 0 { s.pointee.accesses &+= 1 }
    let access = Access(.read, privilege)
    let low = try loadSlow(address, access, width: 8, stack: stack)
    return Vector128(low, try loadSlow(last, access, width: 8, stack: stack))
  }

  @inline(never) private func loadWideVectorSlow(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector256 {
    guard isCanonical(part(3, of: address)) else { throw raise(stack ? .stack(0) : .generalProtection(0)) }
    let middle = part(2, of: address)
    if (middle ^ part(1, of: address)) & ~0xfff != 0 { s.pointee.accesses &+= 1 }
    let low = try loadVectorSlow(address, stack: stack)
    return Vector256(low, try loadVectorSlow(middle, stack: stack))
  }

  /// Loads 1 to 8 bytes, zero-extended.
  @inline(__always) func loadVectorPart(_ address: UInt64, width: Int, stack: Bool) throws(Stopped) -> UInt64 {
    let entry = direct + DirectCache.index(address)
    if width == 8, (address &+ 7) & ~0xfff == entry.pointee.readTag {
      entry.pointee.stamp.pointee = stamp
      s.pointee.accesses &+= 1
      return UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .loadUnaligned(as: UInt64.self)
    }
    return try load(address, width: width, stack: stack)
  }

  /// Stores 16 bytes at any address, all or nothing.
  @inline(__always) func storeVector(_ address: UInt64, _ value: Vector128, stack: Bool) throws(Stopped) {
    s.pointee.accesses &+= 1
    let entry = direct + DirectCache.index(address)
    if (address &+ 15) & ~0xfff == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = stamp
      UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .storeBytes(of: value, as: Vector128.self)
      return
    }
    try storeVectorSlow(address, value, stack: stack)
  }

  /// Stores 32 bytes.
  @inline(__always) func storeWideVector(_ address: UInt64, _ value: Vector256, stack: Bool) throws(Stopped) {
    s.pointee.accesses &+= 1
    let entry = direct + DirectCache.index(address)
    if (address &+ 31) & ~0xfff == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = stamp
      let place = UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      place.storeBytes(of: value.low, as: Vector128.self)
      (place + 16).storeBytes(of: value.high, as: Vector128.self)
      return
    }
    // Of what the hypervisor has granted nothing is done before the instruction is through.
    if controls.grants.isEmpty { try probeWrite(address, width: 32, privilege: privilege, stack: stack) }
    let middle = part(2, of: address)
    if (middle ^ part(1, of: address)) & ~0xfff != 0 { s.pointee.accesses &+= 1 }
    try storeVectorSlow(address, value.low, stack: stack)
    try storeVectorSlow(middle, value.high, stack: stack)
  }

  @inline(never) func storeVectorSlow(_ address: UInt64, _ value: Vector128, stack: Bool) throws(Stopped) {
    let last = part(1, of: address)
    if (last ^ address) & ~0xfff != 0 { s.pointee.accesses &+= 1 }
    if controls.grants.isEmpty { try probeWrite(address, width: 16, privilege: privilege, stack: stack) }
    let access = Access(.write, privilege)
    try storeSlow(address, access, width: 8, value: value.x, stack: stack)
    try storeSlow(last, access, width: 8, value: value.y, stack: stack)
  }

  /// The address of the eight bytes so far up; linear addresses have 32 bits outside long mode.
  private func part(_ number: UInt64, of address: UInt64) -> UInt64 {
    let part = address &+ 8 &* number
    return s.pointee.isLongMode ? part : part & 0xffff_ffff
  }
}

extension VectorForm {
  /// What CPUID has to show.
  var requirements: FeatureSet { isVEX ? feature.features.union(.avx) : feature.features }
}

/// Vectors as lanes of an element.
extension SIMD2<UInt64> {
  @inline(__always) init<Lanes: SIMD>(lanes: Lanes) {
    self = unsafeBitCast(lanes, to: Vector128.self)
  }

  /// All ones where a mask is set.
  @inline(__always) init<Lanes: SIMD>(lanes mask: SIMDMask<Lanes>) {
    self = unsafeBitCast(mask, to: Vector128.self)
  }

  @inline(__always) func lanes<Lanes: SIMD>(_: Lanes.Type) -> Lanes { unsafeBitCast(self, to: Lanes.self) }

  /// Lane by lane with another.
  @inline(__always) func combined<Lanes: SIMD>(
    with other: Vector128, as type: Lanes.Type, _ body: (Lanes.Scalar, Lanes.Scalar) -> Lanes.Scalar
  ) -> Vector128 {
    let a = lanes(type)
    let b = other.lanes(type)
    var result = Lanes()
    for lane in 0..<Lanes.scalarCount { result[lane] = body(a[lane], b[lane]) }
    return Vector128(lanes: result)
  }

  /// Lane by lane.
  @inline(__always) func mapped<Lanes: SIMD>(
    as type: Lanes.Type, _ body: (Lanes.Scalar) -> Lanes.Scalar
  ) -> Vector128 {
    combined(with: self, as: type) { a, _ in body(a) }
  }
}
