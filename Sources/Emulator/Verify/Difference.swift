import Machine

/// The first instruction after which two machines differ that should not.
public struct Difference: Sendable {
  /// One thing that differs, with what either machine has.
  public struct Field: Equatable, Sendable {
    public var name: String
    public var first: String
    public var second: String
  }

  /// What one of the two machines has for the address that the instruction is concerned with.
  public struct Side: Sendable {
    public var paging: String
    /// The instruction, with its bytes and RIP.
    public var instruction: String
    /// The walk and what TLBs hold, a line each.
    public var walk: [String]
  }

  /// Instructions that all processors had executed before it.
  public var instructions: UInt64
  public var processor: Int
  public var fields: [Field]
  public var address: GuestVirtual?
  public var first: Side
  public var second: Side
  /// What is stale and why, where the difference comes from that: a line each.
  public var staleness: [String]

  /// The one line that says it.
  public var headline: String {
    let names = fields.prefix(3).map(\.name).joined(separator: ", ")
    let more = fields.count > 3 ? ", ..." : ""
    let cause = staleness.isEmpty ? "" : ", because a translation is stale"
    return "\(first.paging) and \(second.paging) differ after instruction \(instructions + 1) in "
      + "\(names)\(more)\(cause)"
  }
}

/// What machines that run in step were found to be.
public enum VerificationResult: Sendable {
  /// The same up to the end, so many instructions and comparisons.
  case same(outcome: RunOutcome, instructions: UInt64, comparisons: UInt64)
  case different(Difference)
  /// An invariant of one of them is broken.
  case violated(paging: String, RunOutcome)
  /// Stopped from outside.
  case interrupted(instructions: UInt64)
}
