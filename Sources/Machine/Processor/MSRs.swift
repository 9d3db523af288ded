/// Model-specific registers (SDM vol. 4; APM vol. 2, appendix A).
extension Processor {
  // MARK: Instructions

  func readMSR(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    let number = UInt32(truncatingIfNeeded: s.pointee.slots[Int(Slot.rcx)])
    guard let value = hasLocalRegister(number) ? readLocalRegister(number) : modelSpecificRegister(number) else {
      counters.unknownMSRs.note(number, isWrite: false)
      throw raise(.generalProtection(0))
    }
    if isObserved { tell(.modelSpecificRegister(number: number, value: value, isWrite: false)) }
    setRegister(Slot.rax, width: 4, value)
    setRegister(Slot.rdx, width: 4, value >> 32)
  }

  func writeMSR(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    let number = UInt32(truncatingIfNeeded: s.pointee.slots[Int(Slot.rcx)])
    let value = register(Slot.rax, width: 4) | register(Slot.rdx, width: 4) << 32
    if hasLocalRegister(number) { return try writeLocalRegister(number, value) }
    switch validity(of: value, for: number) {
    case .valid: break
    case .invalid: throw raise(.generalProtection(0))
    case .unknown:
      counters.unknownMSRs.note(number, isWrite: true)
      throw raise(.generalProtection(0))
    }
    if isObserved { tell(.modelSpecificRegister(number: number, value: value, isWrite: true)) }
    if number == MSR.efer && controls.intercepts.contains(.extendedFeatures) {
      var exit = instructionExit(.writeMSR, op)
      exit.number = number
      exit.value = value
      exit.isWrite = true
      throw self.exit(exit)
    }
    completeMSRWrite(number: number, value: value)
  }

  // MARK: Reading

  /// The value of a register; nil where there is none with this number.
  private func modelSpecificRegister(_ number: UInt32) -> UInt64? {
    let state = s.pointee
    switch number {
    case MSR.timeStamp: return timeStamp
    // All that was ever added to the counter, which starts at 0, is the adjustment (SDM vol. 3, 17.17.3).
    case MSR.tscAdjust: return features.contains(.tscAdjust) ? state.tscOffset : nil
    case MSR.sysEnterCS: return features.contains(.sep) ? state.sysEnterCS : nil
    case MSR.sysEnterESP: return features.contains(.sep) ? state.sysEnterESP : nil
    case MSR.sysEnterEIP: return features.contains(.sep) ? state.sysEnterEIP : nil
    // AMD has no such register.
    case MSR.miscEnable: return profile.vendor == .intel ? state.miscEnable | MiscEnable.unavailable : nil
    case MSR.pat: return state.pat
    case MSR.xss: return features.contains(.xsaves) ? state.xss : nil
    case MSR.efer: return features.contains(.lm) || features.contains(.nx) ? state.efer : nil
    case MSR.star: return features.contains(.syscall) ? state.star : nil
    case MSR.lstar: return features.contains(.syscall) ? state.lstar : nil
    case MSR.cstar: return features.contains(.syscall) ? state.cstar : nil
    case MSR.sfmask: return features.contains(.syscall) ? state.sfmask : nil
    case MSR.fsBase: return features.contains(.lm) ? state[.fs].base : nil
    case MSR.gsBase: return features.contains(.lm) ? state[.gs].base : nil
    case MSR.kernelGSBase: return features.contains(.lm) ? state.kernelGSBase : nil
    case MSR.tscAux: return hasTSCAux ? state.tscAux : nil
    case MSR.supervisorKeys: return features.contains(.pks) ? UInt64(state.pkrs) : nil
    default:
      if features.contains(.mtrr), let value = state.memoryTypes[number] { return value }
      if features.contains(.mca), let value = state.machineCheck[number] { return value }
      return readsZero(number) ? 0 : nil
    }
  }

  /// Registers that read as 0 and ignore what is written. A processor of the vendor has them, KVM treats them so, and
  /// guests touch them at boot without asking CPUID.
  private func readsZero(_ number: UInt32) -> Bool {
    switch number {
    case MSR.microcode: return true
    default: break
    }
    switch profile.vendor {
    case .intel:
      // Platform ID, microcode update trigger, DEBUGCTL.
      return number == 0x17 || number == 0x79 || number == 0x1d9
    case .amd:
      switch number {
      // DEBUGCTL, performance counters, SYSCFG, HWCR, TSEG, NB_CFG, and the configuration registers of errata.
      case 0x1d9, 0xc001_0000...0xc001_0007, 0xc001_0010, 0xc001_0015, 0xc001_001f, 0xc001_0112, 0xc001_0113:
        return true
      case 0xc001_0058, 0xc001_1020, 0xc001_1022, 0xc001_1029, 0xc001_102a, 0xc001_102c: return true
      default: return false
      }
    }
  }

  private var hasTSCAux: Bool { features.contains(.rdtscp) || features.contains(.rdpid) }

  // MARK: Writing

  private enum Validity { case valid, invalid, unknown }

  private func validity(of value: UInt64, for number: UInt32) -> Validity {
    guard modelSpecificRegister(number) != nil else { return .unknown }
    let isValid: Bool
    switch number {
    case MSR.fsBase, MSR.gsBase, MSR.kernelGSBase, MSR.lstar, MSR.cstar, MSR.sysEnterESP, MSR.sysEnterEIP:
      isValid = isCanonicalBase(value)
    case MSR.efer: isValid = isValidEFER(value)
    case MSR.miscEnable:
      // What is read-only may be written as it is.
      isValid = (value ^ MiscEnable.unavailable) & ~MiscEnable.writable == 0
    case MSR.pat:
      // Eight memory types of 0, 1, 4 to 7 (SDM vol. 3, 11.12.2).
      isValid = (0..<8).allSatisfy { [0, 1, 4, 5, 6, 7].contains((value >> (8 * $0)) & 0xff) }
    case MSR.xss: isValid = value & ~supportedSupervisorComponents == 0
    case MSR.supervisorKeys: isValid = value >> 32 == 0
    case MSR.tscAux:
      // AMD ignores the upper half, Intel reserves it.
      isValid = profile.vendor == .amd || value >> 32 == 0
    default:
      if s.pointee.memoryTypes[number] != nil {
        isValid = MemoryTypeRegisters.allows(value, in: number, physicalBits: costs.physicalBits)
      } else if s.pointee.machineCheck[number] != nil {
        isValid = MachineCheckRegisters.allows(value, in: number)
      } else {
        isValid = true
      }
    }
    return isValid ? .valid : .invalid
  }

  private func isValidEFER(_ value: UInt64) -> Bool {
    // LMA is ignored: the processor keeps it.
    var allowed = EFER.longModeActive
    if features.contains(.syscall) { allowed |= EFER.systemCall }
    if features.contains(.lm) { allowed |= EFER.longModeEnable }
    if features.contains(.nx) && s.pointee.miscEnable & MiscEnable.executeDisableOff == 0 {
      allowed |= EFER.noExecute
    }
    guard value & ~allowed == 0 else { return false }
    return s.pointee.cr0 & CR0.paging == 0 || (value ^ s.pointee.efer) & EFER.longModeEnable == 0
  }

  /// Whether an address may be a base or entry point: judged by the widest linear address that the processor supports,
  /// not by what CR4.LA57 selects (Intel, 5-level paging white paper, 2.2).
  func isCanonicalBase(_ address: UInt64) -> Bool {
    GuestVirtual(address).isCanonical(bits: features.contains(.la57) ? 57 : 48)
  }

  /// Writes a model-specific register with all that follows from it, the value having been checked. A change of EFER
  /// drops no translation (SDM vol. 3, 4.10.4).
  public func completeMSRWrite(number: UInt32, value: UInt64) {
    switch number {
    case MSR.timeStamp: setTimeStampOffset(value &- now)
    case MSR.tscAdjust: setTimeStampOffset(value)
    case MSR.sysEnterCS: s.pointee.sysEnterCS = value
    case MSR.sysEnterESP: s.pointee.sysEnterESP = value
    case MSR.sysEnterEIP: s.pointee.sysEnterEIP = value
    case MSR.miscEnable: s.pointee.miscEnable = value & MiscEnable.writable
    case MSR.pat: s.pointee.pat = value
    case MSR.xss: s.pointee.xss = value
    case MSR.efer:
      let active = s.pointee.efer & EFER.longModeActive
      s.pointee.efer = value & ~EFER.longModeActive | active
      updatePaging()
    case MSR.star: s.pointee.star = value
    case MSR.lstar: s.pointee.lstar = value
    case MSR.cstar: s.pointee.cstar = value
    case MSR.sfmask: s.pointee.sfmask = value
    case MSR.fsBase: s.pointee[.fs].base = value
    case MSR.gsBase: s.pointee[.gs].base = value
    case MSR.kernelGSBase: s.pointee.kernelGSBase = value
    case MSR.tscAux: s.pointee.tscAux = value & 0xffff_ffff
    case MSR.supervisorKeys:
      s.pointee.pkrs = UInt32(truncatingIfNeeded: value)
      updatePaging()
    default:
      if s.pointee.memoryTypes[number] != nil {
        s.pointee.memoryTypes[number] = value
      } else if s.pointee.machineCheck[number] != nil {
        s.pointee.machineCheck[number] = value
      }
    }
  }

  private func setTimeStampOffset(_ offset: UInt64) {
    s.pointee.tscOffset = offset
    bus.setTimeStampOffset(offset, processor: index, now: now)
    deviceChanged()
  }

  /// The guest's time stamp counter.
  var timeStamp: UInt64 { now &+ s.pointee.tscOffset }
}
