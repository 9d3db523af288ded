/// How many frames the hypervisor's tables took, over a guest's time, as finely as a bounded number of samples allows.
///
/// A sample is what there was at a multiple of the interval; it is taken at the first exit behind that, before the exit is
/// handled, since nothing changes between exits. What was no different at the multiples that follow needs no sample. When
/// there would be too many the interval doubles, and each sample stands for the next multiple of the new one.
///
/// Invariants: the samples' times ascend and are multiples of the interval; neighbours differ; at any multiple up to `due`
/// what there was is what the last sample not behind it says.
public struct TableTimeline: Sendable, Equatable {
  /// What tables took at a time.
  public struct Sample: Sendable, Equatable {
    public var clock: UInt64
    public var tables: TableCounts
  }

  /// The most samples.
  public static let capacity = 64

  public private(set) var samples: [Sample] = []
  /// Cycles, a power of two.
  public private(set) var interval: UInt64 = 4096
  /// The multiple at which the next sample is due: an exit before it need not look.
  public private(set) var due: UInt64 = 0

  /// Takes the sample that has become due, if anything is different.
  ///
  /// - Parameters:
  ///   - tables: what there has been since the last exit.
  ///   - clock: now, `due` or later.
  mutating func take(_ tables: TableCounts, at clock: UInt64) {
    if samples.last?.tables != tables {
      samples.append(Sample(clock: due, tables: tables))
      while samples.count > TableTimeline.capacity && interval < 1 << 62 { thin(at: clock) }
    }
    // There is no multiple behind the last.
    due = max((clock | (interval &- 1)) &+ 1, clock)
  }

  private mutating func thin(at clock: UInt64) {
    interval <<= 1
    var kept: [Sample] = []
    for var sample in samples {
      sample.clock = (sample.clock &+ (interval &- 1)) & ~(interval &- 1)
      // The multiple that has not come yet will have its own sample.
      guard sample.clock <= clock else { break }
      if kept.last?.clock == sample.clock { kept.removeLast() }
      if kept.last?.tables != sample.tables { kept.append(sample) }
    }
    samples = kept
  }
}
