/// Instructions whose opcodes 64-bit code has lost (SDM vol. 2: BOUND, ARPL; SALC stands in AMD's opcode map only).
extension Processor {
  /// #BR where a signed index is not within the two bounds in memory, the lower one first.
  func bound(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let address = effectiveAddress(op)
    let second = (address &+ UInt64(truncatingIfNeeded: width)) & addressLimit
    let lower = try load(address, width: width, stack: form.usesStack)
    let upper = try load(second, width: width, stack: form.usesStack)
    func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value.signExtended(from: width)) }
    let index = signed(register(op.pointee.dst, width: width))
    guard index >= signed(lower), index <= signed(upper) else { throw raise(.bound) }
  }

  /// ARPL raises the requested privilege level of a selector to that of another. Memory that may not be written faults
  /// even where the selector stays.
  func adjustPrivilege(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else { throw raise(.invalidOpcode) }
    let form = OperandForm(op)
    let level = register(op.pointee.src, width: 2) & 3
    let isMemory = form.shape.writesMemory
    let address = isMemory ? effectiveAddress(op) : 0
    let selector =
      isMemory
      ? try loadForUpdate(address, width: 2, stack: form.usesStack) : register(op.pointee.dst, width: 2)
    let isRaised = selector & 3 < level
    if isRaised {
      let raised = selector & ~3 | level
      if isMemory {
        try store(address, width: 2, value: raised, stack: form.usesStack)
      } else {
        setRegister(op.pointee.dst, width: 2, raised)
      }
    }
    setFlags(isRaised ? Flag.zero : 0, of: Flag.zero)
  }

  /// SALC: AL is all ones where CF is set, otherwise 0. No flag changes.
  func setALFromCarry(_ op: UnsafePointer<Operation>) throws(Stopped) {
    setRegister(Slot.rax, width: 1, s.pointee.flags.carry ? 0xff : 0)
  }
}
