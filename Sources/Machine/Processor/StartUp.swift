/// Signals that reset and start a processor, and waiting for them.
extension Processor {
  /// One of several processors, whose slices end where others should go on first.
  @inline(__always) var sharesTime: Bool { options.count > 1 }

  /// INIT and the start-up interrupt, natively.
  func takeStartSignals(_ signals: ProcessorSignals) {
    if signals.contains(.initialize) {
      _ = bus.take(.initialize, processor: index, now: now)
      initialize()
    }
    if signals.contains(.startUp) { startUp(vector: bus.take(.startUp, processor: index, now: now)) }
  }

  /// INIT: registers are as after a reset, the vector unit, the x87 and model-specific registers stay (SDM vol. 3, table
  /// 9-1). The bootstrap processor begins at the reset vector, the others wait to be started.
  ///
  /// Translations may be dropped at any time, and paging is off afterwards: all are.
  public func initialize() {
    s.pointee.initialize(signature: signature, isBootstrap: index == 0)
    if !isShadowed { flushLinear() }
    stop = .none
    matchedBreakpoints = 0
    updatePaging()
  }

  /// The start-up interrupt: execution begins in real mode at the vector's page. To a processor that does not wait for
  /// it, it says nothing.
  public func startUp(vector: UInt8) {
    guard s.pointee.awaitsStartUp else { return }
    s.pointee.awaitsStartUp = false
    s.pointee[.cs] = Segment(
      selector: UInt16(vector) << 8, base: UInt64(vector) << 12, limit: 0xffff, attributes: 0x9b)
    s.pointee.rip = 0
    updatePaging()
  }

  // MARK: Waiting

  /// Waiting for a start-up interrupt.
  public var awaitsStartUp: Bool { s.pointee.awaitsStartUp }

  /// Whether something has come that ends the wait in HLT or for a start-up interrupt.
  public var isCalled: Bool {
    let signals = bus.signals(processor: index)
    // A start-up interrupt that says nothing is taken, too, so that it is not there after the next INIT.
    if !signals.isDisjoint(with: [.initialize, .startUp]) { return true }
    if s.pointee.awaitsStartUp { return false }
    return signals.contains(.nonMaskable) && canTakeNonMaskable || signals.contains(.interrupt) && interruptsEnabled
  }

  /// Passes the time in waiting; under the instruction clock it goes there without a cycle.
  public func idle(until time: UInt64) {
    guard time > now else { return }
    switch options.clock {
    case .cycles: charge(.idle, time - now)
    case .instructions: s.pointee.idleTicks &+= time - now
    }
  }

  /// Ends the slice before the next instruction.
  public func yield() { if sharesTime { s.pointee.yields = true } }
}

extension ProcessorState {
  /// What INIT changes (SDM vol. 3, table 9-1; APM vol. 2, table 14-1, for EFER).
  mutating func initialize(signature: UInt32, isBootstrap: Bool) {
    let fresh = ProcessorState()
    slots = fresh.slots
    slots[Int(Slot.rdx)] = UInt64(signature)
    rflags = fresh.rflags
    rip = fresh.rip
    cpl = 0
    interruptShadow = .max
    stackShadow = .max
    pendingDebug = 0
    isHalted = false
    taskSwitch = PendingTaskSwitch()
    blocksNonMaskable = false
    awaitsStartUp = !isBootstrap
    segments = fresh.segments
    ldtr = fresh.ldtr
    tr = fresh.tr
    gdtr = fresh.gdtr
    idtr = fresh.idtr
    // CD and NW stay.
    cr0 = CR0.extensionType | cr0 & (CR0.cacheDisable | CR0.notWriteThrough)
    cr2 = 0
    cr3 = 0
    cr4 = 0
    efer = 0
    debugRegisters = fresh.debugRegisters
  }
}
