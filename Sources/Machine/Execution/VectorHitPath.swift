/// The vector unit as the dispatch loop reaches it: registers, and memory sixteen bytes at a time.
extension Registers {
  @inline(__always) func vector(_ number: UInt8) -> Vector128 { state.pointee.vector.xmm[Int(number & 15)] }
  @inline(__always) func setVector(_ number: UInt8, _ value: Vector128) {
    state.pointee.vector.xmm[Int(number & 15)] = value
  }
  /// The low half; writing it leaves the other as it is.
  @inline(__always) func low(_ number: UInt8) -> UInt64 { state.pointee.vector.xmm[Int(number & 15)].x }
  @inline(__always) func setLow(_ number: UInt8, _ value: UInt64) {
    state.pointee.vector.xmm[Int(number & 15)].x = value
  }
  // In functions of their own, because the loop is so large that the compiler inlines nothing into it unasked.
  @inline(__always) func double(bits: UInt64) -> Double { Double(bitPattern: bits) }
  @inline(__always) func double(_ number: UInt8) -> Double { Double(bitPattern: low(number)) }
  @inline(__always) func setDouble(_ number: UInt8, _ value: Double) { setLow(number, value.bitPattern) }
}

extension Processor {
  /// - Parameter aligned: an address that is no multiple of 16 goes the slow way, by the tag, and faults there.
  @inline(__always)
  func loadVector(
    _ op: UnsafeMutablePointer<Operation>, _ direct: UnsafeMutablePointer<DirectEntry>, _ address: UInt64, aligned: Bool
  ) -> Vector128? {
    let entry = direct + DirectCache.index(address)
    // What is aligned lies on one page, so its low bits can be compared in place of the last byte's page.
    if (aligned ? address & ~0xff0 : (address &+ 15) & ~0xfff) == entry.pointee.readTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      return UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .loadUnaligned(as: Vector128.self)
    }
    guard loadVectorMissed(op, address) else { return nil }
    return Vector128(loaded.pointee, loadedHigh)
  }

  @inline(__always)
  func storeVector(
    _ op: UnsafeMutablePointer<Operation>, _ direct: UnsafeMutablePointer<DirectEntry>, _ address: UInt64,
    _ value: Vector128, aligned: Bool
  ) -> Bool {
    let entry = direct + DirectCache.index(address)
    if (aligned ? address & ~0xff0 : (address &+ 15) & ~0xfff) == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .storeBytes(of: value, as: Vector128.self)
      return true
    }
    return storeVectorMissed(op, address, value)
  }

  // MARK: What is not a hit

  @inline(never)
  private func loadVectorMissed(_ op: UnsafeMutablePointer<Operation>, _ address: UInt64) -> Bool {
    beginSlowly(op)
    do {
      let form = OperandForm(op)
      try checkVectorAlignment(address, form)
      let value = try loadVectorSlow(address, stack: form.usesStack)
      loaded.pointee = value.x
      loadedHigh = value.y
      return true
    } catch {
      return false
    }
  }

  @inline(never)
  private func storeVectorMissed(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ value: Vector128
  ) -> Bool {
    beginSlowly(op)
    do {
      let form = OperandForm(op)
      try checkVectorAlignment(address, form)
      try storeVectorSlow(address, value, stack: form.usesStack)
      return true
    } catch {
      return false
    }
  }

  /// A vector instruction of which it is known that nothing forbids it.
  @inline(never)
  func performVector(_ op: UnsafeMutablePointer<Operation>) -> Bool {
    beginSlowly(op)
    guard let callout = Callout(rawValue: op.pointee.n) else { return false }
    do {
      try performVector(callout, op)
      leaveIfDue()
      return true
    } catch {
      return false
    }
  }

  /// Floating-point arithmetic whose second operand is at hand.
  @inline(never)
  func performFloat(_ op: UnsafeMutablePointer<Operation>, _ source: Vector128) -> Bool {
    let form = OperandForm(op).vector
    if let operation = VectorFloat(rawValue: form.operation),
      let result = hostVector(operation, form, xmm(op.pointee.dst), source)
    {
      setXMM(op.pointee.dst, result)
      return true
    }
    return performFloatExactly(op, source)
  }

  @inline(never)
  private func performFloatExactly(_ op: UnsafeMutablePointer<Operation>, _ source: Vector128) -> Bool {
    beginSlowly(op)
    do {
      try vectorFloat(op, OperandForm(op), source)
      return true
    } catch {
      return false
    }
  }

  /// Notes the instruction that is executing.
  @inline(__always)
  private func beginSlowly(_ op: UnsafeMutablePointer<Operation>) {
    stamp = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
    currentOperation = op
  }
}
