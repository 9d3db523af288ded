/// Stack operations (SDM vol. 2; vol. 1, 6.2). The stack pointer moves only when every access has succeeded.
extension Processor {
  /// The size of the stack pointer: 64 bits in 64-bit code, elsewhere by SS.B (SDM vol. 1, 6.2.3).
  private var stackSize: CodeSize {
    if s.pointee.codeSize == .bits64 { return .bits64 }
    return s.pointee[.ss].isBig ? .bits32 : .bits16
  }

  /// Checks and forms the linear address of an offset in the stack, which wraps at the stack pointer's size.
  private func stackAddress(
    _ offset: UInt64, _ size: CodeSize, width: Int, write: Bool
  ) throws(Stopped) -> UInt64 {
    try linear(.ss, offset & size.mask, width: width, write: write)
  }

  private func stackLoad(_ offset: UInt64, _ size: CodeSize, width: Int) throws(Stopped) -> UInt64 {
    try load(stackAddress(offset, size, width: width, write: false), width: width, stack: true)
  }

  private func stackStore(_ offset: UInt64, _ size: CodeSize, width: Int, _ value: UInt64) throws(Stopped) {
    let address = try stackAddress(offset, size, width: width, write: true)
    try store(address, width: width, value: value.truncated(to: width), stack: true)
  }

  private var stackPointer: UInt64 { s.pointee.slots[Int(Slot.rsp)] }

  private func setStackPointer(_ value: UInt64, _ size: CodeSize) {
    setRegister(Slot.rsp, width: size.width, value)
  }

  /// PUSH. The value of `push rsp` is the one before (SDM vol. 2, PUSH).
  func push(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let size = stackSize
    let offset = stackPointer &- UInt64(truncatingIfNeeded: form.width)
    switch form.shape {
    case .none:
      guard let segment = segmentOperand(form) else { throw raise(.invalidOpcode) }
      // With an operand size of 32 bits Intel's processors write the selector's two bytes only.
      let width = form.width == 4 && profile.vendor == .intel ? 2 : form.width
      try stackStore(offset, size, width: width, UInt64(s.pointee[segment].selector))
    case .i: try stackStore(offset, size, width: form.width, UInt64(bitPattern: op.pointee.imm))
    default: try stackStore(offset, size, width: form.width, try operand(op, form))
    }
    setStackPointer(offset, size)
  }

  /// POP. A destination in memory has an address that counts the increment already; the stack pointer itself moves last, unless it is the
  /// destination.
  func pop(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let size = stackSize
    let value = try stackLoad(stackPointer, size, width: form.width)
    let next = stackPointer &+ UInt64(truncatingIfNeeded: form.width)
    switch form.shape {
    case .none:
      guard let segment = segmentOperand(form) else { throw raise(.invalidOpcode) }
      try loadSegment(segment, UInt16(truncatingIfNeeded: value))
      setStackPointer(next, size)
      // The next instruction, which loads the stack pointer, is not interrupted (SDM vol. 3, 6.8.3).
      if segment == .ss { s.pointee.interruptShadow = s.pointee.retired }
    case .m:
      try setOperand(op, form, value)
      setStackPointer(next, size)
    default:
      setStackPointer(next, size)
      setRegister(op.pointee.dst, width: form.width, value)
    }
  }

  /// The segment register of PUSH and POP, one less than `extra`.
  private func segmentOperand(_ form: OperandForm) -> SegmentRegister? {
    SegmentRegister(rawValue: UInt8(truncatingIfNeeded: form.extra &- 1))
  }

  /// PUSHF. In virtual-8086 mode with IOPL below 3 it faults, as does POPF (the extensions of CR4.VME are not modelled).
  func pushFlags(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkVirtual8086()
    let form = OperandForm(op)
    let size = stackSize
    let offset = stackPointer &- UInt64(truncatingIfNeeded: form.width)
    let image = s.pointee.rflags & ~(Flag.virtual8086 | Flag.resume)
    try stackStore(offset, size, width: form.width, image)
    setStackPointer(offset, size)
  }

  /// POPF: what may change depends on CPL and IOPL (SDM vol. 2, table 4-16).
  func popFlags(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkVirtual8086()
    let form = OperandForm(op)
    let size = stackSize
    let image = try stackLoad(stackPointer, size, width: form.width)
    let old = s.pointee.rflags
    var writable =
      Flag.defined
      & ~(Flag.virtual8086 | Flag.virtualInterrupt | Flag.virtualInterruptPending | Flag.resume)
    if s.pointee.cpl != 0 { writable &= ~Flag.ioPrivilege }
    if !mayChangeInterruptFlag { writable &= ~Flag.interrupt }
    if form.width == 2 { writable &= 0xffff }
    let new = (old & ~writable | image & writable) & ~Flag.resume
    s.pointee.rflags = new
    setStackPointer(stackPointer &+ UInt64(truncatingIfNeeded: form.width), size)
    if (old ^ new) & Flag.alignmentCheck != 0 { updatePaging() }
  }

  private func checkVirtual8086() throws(Stopped) {
    if s.pointee.systemFlags & Flag.virtual8086 != 0 && !mayChangeInterruptFlag {
      throw raise(.generalProtection(0))
    }
  }

  /// PUSHA: AX, CX, DX, BX, SP before, BP, SI, DI, downward.
  func pushAll(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let size = stackSize
    let step = UInt64(truncatingIfNeeded: width)
    let bottom = stackPointer &- 8 &* step
    // Both ends first, so that a fault comes before any store.
    try probeStack(bottom, size, width: width)
    try probeStack(stackPointer &- step, size, width: width)
    for slot in Slot.rax...Slot.rdi {
      let offset = stackPointer &- (UInt64(slot) &+ 1) &* step
      try stackStore(offset, size, width: width, register(slot, width: width))
    }
    setStackPointer(bottom, size)
  }

  /// POPA: the image of SP is skipped.
  func popAll(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let size = stackSize
    let step = UInt64(truncatingIfNeeded: width)
    var values = InlineArray<8, UInt64>(repeating: 0)
    for place in 0..<8 where place != 3 {
      values[7 &- place] = try stackLoad(stackPointer &+ UInt64(place) &* step, size, width: width)
    }
    setStackPointer(stackPointer &+ 8 &* step, size)
    for slot in Slot.rax...Slot.rdi where slot != Slot.rsp { setRegister(slot, width: width, values[Int(slot)]) }
  }

  /// Faults as a store of `width` bytes at an offset in the stack would.
  private func probeStack(_ offset: UInt64, _ size: CodeSize, width: Int) throws(Stopped) {
    let address = try stackAddress(offset, size, width: width, write: true)
    try probeWrite(address, width: width, privilege: s.pointee.cpl == 3 ? .user : .supervisor)
  }

  /// ENTER: pushes the frame pointer, then copies `level - 1` frame pointers of the enclosing procedures and pushes its own.
  func enter(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let size = stackSize
    let step = UInt64(truncatingIfNeeded: width)
    let level = UInt64(form.extra & 0x1f)
    var offset = stackPointer &- step
    try stackStore(offset, size, width: width, register(Slot.rbp, width: width))
    let frame = offset
    if level > 0 {
      var display = s.pointee.slots[Int(Slot.rbp)]
      for _ in 1..<level {
        display &-= step
        offset &-= step
        try stackStore(offset, size, width: width, try stackLoad(display, size, width: width))
      }
      offset &-= step
      try stackStore(offset, size, width: width, frame)
    }
    offset &-= UInt64(bitPattern: op.pointee.imm) & 0xffff
    // A stack that cannot be written at the new stack pointer faults here (SDM vol. 2, ENTER).
    try probeStack(offset, size, width: width)
    setRegister(Slot.rbp, width: width, frame)
    setStackPointer(offset, size)
  }

  func leave(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let size = stackSize
    let frame = s.pointee.slots[Int(Slot.rbp)]
    let value = try stackLoad(frame, size, width: width)
    setStackPointer(frame &+ UInt64(truncatingIfNeeded: width), size)
    setRegister(Slot.rbp, width: width, value)
  }
}
