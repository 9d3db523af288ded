import Emulator
import Machine
import Reports

/// What costs nothing, and what single events cost.
extension FindingRuns {
  /// Ordinary accesses, once the tables stand.
  func ordinaryAccesses() throws -> Finding {
    let steps: UInt64 = 100_000
    let hits = try byKind { try region(1, "pointer-chase", "pages=32 page=4K steps=\(steps)", $0) }
    let computing = try byKind { kind in
      let statistics = try runs.statistics("compute", "rounds=1", kind, [])
      return (1...6).reduce(0) { $0 + (statistics.regions[Statistics.regionName($1)]?.cycles ?? 0) }
    }
    func ratio(_ what: String, _ values: [PagingKind: UInt64], _ kind: PagingKind) -> Finding.Ratio {
      Finding.Ratio(
        "\(what), \(kind.name) to native", values[kind] ?? 0, to: values[.native] ?? 0, within: 99...102)
    }
    return Finding(
      "accesses", "Ordinary accesses cost nothing more",
      """
      Under shadow paging the TLB holds the guest's own translations, and most accesses run at the speed of the bare machine (AA06 2.4; the same is said of
      nested paging as long as the TLB hits). Cycles of \(NumberFormat.grouped(steps)) dependent loads from 32 pages, and of one round of `compute`.
      """,
      headings: ["cycles"] + kindNames,
      rows: [row("32 pages, 100,000 loads", hits), row("`compute`, its six loops", computing)],
      ratios: [Self.trace, Self.unsync, .nested].flatMap {
        [ratio("32 pages", hits, $0), ratio("`compute`", computing, $0)]
      })
  }

  /// Changes of mappings, and switches of address spaces.
  func mappings() throws -> Finding {
    let count: UInt64 = 1000
    var costs: [NanobenchReport.Operation: [PagingKind: UInt64]] = [:]
    for kind in kinds {
      let statistics = try runs.statistics("nanobench", "count=\(count)", kind, ["shadow.zap-reused=false"])
      for one in NanobenchReport.measurements(statistics, kind, count: count) {
        costs[one.operation, default: [:]][kind] = UInt64(clamping: one.cost.total)
      }
    }
    let shown: [NanobenchReport.Operation] = [.writeEntry, .invalidate, .pageFault, .loadCR3]
    func cost(_ operation: NanobenchReport.Operation, _ kind: PagingKind) -> UInt64 { costs[operation]?[kind] ?? 0 }
    let perOperation: (UInt64) -> String = { Self.hundredths(($0 * 100 + count / 2) / count) }
    return Finding(
      "mappings", "Changes of mappings and switches of address spaces cost an exit under shadow paging",
      """
      The price of shadow paging is paid where the guest edits page tables, invalidates, faults and loads CR3; nested paging needs no exit for any of them (AA06 2.4
      and 6.3; VMware's and AMD's white papers of 2008 and 2009 say the same of their hardware). Cycles of one operation of `nanobench`, with `shadow.zap-reused=false`, so that
      a trace stays in place however often a table is written, as VMware's do.
      """,
      headings: ["operation"] + kindNames,
      rows: shown.map { row("\($0.name), \($0.summary)", costs[$0] ?? [:], perOperation) },
      ratios: [
        Finding.Ratio(
          "ptemod, shadow:trace to nested", cost(.writeEntry, Self.trace), to: cost(.writeEntry, .nested),
          within: 1000...UInt64.max),
        Finding.Ratio(
          "invlpg, shadow:unsync to nested", cost(.invalidate, Self.unsync), to: cost(.invalidate, .nested),
          within: 300...UInt64.max),
        Finding.Ratio(
          "pgfault, shadow:unsync to nested", cost(.pageFault, Self.unsync), to: cost(.pageFault, .nested),
          within: 200...UInt64.max),
        Finding.Ratio(
          "cr3wr, shadow:unsync to nested", cost(.loadCR3, Self.unsync), to: cost(.loadCR3, .nested),
          within: 300...UInt64.max),
        Finding.Ratio(
          "ptemod, nested to native", cost(.writeEntry, .nested), to: cost(.writeEntry, .native), within: 100...110),
      ])
  }

  /// A changed mapping with more and more processors.
  func processors() throws -> Finding {
    let changes: UInt64 = 50
    let counts: [UInt64] = [1, 2, 4, 8, 16]
    let values = try counts.map { count in
      try byKind { try region(1, "shootdown", "changes=\(changes)", $0, ["cpus=\(count)"]) / changes }
    }
    func growth(_ kind: PagingKind) -> (UInt64, UInt64) { (values[4][kind] ?? 0, values[1][kind] ?? 0) }
    return Finding(
      "processors", "Shadow paging costs more with more processors",
      """
      Shadow tables are shared, and what a hypervisor changes in them has to reach every processor's TLB: besides the guest's own shootdown there is the
      hypervisor's, and the lock of the tables (KVM's `mmu_lock`). Cycles of one changed mapping in `shootdown`, on the processor that changes it, until all others have
      dropped it. A virtual TLB has tables for each processor, and sends nothing.
      """,
      headings: ["processors"] + kindNames,
      rows: zip(counts, values).map { row("\($0)", $1) },
      ratios: [
        Finding.Ratio(
          "shadow:unsync, 16 processors to 2", growth(Self.unsync).0, to: growth(Self.unsync).1,
          within: 200...UInt64.max),
        Finding.Ratio("nested, 16 processors to 2", growth(.nested).0, to: growth(.nested).1, within: 90...150),
        Finding.Ratio(
          "16 processors, shadow:unsync to nested", values[4][Self.unsync] ?? 0, to: values[4][.nested] ?? 0,
          within: 200...UInt64.max),
      ],
      chart: LineChart(
        "Cycles of a changed mapping", x: "processors", y: "cycles", series(counts, values)))
  }
}
