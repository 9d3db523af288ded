/// How vector callouts find their operands, and what stands before all of them.
extension Processor {
  /// Raises what forbids a vector instruction (SDM vol. 2, tables 2-18 to 2-24): #UD without the feature, with CR0.EM,
  /// or without CR4.OSFXSR; #NM with CR0.TS.
  @inline(__always) func checkVector(_ form: VectorForm) throws(Stopped) {
    let isHidden = !features.has(form)
    let isOff = s.pointee.cr4 & CR4.osFXSR == 0
    guard !isHidden, !isOff, s.pointee.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 else {
      throw vectorUnavailable(isUndefined: isHidden || isOff || s.pointee.cr0 & CR0.emulation != 0)
    }
  }

  @inline(never) private func vectorUnavailable(isUndefined: Bool) -> Stopped {
    raise(isUndefined ? .invalidOpcode : .deviceNotAvailable)
  }

  // MARK: Registers

  @inline(__always) func xmm(_ number: UInt8) -> Vector128 { s.pointee.vector.xmm[Int(number & 15)] }

  @inline(__always) func setXMM(_ number: UInt8, _ value: Vector128) { s.pointee.vector.xmm[Int(number & 15)] = value }

  // MARK: Operands

  /// The second operand: a register whole, or as many bytes of memory as the form says, zero-extended.
  @inline(__always) func vectorSource(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> Vector128
  {
    switch form.shape {
    case .rm, .rmi: try vectorMemory(op, form)
    default: xmm(op.pointee.src)
    }
  }

  /// The memory operand of a form that reads it.
  @inline(__always) func vectorMemory(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> Vector128
  {
    let address = effectiveAddress(op)
    guard form.width == 16 else {
      return Vector128(try loadVectorPart(address, width: form.width, stack: form.usesStack), 0)
    }
    try checkVectorAlignment(address, form)
    return try loadVector(address, stack: form.usesStack)
  }

  @inline(__always) func checkVectorAlignment(_ address: UInt64, _ form: OperandForm) throws(Stopped) {
    guard address & 15 != 0, form.vector.isAligned else { return }
    // An address that is not canonical has a fault of its own, which may be #SS.
    guard isCanonical(address) else { throw raise(form.usesStack ? .stack(0) : .generalProtection(0)) }
    throw raise(.generalProtection(0))
  }

  // MARK: Memory

  /// Loads 16 bytes at any address.
  @inline(__always) func loadVector(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector128 {
    s.pointee.accesses &+= 1
    let entry = direct + DirectCache.index(address)
    if (address &+ 15) & ~0xfff == entry.pointee.readTag {
      entry.pointee.stamp.pointee = stamp
      let place = UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      return Vector128(place.loadUnaligned(as: UInt64.self), (place + 8).loadUnaligned(as: UInt64.self))
    }
    return try loadVectorSlow(address, stack: stack)
  }

  /// Two halves, whose access has been counted; one more where they lie on two pages.
  @inline(never) func loadVectorSlow(_ address: UInt64, stack: Bool) throws(Stopped) -> Vector128 {
    let access = Access(.read, privilege)
    let second = secondHalf(address)
    if address & 0xff8 == 0xff8 { s.pointee.accesses &+= 1 }
    // A canonical first half may end at the border of the canonical addresses.
    guard isCanonical(second) else { throw raise(stack ? .stack(0) : .generalProtection(0)) }
    let low = try loadSlow(address, access, width: 8, stack: stack)
    return Vector128(low, try loadSlow(second, access, width: 8, stack: stack))
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
      let place = UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      place.storeBytes(of: value.x, as: UInt64.self)
      (place + 8).storeBytes(of: value.y, as: UInt64.self)
      return
    }
    try storeVectorSlow(address, value, stack: stack)
  }

  @inline(never) func storeVectorSlow(_ address: UInt64, _ value: Vector128, stack: Bool) throws(Stopped) {
    let second = secondHalf(address)
    if address & 0xff8 == 0xff8 { s.pointee.accesses &+= 1 }
    // Of what the hypervisor has granted nothing is done before the instruction is through.
    if controls.grants.isEmpty { try probeWrite(address, width: 16, privilege: privilege, stack: stack) }
    let access = Access(.write, privilege)
    try storeSlow(address, access, width: 8, value: value.x, stack: stack)
    try storeSlow(second, access, width: 8, value: value.y, stack: stack)
  }

  /// Linear addresses have 32 bits outside long mode.
  private func secondHalf(_ address: UInt64) -> UInt64 {
    s.pointee.isLongMode ? address &+ 8 : (address &+ 8) & 0xffff_ffff
  }
}

extension OperandForm {
  @inline(__always) var vector: VectorForm { VectorForm(rawValue: extra) }
}

extension FeatureSet {
  /// The features of vector operations lie side by side.
  @inline(__always) func has(_ form: VectorForm) -> Bool {
    let first = UInt64(FeatureSet.sse.rawValue.trailingZeroBitCount)
    return UInt64(truncatingIfNeeded: rawValue) &>> (first &+ UInt64(form.feature)) & 1 != 0
  }
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
