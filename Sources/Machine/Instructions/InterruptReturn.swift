/// IRET, IRETD, IRETQ (SDM vol. 2, IRET).
extension Processor {
  /// IRET lets NMIs come again, even if it faults (SDM vol. 3, 6.7.1). Where the hypervisor may find that there was no
  /// fault for the guest, it is told instead (27.2.3, NMI unblocking due to IRET).
  func interruptReturn(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.blocksNonMaskable else { return try returnFromInterrupt(op) }
    do throws(Stopped) {
      try returnFromInterrupt(op)
    } catch {
      switch stop {
      case .exception: s.pointee.blocksNonMaskable = false
      case .exit(var exit):
        exit.unblocksNonMaskable = true
        stop = .exit(exit)
      case .none, .again, .frozen, .unsupported, .lockedUp: break
      }
      throw error
    }
    s.pointee.blocksNonMaskable = false
  }

  private func returnFromInterrupt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let width = OperandForm(op).width
    let isVirtual8086 = s.pointee.systemFlags & Flag.virtual8086 != 0
    if isVirtual8086 && s.pointee.systemFlags & Flag.ioPrivilege != Flag.ioPrivilege {
      throw raise(.generalProtection(0))
    }
    if isProtected && !isVirtual8086 && s.pointee.systemFlags & Flag.nestedTask != 0 {
      if s.pointee.isLongMode { throw raise(.generalProtection(0)) }
      // The link to the task that this one was called from.
      return try switchTask(
        to: UInt16(truncatingIfNeeded: try loadSystem(s.pointee.tr.base & addressLimit, width: 2)), .interruptReturn)
    }
    // 64-bit code pops SS:RSP always, other code only on a return to an outer privilege.
    let isFrom64BitCode = is64BitMode
    var stack = currentStack()
    try checkFrame(words: 3, width: width, on: stack)
    let offset = try popValue(width: width, from: &stack)
    let selector = UInt16(truncatingIfNeeded: try popValue(width: width, from: &stack))
    let image = try popValue(width: width, from: &stack)
    guard isProtected && !isVirtual8086 else {
      try returnInRealMode(selector, offset, stack)
      return setReturnedFlags(image, width: width, cpl: s.pointee.cpl)
    }
    if image & Flag.virtual8086 != 0 && width == 4 && s.pointee.cpl == 0 && !s.pointee.isLongMode {
      return try returnToVirtual8086(selector, offset, image, stack)
    }
    let oldCPL = s.pointee.cpl
    if isFrom64BitCode || UInt8(selector & 3) != oldCPL {
      let (code, pointer, stackSelector) = try returnFrame(selector, width: width, from: &stack)
      let segment = try returnStackSegment(stackSelector, for: code)
      try checkTarget(offset, in: code)
      returnOutward(to: code, offset, stack: segment, pointer)
    } else {
      let code = try returnCodeSegment(selector)
      try checkTarget(offset, in: code)
      commit(stack)
      s.pointee[.cs] = code
      s.pointee.rip = offset
    }
    setReturnedFlags(image, width: width, cpl: oldCPL)
  }

  /// To virtual-8086 mode: the frame goes on with ESP, SS, ES, DS, FS and GS (SDM vol. 3, 20.2.5).
  private func returnToVirtual8086(
    _ selector: UInt16, _ offset: UInt64, _ image: UInt64, _ frame: StackCursor
  ) throws(Stopped) {
    var stack = frame
    let pointer = try popValue(width: 4, from: &stack)
    var selectors = InlineArray<6, UInt16>(repeating: selector)
    for register in [SegmentRegister.ss, .es, .ds, .fs, .gs] {
      selectors[Int(register.rawValue)] = UInt16(truncatingIfNeeded: try popValue(width: 4, from: &stack))
    }
    guard offset <= 0xffff else { throw raise(.generalProtection(0)) }
    for register in SegmentRegister.allCases {
      s.pointee[register] = .virtual8086(selectors[Int(register.rawValue)])
    }
    s.pointee.slots[Int(Slot.rsp)] = pointer
    s.pointee.rip = offset
    s.pointee.rflags = image
    s.pointee.cpl = 3
    updatePaging()
  }

  /// RFLAGS from the frame: IF needs CPL <= IOPL, IOPL and the virtual interrupt flags need ring 0, by the CPL and IOPL
  /// before. RF holds off instruction breakpoints for the one instruction that follows.
  private func setReturnedFlags(_ image: UInt64, width: Int, cpl: UInt8) {
    let old = s.pointee.rflags
    var writable = Flag.arithmetic | Flag.trap | Flag.direction | Flag.nestedTask
    if UInt64(cpl) <= (old & Flag.ioPrivilege) >> 12 { writable |= Flag.interrupt }
    if cpl == 0 { writable |= Flag.ioPrivilege }
    if width > 2 {
      writable |= Flag.alignmentCheck | Flag.identification | Flag.resume
      if cpl == 0 { writable |= Flag.virtualInterrupt | Flag.virtualInterruptPending }
    }
    s.pointee.rflags = old & ~writable & ~Flag.resume | image & writable
    if (old ^ image) & writable & Flag.alignmentCheck != 0 { updatePaging() }
  }
}
