/// Memory as the dispatch loop reaches it: a hit in the direct cache inline, everything else by a call that may fail.
extension Processor {
  @inline(__always)
  func load<T: OperandWidth>(
    _ op: UnsafeMutablePointer<Operation>, _ direct: UnsafeMutablePointer<DirectEntry>, _ address: UInt64
  ) -> T? {
    let entry = direct + DirectCache.index(address)
    // The last byte's page: an access across two pages matches neither.
    if (address &+ UInt64(MemoryLayout<T>.size &- 1)) & ~0xfff == entry.pointee.readTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      return UnsafeRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .loadUnaligned(as: T.self)
    }
    return loadMissed(op, address, MemoryLayout<T>.size)?.loadUnaligned(as: T.self)
  }

  @inline(__always)
  func store<T: OperandWidth>(
    _ op: UnsafeMutablePointer<Operation>, _ direct: UnsafeMutablePointer<DirectEntry>, _ address: UInt64, _ value: T
  ) -> Bool {
    let entry = direct + DirectCache.index(address)
    if (address &+ UInt64(MemoryLayout<T>.size &- 1)) & ~0xfff == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
        .storeBytes(of: value, as: T.self)
      return true
    }
    return storeMissed(op, address, MemoryLayout<T>.size, UInt64(truncatingIfNeeded: value))
  }

  /// A read-modify-write: one look-up, as a write.
  @inline(__always)
  func update<T: OperandWidth>(
    _ op: UnsafeMutablePointer<Operation>, _ direct: UnsafeMutablePointer<DirectEntry>, _ address: UInt64,
    _ change: (T) -> T
  ) -> Bool {
    let entry = direct + DirectCache.index(address)
    if (address &+ UInt64(MemoryLayout<T>.size &- 1)) & ~0xfff == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      let place = UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      place.storeBytes(of: change(place.loadUnaligned(as: T.self)), as: T.self)
      return true
    }
    guard updateMissed(op, address, MemoryLayout<T>.size) else { return false }
    return storeMissed(
      op, address, MemoryLayout<T>.size, UInt64(truncatingIfNeeded: change(T(truncatingIfNeeded: loaded.pointee))))
  }

  // MARK: Misses

  /// Notes the instruction that is executing, for its stamp and for leaving the block after it.
  @inline(__always)
  private func begin(_ op: UnsafeMutablePointer<Operation>) {
    stamp = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
    currentOperation = op
  }

  /// Whether the access is one of the stack segment, for #SS against #GP (SDM vol. 1, 3.7.4). PUSH and CALL with a memory
  /// operand load that and store on the stack.
  @inline(__always)
  private func isStackAccess(_ op: UnsafeMutablePointer<Operation>, stores: Bool = false) -> Bool {
    switch op.pointee.handler {
    case .push64, .pushI64, .pop64, .leave64, .call64, .callR64, .ret64: true
    case .pushM64 where stores, .callM64 where stores: true
    // FS or GS, where one is named, takes the place of an absent index.
    default:
      (op.pointee.base == Slot.rsp || op.pointee.base == Slot.rbp) && op.pointee.index != Slot.fsBase
        && op.pointee.index != Slot.gsBase
    }
  }

  /// Where the bytes of a load that missed are: in memory, or in `loaded`, where a slow load leaves them. Nil if it
  /// failed.
  @inline(never)
  private func loadMissed(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int
  ) -> UnsafeRawPointer? {
    if let place = refillKnown(op, address, width, writes: false) { return UnsafeRawPointer(place) }
    return loadSlowly(op, address, width)
  }

  @inline(never)
  private func loadSlowly(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int
  ) -> UnsafeRawPointer? {
    begin(op)
    do {
      loaded.pointee = try loadSlow(address, Access(.read, privilege), width: width, stack: isStackAccess(op))
      return UnsafeRawPointer(loaded)
    } catch {
      return nil
    }
  }

  @inline(never)
  private func updateMissed(_ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int) -> Bool {
    if let place = refillKnown(op, address, width, writes: true) {
      loaded.pointee = Processor.read(place, width: width)
      return true
    }
    return updateSlowly(op, address, width)
  }

  @inline(never)
  private func updateSlowly(_ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int) -> Bool {
    begin(op)
    do {
      loaded.pointee = try loadSlow(address, Access(.write, privilege), width: width, stack: isStackAccess(op))
      return true
    } catch {
      return false
    }
  }

  @inline(never)
  private func storeMissed(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int, _ value: UInt64
  ) -> Bool {
    let entry = direct + DirectCache.index(address)
    // An update has brought the page in just now.
    if (address &+ UInt64(truncatingIfNeeded: width &- 1)) & ~0xfff == entry.pointee.writeTag {
      entry.pointee.stamp.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      let place = UnsafeMutableRawPointer(bitPattern: UInt(entry.pointee.addend &+ address)).unsafelyUnwrapped
      Processor.write(value, to: place, width: width)
      return true
    }
    if let place = refillKnown(op, address, width, writes: true) {
      Processor.write(value, to: place, width: width)
      return true
    }
    return storeSlowly(op, address, width, value)
  }

  @inline(never)
  private func storeSlowly(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int, _ value: UInt64
  ) -> Bool {
    begin(op)
    do {
      try storeSlow(
        address, Access(.write, privilege), width: width, value: value, stack: isStackAccess(op, stores: true))
      return true
    } catch {
      return false
    }
  }

  /// Makes the loop leave after the current instruction where what has just been charged may have brought a deadline
  /// into the block: from there on the block's remaining cycles have to be looked at one instruction at a time.
  @inline(__always)
  func leaveIfDue() {
    if s.pointee.executed &+ blocks.greatestCycles >= s.pointee.executedDeadline
      || s.pointee.retired &+ UInt64(blocks.greatestLength) > s.pointee.retiredDeadline
    {
      leaveAfterCurrent()
    }
  }

  @inline(never)
  private func leaveAfterCurrent() {
    guard patched == nil, let op = currentOperation, op.pointee.endsInstruction else { return }
    let next = op + 1
    // The last operation of a block asks by itself before it goes on.
    guard next.pointee.handler != .tail, next.pointee.handler != .stale else { return }
    patched = (next, next.pointee.handler)
    next.pointee.handler = .stale
  }

  /// Puts back what `leaveAfterCurrent` replaced.
  func restorePatched() {
    guard let (op, handler) = patched else { return }
    patched = nil
    op.pointee.handler = handler
  }

  /// Follows a write to memory: code decoded from the bytes is stale.
  @inline(__always)
  func noteWrite(to host: HostPhysical, width: Int) {
    if memory.contains(host) && blocks.holdsCode(host, width: width) { codeWritten(host) }
    if watchesMemory { noteWatchedWrite(to: host, width: width) }
  }

  @inline(never)
  private func codeWritten(_ host: HostPhysical) {
    memory.dropCode(ofFrame: host.frame)
  }
}

extension Processor: CodeHolder {
  func frameBecameCode(at page: UInt64) {
    translation.known.forget()
    translation.direct.forbidWrites(toPageAt: UInt64(UInt(bitPattern: memory.base)) &+ page)
  }

  func framesBecameCode() {
    translation.known.forget()
    translation.direct.clear()
  }

  func dropCode(ofFrame frame: UInt64) {
    blocks.dropFrame(frame)
    // A block that is dropped stays poisoned, and with it an operation that was replaced behind the running one.
    if let (operation, _) = patched, operation[-1].handler == .stale { patched = nil }
    if let tableFrames, tableFrames.remove(frame) { tablesChanged() }
  }

  func holdsCode(ofFrame frame: UInt64) -> Bool {
    blocks.holdsBlocks(ofFrame: frame) || tableFrames?.contains(frame) ?? false
  }
}
