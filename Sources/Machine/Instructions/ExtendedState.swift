/// The state of the vector unit and of the x87 as a whole: FXSAVE and MXCSR (SDM vol. 1, 10.5), and the x87
/// instructions with which kernels begin.
extension Processor {
  func extendedState(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    guard let operation = ExtendedStateOperation(rawValue: form.vector.operation) else { return }
    switch operation {
    case .fxsave: try saveLegacy(op, form)
    case .fxrstor: try restoreLegacy(op, form)
    case .loadMXCSR:
      try checkVector(form.vector)
      let value = try load(effectiveAddress(op), width: 4, stack: form.usesStack)
      s.pointee.vector.mxcsr = try checkedMXCSR(value)
    case .storeMXCSR:
      try checkVector(form.vector)
      try store(
        effectiveAddress(op), width: 4, value: UInt64(s.pointee.vector.mxcsr), stack: form.usesStack)
    case .xsave, .xrstor, .xsaveopt, .xsavec, .xsaves, .xrstors: try extendedArea(op, form, operation)
    case .initialize, .clearExceptions, .loadControl, .storeControl, .storeStatus, .wait:
      try controlX87(op, form, operation)
    }
  }

  func checkedMXCSR(_ value: UInt64) throws(Stopped) -> UInt32 {
    guard value & ~UInt64(MXCSR.defined) == 0 else { throw raise(.generalProtection(0)) }
    return UInt32(truncatingIfNeeded: value)
  }

  // MARK: x87

  /// FNINIT and its kin, FWAIT. No exception of the x87 is ever pending, since no instruction raises one yet.
  private func controlX87(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ operation: ExtendedStateOperation
  ) throws(Stopped) {
    let forbids = operation == .wait ? 0 : CR0.emulation | CR0.taskSwitched
    let waits = CR0.monitorCoprocessor | CR0.taskSwitched
    if s.pointee.cr0 & forbids != 0 || operation == .wait && s.pointee.cr0 & waits == waits {
      throw raise(.deviceNotAvailable)
    }
    switch operation {
    case .initialize:
      let registers = s.pointee.vector.x87.registers
      s.pointee.vector.x87 = X87State()
      s.pointee.vector.x87.registers = registers
    // The flags, the summary and busy.
    case .clearExceptions: s.pointee.vector.x87.status &= 0x7f00
    case .loadControl:
      let value = try load(effectiveAddress(op), width: 2, stack: form.usesStack)
      s.pointee.vector.x87.control = UInt16(truncatingIfNeeded: value) & 0x1f3f | 0x40
    case .storeControl: try setOperand(op, form, UInt64(s.pointee.vector.x87.control))
    case .storeStatus: try setOperand(op, form, UInt64(s.pointee.vector.x87.status))
    default: break
    }
  }

  // MARK: FXSAVE

  /// #UD without the feature, #NM with EM or TS, then alignment (SDM vol. 2, FXSAVE).
  private func checkLegacyArea(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt64 {
    guard features.contains(.fxsr) else { throw raise(.invalidOpcode) }
    if s.pointee.cr0 & (CR0.emulation | CR0.taskSwitched) != 0 { throw raise(.deviceNotAvailable) }
    let address = effectiveAddress(op)
    try checkCanonicalArea(address, 512, form)
    guard address & 15 == 0 else { throw raise(.generalProtection(0)) }
    return address
  }

  func checkCanonicalArea(_ address: UInt64, _ width: UInt64, _ form: OperandForm) throws(Stopped) {
    guard isCanonical(address), isCanonical(address &+ width &- 1) else {
      throw raise(form.usesStack ? .stack(0) : .generalProtection(0))
    }
  }

  private func saveLegacy(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let address = try checkLegacyArea(op, form)
    if controls.grants.isEmpty {
      try probeWrite(address, width: 512, privilege: privilege, stack: form.usesStack)
    }
    try saveX87(address, isWide: form.sourceWidth == 8)
    try saveVectors(address)
    try saveMXCSR(address)
  }

  func saveMXCSR(_ address: UInt64) throws(Stopped) {
    try storeArea(address &+ 24, UInt64(s.pointee.vector.mxcsr) | UInt64(MXCSR.defined) << 32)
  }

  private func restoreLegacy(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let address = try checkLegacyArea(op, form)
    let mxcsr = try checkedMXCSR(try loadArea(address &+ 24) & 0xffff_ffff)
    var state = s.pointee.vector
    try restoreX87(address, isWide: form.sourceWidth == 8, &state)
    try restoreVectors(address, &state)
    state.mxcsr = mxcsr
    s.pointee.vector = state
  }

  /// Registers that the mode cannot name stay in memory and in the processor as they are: AMD's and Intel's processors
  /// alike save XMM8 to XMM15 in 64-bit mode only.
  var vectorCount: Int { codeSize == .bits64 ? 16 : 8 }

  func storeArea(_ address: UInt64, _ value: UInt64) throws(Stopped) {
    try store(address, width: 8, value: value)
  }

  func loadArea(_ address: UInt64) throws(Stopped) -> UInt64 { try load(address, width: 8) }

  func saveX87(_ address: UInt64, isWide: Bool) throws(Stopped) {
    let x87 = s.pointee.vector.x87
    try storeArea(
      address,
      UInt64(x87.control) | UInt64(x87.status) << 16 | UInt64(x87.tags) << 32 | UInt64(x87.opcode & 0x7ff) << 48)
    // Without REX.W the upper halves are selectors, which processors of today write as 0.
    let mask: UInt64 = isWide ? .max : 0xffff_ffff
    try storeArea(address &+ 8, x87.instructionPointer & mask)
    try storeArea(address &+ 16, x87.dataPointer & mask)
    for number in 0..<8 {
      let at = address &+ 32 &+ 16 &* UInt64(number)
      try storeArea(at, x87.registers[number].x)
      try storeArea(at &+ 8, x87.registers[number].y & 0xffff)
    }
  }

  func restoreX87(_ address: UInt64, isWide: Bool, _ state: inout VectorState) throws(Stopped) {
    let head = try loadArea(address)
    let mask: UInt64 = isWide ? .max : 0xffff_ffff
    state.x87.control = UInt16(truncatingIfNeeded: head) & 0x1f3f | 0x40
    state.x87.status = UInt16(truncatingIfNeeded: head >> 16)
    state.x87.tags = UInt8(truncatingIfNeeded: head >> 32)
    state.x87.opcode = UInt16(truncatingIfNeeded: head >> 48) & 0x7ff
    state.x87.instructionPointer = try loadArea(address &+ 8) & mask
    state.x87.dataPointer = try loadArea(address &+ 16) & mask
    for number in 0..<8 {
      let at = address &+ 32 &+ 16 &* UInt64(number)
      state.x87.registers[number] = Vector128(try loadArea(at), try loadArea(at &+ 8) & 0xffff)
    }
  }

  func saveVectors(_ address: UInt64) throws(Stopped) {
    for number in 0..<vectorCount {
      try storeVector(address &+ 160 &+ 16 &* UInt64(number), s.pointee.vector.xmm[number], stack: false)
    }
  }

  func restoreVectors(_ address: UInt64, _ state: inout VectorState) throws(Stopped) {
    for number in 0..<vectorCount {
      state.xmm[number] = try loadVector(address &+ 160 &+ 16 &* UInt64(number), stack: false)
    }
  }
}
