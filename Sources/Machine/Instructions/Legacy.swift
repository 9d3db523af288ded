/// Instructions whose opcodes 64-bit code has lost (SDM vol. 2: BOUND, ARPL; SALC stands in AMD's opcode map only).
extension Processor {
  /// #BR where a signed index is not within the two bounds in memory, the lower one first.
  func bound(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let lower = try load(effectiveAddress(op), width: width, stack: form.usesStack)
    let second = try linear(behind: op, form, by: UInt64(truncatingIfNeeded: width), width: width)
    let upper = try load(second, width: width, stack: form.usesStack)
    func signed(_ value: UInt64) -> Int64 { Int64(bitPattern: value.signExtended(from: width)) }
    let index = signed(register(op.pointee.dst, width: width))
    guard index >= signed(lower), index <= signed(upper) else { throw raise(.bound) }
  }

  /// ARPL raises the requested privilege level of a selector to that of another. Segment and page have to be such as may
  /// be written; AMD's processors see that only where the selector changes.
  func adjustPrivilege(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else { throw raise(.invalidOpcode) }
    let form = OperandForm(op)
    let level = register(op.pointee.src, width: 2) & 3
    let isMemory = form.shape.writesMemory
    let isAMD = profile.vendor == .amd
    let address = isMemory ? try linear(behind: op, form, by: 0, width: 2, write: !isAMD) : 0
    let selector: UInt64
    if !isMemory {
      selector = register(op.pointee.dst, width: 2)
    } else if isAMD {
      selector = try load(address, width: 2, stack: form.usesStack)
    } else {
      selector = try loadForUpdate(address, width: 2, stack: form.usesStack)
    }
    let isRaised = selector & 3 < level
    if isRaised {
      let raised = selector & ~3 | level
      if isMemory {
        _ = try linear(behind: op, form, by: 0, width: 2, write: true)
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
