import Machine

/// A point of a machine's time, between two instructions or in front of a handler: the same machine is in the same state
/// whenever it comes to it.
public struct Moment: Comparable, Hashable, Sendable {
  /// Instructions retired, on all processors.
  public var instructions: UInt64
  /// Exceptions and interrupts delivered: after so many instructions a handler may have been entered, or not yet.
  public var deliveries: UInt64
  /// The greatest of the processors' clocks. A repeated string instruction may stand between two of its elements.
  public var cycles: UInt64

  public init(instructions: UInt64, deliveries: UInt64 = 0, cycles: UInt64 = 0) {
    self.instructions = instructions
    self.deliveries = deliveries
    self.cycles = cycles
  }

  public static func < (left: Moment, right: Moment) -> Bool {
    (left.instructions, left.deliveries, left.cycles) < (right.instructions, right.deliveries, right.cycles)
  }
}

extension VirtualMachine {
  /// Now.
  public var moment: Moment {
    var moment = Moment(instructions: instructionsRetired)
    for processor in processors {
      moment.deliveries &+= processor.counters.exceptions &+ processor.counters.interrupts
      moment.cycles = max(moment.cycles, processor.clock)
    }
    return moment
  }
}
