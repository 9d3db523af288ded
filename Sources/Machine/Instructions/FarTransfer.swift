/// Far JMP, CALL and RET (SDM vol. 2; vol. 3, 5.8).
extension Processor {
  func jumpFar(_ op: UnsafePointer<Operation>) throws(Stopped) { try transferFar(op, isCall: false) }
  func callFar(_ op: UnsafePointer<Operation>) throws(Stopped) { try transferFar(op, isCall: true) }

  private func transferFar(_ op: UnsafePointer<Operation>, isCall: Bool) throws(Stopped) {
    let form = OperandForm(op)
    let (selector, offset) = try farPointer(op, form)
    if !isProtected || s.pointee.systemFlags & Flag.virtual8086 != 0 {
      var code = s.pointee[.cs]
      code.selector = selector
      code.base = UInt64(selector) << 4
      return try enterCode(code, offset, width: form.width, isCall: isCall)
    }
    let named = selector & 0xfffc
    guard named != 0 else { throw raise(.generalProtection(0)) }
    var (code, address) = try readDescriptor(selector, otherwise: .generalProtection(named))
    guard code.isCodeOrData else { return try transferThroughSystem(selector, code, isCall: isCall) }
    let cpl = s.pointee.cpl
    guard code.isCode else { throw raise(.generalProtection(named)) }
    // Conforming code runs at the caller's privilege; other code has to have it, and the selector may not ask for less.
    let isAllowed =
      code.isConforming
      ? code.privilegeLevel <= cpl : code.privilegeLevel == cpl && UInt8(selector & 3) <= cpl
    guard isAllowed else { throw raise(.generalProtection(named)) }
    try checkCodeSize(code)
    guard code.isPresent else { throw raise(.segmentNotPresent(named)) }
    if !checksTargetLast(isCall) { try checkTarget(offset, in: code) }
    try markAccessed(&code, at: address)
    code.selector = named | UInt16(cpl)
    try enterCode(code, offset, width: form.width, isCall: isCall)
  }

  /// The far pointer of an instruction: immediate, or offset and selector in memory, each an access of its own.
  func farPointer(
    _ op: UnsafePointer<Operation>, _ form: OperandForm
  ) throws(Stopped) -> (selector: UInt16, offset: UInt64) {
    if form.shape == .i { return (form.extra, UInt64(bitPattern: op.pointee.imm).truncated(to: form.width)) }
    let address = effectiveAddress(op)
    let offset = try load(address, width: form.width, stack: form.usesStack)
    let behind = try linear(behind: op, form, by: UInt64(form.width), width: 2)
    let selector = try load(behind, width: 2, stack: form.usesStack)
    return (UInt16(truncatingIfNeeded: selector), offset)
  }

  /// Whether a transfer pushes what a return needs before it looks at the offset: AMD's processors do (APM vol. 3, CALL
  /// (Far)).
  private func checksTargetLast(_ isCall: Bool) -> Bool { isCall && profile.vendor == .amd }

  /// Goes to code of the same privilege.
  private func enterCode(_ code: Segment, _ offset: UInt64, width: Int, isCall: Bool) throws(Stopped) {
    if !checksTargetLast(isCall) { try checkTarget(offset, in: code) }
    if isCall {
      var stack = currentStack()
      try pushValue(UInt64(s.pointee[.cs].selector), width: width, on: &stack)
      try pushValue(s.pointee.rip, width: width, on: &stack)
      if checksTargetLast(isCall) { try checkTarget(offset, in: code) }
      commit(stack)
    }
    s.pointee[.cs] = code
    s.pointee.rip = offset
  }

  // MARK: Call gates

  /// A far transfer whose selector names a gate or task state.
  private func transferThroughSystem(_ selector: UInt16, _ system: Segment, isCall: Bool) throws(Stopped) {
    let named = selector & 0xfffc
    guard s.pointee.isLongMode else {
      switch system.type {
      case 0x4, 0xc: return try transferThroughLegacyGate(selector, system, isCall: isCall)
      case 0x1, 0x5, 0x9: return try transferToTask(selector, system, isCall: isCall)
      default: throw raise(.generalProtection(named))
      }
    }
    guard system.type == 0xc else { throw raise(.generalProtection(named)) }
    let (gate, _) = try readSystemDescriptor(selector, otherwise: .generalProtection(named))
    // The type field of the upper half must be zero (SDM vol. 3, 5.8.3.1).
    guard gate.high & 0x1f00_0000_0000 == 0 else { throw raise(.generalProtection(named)) }
    var (code, address, cpl) = try gateTarget(selector, system, gate, isCall: isCall)
    let offset = gate.low & 0xffff | (gate.low >> 32) & 0xffff_0000 | gate.high << 32
    try checkTarget(offset, in: code)
    try markAccessed(&code, at: address)
    guard isCall else { return try enterCode(code, offset, width: 8, isCall: false) }
    try callGate(code, offset, cpl: cpl)
  }

  /// The code that a gate leads to, its descriptor's address and the privilege that it runs at, where the gate may be
  /// used (SDM vol. 3, 5.8.4).
  private func gateTarget(
    _ selector: UInt16, _ system: Segment, _ gate: Descriptor, isCall: Bool
  ) throws(Stopped) -> (code: Segment, address: UInt64, cpl: UInt8) {
    let cpl = s.pointee.cpl
    guard system.privilegeLevel >= cpl, system.privilegeLevel >= UInt8(selector & 3) else {
      throw raise(.generalProtection(selector & 0xfffc))
    }
    guard system.isPresent else { throw raise(.segmentNotPresent(selector & 0xfffc)) }
    let target = UInt16(truncatingIfNeeded: gate.low >> 16)
    let named = target & 0xfffc
    guard named != 0 else { throw raise(.generalProtection(0)) }
    var (code, address) = try readDescriptor(target, otherwise: .generalProtection(named))
    // In long mode gates lead to 64-bit code only.
    guard code.isCode, !s.pointee.isLongMode || code.isLong && !code.isBig, code.privilegeLevel <= cpl,
      isCall || code.isConforming || code.privilegeLevel == cpl
    else { throw raise(.generalProtection(named)) }
    guard code.isPresent else { throw raise(.segmentNotPresent(named)) }
    let newCPL = code.isConforming ? cpl : code.privilegeLevel
    code.selector = named | UInt16(newCPL)
    return (code, address, newCPL)
  }

  /// A far transfer to a task state, or to a task gate, which names one.
  private func transferToTask(_ selector: UInt16, _ system: Segment, isCall: Bool) throws(Stopped) {
    let named = selector & 0xfffc
    guard system.privilegeLevel >= s.pointee.cpl, system.privilegeLevel >= UInt8(selector & 3) else {
      throw raise(.generalProtection(named))
    }
    guard system.type == 0x5 else { return try switchTask(to: selector, isCall ? .call : .jump) }
    guard system.isPresent else { throw raise(.segmentNotPresent(named)) }
    let (gate, _) = try readSystemDescriptor(selector, otherwise: .generalProtection(named))
    try switchTask(to: UInt16(truncatingIfNeeded: gate.low >> 16), isCall ? .call : .jump)
  }

  /// A call through a gate to 64-bit code, on the inner privilege's stack where the privilege changes.
  private func callGate(_ code: Segment, _ offset: UInt64, cpl: UInt8) throws(Stopped) {
    let changesPrivilege = cpl != s.pointee.cpl
    let old = s.pointee.slots[Int(Slot.rsp)]
    var stack = StackCursor.flat(changesPrivilege ? try taskStack(cpl: cpl).pointer : old, cpl: cpl)
    if changesPrivilege {
      try pushValue(UInt64(s.pointee[.ss].selector), width: 8, on: &stack)
      try pushValue(old, width: 8, on: &stack)
    }
    try pushValue(UInt64(s.pointee[.cs].selector), width: 8, on: &stack)
    try pushValue(s.pointee.rip, width: 8, on: &stack)
    if changesPrivilege { s.pointee[.ss] = .null(UInt16(cpl)) }
    commit(stack)
    s.pointee[.cs] = code
    s.pointee.cpl = cpl
    s.pointee.rip = offset
    if changesPrivilege { updatePaging() }
  }

  /// A call gate of 16 or 32 bits, of protected mode (SDM vol. 3, 5.8.3 to 5.8.5).
  private func transferThroughLegacyGate(_ selector: UInt16, _ system: Segment, isCall: Bool) throws(Stopped) {
    let (gate, _) = try readSystemDescriptor(selector, otherwise: .generalProtection(selector & 0xfffc))
    var (code, address, newCPL) = try gateTarget(selector, system, gate, isCall: isCall)
    let width = system.type == 0xc ? 4 : 2
    let offset = gate.low & 0xffff | (width == 4 ? (gate.low >> 32) & 0xffff_0000 : 0)
    guard isCall && newCPL != s.pointee.cpl else {
      try checkTarget(offset, in: code)
      try markAccessed(&code, at: address)
      return try enterCode(code, offset, width: width, isCall: isCall)
    }
    // The parameters are copied from the caller's stack to the inner one, behind its SS:ESP.
    var stack = try innerStack(cpl: newCPL)
    try checkTarget(offset, in: code)
    let count = Int((gate.low >> 32) & 0x1f)
    var caller = currentStack()
    var parameters: [UInt64] = []
    for _ in 0..<count { parameters.append(try popValue(width: width, from: &caller)) }
    try pushValue(UInt64(s.pointee[.ss].selector), width: width, on: &stack)
    try pushValue(s.pointee.slots[Int(Slot.rsp)], width: width, on: &stack)
    for parameter in parameters.reversed() { try pushValue(parameter, width: width, on: &stack) }
    try pushValue(UInt64(s.pointee[.cs].selector), width: width, on: &stack)
    try pushValue(s.pointee.rip, width: width, on: &stack)
    try markAccessed(&code, at: address)
    s.pointee[.ss] = stack.segment
    commit(stack)
    s.pointee[.cs] = code
    s.pointee.cpl = newCPL
    s.pointee.rip = offset
    updatePaging()
  }

  // MARK: RET

  func retFar(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let released = UInt64(bitPattern: op.pointee.imm) & 0xffff
    var stack = currentStack()
    try checkFrame(words: 2, width: width, on: stack)
    let offset = try popValue(width: width, from: &stack)
    let selector = UInt16(truncatingIfNeeded: try popValue(width: width, from: &stack))
    if !isProtected || s.pointee.systemFlags & Flag.virtual8086 != 0 {
      stack.release(released)
      return try returnInRealMode(selector, offset, stack)
    }
    let cpl = UInt8(selector & 3)
    guard cpl != s.pointee.cpl else {
      let code = try returnCodeSegment(selector)
      stack.release(released)
      try checkTarget(offset, in: code)
      commit(stack)
      s.pointee[.cs] = code
      s.pointee.rip = offset
      return
    }
    let (code, pointer, stackSelector) = try returnFrame(selector, released: released, width: width, from: &stack)
    let segment = try returnStackSegment(stackSelector, for: code)
    try checkTarget(offset, in: code)
    returnOutward(to: code, offset, stack: segment, pointer, released: released)
  }

  /// What follows in the frame of a return to another stack: its pointer and selector, with the code segment. Intel's
  /// processors look at the code segment before they read on, AMD's behind (APM vol. 3, RETF and IRET).
  func returnFrame(
    _ selector: UInt16, released: UInt64 = 0, width: Int, from stack: inout StackCursor
  ) throws(Stopped) -> (code: Segment, pointer: UInt64, stack: UInt16) {
    let first: Segment? = profile.vendor == .amd ? nil : try returnCodeSegment(selector)
    stack.release(released)
    let pointer = try popValue(width: width, from: &stack)
    let stackSelector = UInt16(truncatingIfNeeded: try popValue(width: width, from: &stack))
    if let first { return (first, pointer, stackSelector) }
    return (try returnCodeSegment(selector), pointer, stackSelector)
  }

  /// The code segment that a far return or IRET names, checked (SDM vol. 2, RET).
  func returnCodeSegment(_ selector: UInt16) throws(Stopped) -> Segment {
    let named = selector & 0xfffc
    guard named != 0 else { throw raise(.generalProtection(0)) }
    var (code, address) = try readDescriptor(selector, otherwise: .generalProtection(named))
    let requested = UInt8(selector & 3)
    guard code.isCode, requested >= s.pointee.cpl,
      code.isConforming ? code.privilegeLevel <= requested : code.privilegeLevel == requested
    else { throw raise(.generalProtection(named)) }
    try checkCodeSize(code)
    guard code.isPresent else { throw raise(.segmentNotPresent(named)) }
    try markAccessed(&code, at: address)
    return code
  }

  /// The stack segment that a return names. It may be null where 64-bit code of CPL 0 to 2 is returned to.
  func returnStackSegment(_ selector: UInt16, for code: Segment) throws(Stopped) -> Segment {
    let cpl = UInt8(code.selector & 3)
    guard selector & 0xfffc != 0 else {
      guard s.pointee.isLongMode, code.isLong, cpl != 3 else { throw raise(.generalProtection(0)) }
      return .null(selector)
    }
    return try stackSegment(selector, cpl: cpl, otherwise: GuestException.generalProtection)
  }

  func returnInRealMode(_ selector: UInt16, _ offset: UInt64, _ stack: StackCursor) throws(Stopped) {
    var code = s.pointee[.cs]
    code.selector = selector
    code.base = UInt64(selector) << 4
    try checkTarget(offset, in: code)
    commit(stack)
    s.pointee[.cs] = code
    s.pointee.rip = offset
  }

  /// Goes to an outer privilege, or with SS:RSP from the frame to the same one. Nothing can fail any more.
  func returnOutward(
    to code: Segment, _ offset: UInt64, stack segment: Segment, _ pointer: UInt64, released: UInt64 = 0
  ) {
    let cpl = UInt8(code.selector & 3)
    let changesPrivilege = cpl != s.pointee.cpl
    s.pointee[.cs] = code
    s.pointee[.ss] = segment
    s.pointee.cpl = cpl
    s.pointee.rip = offset
    // All of the register is the frame's, whose words may be shorter, as far as the new stack's addresses go (APM vol. 3,
    // IRET).
    if s.pointee.codeSize == .bits64 {
      setRegister(Slot.rsp, width: 8, pointer &+ released)
    } else if segment.isBig {
      setRegister(Slot.rsp, width: 4, pointer &+ released)
    } else {
      setRegister(Slot.rsp, width: 2, pointer &+ released)
    }
    if changesPrivilege {
      dropInnerSegments(cpl: cpl)
      updatePaging()
    }
  }
}

extension StackCursor {
  /// Moves the pointer over bytes that a return releases.
  mutating func release(_ bytes: UInt64) { pointer = (pointer &+ bytes) & mask }
}
