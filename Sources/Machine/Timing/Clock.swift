/// What the guest's time stamp counter and its timers count.
public enum ClockSource: String, Sendable, CaseIterable {
  /// The ledger's cycles, so that a guest measures what the model charges.
  case cycles
  /// Retired instructions, a fixed number of ticks for each, so that runs under different paging stay comparable instruction by instruction.
  case instructions
}
