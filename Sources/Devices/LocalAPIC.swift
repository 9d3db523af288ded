/// The local APIC of one processor, by its registers in memory (SDM vol. 3, chapter 11): priorities, the local vector
/// table, interrupts to itself, and the timer in its one-shot and periodic modes.
///
/// It begins as firmware leaves it: enabled, with the 8259 pair's interrupts let through by LINT0 as ExtINT.
public struct LocalAPIC: Equatable, Sendable {
  /// What the timer counts before its divider, in Hz.
  public static let hertz: UInt64 = 1_000_000_000
  /// Where its registers are, 4096 bytes.
  public static let base: UInt64 = 0xfee0_0000

  /// Registers by offset from the base (table 11-1).
  private enum Register {
    static let id = 0x20, version = 0x30, taskPriority = 0x80, arbitrationPriority = 0x90, processorPriority = 0xa0
    static let endOfInterrupt = 0xb0, logicalDestination = 0xd0, destinationFormat = 0xe0, spurious = 0xf0
    static let inService = 0x100, triggerMode = 0x180, requested = 0x200, errors = 0x280
    static let command = 0x300, commandHigh = 0x310
    static let localVectors = 0x320..<0x380
    static let initialCount = 0x380, currentCount = 0x390, divide = 0x3e0
  }

  /// Entries of the local vector table, in the order of their registers.
  private enum LocalVector: Int, CaseIterable {
    case timer, thermal, performance, lint0, lint1, error

    /// The bits that can be written (figure 11-8): the vector, the mask, and what the entry has besides.
    var writable: UInt32 {
      switch self {
      case .timer: 0x6_00ff | LocalAPIC.masked
      case .thermal, .performance: 0x7ff | LocalAPIC.masked
      case .lint0, .lint1: 0xa7ff | LocalAPIC.masked
      case .error: 0xff | LocalAPIC.masked
      }
    }
  }

  private static let masked: UInt32 = 1 << 16
  private static let periodic: UInt32 = 1 << 17
  private static let externalInterrupt: UInt32 = 7
  private static let softwareEnable: UInt32 = 1 << 8
  /// Bits of the error status register (figure 11-9).
  private static let sendIllegalVector: UInt32 = 1 << 5, receiveIllegalVector: UInt32 = 1 << 6
  private static let illegalRegister: UInt32 = 1 << 7

  /// One bit a vector.
  private struct Vectors: Equatable, Sendable {
    var words = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)

    static func == (left: Vectors, right: Vectors) -> Bool { left.words == right.words }

    subscript(vector: UInt8) -> Bool {
      get { word(Int(vector >> 6)) >> UInt64(vector & 63) & 1 != 0 }
      set {
        let bit: UInt64 = 1 << UInt64(vector & 63)
        let old = word(Int(vector >> 6))
        setWord(Int(vector >> 6), newValue ? old | bit : old & ~bit)
      }
    }

    /// The highest vector set.
    var highest: UInt8? {
      for index in (0..<4).reversed() where word(index) != 0 {
        return UInt8(index * 64 + 63 - word(index).leadingZeroBitCount)
      }
      return nil
    }

    /// One of the eight registers of 32 vectors.
    func register(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: word(index >> 1) >> UInt64((index & 1) * 32)) }

    private func word(_ index: Int) -> UInt64 {
      switch index {
      case 0: words.0
      case 1: words.1
      case 2: words.2
      default: words.3
      }
    }

    private mutating func setWord(_ index: Int, _ value: UInt64) {
      switch index {
      case 0: words.0 = value
      case 1: words.1 = value
      case 2: words.2 = value
      default: words.3 = value
      }
    }
  }

  private let identifier: UInt32
  private var taskPriority: UInt32 = 0
  private var logicalDestination: UInt32 = 0
  private var destinationFormat: UInt32 = .max
  private var spurious: UInt32 = 0x1ff
  private var inService = Vectors()
  private var triggerMode = Vectors()
  private var requested = Vectors()
  private var errors: UInt32 = 0
  /// Errors since the register was last written.
  private var pendingErrors: UInt32 = 0
  private var command: UInt32 = 0
  private var commandHigh: UInt32 = 0
  private var localVectors: [UInt32]
  private var divide: UInt32 = 0
  private var initialCount: UInt32 = 0
  /// The oscillator's cycle at which the count was started; of a periodic timer, at which the period began.
  private var started: UInt64 = 0
  private var isCounting = false

  public init(identifier: UInt8 = 0) {
    self.identifier = UInt32(identifier)
    localVectors = LocalVector.allCases.map {
      switch $0 {
      case .lint0: LocalAPIC.externalInterrupt << 8
      // NMI.
      case .lint1: 4 << 8
      default: LocalAPIC.masked
      }
    }
  }

  private var isEnabled: Bool { spurious & LocalAPIC.softwareEnable != 0 }

  /// Whether LINT0 lets the 8259 pair's interrupts through.
  public var acceptsExternalInterrupts: Bool { self[.lint0] & LocalAPIC.masked == 0 && self[.lint0] >> 8 & 7 == 7 }

  private subscript(_ entry: LocalVector) -> UInt32 { localVectors[entry.rawValue] }

  // MARK: Interrupts

  /// The class and subclass below which nothing is delivered (11.8.3.1).
  private var processorPriority: UInt32 {
    let served = UInt32(inService.highest ?? 0)
    return taskPriority & 0xf0 >= served & 0xf0 ? taskPriority & 0xff : served & 0xf0
  }

  /// Whether an interrupt waits that the priorities let through.
  public var isAsserted: Bool {
    guard isEnabled, let vector = requested.highest else { return false }
    return UInt32(vector) & 0xf0 > processorPriority & 0xf0
  }

  /// The interrupt-acknowledge cycle: the vector goes into service. The spurious vector where none waits any more.
  public mutating func acknowledge() -> UInt8 {
    guard isAsserted, let vector = requested.highest else { return UInt8(truncatingIfNeeded: spurious) }
    requested[vector] = false
    inService[vector] = true
    return vector
  }

  /// An interrupt arrives.
  private mutating func request(_ vector: UInt8) {
    guard isEnabled else { return }
    guard vector >= 16 else { return fail(LocalAPIC.receiveIllegalVector) }
    requested[vector] = true
    triggerMode[vector] = false
  }

  /// Notes an error, and interrupts for it where the error entry is not masked.
  private mutating func fail(_ error: UInt32) {
    pendingErrors |= error
    let entry = self[.error]
    let vector = UInt8(truncatingIfNeeded: entry)
    if entry & LocalAPIC.masked == 0 && vector >= 16 { request(vector) }
  }

  /// Carries out the interrupt command: to this processor, the only one there is.
  private mutating func send() {
    let vector = UInt8(truncatingIfNeeded: command)
    let isForSelf: Bool =
      switch command >> 18 & 3 {
      case 0: isDestination(commandHigh >> 24, isLogical: command & 1 << 11 != 0)
      case 1, 2: true
      default: false
      }
    // Fixed and lowest priority; others are not delivered to a processor's own pins.
    guard isForSelf, command >> 8 & 7 <= 1 else { return }
    if vector < 16 { fail(LocalAPIC.sendIllegalVector) } else { request(vector) }
  }

  /// Whether a destination names this APIC (11.6.2).
  private func isDestination(_ destination: UInt32, isLogical: Bool) -> Bool {
    guard isLogical else { return destination == identifier || destination == 0xff }
    let own = logicalDestination >> 24
    if destinationFormat >> 28 == 0xf { return destination & own != 0 }
    return (destination >> 4 == own >> 4 || destination >> 4 == 0xf) && destination & own & 0xf != 0
  }

  // MARK: Timer

  /// The divider, a power of two (figure 11-10).
  private var divider: UInt64 {
    let code = divide & 3 | (divide & 8) >> 1
    return code == 7 ? 1 : 2 << UInt64(code)
  }

  private var isPeriodic: Bool { self[.timer] & LocalAPIC.periodic != 0 }
  private var period: UInt64 { UInt64(initialCount) * divider }

  /// The oscillator's cycle at which the timer expires next, while that makes an interrupt.
  public var nextExpiry: UInt64? {
    guard isCounting, isEnabled, self[.timer] & LocalAPIC.masked == 0 else { return nil }
    return started &+ period
  }

  /// Lets the timer expire as often as it has by a cycle of the oscillator; however often that was, one request is made.
  public mutating func advance(to now: UInt64) {
    guard isCounting, now &- started >= period else { return }
    if self[.timer] & LocalAPIC.masked == 0 { request(UInt8(truncatingIfNeeded: self[.timer])) }
    if isPeriodic {
      started = now &- (now &- started) % period
    } else {
      isCounting = false
    }
  }

  private func currentCount(at now: UInt64) -> UInt32 {
    guard isCounting else { return 0 }
    return UInt32(truncatingIfNeeded: UInt64(initialCount) &- (now &- started) / divider)
  }

  // MARK: Registers

  /// Reads a register of 32 bits.
  ///
  /// - Parameters:
  ///   - offset: from the base. Registers lie 16 bytes apart; what is between them reads as 0.
  ///   - now: the timer's oscillator's cycle.
  public mutating func read(_ offset: Int, now: UInt64) -> UInt32 {
    advance(to: now)
    guard offset & 0xf == 0 else { return 0 }
    switch offset {
    case Register.id: return identifier << 24
    // Six local vectors; 0x14 is an integrated APIC.
    case Register.version: return UInt32(LocalVector.allCases.count - 1) << 16 | 0x14
    case Register.taskPriority: return taskPriority
    case Register.arbitrationPriority, Register.processorPriority: return processorPriority
    case Register.endOfInterrupt: return 0
    case Register.logicalDestination: return logicalDestination
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
      fail(LocalAPIC.illegalRegister)
      return 0
    }
  }

  /// Writes a register of 32 bits.
  public mutating func write(_ offset: Int, _ value: UInt32, now: UInt64) {
    advance(to: now)
    guard offset & 0xf == 0 else { return }
    switch offset {
    // The identifier is fixed.
    case Register.id, Register.version, Register.arbitrationPriority, Register.processorPriority,
      Register.currentCount, Register.inService..<Register.errors:
      break
    case Register.taskPriority: taskPriority = value & 0xff
    case Register.endOfInterrupt:
      if let vector = inService.highest { inService[vector] = false }
    case Register.logicalDestination: logicalDestination = value & 0xff00_0000
    case Register.destinationFormat: destinationFormat = value | 0x0fff_ffff
    case Register.spurious:
      spurious = value & 0x1ff
      // While it is disabled by software all entries are masked (11.4.7.2).
      if !isEnabled { for index in localVectors.indices { localVectors[index] |= LocalAPIC.masked } }
    case Register.errors:
      errors = pendingErrors
      pendingErrors = 0
    case Register.command:
      command = value & 0xc_cfff
      send()
    case Register.commandHigh: commandHigh = value & 0xff00_0000
    case Register.localVectors: writeLocalVector((offset - Register.localVectors.lowerBound) >> 4, value)
    case Register.initialCount:
      initialCount = value
      started = now
      isCounting = value != 0
    case Register.divide:
      // The count goes on from where it is, at another pace.
      let count = currentCount(at: now)
      divide = value & 0xb
      started = now &- UInt64(initialCount &- count) &* divider
    default: fail(LocalAPIC.illegalRegister)
    }
  }

  private mutating func writeLocalVector(_ index: Int, _ value: UInt32) {
    let entry = LocalVector.allCases[index]
    localVectors[index] = value & entry.writable | (isEnabled ? 0 : LocalAPIC.masked)
    // A fixed interrupt has a vector of 16 and more.
    let isFixed = value >> 8 & 7 == 0 && value & LocalAPIC.masked == 0
    if isFixed && value & 0xff < 16 { fail(LocalAPIC.receiveIllegalVector) }
  }
}
