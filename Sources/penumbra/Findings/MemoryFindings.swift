import Emulator
import Machine
import Reports

/// Memory, walks, and where one kind of paging becomes the cheaper one.
extension FindingRuns {
  /// Host memory that the hypervisor's tables take.
  func memory() throws -> Finding {
    let counts: [UInt64] = [2, 4, 8, 16, 32, 64]
    let values = try counts.map { count in
      try byKind {
        // Room for as many roots as there are processes: what they take together is the question.
        let statistics = try runs.statistics(
          "context-switch", "spaces=\(count) tasks=\(count) pages=16 switches=\(8 * count)", $0, ["shadow.roots=64"])
        return max(statistics.shadow.peakTableBytes, statistics.memory.overheadBytes) >> 10
      }
    }
    func first(_ kind: PagingKind) -> UInt64 { values[0][kind] ?? 0 }
    func last(_ kind: PagingKind) -> UInt64 { values[values.count - 1][kind] ?? 0 }
    return Finding(
      "memory", "Shadow tables take memory for every process, nested tables for the guest",
      """
      A hypervisor with shadow paging keeps a second set of page tables for each address space that it wants to find again; nested tables grow with the guest's memory
      alone (AA06 2.4, AMD's white paper of 2008). KiB in tables at most, in `context-switch` with so many processes of 16 pages each, and
      `shadow.roots=64`, so that there is room for each one's root.
      """,
      headings: ["processes"] + kindNames,
      rows: zip(counts, values).map { row("\($0)", $1) } + [
        row(
          "a process of 64", values[5].merging(values[0]) { ($0 - $1) * 100 / (counts[5] - counts[0]) }, Self.hundredths
        )
      ],
      ratios: [
        Finding.Ratio(
          "64 processes, shadow:unsync to nested", last(Self.unsync), to: last(.nested), within: 300...UInt64.max),
        Finding.Ratio(
          "a further process, shadow:unsync to nested", last(Self.unsync) - first(Self.unsync),
          to: last(.nested) - first(.nested), within: 1000...UInt64.max),
      ],
      chart: LineChart(
        "Memory in the hypervisor's tables", x: "processes", y: "KiB",
        series(counts, values).filter { $0.name != PagingKind.native.name }))
  }

  /// What a TLB miss costs.
  func missLatency() throws -> Finding {
    let sizes: [UInt64] = [32, 64, 96, 256, 1024, 2048, 4096, 8192, 12288]
    let steps: UInt64 = 50_000
    let values = try sizes.map { size in
      try byKind {
        try region(1, "pointer-chase", "pages=\(size) page=4K steps=\(steps)", $0) * 100 / steps
      }
    }
    func last(_ kind: PagingKind) -> UInt64 { values[values.count - 1][kind] ?? 0 }
    return Finding(
      "misses", "A TLB miss is dearer under nested paging",
      """
      A two-dimensional walk has up to 24 references where a walk of shadow tables has 4, and caches hide a part of them (BH08; VMware's white paper of 2009 warns of
      workloads with many misses). Cycles of one step of `pointer-chase`, beside the size of its working set; the L2 TLB holds 1536 pages.
      """,
      headings: ["pages"] + kindNames,
      rows: zip(sizes, values).map { row("\(NumberFormat.grouped($0))", $1, Self.hundredths) },
      ratios: [
        Finding.Ratio(
          "12,288 pages, nested to shadow:unsync", last(.nested), to: last(Self.unsync), within: 130...UInt64.max),
        Finding.Ratio("12,288 pages, shadow:unsync to native", last(Self.unsync), to: last(.native), within: 95...105),
        Finding.Ratio(
          "32 pages, nested to native", values[0][.nested] ?? 0, to: values[0][.native] ?? 0, within: 99...101),
      ],
      chart: LineChart(
        "A step of pointer-chase", x: "pages of 4 KiB", y: "cycles", decimals: 2, series(sizes, values)))
  }

  /// Writes of page tables against TLB misses.
  func crossover() throws -> Finding {
    let turns: UInt64 = 20
    let writes: [UInt64] = [0, 1, 2, 4, 8, 16, 32, 64]
    let misses: [UInt64] = [500, 1000, 2000, 4000, 8000]
    let policies = ShadowPolicy.allCases.map(PagingKind.shadow)
    var rows: [[String]] = []
    var lines = policies.map { LineChart.Series($0.name, []) }
    var crossings: [[UInt64]] = []
    for miss in misses {
      let cycles = try writes.map { write in
        try byKind { try region(1, "crossover", "writes=\(write) misses=\(miss) turns=\(turns)", $0) }
      }
      let found = policies.map { Self.crossing(writes, cycles, $0) }
      crossings.append(found)
      for (index, one) in found.enumerated() { lines[index].points.append(LineChart.Point(miss, one)) }
      rows.append([NumberFormat.grouped(miss)] + found.map(Self.hundredths))
    }
    let unsync = policies.firstIndex(of: Self.unsync) ?? 0
    let trace = policies.firstIndex(of: Self.trace) ?? 0
    return Finding(
      "crossover", "Where the cheaper kind changes",
      """
      Which kind wins depends on how many page-table writes there are for so many TLB misses; agile paging was made from that (Gandhi et al., ISCA 2016). A turn of `crossover` maps,
      touches and unmaps pages, then misses the TLB so many times. Mappings in a turn at which nested paging becomes cheaper than each kind of shadow paging: below the line
      shadow paging is the cheaper one, above it nested paging. Interpolated between 0, 1, 2, 4 ... 64 mappings.
      """,
      headings: ["misses in a turn"] + policies.map { "`\($0.name)`" },
      rows: rows,
      ratios: [
        // The line is straight: what a miss saves pays for so many writes.
        Finding.Ratio(
          "shadow:unsync, the crossing at 8,000 misses to that at 1,000", crossings[4][unsync],
          to: crossings[1][unsync], within: 600...1000),
        Finding.Ratio(
          "8,000 misses, the crossing of shadow:unsync to that of shadow:trace", crossings[4][unsync],
          to: crossings[4][trace], within: 120...UInt64.max),
      ],
      chart: LineChart(
        "From here on nested paging is the cheaper kind", x: "TLB misses in a turn", y: "mappings in a turn",
        decimals: 2, lines))
  }

  /// At how many writes, in hundredths, a kind of shadow paging stops being cheaper than nested paging.
  private static func crossing(_ writes: [UInt64], _ cycles: [[PagingKind: UInt64]], _ kind: PagingKind) -> UInt64 {
    func lead(_ index: Int) -> Int64 { Int64(cycles[index][.nested] ?? 0) - Int64(cycles[index][kind] ?? 0) }
    guard lead(0) > 0 else { return 0 }
    for index in 1..<writes.count where lead(index) <= 0 {
      let step = Int64(writes[index] - writes[index - 1]) * 100
      return UInt64(Int64(writes[index - 1]) * 100 + step * lead(index - 1) / (lead(index - 1) - lead(index)))
    }
    return writes[writes.count - 1] * 100
  }

  /// What each of the inventions of shadow paging saves.
  func savings() throws -> Finding {
    func cycles(_ guest: String, _ parameters: String, _ kind: PagingKind, _ settings: [String]) throws -> UInt64 {
      try runs.statistics(guest, parameters, kind, settings).cycles
    }
    let storm = "rounds=2"
    let plain = try cycles("page-table-storm", storm, Self.trace, [])
    let outOfStep = try cycles("page-table-storm", storm, Self.unsync, [])
    let lazy = try cycles("page-table-storm", storm, Self.trace, ["shadow.eager=false"])
    let kept = try cycles("page-table-storm", storm, Self.trace, ["shadow.zap-reused=false"])
    let switching = "spaces=8 tasks=8 pages=16 switches=2000 pcid=1"
    let cached = try cycles("context-switch", switching, Self.unsync, ["shadow.roots=8"])
    let single = try cycles("context-switch", switching, Self.unsync, ["shadow.roots=1"])
    let plainSwitching = "spaces=8 tasks=8 pages=16 switches=2000"
    let found = try cycles("context-switch", plainSwitching, Self.unsync, [])
    let emptied = try cycles("context-switch", plainSwitching, .shadow(.vtlb), [])
    let around = try cycles("page-table-storm", storm, Self.unsync, ["shadow.fill-around=8"])
    func line(_ what: String, _ guest: String, _ with: UInt64, _ without: UInt64) -> [String] {
      [
        what, "`\(guest)`", NumberFormat.grouped(with), NumberFormat.grouped(without),
        Self.hundredths((without * 200 + with) / (2 * with)),
      ]
    }
    return Finding(
      "savings", "What the inventions of shadow paging save",
      """
      Tables out of step spare the exits of most page-table writes (KVM since 2.6.28, Xen 3.3); tables that are found again spare their rebuilding at every switch, and cached roots with tags the refilling of the TLB; an entry
      filled by the write that makes it present spares a hidden fault; shadows dropped from a frame that is written like data spare the emulation of the writes. Cycles of the whole run.
      """,
      headings: ["what", "guest", "with", "without", "without / with"],
      rows: [
        line("tables out of step (`unsync` for `trace`)", "page-table-storm", outOfStep, plain),
        line("tables found again after a load of CR3 (`unsync` for `vtlb`)", "context-switch", found, emptied),
        line("cached roots with TLB tags of their own (8 for 1), a guest with PCIDs", "context-switch", cached, single),
        line("eager fill", "page-table-storm", plain, lazy),
        line("shadows of reused frames dropped", "page-table-storm", plain, kept),
        line("8 entries filled around a fault", "page-table-storm", around, outOfStep),
      ],
      ratios: [
        Finding.Ratio(
          "page-table-storm, shadow:trace to shadow:unsync", plain, to: outOfStep, within: 150...UInt64.max),
        Finding.Ratio("context-switch, shadow:vtlb to shadow:unsync", emptied, to: found, within: 200...UInt64.max),
        Finding.Ratio("context-switch with PCIDs, one root to eight", single, to: cached, within: 105...UInt64.max),
        Finding.Ratio("page-table-storm, without eager fill to with", lazy, to: plain, within: 101...UInt64.max),
      ])
  }
}
