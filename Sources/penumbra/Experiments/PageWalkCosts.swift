import Emulator
import Reports

/// BH08: what two-dimensional walks cost, and what caches of the second dimension save. The paper ran servers and SPEC on a
/// simulator; here the guest `requests` stands for its MiscServer, with as much work between touches as gives its rate of TLB
/// misses, and as many touches through the kernel's large pages as give the share that large host pages save.
enum PageWalkCosts {
  private static let experiment = "BH08, MiscServer"

  static let remarks = [
    "BH08: hit rates of the page-walk cache by position have no counterpart, since the model's caches are divided by level"
      + " and the paper's is shared by all levels of both dimensions."
  ]

  /// What is counted of a stretch of requests, start-up and end taken off.
  private struct Sample {
    var instructions: UInt64
    var cycles: UInt64
    var walks: UInt64
    var walkCycles: UInt64

    /// Cycles with a TLB that never misses.
    var perfect: UInt64 { cycles - walkCycles }
    var gainOfPerfectTLB: Int128 { ValidationReport.hundredths(Int128(walkCycles), over: perfect, scale: 100) }

    /// How much longer this one takes than another, in hundredths of a per cent.
    func excess(over other: Sample) -> Int128 {
      ValidationReport.hundredths(Int128(cycles) - Int128(other.cycles), over: other.cycles, scale: 100)
    }
  }

  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    let noNestedTLB = ["profile.nested-tlb.entries=0"]
    let noCaches =
      noNestedTLB
      + ["psc.pml4e", "psc.pdpte", "psc.pde", "psc.nested.pdpte", "psc.nested.pde"].map { "profile.\($0).entries=0" }
    let native = try sample(runs, .native)
    let uncached = try sample(runs, .nested, noCaches)
    let withoutNestedTLB = try sample(runs, .nested, noNestedTLB)
    let cached = try sample(runs, .nested)
    let large = try sample(runs, .nested, ["host-page=2M"])

    func row(
      _ quantity: String, _ unit: String, _ published: ClosedRange<Int128>, _ modelled: Int128,
      _ role: ValidationReport.Role = .predicted, known: String? = nil
    ) -> ValidationReport.Row {
      ValidationReport.Row(
        experiment, quantity, unit, published: published, modelled: modelled, role: role, knownDeviation: known)
    }
    // Of one walk: the guest's large pages are splintered over the host's small ones, so that there are more walks too.
    let ratio = ValidationReport.hundredths(
      Int128(uncached.walkCycles) * Int128(native.walks), over: native.walkCycles * uncached.walks)
    return [
      row(
        "TLB misses a 100,000 instructions", "", 29430...29430,
        ValidationReport.hundredths(Int128(native.walks), over: native.instructions, scale: 100_000), .input),
      row("a walk without caches / native", "times", 401...401, ratio),
      row("gain of a perfect TLB, native", "%", 1400...1400, native.gainOfPerfectTLB),
      row("gain of a perfect TLB, no caches", "%", 7570...7570, uncached.gainOfPerfectTLB),
      row("caches of both dimensions gain", "%", 1800...4500, uncached.excess(over: cached)),
      row(
        "of which the nested TLB", "%", 320...730, withoutNestedTLB.excess(over: cached),
        known: "the model's nested paging-structure caches, a few entries a level, already serve what the paper's"
          + " nested TLB does; its one cache of 24 entries is overrun"),
      row("native ahead of both caches by", "%", 500...2800, cached.excess(over: native)),
      row(
        "2M host pages: fewer TLB misses", "%", 2100...4300,
        ValidationReport.hundredths(Int128(cached.walks) - Int128(large.walks), over: cached.walks, scale: 100),
        .input),
      row(
        "2M host pages: native ahead by", "%", 700...1400, large.excess(over: native),
        known: "with so few nested tables nearly every reference of the second dimension hits the model's nested"
          + " paging-structure caches, or L2"),
    ]
  }

  /// The difference of a long run and a short one.
  private static func sample(_ runs: ExperimentRuns, _ paging: PagingKind, _ settings: [String] = []) throws
    -> Sample
  {
    func run(_ requests: Int) throws -> Statistics {
      try runs.statistics(
        "requests", "processes=2 pages=32768 skew=1 work=140 kernel=30 requests=\(requests)", paging,
        ["profile=opteron-bh08", "cache.data=l2l3", "memory=1G"] + settings)
    }
    let short = try run(400)
    let long = try run(1200)
    return Sample(
      instructions: long.instructions - short.instructions, cycles: long.cycles - short.cycles,
      walks: long.walks.count - short.walks.count, walkCycles: long.walkCycles - short.walkCycles)
  }
}
