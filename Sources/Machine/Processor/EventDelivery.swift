/// Delivery of exceptions and interrupts through the IDT (SDM vol. 3, 6.12 and 6.14; vol. 2, INT n).
///
/// Everything that can fail comes first, the pushes last; only then do registers change. So a delivery that faults or
/// exits has written, at most, below the stack pointer.
extension Processor {
  /// Delivers an event to the guest. RIP is at the instruction that caused it, or that comes next after an interrupt or
  /// trap.
  func deliver(_ event: Event) throws(Stopped) {
    delivering = event
    defer { delivering = nil }
    do throws(Stopped) {
      try enterHandler(event)
    } catch {
      if case .exit(var exit) = stop {
        exit.delivering = event
        stop = .exit(exit)
      }
      throw error
    }
  }

  /// Delivers the interrupt of INT n, INT3, INTO or INT1 as part of the instruction, at which RIP is. A fault or exit
  /// is then that of the instruction, which is executed again: it is not told as an event in delivery.
  func deliverSoftware(_ event: Event) throws(Stopped) { try enterHandler(event) }

  private func enterHandler(_ event: Event) throws(Stopped) {
    // CR2 has the address as soon as the fault is raised, whatever becomes of its delivery.
    if case .exception(let exception) = event, exception.vector == 14 { s.pointee.cr2 = exception.address }
    // No NMI comes before the IRET that follows, even if the handler is that of a fault in the delivery (SDM vol. 3, 6.7.1;
    // 27.1: NMIs are blocked once one is being delivered).
    if event == .nonMaskable { s.pointee.blocksNonMaskable = true }
    let rip = s.pointee.rip
    let entry: HandlerEntry?
    do throws(Stopped) {
      entry = try prepareEntry(event)
    } catch {
      // EXT: the exception belongs to an event that the program did not ask for (SDM vol. 3, 6.13).
      if case .exception(var exception) = stop, event.isExternal, (10...13).contains(exception.vector) {
        exception.errorCode |= 1
        stop = .exception(exception)
      }
      throw error
    }
    // Nil: another task has been entered.
    if let entry { commit(entry) }
    // What STI and MOV SS hold off, they hold off until the next instruction or the next event, whatever comes first (SDM
    // vol. 3, 26.6.1: there is no blocking by them after an entry that delivers an event).
    s.pointee.interruptShadow = .max
    s.pointee.stackShadow = .max
    // The handler of a debug exception may touch the debug registers (SDM vol. 3, 17.2.4).
    if case .exception(let exception) = event, exception.vector == 1 {
      s.pointee.debugRegisters[7] &= ~DR7.generalDetect
    }
    charge(for: event, switchesStack: entry?.switchesStack ?? true)
    recentEvents.append((event, rip))
    if recentEvents.count > 8 { recentEvents.removeFirst() }
    observer?.delivered(event, rip: rip, at: clock)
    updatePaging()
  }

  private func charge(for event: Event, switchesStack: Bool) {
    let cause: Cause
    if event.isInterrupt {
      cause = .interrupt
      counters.interrupts &+= 1
      charge(cause, costs.interruptDelivery)
    } else {
      cause = .fault
      counters.exceptions &+= 1
      charge(cause, costs.faultDelivery)
    }
    if switchesStack {
      counters.stackSwitches &+= 1
      charge(cause, costs.stackSwitch)
    }
  }

  // MARK: Preparing

  /// What a delivery changes, once nothing can go wrong any more.
  private struct HandlerEntry {
    var code: Segment
    var target: UInt64
    /// Nil where SS stays.
    var stackSegment: Segment?
    var stack: StackCursor
    var clearsInterruptFlag: Bool
    var switchesStack: Bool
  }

  /// - Returns: nil where the gate was a task's, which has been entered.
  private func prepareEntry(_ event: Event) throws(Stopped) -> HandlerEntry? {
    guard isProtected else { return try prepareRealModeEntry(event) }
    let gate = try readGate(event)
    if gate.isTask {
      try switchTask(to: gate.selector, .event(event))
      return nil
    }
    let isVirtual8086 = s.pointee.systemFlags & Flag.virtual8086 != 0
    let code = try handlerSegment(gate)
    try checkTarget(gate.target, in: code)

    let isLong = s.pointee.isLongMode
    let newCPL = UInt8(code.selector & 3)
    // Virtual-8086 mode is left for ring 0 alone (SDM vol. 3, 20.3.1).
    if isVirtual8086 && newCPL != 0 { throw raise(.generalProtection(code.selector & 0xfffc)) }
    let changesPrivilege = newCPL != s.pointee.cpl
    let oldStack = s.pointee.slots[Int(Slot.rsp)]
    var stack: StackCursor
    var stackSegment: Segment?
    if isLong {
      var pointer = oldStack
      if changesPrivilege || gate.stackIndex != 0 {
        pointer = try taskStack(cpl: newCPL, index: gate.stackIndex).pointer
      }
      // Aligned in 64-bit mode, so that handlers may keep 16-byte values on it (SDM vol. 3, 6.14.2).
      stack = .flat(pointer & ~0xf, cpl: newCPL)
      if changesPrivilege { stackSegment = .null(UInt16(newCPL)) }
    } else if changesPrivilege {
      stack = try innerStack(cpl: newCPL)
      stackSegment = stack.segment
    } else {
      stack = currentStack()
    }

    // The frame. Long mode pushes SS:RSP always, protected mode only on a change of privilege.
    let width = gate.width
    if isVirtual8086 {
      for register in [SegmentRegister.gs, .fs, .ds, .es] {
        try pushValue(UInt64(s.pointee[register].selector), width: width, on: &stack)
      }
    }
    if isLong || changesPrivilege {
      try pushValue(UInt64(s.pointee[.ss].selector), width: width, on: &stack)
      try pushValue(oldStack, width: width, on: &stack)
    }
    try pushValue(flagsImage(event), width: width, on: &stack)
    try pushValue(UInt64(s.pointee[.cs].selector), width: width, on: &stack)
    try pushValue(returnAddress(event), width: width, on: &stack)
    if case .exception(let exception) = event, exception.hasErrorCode {
      try pushValue(UInt64(exception.errorCode), width: width, on: &stack)
    }
    return HandlerEntry(
      code: code, target: gate.target, stackSegment: stackSegment, stack: stack,
      clearsInterruptFlag: gate.isInterruptGate, switchesStack: changesPrivilege || gate.stackIndex != 0)
  }

  /// Through the interrupt vector table of real mode, which has four bytes a vector: an offset and a selector (SDM vol.
  /// 3, 21.1.4). Nothing has an error code there.
  private func prepareRealModeEntry(_ event: Event) throws(Stopped) -> HandlerEntry {
    let offset = UInt64(event.vector) &* 4
    guard offset &+ 3 <= UInt64(s.pointee.idtr.limit) else { throw raise(.generalProtection(0)) }
    let entry = try loadSystem((s.pointee.idtr.base &+ offset) & addressLimit, width: 4)
    var code = s.pointee[.cs]
    code.selector = UInt16(truncatingIfNeeded: entry >> 16)
    code.base = UInt64(code.selector) << 4
    let target = entry & 0xffff
    try checkTarget(target, in: code)
    var stack = currentStack()
    try pushValue(flagsImage(event), width: 2, on: &stack)
    try pushValue(UInt64(s.pointee[.cs].selector), width: 2, on: &stack)
    try pushValue(returnAddress(event), width: 2, on: &stack)
    return HandlerEntry(
      code: code, target: target, stackSegment: nil, stack: stack, clearsInterruptFlag: true, switchesStack: false)
  }

  private func commit(_ entry: HandlerEntry) {
    let isProtected = self.isProtected
    if isProtected && s.pointee.systemFlags & Flag.virtual8086 != 0 {
      for register in [SegmentRegister.es, .ds, .fs, .gs] { s.pointee[register] = .null(0) }
    }
    if let segment = entry.stackSegment { s.pointee[.ss] = segment }
    commit(entry.stack)
    s.pointee[.cs] = entry.code
    // In real mode a selector has no privilege, and EFLAGS.AC is cleared instead of NT (SDM vol. 2, INT n).
    if isProtected { s.pointee.cpl = UInt8(entry.code.selector & 3) }
    s.pointee.rip = entry.target
    s.pointee.systemFlags &=
      ~(Flag.trap | Flag.resume | Flag.virtual8086 | (isProtected ? Flag.nestedTask : Flag.alignmentCheck))
    if entry.clearsInterruptFlag { s.pointee.systemFlags &= ~Flag.interrupt }
    s.pointee.isHalted = false
  }

  // MARK: Gates

  /// An interrupt, trap or task gate.
  private struct Gate {
    var selector: UInt16
    var target: UInt64
    /// Of the values pushed, in bytes.
    var width: Int
    var isInterruptGate: Bool
    /// Index into the interrupt stack table; 0: none.
    var stackIndex: UInt64
    /// The selector is a task's.
    var isTask: Bool
  }

  private func readGate(_ event: Event) throws(Stopped) -> Gate {
    let isLong = s.pointee.isLongMode
    let vector = UInt64(event.vector)
    // The vector's index, and the bit that says that it is one of the IDT (SDM vol. 3, 6.13).
    let code = UInt16(vector << 3 | 2)
    let size: UInt64 = isLong ? 16 : 8
    let offset = vector &* size
    guard offset &+ size &- 1 <= UInt64(s.pointee.idtr.limit) else { throw raise(.generalProtection(code)) }
    let address = (s.pointee.idtr.base &+ offset) & addressLimit
    let low = try loadSystem(address, width: 8)
    let high = isLong ? try loadSystem(address &+ 8, width: 8) : 0
    let type = (low >> 40) & 0x1f
    // Interrupt and trap gates; those of 16 bits, and task gates, only outside long mode.
    guard type & ~1 == 0xe || (type & ~1 == 6 || type == 5) && !isLong else { throw raise(.generalProtection(code)) }
    if event.checksGatePrivilege {
      guard s.pointee.cpl <= UInt8((low >> 45) & 3) else { throw raise(.generalProtection(code)) }
    }
    guard low & 1 << 47 != 0 else { throw raise(.segmentNotPresent(code)) }
    var target = low & 0xffff
    if type & 8 != 0 { target |= (low >> 32) & 0xffff_0000 }
    if isLong { target |= high << 32 }
    return Gate(
      selector: UInt16(truncatingIfNeeded: low >> 16), target: target, width: isLong ? 8 : type & 8 != 0 ? 4 : 2,
      isInterruptGate: type & 1 == 0, stackIndex: isLong ? (low >> 32) & 7 : 0, isTask: type == 5)
  }

  /// The handler's code segment, its selector's RPL the new CPL.
  private func handlerSegment(_ gate: Gate) throws(Stopped) -> Segment {
    let code = gate.selector & 0xfffc
    guard code != 0 else { throw raise(.generalProtection(0)) }
    var (segment, address) = try readDescriptor(gate.selector, otherwise: .generalProtection(code))
    let cpl = s.pointee.cpl
    guard segment.isCode, segment.privilegeLevel <= cpl else { throw raise(.generalProtection(code)) }
    // In long mode handlers are 64-bit code.
    if s.pointee.isLongMode && (!segment.isLong || segment.isBig) { throw raise(.generalProtection(code)) }
    guard segment.isPresent else { throw raise(.segmentNotPresent(code)) }
    try markAccessed(&segment, at: address)
    segment.selector = code | UInt16(segment.isConforming ? cpl : segment.privilegeLevel)
    return segment
  }

  // MARK: What is pushed

  func returnAddress(_ event: Event) -> UInt64 {
    guard let length = event.instructionLength else { return s.pointee.rip }
    let next = s.pointee.rip &+ UInt64(length)
    return s.pointee.codeSize == .bits64 ? next : next & 0xffff_ffff
  }

  /// RFLAGS as pushed. RF is set for faults, so that an instruction breakpoint does not hit again; debug exceptions and
  /// other events push it as it is, and software interrupts as 0 (SDM vol. 3, 17.3.1.1).
  func flagsImage(_ event: Event) -> UInt64 {
    let flags = s.pointee.rflags
    switch event {
    case .interrupt, .nonMaskable: return flags
    case .software, .privilegedSoftware: return flags & ~Flag.resume
    case .exception(let exception):
      switch exception.vector {
      case 0, 5, 6, 7, 10...14, 16, 17, 19, 20, 21: return flags | Flag.resume
      default: return flags
      }
    }
  }
}

extension Event {
  /// Index into the IDT.
  public var vector: UInt8 {
    switch self {
    case .exception(let exception): exception.vector
    case .interrupt(let vector): vector
    case .nonMaskable: 2
    case .software(let vector, _): vector
    case .privilegedSoftware: 1
    }
  }

  var isInterrupt: Bool {
    switch self {
    case .interrupt, .nonMaskable: true
    case .exception, .software, .privilegedSoftware: false
    }
  }

  /// Bytes of the instruction that RIP is saved behind; nil where it is saved as it is.
  fileprivate var instructionLength: UInt8? {
    switch self {
    case .software(_, let length), .privilegedSoftware(let length): length
    case .exception, .interrupt, .nonMaskable: nil
    }
  }

  /// INT n, INT3 and INTO may only use gates of their privilege.
  var checksGatePrivilege: Bool {
    if case .software = self { return true }
    return false
  }

  /// Whether exceptions during the delivery have EXT set: those of INT1 have it too (SDM vol. 2, INT n).
  var isExternal: Bool { !checksGatePrivilege }
}
