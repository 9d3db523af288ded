/// The local APIC's registers (SDM vol. 3, 11.4.1).
extension LocalAPIC {
  /// Registers by offset from the base (table 11-1).
  enum Register {
    static let id = 0x20, version = 0x30, taskPriority = 0x80, arbitrationPriority = 0x90, processorPriority = 0xa0
    static let endOfInterrupt = 0xb0, logicalDestination = 0xd0, destinationFormat = 0xe0, spurious = 0xf0
    static let inService = 0x100, triggerMode = 0x180, requested = 0x200, errors = 0x280
    static let command = 0x300, commandHigh = 0x310
    static let localVectors = 0x320..<0x380
    static let initialCount = 0x380, currentCount = 0x390, divide = 0x3e0
    /// Of an APIC in x2APIC mode alone.
    static let selfInterrupt = 0x3f0
  }

  /// Bits of the interrupt command that can be written: vector, modes, level, trigger, shorthand.
  static let commandBits: UInt32 = 0xc_cfff

  /// What a write has asked for outside this APIC.
  enum Effect: Equatable {
    case none
    /// A message for the others, or for this one.
    case send(InterruptMessage)
    /// The service of a level-triggered vector has ended: the I/O APIC is told.
    case endOfInterrupt(UInt8)
    /// Software has enabled it: level-triggered interrupts that it would not take are sent again.
    case enabled
  }

  /// Reads a register of 32 bits.
  ///
  /// - Parameter offset: from the base. Registers lie 16 bytes apart; what is between them reads as 0.
  mutating func read(_ offset: Int, now: Time) -> UInt32 {
    advance(to: now)
    guard offset & 0xf == 0 else { return 0 }
    switch offset {
    case Register.id: return isExtended ? identifier : identifier << 24
    // Six local vectors; 0x14 is an integrated APIC.
    case Register.version: return UInt32(LocalVector.allCases.count - 1) << 16 | 0x14
    case Register.taskPriority: return taskPriority
    case Register.arbitrationPriority, Register.processorPriority: return processorPriority
    case Register.endOfInterrupt: return 0
    case Register.logicalDestination: return isExtended ? extendedLogicalDestination : logicalDestination
    case Register.destinationFormat: return destinationFormat
    case Register.spurious: return spurious
    case Register.inService..<Register.triggerMode: return inService.register((offset - Register.inService) >> 4)
    case Register.triggerMode..<Register.requested: return triggerMode.register((offset - Register.triggerMode) >> 4)
    case Register.requested..<Register.errors: return requested.register((offset - Register.requested) >> 4)
    case Register.errors: return errors
    case Register.command: return command
    case Register.commandHigh: return commandHigh
    case Register.localVectors: return localVectors[(offset - Register.localVectors.lowerBound) >> 4]
    case Register.initialCount: return initialCount
    case Register.currentCount: return currentCount(at: now)
    case Register.divide: return divide
    default:
      fail(ErrorBit.illegalRegister)
      return 0
    }
  }

  /// Writes a register of 32 bits.
  mutating func write(_ offset: Int, _ value: UInt32, now: Time) -> Effect {
    advance(to: now)
    guard offset & 0xf == 0 else { return .none }
    switch offset {
    case Register.version, Register.arbitrationPriority, Register.processorPriority,
      Register.currentCount, Register.inService..<Register.errors:
      break
    // Some processors let software change it (11.4.6).
    case Register.id: identifier = value >> 24
    case Register.taskPriority: taskPriority = value & 0xff
    case Register.endOfInterrupt: return endInterrupt()
    case Register.logicalDestination: logicalDestination = value & 0xff00_0000
    case Register.destinationFormat: destinationFormat = value | 0x0fff_ffff
    case Register.spurious:
      let wasEnabled = isEnabled
      spurious = value & 0x1ff
      // While it is disabled by software all entries are masked (11.4.7.2).
      if !isEnabled { for index in localVectors.indices { localVectors[index] |= LocalAPIC.masked } }
      return isEnabled && !wasEnabled ? .enabled : .none
    case Register.errors:
      errors = pendingErrors
      pendingErrors = 0
    case Register.command:
      command = value & LocalAPIC.commandBits
      return send()
    case Register.commandHigh: commandHigh = value & 0xff00_0000
    case Register.localVectors: writeLocalVector((offset - Register.localVectors.lowerBound) >> 4, value)
    case Register.initialCount: writeInitialCount(value, now: now)
    case Register.divide: writeDivide(value, now: now)
    default: fail(ErrorBit.illegalRegister)
    }
    return .none
  }

  private mutating func endInterrupt() -> Effect {
    guard let vector = inService.highest else { return .none }
    inService[vector] = false
    guard triggerMode[vector] else { return .none }
    // Its own pin may be the source; if it is still asserted, it interrupts again.
    if self[.lint0] & LocalAPIC.remoteIRR != 0, UInt8(truncatingIfNeeded: self[.lint0]) == vector {
      self[.lint0] &= ~LocalAPIC.remoteIRR
    }
    return .endOfInterrupt(vector)
  }

  private mutating func writeLocalVector(_ index: Int, _ value: UInt32) {
    let entry = LocalVector.allCases[index]
    let old = localVectors[index]
    localVectors[index] =
      value & entry.writable | old & LocalAPIC.remoteIRR | (isEnabled ? 0 : LocalAPIC.masked)
    if entry == .timer { timerModeChanged(from: old) }
    // A fixed interrupt has a vector of 16 and more.
    let isFixed = value >> 8 & 7 == 0 && value & LocalAPIC.masked == 0
    if isFixed && value & 0xff < 16 { fail(ErrorBit.receiveIllegalVector) }
  }

  /// The message of the interrupt command (figures 11-12 and 11-28).
  mutating func send() -> Effect {
    let vector = UInt8(truncatingIfNeeded: command)
    guard let mode = InterruptMessage.Mode(rawValue: UInt8(truncatingIfNeeded: command >> 8 & 7)), mode != .external
    else { return .none }
    // INIT level de-assert says nothing to processors with an xAPIC (11.6.1).
    if mode == .initialize && command & LocalAPIC.levelTriggered != 0 && command & 1 << 14 == 0 { return .none }
    if (mode == .fixed || mode == .lowestPriority) && vector < 16 {
      fail(ErrorBit.sendIllegalVector)
      return .none
    }
    let destination: InterruptMessage.Destination =
      switch command >> 18 & 3 {
      case 0:
        InterruptMessage.destination(
          isExtended ? commandHigh : commandHigh >> 24, isLogical: command & 1 << 11 != 0, isExtended: isExtended)
      case 1: .sender
      case 2: .everyone
      default: .everyoneElse
      }
    // Commands are edge-triggered whatever they say (11.6.1).
    return .send(InterruptMessage(mode: mode, vector: vector, destination: destination))
  }
}
