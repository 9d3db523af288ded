/// Near branches in the sizes that the hot handlers leave, and the instructions that interrupt (SDM vol. 2: CALL, JMP,
/// RET, LOOP, JCC, INT n).
extension Processor {
  /// Truncates a near target to the operand size and checks that CS reaches it.
  private func nearTarget(_ value: UInt64, width: Int) throws(Stopped) -> UInt64 {
    let target = value.truncated(to: width)
    try checkTarget(target, in: s.pointee[.cs])
    return target
  }

  func callRelative(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try callNear(UInt64(bitPattern: op.pointee.imm), width: OperandForm(op).width)
  }

  func callIndirect(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    try callNear(operand(op, form), width: form.width)
  }

  private func callNear(_ value: UInt64, width: Int) throws(Stopped) {
    var stack = currentStack()
    // AMD's processors see first whether it can push.
    if profile.vendor == .amd { try probePush(width: width, on: stack) }
    let target = try nearTarget(value, width: width)
    try pushValue(s.pointee.rip, width: width, on: &stack)
    commit(stack)
    s.pointee.rip = target
  }

  /// JMP, or Jcc of the condition that is one less than `extra`.
  func jumpRelative(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    if form.extra > 0 {
      guard let condition = Condition(rawValue: UInt8(truncatingIfNeeded: form.extra &- 1)),
        s.pointee.flags.holds(condition)
      else { return }
    }
    s.pointee.rip = try nearTarget(UInt64(bitPattern: op.pointee.imm), width: form.width)
  }

  func jumpIndirect(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    s.pointee.rip = try nearTarget(operand(op, form), width: form.width)
  }

  func ret(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    var stack = currentStack()
    let target = try nearTarget(popValue(width: width, from: &stack), width: width)
    stack.release(UInt64(bitPattern: op.pointee.imm) & 0xffff)
    commit(stack)
    s.pointee.rip = target
  }

  // MARK: Loops

  func loop(_ op: UnsafePointer<Operation>) throws(Stopped) { try countDown(op) { _ in true } }
  func loope(_ op: UnsafePointer<Operation>) throws(Stopped) { try countDown(op) { $0 } }
  func loopne(_ op: UnsafePointer<Operation>) throws(Stopped) { try countDown(op) { !$0 } }

  /// LOOP and its kin: the counter has the address size, and no flags change.
  private func countDown(_ op: UnsafePointer<Operation>, while holds: (_ zero: Bool) -> Bool) throws(Stopped) {
    let form = OperandForm(op)
    let count = register(Slot.rcx, width: form.addressSize.width) &- 1
    if count.truncated(to: form.addressSize.width) != 0 && holds(s.pointee.flags.holds(.e)) {
      s.pointee.rip = try nearTarget(UInt64(bitPattern: op.pointee.imm), width: form.width)
    }
    setRegister(Slot.rcx, width: form.addressSize.width, count)
  }

  func jcxz(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    guard register(Slot.rcx, width: form.addressSize.width) == 0 else { return }
    s.pointee.rip = try nearTarget(UInt64(bitPattern: op.pointee.imm), width: form.width)
  }

  // MARK: Interrupts

  /// INT n. In virtual-8086 mode it depends on IOPL (SDM vol. 3, 20.3, without the extensions of CR4.VME).
  func interrupt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    if s.pointee.systemFlags & Flag.virtual8086 != 0 && s.pointee.systemFlags & Flag.ioPrivilege != Flag.ioPrivilege {
      throw raise(.generalProtection(0))
    }
    try softwareInterrupt(.software(vector: UInt8(truncatingIfNeeded: op.pointee.imm), length: op.pointee.length), op)
  }

  func breakpoint(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try softwareInterrupt(.software(vector: 3, length: op.pointee.length), op)
  }

  func overflow(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.flags.holds(.o) else { return }
    try softwareInterrupt(.software(vector: 4, length: op.pointee.length), op)
  }

  /// INT1. A debug trap that MOV SS has held off comes with it, not after it: there is one exception for both.
  func debugTrap(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try softwareInterrupt(.privilegedSoftware(length: op.pointee.length), op)
    guard s.pointee.pendingDebug != 0 else { return }
    report(s.pointee.pendingDebug)
    s.pointee.pendingDebug = 0
  }

  func undefined(_ op: UnsafePointer<Operation>) throws(Stopped) { throw raise(.invalidOpcode) }

  /// RIP is put back to the instruction: from there delivery forms the address to return to.
  private func softwareInterrupt(_ event: Event, _ op: UnsafePointer<Operation>) throws(Stopped) {
    s.pointee.rip = s.pointee.rip &- UInt64(op.pointee.length)
    try deliverSoftware(event)
    // Delivery has cleared TF: the handler's first instruction is not trapped for this one (SDM vol. 3, 17.3.1.4).
    singleStep = false
  }
}
