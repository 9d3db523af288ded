/// A stack that an instruction or a delivery moves several values on. The register follows by `commit`, when all of
/// them have been moved, so that a fault in the middle leaves it as it was.
struct StackCursor {
  var segment: Segment
  var pointer: UInt64
  /// How much of the pointer counts: 16, 32 or 64 bits.
  var mask: UInt64
  /// On whose behalf the pushes are made: that of the CPL that the stack is for.
  var privilege: Privilege
  /// 64-bit mode: neither base nor limit.
  var isFlat: Bool
  /// The selector that #SS names when the limit is exceeded.
  var errorCode: UInt16 = 0

  /// The stack that a 64-bit handler or call gate switches to.
  static func flat(_ pointer: UInt64, cpl: UInt8) -> StackCursor {
    StackCursor(
      segment: .null, pointer: pointer, mask: .max, privilege: cpl == 3 ? .user : .supervisor, isFlat: true)
  }

  /// A stack in a segment, of 16- and 32-bit code.
  static func segmented(_ segment: Segment, _ pointer: UInt64, cpl: UInt8, errorCode: UInt16 = 0) -> StackCursor {
    let mask: UInt64 = segment.isBig ? 0xffff_ffff : 0xffff
    return StackCursor(
      segment: segment, pointer: pointer & mask, mask: mask, privilege: cpl == 3 ? .user : .supervisor, isFlat: false,
      errorCode: errorCode)
  }
}

extension Segment {
  /// Whether `width` bytes at an offset lie within the limit (SDM vol. 3, 5.3).
  func holds(_ offset: UInt64, width: UInt64) -> Bool {
    let last = offset &+ width &- 1
    if expandsDown { return offset > UInt64(limit) && last >= offset && last <= (isBig ? 0xffff_ffff : 0xffff) }
    return last >= offset && last <= UInt64(limit)
  }
}

extension Processor {
  /// The stack in use.
  func currentStack() -> StackCursor {
    let pointer = s.pointee.slots[Int(Slot.rsp)]
    if s.pointee.codeSize == .bits64 { return .flat(pointer, cpl: s.pointee.cpl) }
    return .segmented(s.pointee[.ss], pointer, cpl: s.pointee.cpl)
  }

  private func linear(_ stack: StackCursor, _ pointer: UInt64, width: Int) throws(Stopped) -> UInt64 {
    if stack.isFlat { return pointer }
    guard stack.segment.holds(pointer, width: UInt64(width)) else { throw raise(.stack(stack.errorCode)) }
    return (stack.segment.base &+ pointer) & 0xffff_ffff
  }

  func pushValue(_ value: UInt64, width: Int, on stack: inout StackCursor) throws(Stopped) {
    let pointer = (stack.pointer &- UInt64(width)) & stack.mask
    let address = try linear(stack, pointer, width: width)
    try storeAs(stack.privilege, address, width: width, value: value.truncated(to: width))
    stack.pointer = pointer
  }

  /// Checks that a value could be pushed, without pushing it.
  func probePush(width: Int, on stack: StackCursor) throws(Stopped) {
    let address = try linear(stack, (stack.pointer &- UInt64(width)) & stack.mask, width: width)
    try checkAlignment(address, Access(.write, stack.privilege), width: width)
    try probeWrite(address, width: width, privilege: stack.privilege)
  }

  func popValue(width: Int, from stack: inout StackCursor) throws(Stopped) -> UInt64 {
    let value = try load(linear(stack, stack.pointer, width: width), width: width, stack: true)
    stack.pointer = (stack.pointer &+ UInt64(width)) & stack.mask
    return value
  }

  /// Checks that all words of a frame are within the stack's limit, before any is read (SDM vol. 2, RET and IRET).
  func checkFrame(words: Int, width: Int, on stack: StackCursor) throws(Stopped) {
    for word in 0..<words {
      _ = try linear(stack, (stack.pointer &+ UInt64(word &* width)) & stack.mask, width: width)
    }
  }

  /// Makes the cursor's pointer the stack pointer.
  func commit(_ stack: StackCursor) {
    let old = s.pointee.slots[Int(Slot.rsp)]
    // A 32-bit stack pointer is zero-extended, a 16-bit one merges.
    s.pointee.slots[Int(Slot.rsp)] = stack.mask == 0xffff ? old & ~0xffff | stack.pointer & 0xffff : stack.pointer
  }
}
