/// The x87 (SDM vol. 1, chapter 8): what stands before its instructions, their memory operands, and the pointers that
/// they leave behind. What they compute is `X87Execution`'s.
extension Processor {
  func x87(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let x87 = X87Form(rawValue: form.extra)
    let operation = x87.operation
    try checkX87(operation)
    let isMemory = form.shape == .m
    switch operation {
    case .storeEnvironment, .save: return try saveEnvironment(op, form, operation)
    case .loadEnvironment, .restore: return try restoreEnvironment(op, form, operation)
    default: break
    }
    var execution = X87Execution(
      s.pointee.vector.x87, x87, modRM: op.pointee.src, width: isMemory ? form.width : 0, vendor: profile.vendor)
    if isMemory && operation.readsMemory {
      let address = effectiveAddress(op)
      if form.width == 10 {
        (execution.low, execution.high) = try loadExtended(address, stack: form.usesStack)
      } else {
        execution.low = try loadVectorPart(address, width: form.width, stack: form.usesStack)
      }
    }
    if operation.usesFlags { execution.flags = s.pointee.flags.bits }
    execution.run()
    if execution.stores {
      if !isMemory {
        setRegister(op.pointee.dst, width: form.width, execution.low)
      } else if form.width == 10 {
        try storeExtended(effectiveAddress(op), execution.low, execution.high, stack: form.usesStack)
      } else {
        try store(effectiveAddress(op), width: form.width, value: execution.low, stack: form.usesStack)
      }
    } else if isMemory && operation.storesResult && controls.grants.isEmpty {
      // An exception that is not masked keeps the result back, and a fault of the store comes before it all the same
      // (SDM vol. 3, table 6-2).
      try probeWrite(effectiveAddress(op), width: form.width, privilege: privilege, stack: form.usesStack)
    }
    if operation.usesFlags { s.pointee.flags = LazyFlags(execution.flags) }
    s.pointee.vector.x87 = execution.state
    if operation.rawValue < X87Operation.initialize.rawValue { notePointers(op, form, x87) }
  }

  // MARK: What stands before

  /// #NM with EM or TS (of WAIT: with MP and TS), then #MF for what earlier instructions have left pending, unless the
  /// instruction is one that does not wait (SDM vol. 3, table 2-2 and 9.2; vol. 1, 8.6).
  private func checkX87(_ operation: X87Operation) throws(Stopped) {
    let cr0 = s.pointee.cr0
    if operation == .wait {
      let both = CR0.monitorCoprocessor | CR0.taskSwitched
      if cr0 & both == both { throw raise(.deviceNotAvailable) }
    } else {
      if cr0 & (CR0.emulation | CR0.taskSwitched) != 0 { throw raise(.deviceNotAvailable) }
      guard features.contains(.fpu) else { throw raise(.invalidOpcode) }
    }
    if operation.waits { try checkPendingX87() }
  }

  /// Raises what is pending in the x87, before an instruction that waits.
  @inline(__always) func checkPendingX87() throws(Stopped) {
    if s.pointee.vector.x87.hasPending || s.pointee.reportsCoprocessorError { try reportPendingX87() }
  }

  /// With CR0.NE set this is #MF. With NE clear the processor asserts FERR# and, unless IGNNE# is asserted, stands still
  /// before the instruction until an interrupt comes, which FERR# is to bring about (SDM vol. 1, 8.7.2 and appendix D.2).
  /// The pin goes back when no exception is pending any more; that shows at the next such instruction, before which
  /// there can be no new one.
  @inline(never) private func reportPendingX87() throws(Stopped) {
    let isPending = s.pointee.vector.x87.hasPending
    if isPending && s.pointee.cr0 & CR0.numericError != 0 { throw raise(.coprocessorError) }
    s.pointee.reportsCoprocessorError = isPending
    let isIgnored = bus.reportCoprocessorError(isPending, processor: index, now: now)
    if isPending && !isIgnored { throw freeze() }
  }

  // MARK: Pointers

  /// The address of the instruction, of its operand, and its opcode, as far as the processor keeps them: Intel's keep
  /// the opcode, and later ones the operand's address, of instructions with an unmasked exception alone (SDM vol. 1,
  /// 8.1.8 and 8.1.9).
  private func notePointers(_ op: UnsafePointer<Operation>, _ form: OperandForm, _ x87: X87Form) {
    let isPending = s.pointee.vector.x87.hasPending
    s.pointee.vector.x87.instructionPointer = UInt64(bitPattern: op.pointee.imm)
    s.pointee.vector.x87.codeSelector = s.pointee[.cs].selector
    if isPending || profile.vendor == .amd {
      s.pointee.vector.x87.opcode = x87.opcode(modRM: op.pointee.src)
    }
    guard form.shape == .m, isPending || !features.contains(.dataPointerOnException) else { return }
    let segment = form.segment ?? .ds
    let isWide = codeSize == .bits64
    let base = isWide && segment != .fs && segment != .gs ? 0 : s.pointee[segment].base
    s.pointee.vector.x87.dataPointer = (effectiveAddress(op) &- base) & (isWide ? .max : 0xffff_ffff)
    s.pointee.vector.x87.dataSelector = s.pointee[segment].selector
  }

  // MARK: Ten bytes

  /// Linear addresses have 32 bits outside 64-bit code.
  private func moved(_ address: UInt64, by count: UInt64) -> UInt64 {
    codeSize == .bits64 ? address &+ count : (address &+ count) & 0xffff_ffff
  }

  private func loadExtended(_ address: UInt64, stack: Bool) throws(Stopped) -> (low: UInt64, high: UInt16) {
    let low = try load(address, width: 8, stack: stack)
    return (low, UInt16(truncatingIfNeeded: try load(moved(address, by: 8), width: 2, stack: stack)))
  }

  /// All or nothing. Of what the hypervisor has granted nothing is done before the instruction is through.
  private func storeExtended(_ address: UInt64, _ low: UInt64, _ high: UInt16, stack: Bool) throws(Stopped) {
    if controls.grants.isEmpty { try probeWrite(address, width: 10, privilege: privilege, stack: stack) }
    try store(address, width: 8, value: low, stack: stack)
    try store(moved(address, by: 8), width: 2, value: UInt64(high), stack: stack)
  }

  // MARK: Environment

  /// The state to be saved: later processors leave out selectors (SDM vol. 1, 8.1.8). Real mode's addresses have them
  /// inside.
  var savedX87: X87State {
    var state = s.pointee.vector.x87
    if features.contains(.zeroSelectors) && !hasRealEnvironment {
      state.codeSelector = 0
      state.dataSelector = 0
    }
    return state
  }

  private var hasRealEnvironment: Bool {
    s.pointee.cr0 & CR0.protectionEnable == 0 || s.pointee.systemFlags & Flag.virtual8086 != 0
  }

  /// FNSTENV, which then masks every exception; FNSAVE, which then initialises.
  private func saveEnvironment(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ operation: X87Operation
  ) throws(Stopped) {
    let isWide = form.width == 4
    let size = UInt64(7 &* form.width)
    let total = operation == .save ? size &+ 80 : size
    let address = try checkedArea(op, form, total, write: true)
    if controls.grants.isEmpty {
      try probeWrite(address, width: Int(total), privilege: privilege, stack: form.usesStack)
    }
    let environment = X87Environment(savedX87, isWide: isWide, isReal: hasRealEnvironment)
    for index in 0..<7 {
      try store(
        moved(address, by: UInt64(index &* form.width)), width: form.width, value: environment.words[index],
        stack: form.usesStack)
    }
    guard operation == .save else {
      s.pointee.vector.x87.control |= X87Status.exceptions
      return
    }
    for i in 0..<8 {
      let value = s.pointee.vector.x87[i]
      let at = moved(address, by: size &+ 10 &* UInt64(i))
      try store(at, width: 8, value: value.significand, stack: form.usesStack)
      try store(moved(at, by: 8), width: 2, value: UInt64(value.head), stack: form.usesStack)
    }
    s.pointee.vector.x87.initialize()
  }

  /// FLDENV, FRSTOR.
  private func restoreEnvironment(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ operation: X87Operation
  ) throws(Stopped) {
    let isWide = form.width == 4
    let size = UInt64(7 &* form.width)
    let address = try checkedArea(op, form, operation == .restore ? size &+ 80 : size)
    var environment = X87Environment()
    for index in 0..<7 {
      environment.words[index] = try load(
        moved(address, by: UInt64(index &* form.width)), width: form.width, stack: form.usesStack)
    }
    var state = s.pointee.vector.x87
    environment.restore(&state, isWide: isWide, isReal: hasRealEnvironment)
    if operation == .restore {
      for i in 0..<8 {
        let (low, high) = try loadExtended(moved(address, by: size &+ 10 &* UInt64(i)), stack: form.usesStack)
        state.registers[state.number(i)] = ExtendedReal(significand: low, head: high)
      }
    }
    s.pointee.vector.x87 = state
  }
}

extension X87Operation {
  /// Whether a pending exception is raised first.
  var waits: Bool { rawValue < X87Operation.initialize.rawValue || rawValue >= X87Operation.loadControl.rawValue }

  /// Of those with a memory operand.
  var readsMemory: Bool {
    switch self {
    case .store, .storeTruncated, .storeDecimal, .storeControl, .storeStatus: false
    default: true
    }
  }

  /// Whether the memory operand is the environment or all of the state.
  var movesState: Bool {
    self == .storeEnvironment || self == .loadEnvironment || self == .save || self == .restore
  }

  /// Whether a memory operand is where the result goes.
  var storesResult: Bool { self == .store || self == .storeTruncated || self == .storeDecimal }

  /// RFLAGS, read by FCMOVcc and written by FCOMI.
  var usesFlags: Bool { self == .moveConditionally || self == .compareFlags || self == .compareFlagsUnordered }
}
