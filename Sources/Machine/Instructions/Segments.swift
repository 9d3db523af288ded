/// Moving segment registers, and looking at descriptors without loading them (SDM vol. 2: MOV, LDS, VERR, LAR, LSL).
extension Processor {
  /// A 16-bit operand, in a register or in memory.
  func readSelectorOperand(_ op: UnsafePointer<Operation>) throws(Stopped) -> UInt16 {
    let form = OperandForm(op)
    switch form.shape {
    case .m, .rm: return UInt16(truncatingIfNeeded: try load(effectiveAddress(op), width: 2, stack: form.usesStack))
    case .rr: return UInt16(truncatingIfNeeded: s.pointee.slots[Int(op.pointee.src & 15)])
    default: return UInt16(truncatingIfNeeded: s.pointee.slots[Int(op.pointee.dst & 15)])
    }
  }

  /// Stores a system register: the operand size to a register, 16 bits to memory.
  func writeResultOperand(_ op: UnsafePointer<Operation>, _ value: UInt64) throws(Stopped) {
    let form = OperandForm(op)
    guard form.shape == .m else { return setRegister(op.pointee.dst, width: form.width, value) }
    try store(effectiveAddress(op), width: 2, value: value & 0xffff, stack: form.usesStack)
  }

  func movToSegment(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard let register = segmentOperand(op), register != .cs else { throw raise(.invalidOpcode) }
    try loadSegment(register, readSelectorOperand(op))
    if register == .ss { holdOffEvents() }
  }

  /// Behind MOV SS and POP SS neither interrupts nor debug traps come before the next instruction, which loads the
  /// stack pointer, is done (SDM vol. 3, 6.8.3).
  func holdOffEvents() {
    s.pointee.interruptShadow = s.pointee.retired
    s.pointee.stackShadow = s.pointee.retired
  }

  func movFromSegment(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard let register = segmentOperand(op) else { throw raise(.invalidOpcode) }
    try writeResultOperand(op, UInt64(s.pointee[register].selector))
  }

  /// LDS, LES, LSS, LFS, LGS.
  func loadFarPointer(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard let register = segmentOperand(op), register != .cs else { throw raise(.invalidOpcode) }
    let form = OperandForm(op)
    let (selector, offset) = try farPointer(op, form)
    try loadSegment(register, selector)
    setRegister(op.pointee.dst, width: form.width, offset)
  }

  private func segmentOperand(_ op: UnsafePointer<Operation>) -> SegmentRegister? {
    SegmentRegister(rawValue: UInt8(truncatingIfNeeded: OperandForm(op).extra))
  }

  // MARK: Inspection

  func verifyRead(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let segment = try inspected(op)?.segment
    setZeroFlag(segment.map { $0.isCodeOrData && $0.isReadable } ?? false)
  }

  func verifyWrite(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let segment = try inspected(op)?.segment
    setZeroFlag(segment?.isWritable ?? false)
  }

  /// LAR: the descriptor's bytes 5 and 6. The limit's part is undefined (SDM vol. 2, LAR), and there on processors.
  func loadAccessRights(_ op: UnsafePointer<Operation>) throws(Stopped) {
    // Everything but interrupt and trap gates, and in long mode the types that it has not.
    let types: Set<UInt16> = s.pointee.isLongMode ? [2, 9, 11, 12] : [1, 2, 3, 4, 5, 9, 11, 12]
    let found = try inspected(op, systemTypes: types)
    if let found { setRegister(op.pointee.dst, width: OperandForm(op).width, (found.low >> 32) & 0x00ff_ff00) }
    setZeroFlag(found != nil)
  }

  /// LSL: the limit in bytes.
  func loadSegmentLimit(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let types: Set<UInt16> = s.pointee.isLongMode ? [2, 9, 11] : [1, 2, 3, 9, 11]
    let found = try inspected(op, systemTypes: types)
    if let found { setRegister(op.pointee.dst, width: OperandForm(op).width, UInt64(found.segment.limit)) }
    setZeroFlag(found != nil)
  }

  /// The descriptor that the operand names, where CPL and RPL may see it; nil, and no exception, where they may not or
  /// there is none.
  private func inspected(
    _ op: UnsafePointer<Operation>, systemTypes: Set<UInt16> = []
  ) throws(Stopped) -> (segment: Segment, low: UInt64)? {
    guard isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else { throw raise(.invalidOpcode) }
    let selector = try readSelectorOperand(op)
    guard selector & 0xfffc != 0, let address = descriptorAddress(selector) else { return nil }
    let low = try loadSystem(address, width: 8)
    let segment = Descriptor(low: low).segment(selector: selector)
    if !segment.isCodeOrData {
      guard systemTypes.contains(segment.type) else { return nil }
      if s.pointee.isLongMode && descriptorAddress(selector, bytes: 16) == nil { return nil }
    }
    if !segment.isConforming {
      let requested = UInt8(selector & 3)
      guard requested <= segment.privilegeLevel, s.pointee.cpl <= segment.privilegeLevel else { return nil }
    }
    return (segment, low)
  }

  private func setZeroFlag(_ value: Bool) { setFlags(value ? Flag.zero : 0, of: Flag.zero) }
}
