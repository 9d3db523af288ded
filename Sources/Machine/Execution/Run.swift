/// How a run of the processor ends.
public enum RunResult: Equatable, Sendable {
  /// The controls intercepted something.
  case exit(VMExit)
  /// A limit of cycles or instructions was reached.
  case limit
  /// `StopRequest` was raised.
  case stopRequested
  /// A device asked the machine to end.
  case shutdown(Shutdown)
  /// HLT with interrupts off: nothing can go on.
  case haltedForEver
  /// HLT, and no device will ever interrupt.
  case waitsForNothing
  /// One of several processors has come to a point where others should go on first (`Interleaving`).
  case sliceEnded
  /// One of several processors is in HLT, or waits to be started.
  case waits
  case tripleFault
  /// Exceptions raise each other in their delivery without end: the processor executes nothing any more, and nothing but
  /// a reset reaches it.
  case lockedUp
  /// The guest did what Penumbra does not do.
  case unsupported(String)
  /// The hypervisor has found an invariant of its own broken.
  case violated(String)
  /// A debugger's request was met (`PauseRequests`), or an observer asked (`requestPause`).
  case paused
}

/// A flag that another thread or a signal handler raises.
public final class StopRequest: @unchecked Sendable {
  /// One byte that is only ever stored to and loaded: no lock is needed, and a signal handler may not take one.
  private let flag = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
  public init() { flag.initialize(to: 0) }
  deinit { flag.deallocate() }
  public func raise() { flag.pointee = 1 }
  public func clear() { flag.pointee = 0 }
  public var isRaised: Bool { flag.pointee != 0 }
}

extension Processor {
  /// Instructions between looks at the stop request.
  private static let slice: UInt64 = 1 << 19

  /// Makes the controls the ones in force: the hypervisor's entry, which takes the event that is to be injected.
  ///
  /// Entries are frequent and change little: what rests on the tables is made anew only where they are others.
  public func enter(taking wanted: inout VMControls) {
    if !controls.rootTargets.isEmpty || !wanted.rootTargets.isEmpty { controls.rootTargets = wanted.rootTargets }
    if !controls.grants.isEmpty || !wanted.grants.isEmpty { controls.grants = wanted.grants }
    controls.intercepts = wanted.intercepts
    controls.interruptWindow = wanted.interruptWindow
    controls.injection = wanted.injection
    if wanted.hasNewPaging {
      (controls.paging, controls.vpid) = (wanted.paging, wanted.vpid)
      controls.modificationLog = wanted.modificationLog
      updatePaging()
    } else {
      updateVerdicts()
    }
    wanted.taken()
  }

  /// Makes the controls the ones in force, whatever was in force before.
  public func enter(_ controls: VMControls) {
    self.controls = controls
    updatePaging()
  }

  /// The controls in force.
  public var activeControls: VMControls { controls }

  /// Runs until something has to be decided by somebody else.
  public func run(clockLimit: UInt64 = .max, retiredLimit: UInt64 = .max) -> RunResult {
    self.clockLimit = clockLimit
    self.retiredLimit = retiredLimit
    // Where the last trap was taken that an event itself had raised.
    var trapped: (rip: UInt64, stack: UInt64, retired: UInt64) = (0, 0, .max)
    while true {
      restorePatched()
      if isDebugged && pausesNow() { return .paused }
      if s.pointee.isShutDown { return .tripleFault }
      if let shutdown = bus.shutdown { return .shutdown(shutdown) }
      // An instruction that a hypervisor helps with is finished first: what others do meanwhile is not in the values that
      // it was given, nor in what its stores are compared with.
      let isBetween = controls.grants.isEmpty
      if isBetween && stopRequest.isRaised { return .stopRequested }
      if now >= bus.nextDeadline && (isBetween || !sharesTime) {
        if sharesTime { return .sliceEnded }
        bus.advance(to: now)
      }
      if s.pointee.yields && isBetween {
        // What waits at this boundary is taken before others go on: they may send another NMI, which is one more.
        if let result = takeEvents() { return result }
        s.pointee.yields = false
        return .sliceEnded
      }
      if isBetween && (clock >= clockLimit || s.pointee.retired >= retiredLimit) { return .limit }
      if blocks.isFull { blocks.dropAll() }

      let switchedTask = s.pointee.taskSwitch.isActive
      if let result = takeEvents() { return result }
      // An event that could not be delivered has ended the guest: it executes nothing any more (SDM vol. 3, 6.15).
      if s.pointee.isShutDown { return .tripleFault }
      // An event has switched tasks, or a switch is complete, behind which a trap may wait.
      if switchedTask || s.pointee.taskSwitch.isActive { continue }
      // What an event was pushed to, or read from, has a breakpoint: the trap comes before the handler's first instruction.
      // Where it is the trap's own delivery that has raised it, and nothing has changed, it goes on for ever.
      if isTrapDue && controls.grants.isEmpty {
        let place = (s.pointee.rip, s.pointee.slots[Int(Slot.rsp)], s.pointee.retired)
        if place == trapped { return .lockedUp }
        trapped = place
        continue
      }
      if isPauseRequested && pausesNow() { return .paused }
      if s.pointee.isHalted || s.pointee.awaitsStartUp {
        if let result = idle() { return result }
        continue
      }
      if let result = runStretch() { return result }
    }
  }

  /// Signals, traps, interrupts and the hypervisor's injection, before the next instruction, in the order of SDM vol. 3,
  /// table 6-2.
  private func takeEvents() -> RunResult? {
    let signals = controls.grants.isEmpty ? bus.signals(processor: index) : []
    if controls.injection == nil, !signals.isDisjoint(with: [.initialize, .startUp]) {
      if controls.intercepts.contains(.externalInterrupts) { return leave(VMExit(.externalInterrupt)) }
      takeStartSignals(signals)
      return nil
    }
    if s.pointee.awaitsStartUp { return nil }
    if s.pointee.taskSwitch.isActive {
      guard controls.injection != nil else { return completeTaskSwitch() }
      // A fault of the hypervisor's making: the new task has it without the rest.
      s.pointee.taskSwitch = PendingTaskSwitch()
    }
    // Breakpoints that the delivery of an event has touched.
    if controls.injection == nil, controls.grants.isEmpty, let trap = takeDebugTrap() { return deliverEvent(trap) }
    if let event = controls.injection {
      controls.injection = nil
      counters.injections &+= 1
      charge(.inject, costs.injectEvent)
      s.pointee.isHalted = false
      let assisted = !controls.grants.isEmpty
      if let result = deliverEvent(event) { return result }
      return assisted ? finishAssisted() : nil
    }
    let open =
      s.pointee.systemFlags & Flag.interrupt != 0 && s.pointee.interruptShadow != s.pointee.retired
    if controls.interruptWindow && open && controls.grants.isEmpty {
      return leave(VMExit(.interruptWindow))
    }
    if signals.contains(.nonMaskable) && canTakeNonMaskable {
      if controls.intercepts.contains(.externalInterrupts) { return leave(VMExit(.externalInterrupt)) }
      wake()
      _ = bus.take(.nonMaskable, processor: index, now: now)
      return deliverEvent(.nonMaskable)
    }
    guard signals.contains(.interrupt) else { return nil }
    if controls.intercepts.contains(.externalInterrupts) {
      return controls.interruptWindow ? nil : leave(VMExit(.externalInterrupt))
    }
    guard open else { return nil }
    wake()
    let vector = bus.acknowledgeInterrupt(processor: index, now: now)
    return deliverEvent(.interrupt(vector))
  }

  /// Does what is left of a task switch.
  private func completeTaskSwitch() -> RunResult? {
    beginEvent()
    do {
      try loadTaskSegments()
    } catch {
      if case .exception = stop { s.pointee.taskSwitch = PendingTaskSwitch() }
    }
    return handleStop()
  }

  /// Ends HLT.
  private func wake() {
    guard s.pointee.isHalted else { return }
    s.pointee.isHalted = false
    counters.wakes &+= 1
    charge(.idle, costs.wake)
  }

  /// Delivers an event to the guest.
  ///
  /// - Returns: how the run ends, where it does.
  private func deliverEvent(_ event: Event) -> RunResult? {
    beginEvent()
    guard deliverOrEscalate(event) else { return handleStop() }
    s.pointee.pendingDebug |= matchedBreakpoints
    return nil
  }

  /// Between two instructions.
  private func beginEvent() {
    stop = .none
    stamp = s.pointee.retired
    currentOperation = nil
    codeSize = s.pointee.codeSize
    // What an instruction touched that faulted it touches again.
    matchedBreakpoints = 0
  }

  /// Waits in HLT for the next thing that a device does.
  private func idle() -> RunResult? {
    if sharesTime { return .waits }
    guard s.pointee.systemFlags & Flag.interrupt != 0 else { return .haltedForEver }
    return idleUntilDeadline()
  }

  /// Lets time pass until a device acts or a limit is reached; under the instruction clock it jumps there.
  ///
  /// - Returns: nil when time has passed.
  public func idleUntilDeadline() -> RunResult? {
    let deadline = bus.nextDeadline
    guard deadline != .max else { return .waitsForNothing }
    guard deadline > now else { return nil }
    switch options.clock {
    case .cycles:
      let until = min(deadline, clockLimit)
      if until > now { charge(.idle, until - now) }
    case .instructions:
      s.pointee.idleTicks &+= deadline - now
    }
    return nil
  }

  /// Runs guest code to the next point where the loop above has to look.
  private func runStretch() -> RunResult? {
    setDeadlines()
    if hasPauses && pausesAtInstruction() { return .paused }
    if hasBreakpoints, let fault = instructionBreakpoint() { return deliverEvent(fault) }
    // One instruction alone: at the end of the code segment, after STI or MOV SS, with TF or breakpoints set, for the
    // hypervisor, or because a deadline is near.
    codeSize = s.pointee.codeSize
    let alone =
      isNearLimit(s.pointee.rip)
      || s.pointee.interruptShadow == s.pointee.retired || s.pointee.systemFlags & Flag.trap != 0 || hasBreakpoints
      || !controls.grants.isEmpty || hasPauses && isPausePoint
    // RF is cleared as the instruction begins (SDM vol. 3, 17.3.1.1).
    let resume = s.pointee.systemFlags & Flag.resume
    s.pointee.systemFlags &= ~Flag.resume
    matchedBreakpoints = 0
    singleStep = s.pointee.systemFlags & Flag.trap != 0
    stop = .none
    leave = .completed
    let retiredBefore = s.pointee.retired
    do {
      vectorMode = currentVectorMode
      let wasDue = s.pointee.executed >= s.pointee.executedDeadline
      var next = try block(at: s.pointee.rip, single: alone)
      // The fetch took the clock to a deadline: whoever waits for that comes before the instruction, as in `follow`.
      if !wasDue && s.pointee.executed >= s.pointee.executedDeadline {
        s.pointee.systemFlags |= resume
        return nil
      }
      let isDue =
        s.pointee.executed &+ next.pointee.cycles >= s.pointee.executedDeadline
        || s.pointee.retired &+ next.pointee.instructions > s.pointee.retiredDeadline
      if alone || isDue {
        if !alone { next = try block(at: s.pointee.rip, single: true) }
        // Nothing after it is entered.
        s.pointee.executedDeadline = 0
        isAlone = true
      }
      leave = execute(next)
    } catch {
      leave = .stopped
    }
    isAlone = false
    restorePatched()
    switch leave {
    case .due, .completed:
      guard s.pointee.retired != retiredBefore else {
        s.pointee.systemFlags |= resume
        return nil
      }
      noteDebugTraps()
      return controls.grants.isEmpty ? deliverDebugTrap() : finishAssisted()
    case .stopped:
      // A repeated string instruction traps after every element (SDM vol. 2, REP).
      if case .again = stop {
        noteDebugTraps()
        // An event between two elements finds RF set (SDM vol. 3, 17.3.1.1); on AMD's processors their trap does not.
        if profile.vendor != .amd || s.pointee.pendingDebug == 0 { s.pointee.systemFlags |= Flag.resume }
        if controls.grants.isEmpty {
          stop = .none
          return deliverDebugTrap()
        }
      }
      switch stop {
      case .exit where s.pointee.retired == retiredBefore, .frozen: s.pointee.systemFlags |= resume
      default: break
      }
      return handleStop()
    }
  }

  /// What a slow path gave up for.
  private func handleStop() -> RunResult? {
    let reason = stop
    stop = .none
    switch reason {
    case .none, .again, .frozen:
      return controls.grants.isEmpty ? nil : finishAssisted()
    case .exception(let exception):
      s.pointee.isHalted = false
      if let result = deliverEvent(.exception(exception)) { return result }
      return controls.grants.isEmpty ? nil : finishAssisted()
    case .exit(let exit):
      return leave(exit)
    case .unsupported(let what):
      return .unsupported(describeUnsupported(what))
    case .lockedUp:
      return .lockedUp
    }
  }

  /// Notes the traps that follow an instruction or an element of a repeated one: of breakpoints (SDM vol. 3, 17.3.1.2),
  /// and single-step (17.3.1.4), which MOV SS and POP SS have none of (6.8.3).
  private func noteDebugTraps() {
    s.pointee.pendingDebug |= matchedBreakpoints
    matchedBreakpoints = 0
    if singleStep && s.pointee.stackShadow != s.pointee.retired { s.pointee.pendingDebug |= DR6.singleStep }
  }

  /// Delivers the debug trap that is due, if one is.
  private func deliverDebugTrap() -> RunResult? {
    guard let trap = takeDebugTrap() else { return nil }
    return deliverEvent(trap)
  }

  /// The instruction that was executed again for the hypervisor is done.
  private func finishAssisted() -> RunResult? {
    controls.grants = Grants()
    updateVerdicts()
    return .exit(VMExit(.assisted))
  }

  /// The exit that another processor's hypervisor forces by an interrupt (KVM: a kick). An event that the last entry was
  /// to deliver goes with it.
  public func forceExit() -> VMExit {
    var exit = VMExit(.externalInterrupt)
    exit.delivering = controls.injection
    controls.injection = nil
    _ = leave(exit)
    return exit
  }

  /// Hands an exit over, and charges the hardware's round trip.
  private func leave(_ exit: VMExit) -> RunResult {
    if !controls.grants.isEmpty && !grantedStores.isEmpty { grantedStores = [] }
    counters.exits[Int(exit.reason.rawValue)] &+= 1
    charge(.exitHardware(exit.reason), costs.exitRoundTrip)
    if !costs.taggedTLB { flushLinear() }
    observer?.exited(exit, at: clock, retired: s.pointee.retired)
    return .exit(exit)
  }

  /// Moves past the instruction that exited, which the hypervisor has completed itself: it counts as retired, at its
  /// base cost.
  public func skipInstruction(_ exit: VMExit) {
    let rip = s.pointee.rip &+ UInt64(exit.instructionLength)
    s.pointee.rip = s.pointee.codeSize == .bits64 ? rip : rip & 0xffff_ffff
    s.pointee.retired &+= 1
    s.pointee.executed &+= UInt64(exit.instructionCycles)
    // None of the instructions that exit changes TF.
    if s.pointee.systemFlags & Flag.trap != 0 { s.pointee.pendingDebug |= DR6.singleStep }
    s.pointee.pendingDebug |= matchedBreakpoints
    matchedBreakpoints = 0
    s.pointee.systemFlags &= ~Flag.resume
  }

  /// Sets how far the dispatch loop may run: to the limits, the next device, the next look at the stop request.
  func setDeadlines() {
    var cycles = clockLimit
    var instructions = min(retiredLimit, s.pointee.retired &+ Processor.slice)
    let device = bus.nextDeadline
    switch options.clock {
    case .cycles: cycles = min(cycles, device)
    case .instructions: instructions = min(instructions, self.instructions(until: device))
    }
    s.pointee.clockDeadline = cycles
    s.pointee.executedDeadline = cycles > s.pointee.charged ? cycles - s.pointee.charged : 0
    s.pointee.retiredDeadline = instructions
  }

  private func describeUnsupported(_ what: String) -> String {
    let reason = what.isEmpty ? "unsupported instruction" : "unsupported: \(what)"
    return "\(reason): \(describeInstruction())"
  }

  /// Where an instruction is fetched from, by what TLBs hold, stale or not, or else by the tables; nothing changes.
  private func fetchAddress(_ address: GuestVirtual) -> HostPhysical? {
    let access = Access(.fetch, privilege)
    for buffer in [translation.code, translation.second] where !options.coherentTLB {
      guard let hit = buffer.find(address.rawValue, tag: tag, globalTag: globalTag), serves(hit.entry, access) else {
        continue
      }
      return HostPhysical(hit.entry.base | address.rawValue & hit.size.offsetMask)
    }
    guard case .mapped(let mapping) = peek(address, access).result else { return nil }
    return mapping.host.address
  }

  /// The instruction at RIP, its bytes and RIP, for a message in one line.
  public func describeInstruction() -> String {
    let size = s.pointee.codeSize
    let place = "at RIP 0x\(String(s.pointee.rip, radix: 16))"
    let linear = size == .bits64 ? s.pointee.rip : (s.pointee.rip &+ s.pointee[.cs].base) & 0xffff_ffff
    var bytes: [UInt8] = []
    for offset in 0..<15 {
      let address = GuestVirtual(linear &+ UInt64(offset))
      guard let host = fetchAddress(address), memory.contains(host) else { break }
      bytes.append(memory.read(host, count: 1)[0])
    }
    guard !bytes.isEmpty else { return "code that cannot be read \(place)" }
    let text = blocks.disassemble(bytes, rip: s.pointee.rip, size: size) ?? "unknown instruction"
    let length = blocks.length(of: bytes, rip: s.pointee.rip, size: size) ?? bytes.count
    let hex = bytes.prefix(length).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    return "\(text) (bytes \(hex)) \(place)"
  }
}

extension Processor {
  /// An instruction in words, and its length; nil where the bytes are none. Not while the processor runs.
  public func disassemble(_ bytes: [UInt8], rip: UInt64, size: CodeSize) -> (text: String, length: Int)? {
    guard let length = blocks.length(of: bytes, rip: rip, size: size) else { return nil }
    return blocks.disassemble(bytes, rip: rip, size: size).map { ($0, length) }
  }
}
