import Machine

/// The local APIC of one processor (SDM vol. 3, chapter 11): what it holds, priorities, and what arrives at it. Its
/// registers are in `LocalAPICRegisters.swift`, its timer in `LocalAPICTimer.swift`.
///
/// The bootstrap processor's begins as firmware leaves it: enabled, with the 8259 pair's interrupts let through by LINT0
/// as ExtINT, and LINT1 for NMI. The others' begin as after INIT.
public struct LocalAPIC: Equatable, Sendable {
  /// What the timer counts before its divider, in Hz.
  public static let hertz: UInt64 = 1_000_000_000
  /// Where its registers are after a reset, 4096 bytes.
  public static let base: UInt64 = 0xfee0_0000

  /// Entries of the local vector table, in the order of their registers.
  enum LocalVector: Int, CaseIterable {
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

  static let masked: UInt32 = 1 << 16
  static let externalInterrupt: UInt32 = 7
  static let softwareEnable: UInt32 = 1 << 8

  /// Bits of the error status register (figure 11-9).
  enum ErrorBit {
    static let sendIllegalVector: UInt32 = 1 << 5, receiveIllegalVector: UInt32 = 1 << 6
    static let illegalRegister: UInt32 = 1 << 7
  }

  /// The identifier after a reset, which CPUID shows.
  let initialIdentifier: UInt32
  var identifier: UInt32
  var taskPriority: UInt32 = 0
  var logicalDestination: UInt32 = 0
  var destinationFormat: UInt32 = .max
  var spurious: UInt32 = 0xff
  var inService = VectorSet()
  var triggerMode = VectorSet()
  var requested = VectorSet()
  var errors: UInt32 = 0
  /// Errors since the register was last written.
  var pendingErrors: UInt32 = 0
  var command: UInt32 = 0
  var commandHigh: UInt32 = 0
  var localVectors = [UInt32](repeating: LocalAPIC.masked, count: LocalVector.allCases.count)
  var divide: UInt32 = 0
  var initialCount: UInt32 = 0
  /// The oscillator's cycle at which the count was started; of a periodic timer, at which the period began.
  var started: UInt64 = 0
  var isCounting = false
  /// Signals that stay until the processor takes them, and the vector of the start-up one.
  private(set) var latched: ProcessorSignals = []
  private var startUpVector: UInt8 = 0

  /// - Parameters:
  ///   - identifier: the APIC ID.
  ///   - isBootstrap: whether firmware has made it ready.
  public init(identifier: UInt8 = 0, isBootstrap: Bool = true) {
    initialIdentifier = UInt32(identifier)
    self.identifier = UInt32(identifier)
    guard isBootstrap else { return }
    spurious = 0x1ff
    self[.lint0] = LocalAPIC.externalInterrupt << 8
    self[.lint1] = UInt32(InterruptMessage.Mode.nonMaskable.rawValue) << 8
  }

  /// What INIT does: everything but the identifier is as after a reset (11.4.7.3).
  mutating func initialize() {
    let identifier = identifier
    self = LocalAPIC(identifier: UInt8(truncatingIfNeeded: initialIdentifier), isBootstrap: false)
    self.identifier = identifier
  }

  var isEnabled: Bool { spurious & LocalAPIC.softwareEnable != 0 }

  /// Whether LINT0 lets the 8259 pair's interrupts through.
  public var acceptsExternalInterrupts: Bool { self[.lint0] & LocalAPIC.masked == 0 && self[.lint0] >> 8 & 7 == 7 }

  subscript(_ entry: LocalVector) -> UInt32 {
    get { localVectors[entry.rawValue] }
    set { localVectors[entry.rawValue] = newValue }
  }

  // MARK: Priorities

  /// The class and subclass below which nothing is delivered (11.8.3.1).
  var processorPriority: UInt32 {
    let served = UInt32(inService.highest ?? 0)
    return taskPriority & 0xf0 >= served & 0xf0 ? taskPriority & 0xff : served & 0xf0
  }

  /// Whether an interrupt waits that the priorities let through.
  public var isAsserted: Bool {
    guard let vector = requested.highest else { return false }
    return UInt32(vector) & 0xf0 > processorPriority & 0xf0
  }

  /// The interrupt-acknowledge cycle: the vector goes into service. The spurious vector where none waits any more.
  public mutating func acknowledge() -> UInt8 {
    guard isAsserted, let vector = requested.highest else { return UInt8(truncatingIfNeeded: spurious) }
    requested[vector] = false
    inService[vector] = true
    return vector
  }

  // MARK: Arrivals

  /// Takes one of the latched signals; of the start-up signal the vector.
  mutating func take(_ signal: ProcessorSignals) -> UInt8 {
    if signal == .initialize {
      let startUp = latched.intersection(.startUp)
      let vector = startUpVector
      initialize()
      // What came after INIT waits for the processor to be ready for it.
      latched = startUp
      startUpVector = vector
      return 0
    }
    latched.subtract(signal)
    return signal == .startUp ? startUpVector : 0
  }

  /// An interrupt of one of the delivery modes arrives. Software that disables the APIC holds back vectors, not the
  /// rest (11.4.7.2). There is no system management mode.
  mutating func receive(_ mode: InterruptMessage.Mode, _ vector: UInt8, isLevelTriggered: Bool = false) {
    switch mode {
    case .fixed, .lowestPriority: request(vector, isLevelTriggered: isLevelTriggered)
    case .nonMaskable: latched.insert(.nonMaskable)
    case .initialize:
      latched.insert(.initialize)
      latched.remove(.startUp)
    case .startUp:
      latched.insert(.startUp)
      startUpVector = vector
    case .systemManagement, .external: break
    }
  }

  /// A vector arrives.
  mutating func request(_ vector: UInt8, isLevelTriggered: Bool = false) {
    guard isEnabled else { return }
    guard vector >= 16 else { return fail(ErrorBit.receiveIllegalVector) }
    requested[vector] = true
    triggerMode[vector] = isLevelTriggered
  }

  /// Notes an error, and interrupts for it where the error entry is not masked.
  mutating func fail(_ error: UInt32) {
    pendingErrors |= error
    let entry = self[.error]
    let vector = UInt8(truncatingIfNeeded: entry)
    if entry & LocalAPIC.masked == 0 && vector >= 16 { request(vector) }
  }

  /// Whether a physical destination names this APIC.
  func isIdentified(by destination: UInt32) -> Bool { destination == identifier }

  /// Whether a logical destination names this APIC (11.6.2.2).
  func isLogicalDestination(_ destination: UInt32) -> Bool {
    let own = logicalDestination >> 24
    if destinationFormat >> 28 == 0xf { return destination & own != 0 }
    return (destination >> 4 == own >> 4 || destination >> 4 == 0xf) && destination & own & 0xf != 0
  }
}
