/// How many frames the hypervisor's tables took, over a guest's time: a step function, as fine as a bounded number of
/// samples allows.
///
/// A sample is taken where an exit has been handled, at most one in each interval, and none where nothing has changed since
/// the last. When there would be too many the interval doubles, and of two samples that are now in one the first stays.
///
/// Invariants: the samples' times ascend, no two lie in one interval (the first, before the guest's first instruction,
/// apart), and neighbours differ.
public struct TableTimeline: Sendable, Equatable {
  /// What tables took from a time on.
  public struct Sample: Sendable, Equatable {
    /// The clock of the processor whose exit was handled.
    public var clock: UInt64
    public var tables: TableCounts
  }

  /// The most samples.
  public static let capacity = 64
  private static let finest: UInt64 = 4096

  public private(set) var samples: [Sample] = []
  /// Cycles, a power of two.
  public private(set) var interval = TableTimeline.finest
  /// When the next sample is due: until then nobody needs to look.
  private(set) var due: UInt64 = 0

  /// Takes a sample if anything has changed.
  mutating func take(_ tables: TableCounts, at clock: UInt64) {
    if samples.last?.tables != tables {
      samples.append(Sample(clock: clock, tables: tables))
      while samples.count > TableTimeline.capacity && interval < 1 << 62 { thin() }
    }
    // The start of the next interval; there is none after the last.
    due = max((clock | (interval &- 1)) &+ 1, clock)
  }

  private mutating func thin() {
    interval <<= 1
    var kept: [Sample] = []
    for sample in samples {
      if let last = kept.last, kept.count > 1, last.clock / interval == sample.clock / interval { continue }
      if let last = kept.last, last.tables == sample.tables { continue }
      kept.append(sample)
    }
    samples = kept
  }
}
