/// Bit tests, scans and counts (SDM vol. 2).
extension Processor {
  func bt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let place = try bit(op, form, write: false)
    let value =
      if let address = place.address {
        try load(address, width: form.width, stack: form.usesStack)
      } else {
        register(op.pointee.dst, width: form.width)
      }
    setFlags(value & place.mask != 0 ? Flag.carry : 0, of: Flag.carry)
  }

  func bts(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try changeBit(op) { value, mask in value | mask }
  }

  func btr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try changeBit(op) { value, mask in value & ~mask }
  }

  func btc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try changeBit(op) { value, mask in value ^ mask }
  }

  /// CF is the bit before. ZF stays by the manual, and silicon leaves the others too.
  @inline(__always) private func changeBit(
    _ op: UnsafePointer<Operation>, _ body: (_ value: UInt64, _ mask: UInt64) -> UInt64
  ) throws(Stopped) {
    let form = OperandForm(op)
    let place = try bit(op, form, write: true)
    let value: UInt64
    if let address = place.address {
      value = try loadForUpdate(address, width: form.width, stack: form.usesStack)
      try store(address, width: form.width, value: body(value, place.mask), stack: form.usesStack)
    } else {
      value = register(op.pointee.dst, width: form.width)
      setRegister(op.pointee.dst, width: form.width, body(value, place.mask))
    }
    setFlags(value & place.mask != 0 ? Flag.carry : 0, of: Flag.carry)
  }

  /// Which bit an instruction names, and the address of the operand that has it where that is in memory. A bit number
  /// in a register is signed and reaches beyond a memory operand, in steps of the operand size (SDM vol. 2, BT).
  private func bit(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, write: Bool
  ) throws(Stopped) -> (mask: UInt64, address: UInt64?) {
    let width = form.width
    let bits = 8 &* UInt64(truncatingIfNeeded: width)
    switch form.shape {
    case .rr: return (1 &<< (register(op.pointee.src, width: width) & (bits &- 1)), nil)
    case .mi: return (1 &<< (UInt64(bitPattern: op.pointee.imm) & (bits &- 1)), effectiveAddress(op))
    case .mr:
      let number = Int64(bitPattern: register(op.pointee.src, width: width).signExtended(from: width))
      let mask: UInt64 = 1 &<< (UInt64(bitPattern: number) & (bits &- 1))
      let step = (number &>> Int64(bits.trailingZeroBitCount)) &* Int64(width)
      // The address wraps at the address size, before the segment's base is added.
      let address = try linear(
        behind: op, form, by: UInt64(bitPattern: step), mask: form.addressSize.mask, width: width, write: write)
      return (mask, address)
    default: return (1 &<< (UInt64(bitPattern: op.pointee.imm) & (bits &- 1)), nil)
    }
  }

  /// ZF alone is defined; AMD's processors leave the other flags. With a source of 0 the destination stays whole.
  func bsf(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    if source != 0 {
      setRegister(op.pointee.dst, width: form.width, UInt64(truncatingIfNeeded: source.trailingZeroBitCount))
    }
    setFlags(source == 0 ? Flag.zero : 0, of: Flag.zero)
  }

  func bsr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    if source != 0 {
      setRegister(op.pointee.dst, width: form.width, UInt64(truncatingIfNeeded: 63 &- source.leadingZeroBitCount))
    }
    setFlags(source == 0 ? Flag.zero : 0, of: Flag.zero)
  }

  /// A processor without BMI1 ignores the prefix that makes TZCNT of BSF.
  func tzcnt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.bmi1) else { return try bsf(op) }
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    setZeroCount(op, form, source == 0 ? 8 &* form.width : source.trailingZeroBitCount)
  }

  /// A processor without LZCNT ignores the prefix that makes LZCNT of BSR.
  func lzcnt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.abm) else { return try bsr(op) }
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    setZeroCount(op, form, source.leadingZeroBitCount &- (64 &- 8 &* form.width))
  }

  /// CF: the source was zero. ZF: the result is. The others are undefined: AMD's processors clear SF, AF and PF and
  /// leave OF.
  private func setZeroCount(_ op: UnsafePointer<Operation>, _ form: OperandForm, _ count: Int) {
    setRegister(op.pointee.dst, width: form.width, UInt64(truncatingIfNeeded: count))
    setFlags(
      (count == 8 &* form.width ? Flag.carry : 0) | (count == 0 ? Flag.zero : 0),
      of: Flag.arithmetic & ~Flag.overflow)
  }

  func popcnt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.popcnt) else { throw raise(.invalidOpcode) }
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    setRegister(op.pointee.dst, width: form.width, UInt64(truncatingIfNeeded: source.nonzeroBitCount))
    s.pointee.flags = LazyFlags(source == 0 ? Flag.zero : 0)
  }
}
