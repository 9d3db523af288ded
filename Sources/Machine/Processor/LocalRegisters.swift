/// The model-specific registers that are the local APIC's (SDM vol. 3, 11.4.4, 11.5.4.1 and 11.12).
///
/// They never exit: the model is of a processor that virtualizes them (virtualize x2APIC mode, APIC-register
/// virtualization, virtual-interrupt delivery and IPI virtualization; SDM vol. 3, 30.5), and so is CR8, whose accesses
/// go to the TPR shadow. Under a hypervisor only xAPIC registers in memory exit, because no page is mapped there.
extension Processor {
  /// Whether a number is that of such a register, whatever features the guest sees.
  func hasLocalRegister(_ number: UInt32) -> Bool {
    number == MSR.apicBase || number == MSR.timeStampDeadline || MSR.extendedAPIC.contains(number)
  }

  /// Whether the guest's features have it.
  private func isShown(_ number: UInt32) -> Bool {
    switch number {
    case MSR.apicBase: features.contains(.apic)
    case MSR.timeStampDeadline: features.contains(.apic) && features.contains(.tscDeadlineTimer)
    default: features.contains(.apic) && features.contains(.x2apic)
    }
  }

  /// The value of a register; nil where reading it raises #GP.
  func readLocalRegister(_ number: UInt32) -> UInt64? {
    guard isShown(number) else { return nil }
    chargeLocalRegister(number)
    defer { deviceChanged() }
    return bus.readLocalRegister(number, processor: index, now: now)
  }

  func writeLocalRegister(_ number: UInt32, _ value: UInt64) throws(Stopped) {
    guard isShown(number) else {
      counters.unknownMSRs.note(number, isWrite: true)
      throw raise(.generalProtection(0))
    }
    guard number != MSR.apicBase || isValidAPICBase(value) else { throw raise(.generalProtection(0)) }
    chargeLocalRegister(number)
    guard bus.writeLocalRegister(number, value: value, processor: index, now: now) else {
      throw raise(.generalProtection(0))
    }
    if isObserved { tell(.modelSpecificRegister(number: number, value: value, isWrite: true)) }
    deviceChanged()
  }

  /// The registers of x2APIC mode cost what they cost in memory.
  private func chargeLocalRegister(_ number: UInt32) {
    guard MSR.extendedAPIC.contains(number) else { return }
    counters.deviceAccesses &+= 1
    charge(.io, costs.deviceAccess)
  }

  /// BSP, the mode, and the address: the other bits are reserved. Whether one mode leads to another is the APIC's to
  /// say.
  private func isValidAPICBase(_ value: UInt64) -> Bool {
    var allowed: UInt64 = 0xffff_ffff_ffff_f900 & ((1 << costs.physicalBits) - 1)
    if features.contains(.x2apic) { allowed |= 1 << 10 }
    return value & ~allowed == 0
  }

  /// Whether CPUID shows the local APIC: it vanishes while it is disabled (11.4.3).
  var showsLocalAPIC: Bool {
    features.contains(.apic)
      && bus.readLocalRegister(MSR.apicBase, processor: index, now: now).map { $0 & 1 << 11 != 0 } ?? false
  }
}
