/// Stack operations (SDM vol. 2; vol. 1, 6.2). The stack pointer moves only when every access has succeeded; what was
/// pushed before a fault lies below it.
extension Processor {
  /// PUSH. The value of `push rsp` is the one before (SDM vol. 2, PUSH).
  func push(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    var stack = currentStack()
    var width = form.width
    let value: UInt64
    switch form.shape {
    case .none:
      guard let segment = segmentOperand(form) else { throw raise(.invalidOpcode) }
      value = UInt64(s.pointee[segment].selector)
      if width == 4 && profile.vendor == .intel {
        // With an operand size of 32 bits Intel's processors write the selector only, into the lower half of the place.
        stack.pointer &-= 2
        width = 2
      }
    case .i: value = UInt64(bitPattern: op.pointee.imm)
    default: value = try operand(op, form)
    }
    try pushValue(value.truncated(to: width), width: width, on: &stack)
    commit(stack)
  }

  /// POP. A destination in memory has an address that counts the increment already; the stack pointer itself moves
  /// last, unless it is the destination.
  func pop(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    var stack = currentStack()
    let value = try popValue(width: form.width, from: &stack)
    switch form.shape {
    case .none:
      guard let segment = segmentOperand(form) else { throw raise(.invalidOpcode) }
      try loadSegment(segment, UInt16(truncatingIfNeeded: value))
      commit(stack)
      if segment == .ss { holdOffEvents() }
    case .m:
      let address = try linear(behind: op, form, by: 0, width: form.width, write: true)
      try store(address, width: form.width, value: value, stack: form.usesStack)
      commit(stack)
    default:
      commit(stack)
      setRegister(op.pointee.dst, width: form.width, value)
    }
  }

  /// The segment register of PUSH and POP, one less than `extra`.
  private func segmentOperand(_ form: OperandForm) -> SegmentRegister? {
    SegmentRegister(rawValue: UInt8(truncatingIfNeeded: form.extra &- 1))
  }

  /// PUSHF: VM and RF are clear in the image.
  func pushFlags(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkVirtual8086()
    let width = OperandForm(op).width
    var stack = currentStack()
    let image = s.pointee.rflags & ~(Flag.virtual8086 | Flag.resume)
    try pushValue(image.truncated(to: width), width: width, on: &stack)
    commit(stack)
  }

  /// POPF: what may change depends on CPL and IOPL (SDM vol. 2, POPF).
  func popFlags(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkVirtual8086()
    let width = OperandForm(op).width
    var stack = currentStack()
    let image = try popValue(width: width, from: &stack)
    let old = s.pointee.rflags
    let fixed = Flag.virtual8086 | Flag.virtualInterrupt | Flag.virtualInterruptPending | Flag.resume
    var writable = Flag.defined & ~fixed
    if s.pointee.cpl != 0 { writable &= ~Flag.ioPrivilege }
    if !mayChangeInterruptFlag { writable &= ~Flag.interrupt }
    writable = writable.truncated(to: width)
    let new = (old & ~writable | image & writable) & ~Flag.resume
    s.pointee.rflags = new
    commit(stack)
    if (old ^ new) & Flag.alignmentCheck != 0 { updatePaging() }
  }

  /// In virtual-8086 mode PUSHF and POPF fault with an IOPL below 3 (the extensions of CR4.VME are not modelled).
  private func checkVirtual8086() throws(Stopped) {
    if s.pointee.systemFlags & Flag.virtual8086 != 0 && !mayChangeInterruptFlag {
      throw raise(.generalProtection(0))
    }
  }

  /// PUSHA: AX, CX, DX, BX, SP as it was, BP, SI, DI, downward.
  func pushAll(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    var stack = currentStack()
    for slot in Slot.rax...Slot.rdi { try pushValue(register(slot, width: width), width: width, on: &stack) }
    commit(stack)
  }

  /// POPA: the image of SP is skipped. AMD's processors load each register as they have read it, though the next one may
  /// fault.
  func popAll(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    var stack = currentStack()
    var values = InlineArray<8, UInt64>(repeating: 0)
    for place in 0..<8 {
      let slot = 7 &- place
      values[slot] = try popValue(width: width, from: &stack)
      if profile.vendor == .amd && slot != Int(Slot.rsp) { setRegister(UInt8(slot), width: width, values[slot]) }
    }
    commit(stack)
    for slot in Slot.rax...Slot.rdi where slot != Slot.rsp { setRegister(slot, width: width, values[Int(slot)]) }
  }

  /// ENTER: pushes the frame pointer; at a nesting level above 0 also the frame pointers of the enclosing procedures
  /// and its own.
  func enter(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let level = form.extra & 0x1f
    var stack = currentStack()
    var display = stack
    display.pointer = s.pointee.slots[Int(Slot.rbp)] & stack.mask
    try pushValue(register(Slot.rbp, width: width), width: width, on: &stack)
    // All of the register: a 16-bit stack pointer leaves the upper part of ESP as it is, which goes to EBP.
    let frame = s.pointee.slots[Int(Slot.rsp)] & ~stack.mask | stack.pointer
    if level > 0 {
      for _ in 1..<level {
        display.pointer = (display.pointer &- UInt64(truncatingIfNeeded: width)) & display.mask
        var outer = display
        try pushValue(try popValue(width: width, from: &outer), width: width, on: &stack)
      }
      try pushValue(frame.truncated(to: width), width: width, on: &stack)
    }
    stack.pointer = (stack.pointer &- (UInt64(bitPattern: op.pointee.imm) & 0xffff)) & stack.mask
    // It faults where a store at the new stack pointer would (SDM vol. 2, ENTER), be it for its alignment.
    let address = try linear(.ss, stack.pointer, width: width, write: true)
    try checkAlignment(address, Access(.write, stack.privilege), width: width)
    try probeWrite(address, width: width, privilege: stack.privilege)
    setRegister(Slot.rbp, width: width, frame)
    commit(stack)
  }

  func leave(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    var stack = currentStack()
    stack.pointer = s.pointee.slots[Int(Slot.rbp)] & stack.mask
    let value = try popValue(width: width, from: &stack)
    commit(stack)
    setRegister(Slot.rbp, width: width, value)
  }
}
