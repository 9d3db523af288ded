import Machine

/// The local APICs of all processors, and the bus on which messages reach them.
public struct LocalAPICs: Equatable, Sendable {
  private var units: [LocalAPIC]

  /// The first processor is the bootstrap processor; identifiers count from 0.
  init(count: Int, arePresent: Bool) {
    units = (0..<max(count, 1)).map {
      LocalAPIC(identifier: UInt8(truncatingIfNeeded: $0), isBootstrap: $0 == 0, isPresent: arePresent)
    }
  }

  public var count: Int { units.count }

  /// By processor.
  public var all: [LocalAPIC] { units }

  /// The APIC of a processor; of one that is not there, the first.
  subscript(processor: Int) -> LocalAPIC {
    _read { yield units[units.indices.contains(processor) ? processor : 0] }
    _modify { yield &units[units.indices.contains(processor) ? processor : 0] }
  }

  /// Lets all timers run.
  mutating func advance(to now: LocalAPIC.Time) {
    for index in units.indices { units[index].advance(to: now) }
  }

  /// The first cycle of the timers' oscillator at which one of them makes an interrupt.
  var nextExpiry: UInt64? {
    var next: UInt64?
    for unit in units {
      if let expiry = unit.nextExpiry { next = min(next ?? expiry, expiry) }
    }
    return next
  }

  /// The same of deadlines of time stamp counters, in ticks of the machine's clock.
  func nextDeadline(after tick: UInt64) -> UInt64? {
    var next: UInt64?
    for unit in units {
      if let deadline = unit.nextDeadline(after: tick) { next = min(next ?? deadline, deadline) }
    }
    return next
  }

  /// Whether some processor hears of the 8259 pair's interrupts.
  var watchPin: Bool { units.contains { $0.watchesPin } }

  /// Drives LINT0 of all processors.
  mutating func setPin(_ isHigh: Bool) {
    for index in units.indices { units[index].setPin(isHigh) }
  }

  /// What waits for a processor, where the 8259 pair has an interrupt or has none.
  func signals(_ processor: Int, external: Bool) -> ProcessorSignals {
    let unit = self[processor]
    let isAsserted = unit.isAsserted || external && unit.acceptsExternalInterrupts
    return isAsserted ? unit.latched.union(.interrupt) : unit.latched
  }

  /// Brings a message to those it is for; nobody is told if there are none.
  ///
  /// - Parameter sender: the processor whose command it is; nil for the I/O APIC's.
  /// - Returns: whether somebody took it.
  @discardableResult
  mutating func deliver(_ message: InterruptMessage, from sender: Int? = nil) -> Bool {
    if message.mode == .lowestPriority {
      guard let index = lowestPriority(of: message, from: sender) else { return false }
      return units[index].receive(.fixed, message.vector, isLevelTriggered: message.isLevelTriggered)
    }
    var isTaken = false
    for index in units.indices where isDestination(index, of: message, from: sender) {
      let isAccepted = units[index].receive(
        message.mode, message.vector, isLevelTriggered: message.isLevelTriggered)
      isTaken = isTaken || isAccepted
    }
    return isTaken
  }

  /// The processor with the lowest priority among the destinations, of several the first (11.6.2.4).
  private func lowestPriority(of message: InterruptMessage, from sender: Int?) -> Int? {
    var lowest: Int?
    for index in units.indices where units[index].isEnabled && isDestination(index, of: message, from: sender) {
      guard let best = lowest, units[index].processorPriority >= units[best].processorPriority else {
        lowest = index
        continue
      }
    }
    return lowest
  }

  private func isDestination(_ index: Int, of message: InterruptMessage, from sender: Int?) -> Bool {
    switch message.destination {
    case .physical(let identifier): units[index].isIdentified(by: identifier)
    case .logical(let destination): units[index].isLogicalDestination(destination)
    case .sender: index == sender
    case .everyone: units[index].isPresent
    case .everyoneElse: index != sender && units[index].isPresent
    }
  }
}
