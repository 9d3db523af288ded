import Machine

extension Hypervisor {
  /// Handles an exit.
  ///
  /// - Returns: how the run ends, where the hypervisor cannot go on.
  func handle(_ exit: VMExit) -> RunResult? {
    // Stores of the guest's to tables that it may write for the moment come before everything else that the exit asks
    // for.
    if !running.watched.isEmpty { apply(running.watched, hasStored: exit.reason == .assisted) }
    switch exit.reason {
    case .pageFault: return handlePageFault(exit)
    case .nestedFault: return handleNestedFault(exit)
    case .nestedMisconfiguration: return .unsupported("misconfigured nested entry for \(exit.address)")
    case .modificationLogFull:
      // Reason, IDT-vectoring information and the log's index, which is put back.
      handle(exit.reason, reads: 3, writes: 1)
      emptyModificationLog(of: running, for: .dirtyLog)
      resume(exit)
      return nil
    case .assisted:
      finishAssist(exit)
      return nil
    case .controlRegister0, .controlRegister3, .controlRegister4:
      return handleControlRegister(exit)
    case .writeMSR, .readMSR:
      return handleMSR(exit)
    case .invalidatePage:
      handle(exit.reason, reads: 3, writes: 1, .invalidate)
      complete(exit)
      invalidatePage(exit.address)
      return nil
    case .invalidatePCID:
      handle(exit.reason, reads: 3, writes: 1, .invalidate)
      complete(exit)
      invalidatePCID(exit)
      return nil
    case .port: return handlePort(exit)
    case .halt:
      handle(exit.reason, reads: 2, writes: 1, .halt)
      complete(exit)
      isWaiting = controls.injection == nil
      return nil
    case .externalInterrupt:
      handle(exit.reason, reads: 2, .interrupt)
      resume(exit)
      // While an instruction is being completed, nothing comes between.
      if assist == nil { offerSignals(.externalInterrupt) }
      return nil
    case .interruptWindow:
      handle(exit.reason, reads: 1, writes: 1, .interrupt)
      controls.interruptWindow = false
      offerInterrupt(.interruptWindow)
      return nil
    case .tripleFault:
      handle(exit.reason, reads: 1)
      processor.shutDown()
      return .tripleFault
    }
  }

  // MARK: Going on

  /// Moves past an instruction that the hypervisor has completed.
  func complete(_ exit: VMExit) {
    processor.skipInstruction(exit)
    if let trap = processor.takeDebugTrap() { controls.injection = trap }
  }

  /// Lets the guest try again. An event that was being delivered is delivered anew: a hidden fault never becomes a
  /// double fault.
  func resume(_ exit: VMExit) {
    guard let event = exit.delivering else { return }
    controls.injection = event
    work(.exitHandler(exit.reason), .controlBlockWrite, times: 2)
  }

  /// Gives the guest an exception that its own access has raised.
  func inject(_ event: Event, during exit: VMExit) {
    var event: Event? = event
    if let first = exit.delivering, case .exception(let second) = event {
      event = processor.escalate(first, with: second)
    }
    abandonAssist()
    if exit.unblocksNonMaskable { processor.unblockNonMaskable() }
    guard let event else {
      processor.shutDown()
      return
    }
    controls.injection = event
    // Interruption information and error code.
    work(.exitHandler(exit.reason), .controlBlockWrite, times: 2)
  }

  /// A guest table lies where there is no memory. Silicon reads ones there: a present entry with reserved bits set, or
  /// in 32-bit paging, which has none, one that maps the last page below 4 GiB.
  func handleAbsentTable(_ exit: VMExit) -> RunResult? {
    let walk = processor.walkGuest(
      exit.address, exit.access, frames: guest.map, settingBits: true, readingOnes: true)
    switch walk.result {
    case .fault(let fault):
      injectTrueFault(fault, during: exit)
      return nil
    case .mapped(let mapping):
      counted.hiddenFaults &+= 1
      return accessDevice(exit, at: mapping.physical)
    case .nestedFault(let fault):
      return .unsupported("a table outside memory at \(fault.address)")
    }
  }

  // MARK: Ports

  private func handlePort(_ exit: VMExit) -> RunResult? {
    handle(exit.reason, reads: 3, writes: 1, .port)
    if exit.number == 1 {
      // INS and OUTS: the hardware does one element itself, with the port not intercepted. It wants a grant to stop
      // behind the instruction; this one is for an address that no access has.
      controls.intercepts.remove(.ports)
      grant(GuestVirtual(1 << 63), .deviceRead(0))
      return nil
    }
    // The device sees the time after the instruction, as it does when the instruction reaches it natively.
    complete(exit)
    let now = processor.guestTime
    defer { processor.yield() }
    if exit.isWrite {
      bus.writePort(exit.port, width: Int(exit.width), value: UInt32(truncatingIfNeeded: exit.value), now: now)
    } else {
      let value = bus.readPort(exit.port, width: Int(exit.width), now: now)
      processor.setAccumulator(value, width: Int(exit.width))
    }
    return nil
  }

  // MARK: Interrupts

  /// Does what the signals ask that wait for the processor: INIT, the start-up interrupt, NMI, an interrupt.
  private func offerSignals(_ reason: ExitReason) {
    let signals = bus.signals(processor: processor.index)
    if signals.contains(.initialize) {
      _ = bus.take(.initialize, processor: processor.index, now: processor.guestTime)
      work(.exitHandler(reason), .controlBlockWrite, times: Hypervisor.fieldsOfReset)
      let before = processor.pagingRegisters
      processor.initialize()
      isWaiting = false
      controls.injection = nil
      controls.interruptWindow = false
      if hasShadows { followControls(before) }
    }
    if signals.contains(.startUp) {
      // CS and RIP.
      if processor.awaitsStartUp { work(.exitHandler(reason), .controlBlockWrite, times: 5) }
      processor.startUp(
        vector: bus.take(.startUp, processor: processor.index, now: processor.guestTime))
    }
    guard !processor.awaitsStartUp else { return }
    offerInterrupt(reason)
  }

  /// Fields of the control block that a virtual processor's reset writes: six segments and two system segments of four
  /// each, two tables of two, control registers, RIP, RSP, RFLAGS, DR7 and EFER.
  private static let fieldsOfReset: UInt64 = 44

  /// Injects a pending NMI, or a pending interrupt if the guest can take it; else asks to be told when it can. An NMI
  /// that the guest cannot take yet exits by itself once it can.
  private func offerInterrupt(_ reason: ExitReason) {
    let signals = bus.signals(processor: processor.index)
    if offerNonMaskable(reason) { return }
    guard signals.contains(.interrupt) else { return }
    guard processor.canTakeInterrupt && controls.injection == nil else {
      controls.interruptWindow = true
      work(.exitHandler(reason), .controlBlockWrite)
      return
    }
    controls.interruptWindow = false
    controls.injection = .interrupt(
      bus.acknowledgeInterrupt(processor: processor.index, now: processor.guestTime))
    work(.exitHandler(reason), .controlBlockWrite)
  }

  /// Injects a pending NMI if the guest can take it: whether it does.
  func offerNonMaskable(_ reason: ExitReason) -> Bool {
    guard bus.signals(processor: processor.index).contains(.nonMaskable), processor.canTakeNonMaskable,
      controls.injection == nil
    else { return false }
    _ = bus.take(.nonMaskable, processor: processor.index, now: processor.guestTime)
    controls.injection = .nonMaskable
    work(.exitHandler(reason), .controlBlockWrite)
    return true
  }

  /// Waits in HLT for an interrupt, which is injected by the entry that the guest's next instruction needs anyway.
  func wait(clockLimit: UInt64, retiredLimit: UInt64) -> RunResult? {
    if virtualProcessors.count > 1 {
      // The others' time goes on, and what they do may wake this one.
      guard processor.isCalled else { return .waits }
    } else if let result = waitAlone(clockLimit: clockLimit, retiredLimit: retiredLimit) {
      return result
    }
    isWaiting = false
    work(.exitHandler(.halt), .interrupt)
    offerSignals(.halt)
    enter()
    return nil
  }

  private func waitAlone(clockLimit: UInt64, retiredLimit: UInt64) -> RunResult? {
    while true {
      if let shutdown = bus.shutdown { return .shutdown(shutdown) }
      if processor.stopRequest.isRaised { return .stopRequested }
      if processor.guestTime >= bus.nextDeadline { bus.advance(to: processor.guestTime) }
      if processor.clock >= clockLimit || processor.instructionsRetired >= retiredLimit { return .limit }
      if processor.isCalled { return nil }
      guard processor.interruptsEnabled else { return .haltedForEver }
      if let result = processor.idleUntilDeadline(clockLimit: clockLimit) { return result }
    }
  }

  // MARK: Control registers

  private func handleControlRegister(_ exit: VMExit) -> RunResult? {
    // RIP, the register, and for CR0 and CR4 its read shadow.
    handle(exit.reason, reads: 3, writes: exit.reason == .controlRegister3 ? 2 : 3, .control)
    let before = processor.pagingRegisters
    var pointers: DirectoryPointers?
    if let table = processor.directoryPointerTable(afterWriting: Int(exit.number), exit.value) {
      work(.shadowWalk, .walkStep)
      let loaded = guestDirectoryPointers(at: table)
      guard processor.canLoad(loaded) else {
        inject(.exception(.generalProtection(0)), during: exit)
        return nil
      }
      pointers = loaded
    }
    // A task switch that loads CR3 is no instruction.
    if exit.instructionLength > 0 { complete(exit) }
    processor.completeControlRegisterWrite(
      number: Int(exit.number), value: exit.value, directoryPointers: pointers)
    if exit.number == 3 {
      followCR3(noFlush: exit.value >> 63 != 0)
    } else {
      followControls(before)
    }
    return nil
  }

  /// The four PDPTEs of a guest; ones where it has no memory.
  private func guestDirectoryPointers(at table: GuestPhysical) -> DirectoryPointers {
    guard guest.isMemory(table) else { return DirectoryPointers(.max, .max, .max, .max) }
    guard let mapped = guest.map.lookup(table) else { return DirectoryPointers() }
    func entry(_ number: UInt64) -> UInt64 { memory.word(at: mapped.address.advanced(by: number * 8)) }
    return DirectoryPointers(entry(0), entry(1), entry(2), entry(3))
  }

  private func handleMSR(_ exit: VMExit) -> RunResult? {
    handle(exit.reason, reads: 2, writes: 2, .control)
    let before = processor.pagingRegisters
    complete(exit)
    processor.completeMSRWrite(number: exit.number, value: exit.value)
    followControls(before)
    return nil
  }
}
