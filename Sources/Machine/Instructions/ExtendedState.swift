/// The state of the vector unit and of the x87 as a whole: FXSAVE and MXCSR (SDM vol. 1, 10.5).
extension Processor {
  func extendedState(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    guard let operation = ExtendedStateOperation(rawValue: form.vector.operation) else { return }
    switch operation {
    case .fxsave: try saveLegacy(op, form)
    case .fxrstor: try restoreLegacy(op, form)
    case .loadMXCSR:
      try checkVector(form.vector)
      let value = try load(checkedArea(op, form, 4), width: 4, stack: form.usesStack)
      s.pointee.vector.mxcsr = try checkedMXCSR(value)
    case .storeMXCSR:
      try checkVector(form.vector)
      let address = try checkedArea(op, form, 4, write: true)
      try store(address, width: 4, value: UInt64(s.pointee.vector.mxcsr), stack: form.usesStack)
    case .xsave, .xrstor, .xsaveopt, .xsavec, .xsaves, .xrstors: try extendedArea(op, form, operation)
    }
  }

  func checkedMXCSR(_ value: UInt64) throws(Stopped) -> UInt32 {
    guard value & ~UInt64(MXCSR.defined) == 0 else { throw raise(.generalProtection(0)) }
    return UInt32(truncatingIfNeeded: value)
  }

  // MARK: FXSAVE

  /// #UD without the feature, #NM with EM or TS, then alignment (SDM vol. 2, FXSAVE).
  private func checkLegacyArea(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, write: Bool
  ) throws(Stopped) -> UInt64 {
    guard features.contains(.fxsr) else { throw raise(.invalidOpcode) }
    if s.pointee.cr0 & (CR0.emulation | CR0.taskSwitched) != 0 { throw raise(.deviceNotAvailable) }
    // Where the area begins, alignment, where it ends: in this order on silicon.
    let address = try checkedArea(op, form, 1, write: write)
    guard address & 15 == 0 else { throw raise(.generalProtection(0)) }
    return try checkedArea(op, form, 512, write: write)
  }

  /// The linear address of a memory operand, or of a part that begins `distance` bytes behind its first: all of it is
  /// canonical, or within a segment's limit and of a type that allows the access.
  /// - Parameter width: bytes, at least 1.
  func checkedArea(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, at distance: UInt64 = 0, _ width: UInt64, write: Bool = false
  ) throws(Stopped) -> UInt64 {
    guard codeSize == .bits64 else {
      return try linear(
        behind: op, form, by: distance, width: Int(truncatingIfNeeded: width), write: write)
    }
    let address = effectiveAddress(op) &+ distance
    guard isCanonical(address), isCanonical(address &+ width &- 1) else {
      throw raise(form.usesStack ? .stack(0) : .generalProtection(0))
    }
    return address
  }

  private func saveLegacy(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) {
    let address = try checkLegacyArea(op, form, write: true)
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
    let address = try checkLegacyArea(op, form, write: false)
    let image = try loadArea(address &+ 24)
    // The area is all of 512 bytes, whatever is in its end; a page of it that is absent comes before what MXCSR refuses.
    _ = try loadArea(address &+ 504)
    let mxcsr = try checkedMXCSR(image & 0xffff_ffff)
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

  /// AMD's processors save and restore the pointers to the last instruction only where an exception is pending; else
  /// they write zeros, or before XSaveErPtr nothing (APM vol. 2, 11.4.4).
  private func savesPointers(_ isPending: Bool) -> Bool { profile.vendor != .amd || isPending }

  func saveX87(_ address: UInt64, isWide: Bool) throws(Stopped) {
    var x87 = savedX87
    if !savesPointers(x87.hasPending) {
      x87.opcode = 0
      x87.codeSelector = 0
      x87.dataSelector = 0
      x87.instructionPointer = 0
      x87.dataPointer = 0
    }
    try storeArea(
      address,
      UInt64(x87.control) | UInt64(x87.statusWord) << 16 | UInt64(x87.tags) << 32 | UInt64(x87.opcode & 0x7ff) << 48)
    // Without REX.W the upper halves are selectors.
    func pointer(_ offset: UInt64, _ selector: UInt16) -> UInt64 {
      isWide ? offset : offset & 0xffff_ffff | UInt64(selector) << 32
    }
    if savesPointers(x87.hasPending) || features.contains(.alwaysSavesPointers) {
      try storeArea(address &+ 8, pointer(x87.instructionPointer, x87.codeSelector))
      try storeArea(address &+ 16, pointer(x87.dataPointer, x87.dataSelector))
    }
    for i in 0..<8 {
      let at = address &+ 32 &+ 16 &* UInt64(i)
      try storeArea(at, x87[i].significand)
      try storeArea(at &+ 8, UInt64(x87[i].head))
    }
  }

  func restoreX87(_ address: UInt64, isWide: Bool, _ state: inout VectorState) throws(Stopped) {
    let head = try loadArea(address)
    state.x87.control = UInt16(truncatingIfNeeded: head) & X87Control.defined | X87Control.fixed
    state.x87.statusWord = UInt16(truncatingIfNeeded: head >> 16)
    state.x87.tags = UInt8(truncatingIfNeeded: head >> 32)
    if savesPointers(state.x87.hasPending) || features.contains(.alwaysSavesPointers) {
      let mask: UInt64 = isWide ? .max : 0xffff_ffff
      let instruction = try loadArea(address &+ 8)
      let data = try loadArea(address &+ 16)
      state.x87.opcode = UInt16(truncatingIfNeeded: head >> 48) & 0x7ff
      state.x87.instructionPointer = instruction & mask
      state.x87.dataPointer = data & mask
      state.x87.codeSelector = isWide ? 0 : UInt16(truncatingIfNeeded: instruction >> 32)
      state.x87.dataSelector = isWide ? 0 : UInt16(truncatingIfNeeded: data >> 32)
    }
    for i in 0..<8 {
      let at = address &+ 32 &+ 16 &* UInt64(i)
      state.x87.registers[state.x87.number(i)] = ExtendedReal(
        significand: try loadArea(at), head: UInt16(truncatingIfNeeded: try loadArea(at &+ 8)))
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
