import Machine

/// The local APIC's model-specific registers: IA32_APIC_BASE, IA32_TSC_DEADLINE, and in x2APIC mode all the others (SDM
/// vol. 3, 11.12).
extension LocalAPIC {
  /// The registers that x2APIC mode has (table 11-6), and what may be done with them.
  private enum Access { case none, read, write, readWrite }

  private static func access(_ offset: Int) -> Access {
    switch offset {
    case Register.id, Register.version, Register.processorPriority, Register.logicalDestination,
      Register.inService..<Register.errors, Register.currentCount:
      .read
    case Register.endOfInterrupt, Register.selfInterrupt: .write
    case Register.taskPriority, Register.spurious, Register.errors, Register.command, Register.localVectors,
      Register.initialCount, Register.divide:
      .readWrite
    default: .none
    }
  }

  /// Bits that may be set in what is written to a register; setting others raises #GP (11.12.1.3).
  private static func writable(_ offset: Int) -> UInt64 {
    switch offset {
    case Register.taskPriority, Register.selfInterrupt: 0xff
    case Register.spurious: 0x1ff
    case Register.command: 0xffff_ffff << 32 | UInt64(commandBits)
    case Register.localVectors:
      UInt64(LocalVector.allCases[(offset - Register.localVectors.lowerBound) >> 4].writable)
    case Register.initialCount: 0xffff_ffff
    case Register.divide: 0xb
    // End of interrupt, error status.
    default: 0
    }
  }

  /// The logical destination, which follows from the identifier: its cluster of sixteen, and its place there
  /// (11.12.10.2).
  var extendedLogicalDestination: UInt32 { (identifier >> 4) << 16 | 1 << (identifier & 0xf) }

  /// Reads one of the registers; nil where that raises #GP.
  mutating func readRegister(_ number: UInt32, now: Time) -> UInt64? {
    switch number {
    case MSR.apicBase: return baseRegister
    case MSR.timeStampDeadline:
      advance(to: now)
      return deadline
    default:
      let offset = Int(truncatingIfNeeded: number &- MSR.extendedAPIC.lowerBound) << 4
      let access = LocalAPIC.access(offset)
      guard isExtended, MSR.extendedAPIC.contains(number), access == .read || access == .readWrite else { return nil }
      let low = UInt64(read(offset, now: now))
      return offset == Register.command ? low | UInt64(commandHigh) << 32 : low
    }
  }

  /// Writes one of the registers; nil where that raises #GP.
  mutating func writeRegister(_ number: UInt32, _ value: UInt64, now: Time) -> Effect? {
    switch number {
    case MSR.apicBase:
      advance(to: now)
      return setBase(value) ? Effect.none : nil
    case MSR.timeStampDeadline:
      writeDeadline(value, now: now)
      return Effect.none
    default:
      let offset = Int(truncatingIfNeeded: number &- MSR.extendedAPIC.lowerBound) << 4
      let access = LocalAPIC.access(offset)
      guard isExtended, MSR.extendedAPIC.contains(number), access == .write || access == .readWrite,
        value & ~LocalAPIC.writable(offset) == 0
      else { return nil }
      let low = UInt32(truncatingIfNeeded: value)
      switch offset {
      case Register.command:
        commandHigh = UInt32(truncatingIfNeeded: value >> 32)
        return write(offset, low, now: now)
      case Register.selfInterrupt:
        advance(to: now)
        let vector = UInt8(truncatingIfNeeded: low)
        if vector < 16 { fail(ErrorBit.sendIllegalVector) } else { request(vector) }
        return Effect.none
      default: return write(offset, low, now: now)
      }
    }
  }
}
