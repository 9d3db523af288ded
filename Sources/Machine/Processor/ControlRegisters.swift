/// Control registers: what may be written, what a write does (SDM vol. 3, 2.5 and 4.10.4; vol. 2, MOV to control
/// registers).
///
/// A write is checked, then intercepted or completed. `completeControlRegisterWrite` is all that a write does, for
/// native execution and for the hypervisor alike.
extension Processor {
  /// Raises #GP(0) outside ring 0.
  @inline(__always) func requireRing0() throws(Stopped) {
    guard s.pointee.cpl == 0 else { throw raise(.generalProtection(0)) }
  }

  // MARK: Instructions

  /// A register that does not exist is undefined at every privilege: #UD of decoding comes before #GP of execution (SDM
  /// vol. 3, table 6-2).
  private func checkControlNumber(_ number: UInt16) throws(Stopped) {
    guard [0, 2, 3, 4, 8].contains(number) else { throw raise(.invalidOpcode) }
    try requireRing0()
  }

  func movFromControl(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkControlNumber(OperandForm(rawValue: op.pointee.link).extra)
    let form = OperandForm(rawValue: op.pointee.link)
    setRegister(op.pointee.dst, width: form.width, controlRegister(Int(form.extra)))
  }

  func movToControl(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkControlNumber(OperandForm(rawValue: op.pointee.link).extra)
    let form = OperandForm(rawValue: op.pointee.link)
    try writeControlRegister(Int(form.extra), register(op.pointee.dst, width: form.width), op)
  }

  func clearTaskSwitched(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    // Nothing that translates depends on TS, so it is never intercepted.
    s.pointee.cr0 &= ~CR0.taskSwitched
  }

  func loadMachineStatus(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    let source = try readSelectorOperand(op)
    // The low four bits, but PE cannot be cleared.
    let value = s.pointee.cr0 & ~0xe | UInt64(source) & 0xf
    try writeControlRegister(0, value, op)
  }

  func storeMachineStatus(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkUMIP()
    try writeResultOperand(op, s.pointee.cr0)
  }

  private func writeControlRegister(_ number: Int, _ value: UInt64, _ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkControlRegister(number, value)
    if number == 3 && loadRootTarget(value) { return }
    let interception: (intercept: VMControls.Intercepts, reason: ExitReason)? =
      switch number {
      case 0: (.controlRegister0, .controlRegister0)
      case 3: (.controlRegister3, .controlRegister3)
      case 4: (.controlRegister4, .controlRegister4)
      default: nil
      }
    if let interception, controls.intercepts.contains(interception.intercept) {
      var exit = instructionExit(interception.reason, op)
      exit.number = UInt32(truncatingIfNeeded: number)
      exit.value = value
      exit.isWrite = true
      throw self.exit(exit)
    }
    try writeAllowed(number, value)
  }

  /// Writes a control register, with the four entries of PAE paging that it may bring along (SDM vol. 3, 4.4.1).
  private func writeAllowed(_ number: Int, _ value: UInt64) throws(Stopped) {
    if let table = directoryPointerTable(afterWriting: number, value) {
      let loaded = try loadDirectoryPointers(table)
      guard canLoad(loaded) else { throw raise(.generalProtection(0)) }
      s.pointee.directoryPointers = loaded
    }
    completeControlRegisterWrite(number: number, value: value)
  }

  /// Loads the CR3 of a new task. Where it is intercepted, no instruction is behind the exit.
  func loadCR3OfTask(_ value: UInt64) throws(Stopped) {
    if loadRootTarget(value) { return }
    guard !controls.intercepts.contains(.controlRegister3) else {
      var exit = VMExit(.controlRegister3)
      (exit.number, exit.value, exit.isWrite) = (3, value, true)
      throw self.exit(exit)
    }
    try writeAllowed(3, value)
  }

  /// Loads CR3 without an exit, with the shadow root that the hypervisor has named for the value.
  ///
  /// - Returns: whether there is one.
  private func loadRootTarget(_ value: UInt64) -> Bool {
    let wanted = value & ~CR3.noFlush
    guard let target = controls.rootTargets.first(where: { $0.cr3 == wanted }) else { return false }
    if isObserved { tell(.controlRegister(number: 3, old: s.pointee.cr3, new: value)) }
    let hasContexts = s.pointee.cr4 & CR4.pcid != 0
    counters.controlRegister3Loads &+= 1
    charge(.loadCR3, costs.loadCR3)
    if (!hasContexts || value & CR3.noFlush == 0) && !mutated("root-target-without-flush") {
      // Without PCIDs a root that can be loaded like this one is flushed when it is.
      for other in controls.rootTargets
      where other.pcid == target.pcid && (hasContexts || other.cr3 == nil || other.cr3 == wanted) {
        if mutated("root-target-flushes-itself") && other != target { continue }
        flushContext(pcid: other.paging.tag)
      }
    }
    s.pointee.cr3 = wanted
    controls.paging = .shadow(target.paging)
    updatePaging()
    return true
  }

  private func controlRegister(_ number: Int) -> UInt64 {
    switch number {
    case 0: s.pointee.cr0
    case 2: s.pointee.cr2
    case 3: s.pointee.cr3
    case 4: s.pointee.cr4
    default: UInt64(bus.taskPriority(processor: index))
    }
  }

  /// An exit that an instruction makes by itself.
  func instructionExit(_ reason: ExitReason, _ op: UnsafePointer<Operation>) -> VMExit {
    var exit = VMExit(reason)
    exit.instructionLength = op.pointee.length
    exit.instructionCycles = op.pointee.cycles
    return exit
  }

  // MARK: What may be written

  private func checkControlRegister(_ number: Int, _ value: UInt64) throws(Stopped) {
    let isValid: Bool
    switch number {
    case 0: isValid = isValidCR0(value)
    case 2: isValid = true
    case 3: isValid = isValidCR3(value)
    case 4: isValid = isValidCR4(value)
    case 8: isValid = value >> 4 == 0
    default: throw raise(.invalidOpcode)
    }
    guard isValid else { throw raise(.generalProtection(0)) }
  }

  private func isValidCR0(_ value: UInt64) -> Bool {
    let state = s.pointee
    // Reserved bits of the lower half are ignored, those of the upper half are not.
    guard value >> 32 == 0 else { return false }
    if value & CR0.paging != 0 && value & CR0.protectionEnable == 0 { return false }
    if value & CR0.notWriteThrough != 0 && value & CR0.cacheDisable == 0 { return false }
    let wasPaging = state.cr0 & CR0.paging != 0
    if value & CR0.paging == 0 {
      return !(wasPaging && (state.cr4 & CR4.pcid != 0 || state.codeSize == .bits64))
    }
    if !wasPaging && state.efer & EFER.longModeEnable != 0 {
      // Long mode is activated: it wants PAE, code that is not 64-bit yet, and no 16-bit task state (SDM vol. 3,
      // 9.8.5).
      if state.cr4 & CR4.physicalAddressExtension == 0 || state[.cs].isLong { return false }
      if state.tr.isPresent && state.tr.type & 0xd == 1 { return false }
    }
    return true
  }

  private func isValidCR3(_ value: UInt64) -> Bool {
    let state = s.pointee
    guard state.isLongMode else { return true }
    var reserved: UInt64 = .max << costs.physicalBits
    if state.cr4 & CR4.pcid != 0 { reserved &= ~CR3.noFlush }
    return value & reserved == 0
  }

  private func isValidCR4(_ value: UInt64) -> Bool {
    let state = s.pointee
    guard value & ~allowedCR4 == 0 else { return false }
    let changed = value ^ state.cr4
    if state.isLongMode {
      if value & CR4.physicalAddressExtension == 0 || changed & CR4.la57 != 0 { return false }
    }
    if changed & value & CR4.pcid != 0 { return state.isLongMode && state.cr3 & 0xfff == 0 }
    return true
  }

  /// The bits of CR4 that exist. Those that every 64-bit processor has may be set whether or not CPUID shows what they
  /// are for: to set OSFXSR harms nobody.
  private var allowedCR4: UInt64 {
    var allowed =
      CR4.timeStampDisable | CR4.debuggingExtensions | CR4.pageSizeExtensions | CR4.physicalAddressExtension
      | CR4.machineCheck | CR4.pageGlobal | CR4.performanceCounter | CR4.osFXSR | CR4.osXMMExceptions
    let optional: [(FeatureSet, UInt64)] = [
      (.umip, CR4.umip), (.la57, CR4.la57), (.fsgsbase, CR4.fsgsbase), (.pcid, CR4.pcid), (.smep, CR4.smep),
      (.smap, CR4.smap), (.xsave, CR4.osXSAVE), (.pku, CR4.protectionKeys), (.pks, CR4.supervisorKeys),
    ]
    for (feature, bit) in optional where features.contains(feature) { allowed |= bit }
    return allowed
  }

  // MARK: PDPTEs

  /// The guest-physical address of the PDPTEs that a valid write of a control register loads; nil where it loads none
  /// (SDM vol. 3, 4.4.1).
  public func directoryPointerTable(afterWriting number: Int, _ value: UInt64) -> GuestPhysical? {
    var after = pagingRegisters
    let changes: Bool
    switch number {
    case 0:
      changes = (value ^ after.cr0) & (CR0.paging | CR0.cacheDisable | CR0.notWriteThrough) != 0
      after.cr0 = value
      if value & CR0.paging != 0 && after.efer & EFER.longModeEnable != 0 { after.efer |= EFER.longModeActive }
    case 3:
      changes = true
      after.cr3 = value
    case 4:
      let deciding = CR4.physicalAddressExtension | CR4.pageGlobal | CR4.pageSizeExtensions | CR4.smep
      changes = (value ^ after.cr4) & deciding != 0
      after.cr4 = value
    default: return nil
    }
    guard changes, after.mode == .pae else { return nil }
    if case .nested = controls.paging, profile.vendor == .amd { return nil }
    return GuestPhysical(after.cr3 & 0xffff_ffe0)
  }

  /// Whether PDPTEs are such that they can be loaded; else the write raises #GP(0).
  public func canLoad(_ pointers: DirectoryPointers) -> Bool {
    pointers.areValid(reservedBits(.pae, noExecute: true, gigabytePages: false))
  }

  /// Reads the four PDPTEs, which lie in one line. To the second dimension it is a read, though it is one of the guest's
  /// tables: it neither wants W there nor sets D (SDM vol. 3, 29.3.3.2 and 29.3.5).
  private func loadDirectoryPointers(_ table: GuestPhysical) throws(Stopped) -> DirectoryPointers {
    var walk = PageWalk(plan: planned, controls: pagingControls, port: hardwarePort)
    switch walk.locate(table, for: .read) {
    case .success(let found):
      let first = walk.port.read(found.address, width: 8, dimension: .first, level: 3)
      func entry(_ number: UInt64) -> UInt64 { memory.word(at: found.address.advanced(by: number * 8)) }
      return DirectoryPointers(first, entry(1), entry(2), entry(3))
    case .failure(let fault):
      dropNested(fault)
      var exit = VMExit(fault.exitReason)
      exit.access = Access(.read, .implicitSupervisor)
      exit.width = 8
      exit.nested = fault
      exit.loadsDirectoryPointers = true
      throw self.exit(exit)
    }
  }

  // MARK: What a write does

  /// Writes a control register with all that follows from it, the value having been checked.
  ///
  /// Translations are dropped here only when the hardware walks the guest's own tables; under shadow paging that is the
  /// hypervisor's.
  public func completeControlRegisterWrite(
    number: Int, value: UInt64, directoryPointers: DirectoryPointers? = nil
  ) {
    if let directoryPointers { s.pointee.directoryPointers = directoryPointers }
    if isObserved { tell(.controlRegister(number: number, old: controlRegister(number), new: value)) }
    switch number {
    case 0: completeCR0(value)
    case 2: s.pointee.cr2 = value
    case 3: completeCR3(value)
    case 4: completeCR4(value)
    case 8:
      bus.setTaskPriority(UInt8(truncatingIfNeeded: value & 0xf), processor: index, now: now)
      deviceChanged()
    default: break
    }
  }

  var isShadowed: Bool {
    if case .shadow = controls.paging { return true }
    return false
  }

  private func completeCR0(_ value: UInt64) {
    let old = s.pointee.cr0
    s.pointee.cr0 = value & CR0.defined | CR0.extensionType
    let turnedOff = old & ~value & CR0.paging != 0
    if value & CR0.paging != 0 {
      if s.pointee.efer & EFER.longModeEnable != 0 { s.pointee.efer |= EFER.longModeActive }
    } else {
      s.pointee.efer &= ~EFER.longModeActive
    }
    if turnedOff && !isShadowed { flushEverything() }
    // Without paging nothing is a linear translation (SDM vol. 3, 4.10.2): what the model's TLBs held of it must not
    // survive into paging.
    if ~old & value & CR0.paging != 0 && !isShadowed { flushLinear() }
    updatePaging()
  }

  /// Whether translations stay when a control register is written: the hypervisor whose they are hears of it.
  private func leavesTranslations(_ intercept: VMControls.Intercepts) -> Bool {
    isShadowed && controls.intercepts.contains(intercept)
  }

  private func completeCR3(_ value: UInt64) {
    let hasContexts = s.pointee.cr4 & CR4.pcid != 0
    let keeps = hasContexts && value & CR3.noFlush != 0
    s.pointee.cr3 = value & ~CR3.noFlush
    if !leavesTranslations(.controlRegister3) {
      counters.controlRegister3Loads &+= 1
      charge(.loadCR3, costs.loadCR3)
      if !keeps && !mutated("cr3-keeps-tlb") { flushContext(pcid: currentContext) }
    }
    updatePaging()
  }

  private func completeCR4(_ value: UInt64) {
    let old = s.pointee.cr4
    let changed = old ^ value
    s.pointee.cr4 = value
    if !leavesTranslations(.controlRegister4) {
      if changed & CR4.pageGlobal != 0 && !mutated("pge-keeps-globals") || changed & old & CR4.pcid != 0 {
        flushEverything()
      } else if changed & CR4.physicalAddressExtension != 0 || changed & value & CR4.smep != 0 {
        flushContext(pcid: currentContext)
        charge(.flush, costs.flushAll)
      }
    }
    updatePaging()
  }

  /// Drops every linear translation, globals and all contexts included, and charges it.
  func flushEverything() {
    flushLinear()
    charge(.flush, costs.flushAll)
  }

  /// The contexts that an invalidation of a PCID's translations reaches, or one of global translations: where the
  /// hypervisor has named shadow roots, those of all that stand for the PCID.
  func contexts(of pcid: UInt16?) -> [UInt16] {
    guard isShadowed else { return [pcid ?? currentContext] }
    var tags = controls.rootTargets.filter { pcid == nil || $0.pcid == pcid }.map(\.paging.tag)
    if (pcid == nil || pcid == currentPCID) && !tags.contains(currentContext) { tags.append(currentContext) }
    return tags
  }

  /// What tags the running context's entries: the shadow root's tag, or the PCID.
  var currentContext: UInt16 {
    if case .shadow(let shadow) = controls.paging { return shadow.tag }
    return currentPCID
  }

  /// The guest's PCID; 0 without CR4.PCIDE.
  var currentPCID: UInt16 { s.pointee.cr4 & CR4.pcid != 0 ? UInt16(s.pointee.cr3 & 0xfff) : 0 }
}

/// CR3 (SDM vol. 3, 4.5).
enum CR3 {
  /// Bit 63 of a written value, with CR4.PCIDE: keep the translations of the new PCID.
  static let noFlush: UInt64 = 1 << 63
}
