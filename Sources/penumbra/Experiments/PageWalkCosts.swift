import Emulator
import Reports

/// BH08: what two-dimensional walks cost, and what caches of the second dimension save. The paper ran servers and SPEC on a
/// simulator; here the guest `requests` stands for each of its suites, on its simulated machine.
///
/// To a suite's rate of TLB misses the work between touches is fitted, and to what a perfect TLB gains the servers natively
/// the lines of a touch; where pages and tables lie is chosen once, for MiscServer.
/// What walks cost in two dimensions follows.
enum PageWalkCosts {
  /// What the paper measured of one suite, in hundredths, and the load that stands for it.
  private struct Suite {
    var name: String
    var misses: Int128
    /// What a walk costs in two dimensions, without caches, over what it costs natively.
    var walkRatio: Int128
    /// Per cent that a perfect TLB gains, natively and in two dimensions without caches.
    var gain: (native: Int128, uncached: Int128)
    var load: String
    /// Why a gain is known to be another one.
    var known: (native: String?, uncached: String?) = (nil, nil)

    var experiment: String { "BH08, \(name)" }

    static let place = "processes=2 pages=32768 skew=1 spread=4 "
  }

  private static let issueWidth =
    "an instruction of the model takes a cycle at least; the gains published for this suite take a core that retires"
    + " two and more a cycle"

  private static let miscServer = Suite(
    name: "MiscServer", misses: 29430, walkRatio: 401, gain: (1400, 7570), load: "work=138 kernel=30 lines=1")

  private static let others = [
    Suite(
      name: "WebServer", misses: 12900, walkRatio: 390, gain: (470, 4440), load: "work=320 kernel=30 lines=10",
      known: (
        nil,
        "the figures published for this suite together take 2.4 times as many misses over small host pages, of which"
          + " large ones would save 58%; the paper has at most 43%"
      )),
    Suite(name: "JavaServer", misses: 25700, walkRatio: 391, gain: (1350, 8900), load: "work=162 kernel=30 lines=1"),
    Suite(
      name: "IntCpu", misses: 7040, walkRatio: 457, gain: (1140, 4860), load: "work=690 kernel=0 lines=1",
      known: (issueWidth, issueWidth)),
    Suite(
      name: "FpCpu", misses: 1820, walkRatio: 443, gain: (570, 2750), load: "work=2760 kernel=0 lines=1",
      known: (issueWidth, issueWidth)),
  ]

  private static let withoutNestedTLB = ["profile.nested-tlb.entries=0"]
  private static let uncached = withoutNestedTLB + ["profile.walk-cache.entries=0"]

  /// What is counted of a stretch of requests, start-up and end taken off.
  private struct Sample {
    private var from: Statistics
    private var to: Statistics

    init(from: Statistics, to: Statistics) { (self.from, self.to) = (from, to) }

    func difference(_ count: (Statistics) -> UInt64) -> UInt64 { count(to) - count(from) }

    var instructions: UInt64 { difference(\.instructions) }
    var cycles: UInt64 { difference(\.cycles) }
    var walks: UInt64 { difference(\.walks.count) }
    var walkCycles: UInt64 { difference(\.walkCycles) }
    /// References of walks that memory serves.
    var cacheMisses: UInt64 { difference { ($0.walks.served ?? [:]).values.reduce(0) { $0 + $1.memory } } }

    /// What was asked of the page-walk cache for one place in walks.
    func asked(_ place: String) -> (hits: UInt64, lookups: UInt64) {
      let hits = difference { $0.walks.walkCache?[place]?.hits ?? 0 }
      return (hits, hits + difference { $0.walks.walkCache?[place]?.misses ?? 0 })
    }

    /// Per cent, in hundredths, with a TLB that never misses.
    var gainOfPerfectTLB: Int128 {
      ValidationReport.hundredths(Int128(walkCycles), over: cycles - walkCycles, scale: 100)
    }

    var missesPer100000: Int128 { ValidationReport.hundredths(Int128(walks), over: instructions, scale: 100_000) }

    /// How much longer this one takes than another, in hundredths of a per cent.
    func excess(over other: Sample) -> Int128 {
      ValidationReport.hundredths(Int128(cycles) - Int128(other.cycles), over: other.cycles, scale: 100)
    }

    /// How much less is counted here than in another, in hundredths of a per cent.
    func saved(of other: Sample, _ count: (Sample) -> UInt64) -> Int128 {
      ValidationReport.hundredths(Int128(count(other)) - Int128(count(self)), over: count(other), scale: 100)
    }

    /// What a walk costs, over what it costs elsewhere. The guest's large pages are splintered over the host's small ones, so
    /// that there are more walks too.
    func walkRatio(to other: Sample) -> Int128 {
      ValidationReport.hundredths(Int128(walkCycles) * Int128(other.walks), over: other.walkCycles * walks)
    }
  }

  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    let misc = miscServer
    let native = try sample(runs, misc, .native, requests: 400...1200)
    let uncached = try sample(runs, misc, .nested, uncached, requests: 400...1200)
    let withoutNestedTLB = try sample(runs, misc, .nested, withoutNestedTLB, requests: 400...1200)
    let cached = try sample(runs, misc, .nested, requests: 400...1200)
    let large = try sample(runs, misc, .nested, ["host-page=2M"], requests: 400...1200)

    func row(
      _ quantity: String, _ published: ClosedRange<Int128>, _ modelled: Int128,
      _ role: ValidationReport.Role = .predicted, known: String? = nil
    ) -> ValidationReport.Row {
      ValidationReport.Row(
        misc.experiment, quantity, "%", published: published, modelled: modelled, role: role, knownDeviation: known)
    }
    let savings = [
      row("caches of both dimensions gain", 1800...4500, uncached.excess(over: cached)),
      row("of which the nested TLB", 320...730, withoutNestedTLB.excess(over: cached)),
      row("native ahead of both caches by", 500...2800, cached.excess(over: native)),
      row("2M host pages: fewer TLB misses", 2100...4300, large.saved(of: cached, \.walks), .fitted),
      row("2M host pages: fewer L2 misses of walks", 6000...6500, large.saved(of: cached, \.cacheMisses)),
      row(
        "2M host pages: native ahead by", 700...1400, large.excess(over: native),
        known:
          "the nested tables of the model's 1 GiB of memory are few with large pages: nearly every reference to them"
          + " is served by the page-walk cache or L2"),
    ]
    return try rows(misc, native, uncached) + savings + walkCacheRows(cached)
      + others.flatMap { suite in
        try rows(
          suite, sample(runs, suite, .native, requests: 100...300),
          sample(runs, suite, .nested, Self.uncached, requests: 100...300))
      }
  }

  /// What the paper's table has of every suite.
  private static func rows(_ suite: Suite, _ native: Sample, _ uncached: Sample) -> [ValidationReport.Row] {
    func row(
      _ quantity: String, _ unit: String, _ published: Int128, _ modelled: Int128, _ role: ValidationReport.Role,
      known: String? = nil
    ) -> ValidationReport.Row {
      ValidationReport.Row(
        suite.experiment, quantity, unit, published: published...published, modelled: modelled, role: role,
        knownDeviation: known)
    }
    return [
      row("TLB misses a 100,000 instructions", "", suite.misses, native.missesPer100000, .fitted),
      row("a walk without caches / native", "times", suite.walkRatio, uncached.walkRatio(to: native), .predicted),
      row(
        "gain of a perfect TLB, native", "%", suite.gain.native, native.gainOfPerfectTLB,
        suite.known.native == nil ? .fitted : .predicted, known: suite.known.native),
      row(
        "gain of a perfect TLB, no caches", "%", suite.gain.uncached, uncached.gainOfPerfectTLB, .predicted,
        known: suite.known.uncached),
    ]
  }

  // MARK: The page-walk cache

  /// BH08's hit rates of MiscServer with both caches, in tenths of a per cent, by place. Those of a nested walk for the
  /// guest's top level are not printed.
  private static let hitRates: [(place: String, rate: Int128)] = [
    ("gL4", 907), ("gL3", 791), ("gL2", 317), ("gL1", 0), ("gL3.nL4", 996), ("gL3.nL3", 619), ("gL3.nL2", 137),
    ("gL3.nL1", 5), ("gL2.nL4", 998), ("gL2.nL3", 709), ("gL2.nL2", 284), ("gL2.nL1", 4), ("gL1.nL4", 999),
    ("gL1.nL3", 801), ("gL1.nL2", 224), ("gL1.nL1", 8), ("gPA.nL4", 999), ("gPA.nL3", 857), ("gPA.nL2", 263),
    ("gPA.nL1", 7),
  ]

  private static func walkCacheRows(_ cached: Sample) -> [ValidationReport.Row] {
    hitRates.map { one in
      let (hits, lookups) = cached.asked(one.place)
      // Upper nested levels, and the tables that lead to tables.
      let isWide = one.place.hasSuffix("nL3") || ["gL3.nL2", "gL2.nL2", "gL1.nL2"].contains(one.place)
      return ValidationReport.Row(
        "BH08, page-walk cache", "hits, \(one.place)", "%", published: (one.rate * 10)...(one.rate * 10),
        modelled: ValidationReport.hundredths(Int128(hits), over: lookups, scale: 100),
        tolerance: .points(one.rate < 10 ? 5 : 25),
        knownDeviation: isWide
          ? "in the model's 1 GiB of memory, with tables that lie together, one nested entry leads to more of them"
          : nil)
    }
  }

  /// The difference of a long run and a short one.
  private static func sample(
    _ runs: ExperimentRuns, _ suite: Suite, _ paging: PagingKind, _ settings: [String] = [],
    requests: ClosedRange<Int>
  ) throws -> Sample {
    func run(_ requests: Int) throws -> Statistics {
      try runs.statistics(
        "requests", Suite.place + suite.load + " requests=\(requests)", paging,
        ["profile=opteron-bh08", "cache.data=l2l3", "memory=1G"] + settings)
    }
    return Sample(from: try run(requests.lowerBound), to: try run(requests.upperBound))
  }
}
