/// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS (SDM vol. 2; vol. 3, 5.8.7 and 5.8.8; APM vol. 3).
extension Processor {
  /// Flat segments with fixed attributes, which these instructions load without a look at the GDT.
  private static let codeAttributes: UInt16 = 0x809b
  private static let dataAttributes: UInt16 = 0xc093
  private static let longBit: UInt16 = 0x2000
  private static let bigBit: UInt16 = 0x4000

  /// Loads flat CS and SS for a privilege.
  private func loadFlatSegments(code: UInt16, stack: UInt16, cpl: UInt8, isLong: Bool) {
    let level = UInt16(cpl) << 5
    let size = isLong ? Self.longBit : Self.bigBit
    s.pointee[.cs] = Segment(
      selector: code, base: 0, limit: 0xffff_ffff, attributes: Self.codeAttributes | level | size)
    s.pointee[.ss] = Segment(selector: stack, base: 0, limit: 0xffff_ffff, attributes: Self.dataAttributes | level)
    s.pointee.cpl = cpl
  }

  func sysCall(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.efer & EFER.systemCall != 0 else { throw raise(.invalidOpcode) }
    if !is64BitMode {
      // Intel has it in 64-bit mode alone; AMD in compatibility mode too, with an entry point of its own, and in legacy
      // mode.
      guard profile.vendor == .amd, isProtected else { throw raise(.invalidOpcode) }
      guard s.pointee.isLongMode else { return sysCallLegacy() }
    }
    let target = is64BitMode ? s.pointee.lstar : s.pointee.cstar
    let selector = UInt16(truncatingIfNeeded: s.pointee.star >> 32) & 0xfffc
    let flags = s.pointee.rflags & ~Flag.resume
    s.pointee.slots[Int(Slot.rcx)] = s.pointee.rip
    s.pointee.slots[11] = flags
    s.pointee.rflags = flags & ~s.pointee.sfmask
    // A kernel that clears TF by SFMASK is not trapped at its entry.
    singleStep = s.pointee.systemFlags & Flag.trap != 0
    loadFlatSegments(code: selector, stack: selector &+ 8, cpl: 0, isLong: true)
    s.pointee.rip = target
    updatePaging()
    if isObserved { tell(.systemCall) }
  }

  /// SYSCALL of legacy mode (APM vol. 3): the target stands in STAR itself, and of the flags IF and VM are cleared.
  private func sysCallLegacy() {
    let selector = UInt16(truncatingIfNeeded: s.pointee.star >> 32) & 0xfffc
    setRegister(Slot.rcx, width: 4, s.pointee.rip)
    s.pointee.systemFlags &= ~(Flag.interrupt | Flag.virtual8086 | Flag.resume)
    loadFlatSegments(code: selector, stack: selector &+ 8, cpl: 0, isLong: false)
    s.pointee.rip = s.pointee.star & 0xffff_ffff
    updatePaging()
    if isObserved { tell(.systemCall) }
  }

  /// SYSRET of legacy mode: the flags stay, but for IF, which is set.
  private func sysReturnLegacy() {
    let base = UInt16(truncatingIfNeeded: s.pointee.star >> 48)
    s.pointee.systemFlags |= Flag.interrupt
    loadFlatSegments(code: base | 3, stack: (base &+ 8) | 3, cpl: 3, isLong: false)
    s.pointee.rip = register(Slot.rcx, width: 4)
    updatePaging()
  }

  func sysReturn(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.efer & EFER.systemCall != 0 else { throw raise(.invalidOpcode) }
    if !is64BitMode {
      guard profile.vendor == .amd, isProtected else { throw raise(.invalidOpcode) }
    }
    try requireRing0()
    guard s.pointee.isLongMode else { return sysReturnLegacy() }
    let isLong = OperandForm(op).width == 8
    let rcx = s.pointee.slots[Int(Slot.rcx)]
    // Intel faults here, in ring 0 on the user's stack; AMD returns first and faults at the fetch, in ring 3.
    if isLong && profile.vendor == .intel && !isCanonical(rcx) { throw raise(.generalProtection(0)) }
    let base = UInt16(truncatingIfNeeded: s.pointee.star >> 48)
    s.pointee.rflags = s.pointee.slots[11] & ~(Flag.resume | Flag.virtual8086)
    // The TF that it sets counts for itself, unlike that of IRET and POPF: the trap comes where the SYSCALL is done.
    singleStep = s.pointee.systemFlags & Flag.trap != 0
    loadFlatSegments(code: (isLong ? base &+ 16 : base) | 3, stack: (base &+ 8) | 3, cpl: 3, isLong: isLong)
    s.pointee.rip = isLong ? rcx : rcx & 0xffff_ffff
    updatePaging()
  }

  // MARK: SYSENTER

  /// What SYSENTER and SYSEXIT need alike. AMD has neither in long mode.
  private func checkSysEnter() throws(Stopped) {
    guard features.contains(.sep), !(profile.vendor == .amd && s.pointee.isLongMode) else {
      throw raise(.invalidOpcode)
    }
    guard isProtected else { throw raise(.generalProtection(0)) }
  }

  func sysEnter(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkSysEnter()
    let selector = UInt16(truncatingIfNeeded: s.pointee.sysEnterCS) & 0xfffc
    guard selector != 0 else { throw raise(.generalProtection(0)) }
    let isLong = s.pointee.isLongMode
    s.pointee.systemFlags &= ~(Flag.virtual8086 | Flag.interrupt | Flag.resume)
    loadFlatSegments(code: selector, stack: selector &+ 8, cpl: 0, isLong: isLong)
    setRegister(Slot.rsp, width: isLong ? 8 : 4, s.pointee.sysEnterESP)
    s.pointee.rip = isLong ? s.pointee.sysEnterEIP : s.pointee.sysEnterEIP & 0xffff_ffff
    updatePaging()
    if isObserved { tell(.systemCall) }
  }

  func sysExit(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkSysEnter()
    let selector = UInt16(truncatingIfNeeded: s.pointee.sysEnterCS) & 0xfffc
    guard selector != 0, s.pointee.cpl == 0 else { throw raise(.generalProtection(0)) }
    let isLong = OperandForm(op).width == 8
    let rip = register(Slot.rdx, width: isLong ? 8 : 4)
    let rsp = register(Slot.rcx, width: isLong ? 8 : 4)
    if isLong { guard isCanonical(rip), isCanonical(rsp) else { throw raise(.generalProtection(0)) } }
    let code = selector &+ (isLong ? 32 : 16)
    loadFlatSegments(code: code | 3, stack: (code &+ 8) | 3, cpl: 3, isLong: isLong)
    s.pointee.slots[Int(Slot.rsp)] = rsp
    s.pointee.rip = rip
    updatePaging()
  }

  // MARK: FS and GS

  func swapGS(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard is64BitMode else { throw raise(.invalidOpcode) }
    try requireRing0()
    let base = s.pointee[.gs].base
    s.pointee[.gs].base = s.pointee.kernelGSBase
    s.pointee.kernelGSBase = base
  }

  func readFSGSBase(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let segment = try segmentWithBase(form)
    setRegister(op.pointee.dst, width: form.width, s.pointee[segment].base)
  }

  func writeFSGSBase(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let segment = try segmentWithBase(form)
    let value = register(op.pointee.dst, width: form.width)
    guard isCanonicalBase(value) else { throw raise(.generalProtection(0)) }
    s.pointee[segment].base = value
  }

  private func segmentWithBase(_ form: OperandForm) throws(Stopped) -> SegmentRegister {
    guard is64BitMode, s.pointee.cr4 & CR4.fsgsbase != 0 else { throw raise(.invalidOpcode) }
    return form.extra == 4 ? .fs : .gs
  }
}
