import Machine

/// The local APIC of one processor (SDM vol. 3, chapter 11): what it holds, priorities, and what arrives at it. Its
/// registers are in `LocalAPICRegisters.swift`, those of x2APIC in `ExtendedLocalAPIC.swift`, its timer in
/// `LocalAPICTimer.swift`.
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
  static let levelTriggered: UInt32 = 1 << 15
  static let remoteIRR: UInt32 = 1 << 14
  static let activeLow: UInt32 = 1 << 13
  static let softwareEnable: UInt32 = 1 << 8

  /// Bits of the error status register (figure 11-9).
  enum ErrorBit {
    static let sendIllegalVector: UInt32 = 1 << 5, receiveIllegalVector: UInt32 = 1 << 6
    static let illegalRegister: UInt32 = 1 << 7
  }

  /// IA32_APIC_BASE (figure 11-26).
  enum Base {
    static let bootstrap: UInt64 = 1 << 8, extended: UInt64 = 1 << 10, enable: UInt64 = 1 << 11
    static let mode = extended | enable
  }

  /// The identifier after a reset, which CPUID shows.
  let initialIdentifier: UInt32
  /// IA32_APIC_BASE.
  private(set) var baseRegister: UInt64
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
  /// The destination of the interrupt command: bits 63:32, of which an xAPIC has the upper eight.
  var commandHigh: UInt32 = 0
  var localVectors = [UInt32](repeating: LocalAPIC.masked, count: LocalVector.allCases.count)
  var divide: UInt32 = 0
  var initialCount: UInt32 = 0
  /// The oscillator's cycle at which the count was started; of a periodic timer, at which the period began.
  var started: UInt64 = 0
  var isCounting = false
  /// IA32_TSC_DEADLINE, and what the processor's time stamp counter is ahead of the machine's clock.
  var deadline: UInt64 = 0
  var timeStampOffset: UInt64 = 0
  /// The level of the pin LINT0.
  private var isPinHigh = false
  /// Signals that stay until the processor takes them, and the vector of the start-up one.
  private(set) var latched: ProcessorSignals = []
  private var startUpVector: UInt8 = 0

  /// - Parameters:
  ///   - identifier: the APIC ID.
  ///   - isBootstrap: whether it is the bootstrap processor's, which firmware has made ready.
  ///   - isPresent: false for a processor without one, whose interrupt pins are then its own.
  public init(identifier: UInt8 = 0, isBootstrap: Bool = true, isPresent: Bool = true) {
    initialIdentifier = UInt32(identifier)
    self.identifier = UInt32(identifier)
    baseRegister = LocalAPIC.base | (isBootstrap ? Base.bootstrap : 0) | (isPresent ? Base.enable : 0)
    guard isBootstrap && isPresent else { return }
    spurious = 0x1ff
    self[.lint0] = UInt32(InterruptMessage.Mode.external.rawValue) << 8
    self[.lint1] = UInt32(InterruptMessage.Mode.nonMaskable.rawValue) << 8
  }

  /// Makes all registers as after INIT (11.4.7.3): the identifier and the mode stay.
  mutating func initialize() {
    var fresh = LocalAPIC(identifier: UInt8(truncatingIfNeeded: initialIdentifier), isBootstrap: false)
    fresh.identifier = identifier
    fresh.baseRegister = baseRegister
    fresh.timeStampOffset = timeStampOffset
    fresh.isPinHigh = isPinHigh
    self = fresh
  }

  /// Whether IA32_APIC_BASE enables it at all.
  var isPresent: Bool { baseRegister & Base.enable != 0 }
  var isExtended: Bool { baseRegister & Base.mode == Base.mode }
  /// The page where its registers are in memory; nil where they are not.
  var registerPage: UInt64? { baseRegister & Base.mode == Base.enable ? baseRegister & ~0xfff : nil }
  /// Whether software has enabled it too.
  var isEnabled: Bool { isPresent && spurious & LocalAPIC.softwareEnable != 0 }

  /// Whether LINT0 lets the 8259 pair's interrupts through. Without the APIC the pin is the processor's INTR (11.4.3).
  public var acceptsExternalInterrupts: Bool {
    !isPresent || self[.lint0] & LocalAPIC.masked == 0 && mode(of: .lint0) == .external
  }

  /// Whether LINT0 does anything.
  var watchesPin: Bool { !isPresent || self[.lint0] & LocalAPIC.masked == 0 }

  subscript(_ entry: LocalVector) -> UInt32 {
    get { localVectors[entry.rawValue] }
    set { localVectors[entry.rawValue] = newValue }
  }

  /// The delivery mode of an entry that has one.
  private func mode(of entry: LocalVector) -> InterruptMessage.Mode? {
    InterruptMessage.Mode(rawValue: UInt8(truncatingIfNeeded: self[entry] >> 8 & 7))
  }

  // MARK: Where and in which mode

  /// Writes IA32_APIC_BASE, whose reserved bits have been checked: whether the change of mode is one that there is
  /// (11.12.5, figure 11-27).
  ///
  /// Disabled, the APIC forgets what it was programmed to do, as 11.4.3 allows.
  mutating func setBase(_ value: UInt64) -> Bool {
    let old = baseRegister & Base.mode
    let new = value & Base.mode
    switch (old, new) {
    case (_, Base.extended), (Base.mode, Base.enable), (0, Base.mode): return false
    default: break
    }
    baseRegister = value
    if new == 0 && old != 0 {
      let waiting = latched
      let vector = startUpVector
      initialize()
      identifier = initialIdentifier
      latched = waiting
      startUpVector = vector
    }
    if new == Base.mode && old != new {
      identifier = initialIdentifier
      commandHigh = 0
    }
    return true
  }

  // MARK: Priorities

  /// The class and subclass below which nothing is delivered (11.8.3.1).
  var processorPriority: UInt32 {
    let served = UInt32(inService.highest ?? 0)
    return taskPriority & 0xf0 >= served & 0xf0 ? taskPriority & 0xff : served & 0xf0
  }

  /// Whether an interrupt waits that the priorities let through.
  public var isAsserted: Bool {
    guard isPresent, let vector = requested.highest else { return false }
    return UInt32(vector) & 0xf0 > processorPriority & 0xf0
  }

  /// The interrupt-acknowledge cycle: the vector goes into service. The spurious vector where none waits any more
  /// (11.9).
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
  ///
  /// - Returns: whether it was accepted: no APIC that software has disabled takes an interrupt with a vector.
  @discardableResult
  mutating func receive(_ mode: InterruptMessage.Mode, _ vector: UInt8, isLevelTriggered: Bool = false) -> Bool {
    guard isPresent else { return false }
    switch mode {
    case .fixed, .lowestPriority:
      guard isEnabled else { return false }
      request(vector, isLevelTriggered: isLevelTriggered)
    case .nonMaskable: latched.insert(.nonMaskable)
    case .initialize:
      latched.insert(.initialize)
      latched.remove(.startUp)
    case .startUp:
      latched.insert(.startUp)
      startUpVector = vector
    case .systemManagement, .external: break
    }
    return true
  }

  /// A vector arrives.
  mutating func request(_ vector: UInt8, isLevelTriggered: Bool = false) {
    guard isEnabled else { return }
    guard vector >= 16 else { return fail(ErrorBit.receiveIllegalVector) }
    requested[vector] = true
    triggerMode[vector] = isLevelTriggered
  }

  /// The pin LINT0, on which the 8259 pair's INT output lies. An entry that lets it through as ExtINT needs nothing:
  /// the processor asks the pair itself.
  mutating func setPin(_ isHigh: Bool) {
    let rises = isHigh && !isPinHigh
    isPinHigh = isHigh
    guard isPresent, self[.lint0] & LocalAPIC.masked == 0 else { return }
    let vector = UInt8(truncatingIfNeeded: self[.lint0])
    switch mode(of: .lint0) {
    case .fixed where self[.lint0] & LocalAPIC.levelTriggered != 0:
      guard isHigh != (self[.lint0] & LocalAPIC.activeLow != 0), self[.lint0] & LocalAPIC.remoteIRR == 0, isEnabled
      else { return }
      self[.lint0] |= LocalAPIC.remoteIRR
      request(vector, isLevelTriggered: true)
    case .fixed: if rises { request(vector) }
    case .nonMaskable, .initialize: if rises { receive(mode(of: .lint0) ?? .nonMaskable, vector) }
    default: break
    }
  }

  /// Notes an error, and interrupts for it where the error entry is not masked.
  mutating func fail(_ error: UInt32) {
    pendingErrors |= error
    let entry = self[.error]
    let vector = UInt8(truncatingIfNeeded: entry)
    if entry & LocalAPIC.masked == 0 && vector >= 16 { request(vector) }
  }

  // MARK: Destinations

  /// Whether a physical destination names this APIC.
  func isIdentified(by destination: UInt32) -> Bool { isPresent && destination == identifier }

  /// Whether a logical destination names this APIC (11.6.2.2, 11.12.10.1).
  func isLogicalDestination(_ destination: UInt32) -> Bool {
    guard isPresent else { return false }
    if isExtended {
      let own = extendedLogicalDestination
      return destination == .max || destination >> 16 == own >> 16 && destination & own & 0xffff != 0
    }
    let own = logicalDestination >> 24
    if destinationFormat >> 28 == 0xf { return destination & own != 0 }
    return (destination >> 4 == own >> 4 || destination >> 4 == 0xf) && destination & own & 0xf != 0
  }
}
