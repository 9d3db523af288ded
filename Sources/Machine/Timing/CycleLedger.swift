/// Where the cycles went: one count a cause. Their sum is the clock, and charging is the only way that time passes.
///
/// What instructions cost in the hot loop is added by whole blocks into `execute`; everything else passes through
/// `Processor.charge`.
public struct CycleLedger: Equatable, Sendable {
  private var counts: [UInt64]

  public init() { counts = Array(repeating: 0, count: Cause.count) }

  init(_ pointer: UnsafePointer<UInt64>) {
    counts = Array(UnsafeBufferPointer(start: pointer, count: Cause.count))
  }

  /// Cycles charged to a cause.
  public subscript(_ cause: Cause) -> UInt64 {
    get { counts[Int(cause.rawValue)] }
    set { counts[Int(cause.rawValue)] = newValue }
  }

  /// The clock.
  public var total: UInt64 { counts.reduce(0, &+) }

  /// The causes that have any cycles, in table order.
  public var nonzero: [(cause: Cause, cycles: UInt64)] {
    Cause.all.filter { self[$0] != 0 }.map { ($0, self[$0]) }
  }

  /// What was charged between an earlier reading and this one. Both sides are readings of one clock, which never goes
  /// back.
  public func since(_ earlier: CycleLedger) -> CycleLedger {
    var difference = self
    for index in counts.indices { difference.counts[index] = counts[index] &- earlier.counts[index] }
    return difference
  }

  /// The sum, cause by cause, with another ledger.
  public mutating func add(_ other: CycleLedger) {
    for index in counts.indices { counts[index] = counts[index] &+ other.counts[index] }
  }
}
