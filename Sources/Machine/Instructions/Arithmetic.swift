/// Binary arithmetic and compare-and-exchange (SDM vol. 2). Multiplication and division are in `Multiply.swift`.
extension Processor {
  func add(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, b, width in (a &+ b, .sum(a, b, carry: false, width: width)) }
  }

  func adc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let carry = s.pointee.flags.carry
    try update(op) { a, b, width in (a &+ b &+ (carry ? 1 : 0), .sum(a, b, carry: carry, width: width)) }
  }

  func sub(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, b, width in (a &- b, .difference(a, b, borrow: false, width: width)) }
  }

  func sbb(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let borrow = s.pointee.flags.carry
    try update(op) { a, b, width in (a &- b &- (borrow ? 1 : 0), .difference(a, b, borrow: borrow, width: width)) }
  }

  func cmp(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let (a, b) = try operands(op, form)
    s.pointee.flags = .difference(a, b, borrow: false, width: form.width)
  }

  func inc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let carry = s.pointee.flags.carry
    try update(op) { a, _, width in (a &+ 1, .incremented(a &+ 1, carry: carry, width: width)) }
  }

  func dec(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let carry = s.pointee.flags.carry
    try update(op) { a, _, width in (a &- 1, .decremented(a &- 1, carry: carry, width: width)) }
  }

  func neg(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, _, width in (0 &- a, .difference(0, a, borrow: false, width: width)) }
  }

  /// The source register is written first: XADD of a register with itself leaves the sum.
  func xadd(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let b = register(op.pointee.src, width: width)
    let a: UInt64
    if form.shape.writesMemory {
      let address = effectiveAddress(op)
      a = try loadForUpdate(address, width: width, stack: form.usesStack)
      try store(address, width: width, value: (a &+ b).truncated(to: width), stack: form.usesStack)
      setRegister(op.pointee.src, width: width, a)
    } else {
      a = register(op.pointee.dst, width: width)
      setRegister(op.pointee.src, width: width, a)
      setRegister(op.pointee.dst, width: width, a &+ b)
    }
    s.pointee.flags = .sum(a, b, carry: false, width: width)
  }

  /// Memory is written in either case, with its own value where the comparison fails. Of registers only the one that
  /// gets a new value is written: on success the upper half of RAX stays, on failure that of the destination.
  func cmpxchg(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let accumulator = register(Slot.rax, width: width)
    let replacement = register(op.pointee.src, width: width)
    let old: UInt64
    if form.shape.writesMemory {
      let address = effectiveAddress(op)
      old = try loadForUpdate(address, width: width, stack: form.usesStack)
      try store(address, width: width, value: old == accumulator ? replacement : old, stack: form.usesStack)
    } else {
      old = register(op.pointee.dst, width: width)
      if old == accumulator { setRegister(op.pointee.dst, width: width, replacement) }
    }
    if old != accumulator { setRegister(Slot.rax, width: width, old) }
    s.pointee.flags = .difference(accumulator, old, borrow: false, width: width)
  }

  func cmpxchg8b(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.cx8) else { throw raise(.invalidOpcode) }
    let form = OperandForm(op)
    let address = effectiveAddress(op)
    let expected = pair(Slot.rdx, Slot.rax)
    let old = try loadForUpdate(address, width: 8, stack: form.usesStack)
    let isEqual = old == expected
    try store(address, width: 8, value: isEqual ? pair(Slot.rcx, Slot.rbx) : old, stack: form.usesStack)
    if !isEqual {
      setRegister(Slot.rax, width: 4, old)
      setRegister(Slot.rdx, width: 4, old &>> 32)
    }
    setFlags(isEqual ? Flag.zero : 0, of: Flag.zero)
  }

  /// Two 32-bit registers as one value.
  private func pair(_ high: UInt8, _ low: UInt8) -> UInt64 {
    register(high, width: 4) &<< 32 | register(low, width: 4)
  }

  func cmpxchg16b(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.cx16) else { throw raise(.invalidOpcode) }
    let address = effectiveAddress(op)
    // Before the segment's own fault: a misaligned address of the stack that is not canonical is #GP.
    guard address & 15 == 0 else { throw raise(.generalProtection(0)) }
    let stack = OperandForm(op).usesStack
    let slots = s.pointee.slots
    let old = try loadWideForUpdate(address, stack: stack)
    let isEqual = old.low == slots[Int(Slot.rax)] && old.high == slots[Int(Slot.rdx)]
    try storeWide(
      address, low: isEqual ? slots[Int(Slot.rbx)] : old.low, high: isEqual ? slots[Int(Slot.rcx)] : old.high,
      stack: stack)
    if !isEqual {
      setRegister(Slot.rax, width: 8, old.low)
      setRegister(Slot.rdx, width: 8, old.high)
    }
    setFlags(isEqual ? Flag.zero : 0, of: Flag.zero)
  }
}
