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
  // In a function of its own, because the loop is so large that the compiler inlines nothing into it unasked.
  @inline(__always) func setDouble(_ number: UInt8, _ value: Int32) { setLow(number, Double(value).bitPattern) }
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
    return loadVectorMissed(op, address)?.loadUnaligned(as: Vector128.self)
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

  @inline(__always)
  func combineIntegers(_ op: UnsafeMutablePointer<Operation>, _ a: Vector128, _ b: Vector128) -> Vector128 {
    VectorInteger.made(OperandForm(op).vector.operation, a, b, UInt8(truncatingIfNeeded: op.pointee.imm))
  }

  @inline(__always)
  func shuffle(_ op: UnsafeMutablePointer<Operation>, _ a: Vector128, _ b: Vector128) -> Vector128 {
    VectorShuffle.made(OperandForm(op).vector.operation, a, b, UInt8(truncatingIfNeeded: op.pointee.imm))
  }

  // MARK: What would take registers from the loop

  @inline(never) func signsOfBytes(_ vector: Vector128) -> UInt64 { vector.signs8 }

  @inline(never) func select(_ vector: Vector128, by control: Int64) -> Vector128 {
    vector.selected32(UInt8(truncatingIfNeeded: control))
  }

  @inline(never) func addDoubles(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    setDouble(op, source, hostSum(double(op), Double(bitPattern: source)))
  }

  @inline(never) func subtractDoubles(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    setDouble(op, source, hostDifference(double(op), Double(bitPattern: source)))
  }

  @inline(never) func multiplyDoubles(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    setDouble(op, source, hostProduct(double(op), Double(bitPattern: source)))
  }

  @inline(never) func divideDoubles(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    setDouble(op, source, hostQuotient(double(op), Double(bitPattern: source)))
  }

  @inline(never) func compareDoubles(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    guard let flags = hostOrder(double(op), Double(bitPattern: source)) else {
      return performFloatExactly(op, Vector128(source, 0))
    }
    s.pointee.flags = LazyFlags(flags)
    return true
  }

  @inline(never) func convertToDouble(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    guard let result = hostDouble(source) else { return performVector(op) }
    s.pointee.vector.xmm[Int(op.pointee.dst & 15)].x = result.bitPattern
    return true
  }

  @inline(never) func convertFromDouble(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64) -> Bool {
    let number = Double(bitPattern: source)
    let result = op.pointee.handler == .doubleToR32 ? hostInteger32(number) : hostInteger64(number)
    guard let result else { return performVector(op) }
    s.pointee.slots[Int(op.pointee.dst & 15)] = result
    return true
  }

  @inline(__always) private func double(_ op: UnsafeMutablePointer<Operation>) -> Double {
    Double(bitPattern: xmm(op.pointee.dst).x)
  }

  /// The host's result, or where that does not tell the exact one.
  @inline(__always)
  private func setDouble(_ op: UnsafeMutablePointer<Operation>, _ source: UInt64, _ result: Double?) -> Bool {
    guard let result else { return performFloatExactly(op, Vector128(source, 0)) }
    s.pointee.vector.xmm[Int(op.pointee.dst & 15)].x = result.bitPattern
    return true
  }

  // MARK: What is not a hit

  /// Where the bytes are: in `loaded`. Nil if the load failed.
  @inline(never)
  private func loadVectorMissed(_ op: UnsafeMutablePointer<Operation>, _ address: UInt64) -> UnsafeRawPointer? {
    if address & 15 == 0, let place = refillKnown(op, address, 16, writes: false) {
      return UnsafeRawPointer(place)
    }
    return loadVectorSlowly(op, address)
  }

  @inline(never)
  private func loadVectorSlowly(_ op: UnsafeMutablePointer<Operation>, _ address: UInt64) -> UnsafeRawPointer? {
    beginSlowly(op)
    do {
      let form = OperandForm(op)
      try checkVectorAlignment(address, form)
      let value = try loadVectorSlow(address, stack: form.usesStack)
      loaded[0] = value.x
      loaded[1] = value.y
      return UnsafeRawPointer(loaded)
    } catch {
      return nil
    }
  }

  @inline(never)
  private func storeVectorMissed(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ value: Vector128
  ) -> Bool {
    if address & 15 == 0, let place = refillKnown(op, address, 16, writes: true) {
      place.storeBytes(of: value, as: Vector128.self)
      return true
    }
    return storeVectorSlowly(op, address, value)
  }

  @inline(never)
  private func storeVectorSlowly(
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
    if let operation = VectorFloat(hosted: form.operation),
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
      try vectorFloat(op, OperandForm(op), Vector256(source))
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
