/// Moves, exchanges and conversions (SDM vol. 2).
extension Processor {
  func mov(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    try setOperand(op, form, try sourceOperand(op, form))
  }

  func movzx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    setRegister(op.pointee.dst, width: form.width, try narrowSource(op, form))
  }

  func movsx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    setRegister(op.pointee.dst, width: form.width, try narrowSource(op, form).signExtended(from: form.sourceWidth))
  }

  /// The source of a widening move, zero-extended.
  private func narrowSource(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt64 {
    guard form.shape == .rm else { return register(op.pointee.src, width: form.sourceWidth) }
    return try load(effectiveAddress(op), width: form.sourceWidth, stack: form.usesStack)
  }

  /// The source is read, and a 32-bit destination zero-extended, whether the condition holds or not.
  func cmovcc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    let value = holds(form) ? source : register(op.pointee.dst, width: form.width)
    setRegister(op.pointee.dst, width: form.width, value)
  }

  func setcc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    try setOperand(op, form, holds(form) ? 1 : 0)
  }

  /// The condition in a form's `extra`.
  private func holds(_ form: OperandForm) -> Bool {
    guard let condition = Condition(rawValue: UInt8(truncatingIfNeeded: form.extra & 0xf)) else { return false }
    return s.pointee.flags.holds(condition)
  }

  func xchg(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let second = register(op.pointee.src, width: width)
    let first: UInt64
    if form.shape.writesMemory {
      let address = effectiveAddress(op)
      first = try loadForUpdate(address, width: width, stack: form.usesStack)
      try store(address, width: width, value: second, stack: form.usesStack)
    } else {
      first = register(op.pointee.dst, width: width)
      setRegister(op.pointee.dst, width: width, second)
    }
    setRegister(op.pointee.src, width: width, first)
  }

  /// BSWAP of a 16-bit register is undefined; silicon clears it.
  func bswap(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let value = register(op.pointee.dst, width: width)
    let swapped = value.byteSwapped &>> (64 &- 8 &* UInt64(truncatingIfNeeded: width))
    setRegister(op.pointee.dst, width: width, width == 2 ? 0 : swapped)
  }

  func xlat(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let offset = s.pointee.slots[Int(Slot.rbx)] &+ register(Slot.rax, width: 1)
    let address = try linear(form.segment ?? .ds, offset & form.addressSize.mask, width: 1, write: false)
    setRegister(Slot.rax, width: 1, try load(address, width: 1, stack: form.usesStack))
  }

  func lahf(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkFlagsInAH()
    let image = s.pointee.flags.bits & 0xff | Flag.one
    setRegister(Slot.highByte | Slot.rax, width: 1, image)
  }

  func sahf(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkFlagsInAH()
    setFlags(register(Slot.highByte | Slot.rax, width: 1), of: Flag.arithmetic & 0xff)
  }

  /// The first 64-bit processors had LAHF and SAHF outside 64-bit code only.
  private func checkFlagsInAH() throws(Stopped) {
    guard codeSize != .bits64 || features.contains(.lahfLM) else { throw raise(.invalidOpcode) }
  }

  /// CBW, CWDE, CDQE: the width is the source's.
  func convertInAX(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    setRegister(Slot.rax, width: 2 &* width, register(Slot.rax, width: width).signExtended(from: width))
  }

  /// CWD, CDQ, CQO.
  func convertToDX(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    setRegister(Slot.rdx, width: width, register(Slot.rax, width: width).sign(width) ? .max : 0)
  }

  func lea(_ op: UnsafePointer<Operation>) throws(Stopped) {
    setRegister(op.pointee.dst, width: OperandForm(op).width, effectiveAddress(op))
  }
}

extension CodeSize {
  /// Width in bytes of an address or operand of this size.
  @inline(__always) var width: Int { 2 &<< Int(rawValue) }

  /// Mask of an address of this size.
  @inline(__always) var mask: UInt64 { UInt64.max.truncated(to: width) }
}
