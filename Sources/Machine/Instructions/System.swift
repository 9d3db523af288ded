/// What is left of the system instructions: HLT, CPUID, the time stamp counter, extended control registers (SDM vol.
/// 2).
extension Processor {
  func halt(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    if controls.intercepts.contains(.halt) { throw exit(instructionExit(.halt, op)) }
    s.pointee.isHalted = true
  }

  func cpuid(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let leaf = cpuidLeaf(
      UInt32(truncatingIfNeeded: s.pointee.slots[Int(Slot.rax)]),
      UInt32(truncatingIfNeeded: s.pointee.slots[Int(Slot.rcx)]))
    s.pointee.slots[Int(Slot.rax)] = UInt64(leaf.eax)
    s.pointee.slots[Int(Slot.rbx)] = UInt64(leaf.ebx)
    s.pointee.slots[Int(Slot.rcx)] = UInt64(leaf.ecx)
    s.pointee.slots[Int(Slot.rdx)] = UInt64(leaf.edx)
  }

  // MARK: Time

  func readTimeStamp(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkTimeStampDisable()
    setTimeStamp()
  }

  func readTimeStampAux(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.rdtscp) else { throw raise(.invalidOpcode) }
    try checkTimeStampDisable()
    setTimeStamp()
    setRegister(Slot.rcx, width: 4, s.pointee.tscAux)
  }

  private func checkTimeStampDisable() throws(Stopped) {
    if s.pointee.cr4 & CR4.timeStampDisable != 0 && s.pointee.cpl != 0 { throw raise(.generalProtection(0)) }
  }

  private func setTimeStamp() {
    let value = timeStamp
    setRegister(Slot.rax, width: 4, value)
    setRegister(Slot.rdx, width: 4, value >> 32)
  }

  func readPID(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.rdpid) else { throw raise(.invalidOpcode) }
    setRegister(op.pointee.dst, width: OperandForm(op).width, s.pointee.tscAux)
  }

  /// RDPMC. Intel's profiles have no counter: CPUID has no leaf for them. AMD's four legacy ones exist without a bit in
  /// CPUID and count nothing, as their registers say, which always read 0.
  func readCounter(_ op: UnsafePointer<Operation>) throws(Stopped) {
    if s.pointee.cr4 & CR4.performanceCounter == 0 && s.pointee.cpl != 0 { throw raise(.generalProtection(0)) }
    guard profile.vendor == .amd, register(Slot.rcx, width: 4) < 4 else { throw raise(.generalProtection(0)) }
    setRegister(Slot.rax, width: 4, 0)
    setRegister(Slot.rdx, width: 4, 0)
  }

  /// Instructions are executed in order anyway.
  func serialize(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.serialize) else { throw raise(.invalidOpcode) }
  }

  // MARK: Extended control registers

  /// CR4.OSXSAVE cannot be set where CPUID hides XSAVE, so that both are undefined there.
  func getXCR(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.cr4 & CR4.osXSAVE != 0 else { throw raise(.invalidOpcode) }
    let value: UInt64
    switch register(Slot.rcx, width: 4) {
    case 0: value = s.pointee.xcr0
    case 1 where features.contains(.xgetbv1): value = s.pointee.xcr0 & componentsInUse
    default: throw raise(.generalProtection(0))
    }
    setRegister(Slot.rax, width: 4, value)
    setRegister(Slot.rdx, width: 4, value >> 32)
  }

  func setXCR(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard s.pointee.cr4 & CR4.osXSAVE != 0 else { throw raise(.invalidOpcode) }
    try requireRing0()
    let value = register(Slot.rax, width: 4) | register(Slot.rdx, width: 4) << 32
    guard register(Slot.rcx, width: 4) == 0, isValidXCR0(value) else { throw raise(.generalProtection(0)) }
    s.pointee.xcr0 = value
  }

  // MARK: Protection keys

  /// RDPKRU. CR4.PKE cannot be set where CPUID hides protection keys.
  func readKeys(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkKeys()
    setRegister(Slot.rax, width: 4, UInt64(s.pointee.pkru))
    setRegister(Slot.rdx, width: 4, 0)
  }

  /// WRPKRU.
  func writeKeys(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkKeys()
    guard register(Slot.rdx, width: 4) == 0 else { throw raise(.generalProtection(0)) }
    s.pointee.pkru = UInt32(truncatingIfNeeded: s.pointee.slots[Int(Slot.rax)])
    updatePaging()
  }

  private func checkKeys() throws(Stopped) {
    guard s.pointee.cr4 & CR4.protectionKeys != 0 else { throw raise(.invalidOpcode) }
    guard register(Slot.rcx, width: 4) == 0 else { throw raise(.generalProtection(0)) }
  }

  // MARK: MONITOR

  /// CPUID shows no MONITOR.
  func monitor(_ op: UnsafePointer<Operation>) throws(Stopped) { throw raise(.invalidOpcode) }
  func mwait(_ op: UnsafePointer<Operation>) throws(Stopped) { throw raise(.invalidOpcode) }
}
