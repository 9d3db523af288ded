import Emulator
import Machine
import Testing

@testable import Reports

/// Two runs of one guest, with a few of everything; a bare machine is the first.
private var samples: [Statistics] {
  func run(_ paging: String) -> Statistics {
    var statistics = Statistics()
    statistics.guest = .init(name: "demo", sha256: "00")
    statistics.config = ["paging": .text(paging), "profile": .text("skylake")]
    statistics.causes[.execute] = 1000
    statistics.tlb["data"] = .init(hits: 900, misses: 100, flushes: 0)
    statistics.tlb["code"] = .init(hits: 0, misses: 0, flushes: 0)
    statistics.tlb["l2"] = .init(hits: 50, misses: 50, flushes: 0)
    statistics.tlb["nested"] = .init()
    statistics.walks.count = 50
    statistics.walks.byLevel = ["1": 30, "2": 10, "root": 10]
    return statistics
  }
  var native = run("native")
  native.walks.references = 100
  native.walks.guestReferences = 100
  native.walks.served = ["guest": .init(l2: 75, l3: 20, memory: 5)]

  var shadow = run("shadow:trace")
  shadow.exits = [
    "page-fault": .init(count: 6, cycles: 9000, min: 1000, max: 2500),
    "io": .init(count: 2, cycles: 1000, min: 400, max: 600),
    "assisted": .init(count: 2, cycles: 0, min: 0, max: 0),
  ]
  shadow.shadow.pfTaken = 6
  shadow.shadow.hiddenFaults = 5
  shadow.shadow.trueFaults = 1
  shadow.shadow.lockWaits = 4
  shadow.shadow.lockWaitCycles = 1000
  shadow.shadow.peakTableBytes = 12 << 12
  shadow.memory = .init(guestBytes: 64 << 20, hostBytes: 1 << 20, overheadBytes: 8 << 12)
  shadow.memory.tables = [
    "shadow.empty": .init(bytes: 4096, peakBytes: 4096), "shadow.1": .init(bytes: 7 << 12, peakBytes: 8 << 12),
  ]
  shadow.memory.timeline = .init(
    cycles: 48_000, interval: 4096,
    samples: [
      .init(cycles: 0, tables: ["shadow.empty": 4096]),
      .init(cycles: 24_000, tables: ["shadow.empty": 4096, "shadow.1": 4 << 12]),
      .init(cycles: 47_999, tables: ["shadow.empty": 4096, "shadow.1": 7 << 12]),
    ])

  var nested = run("nested")
  nested.exits = ["io": .init(count: 2, cycles: 1400, min: 700, max: 700)]
  nested.tlb["nested"] = .init(hits: 60, misses: 40, flushes: 0)
  nested.walks.references = 150
  nested.walks.guestReferences = 90
  nested.walks.hostReferences = 60
  nested.walks.nestedByLevel = ["1": 20, "2": 15, "root": 7]
  nested.walks.served = ["guest": .init(l2: 90, l3: 0, memory: 0), "host": .init(l2: 30, l3: 15, memory: 15)]
  nested.memory = .init(guestBytes: 64 << 20, hostBytes: 1 << 20, overheadBytes: 1 << 12)
  nested.memory.tables = ["nested.4": .init(bytes: 4096, peakBytes: 4096)]
  return [native, shadow, nested]
}

private func text(
  _ reports: [Report], _ runs: [Statistics] = samples, _ format: OutputFormat = .table, region: String? = nil
) throws -> String {
  try ReportSet(reports, of: Comparison(runs, region: region)).text(format)
}

@Suite struct ReportListTests {
  @Test("a list of names is read in its order, and all stands for every one")
  func list() throws {
    #expect(try Report.list("hits,exits") == [.hits, .exits])
    #expect(try Report.list("all") == Report.allCases)
    #expect(Report.names == ["causes", "exits", "mmu", "hits", "memory", "all"])
  }

  @Test(
    "what is no list is refused in a line that says why",
    arguments: [
      ("", "report: a name is missing; there are causes, exits, mmu, hits, memory, all"),
      ("exits,", "report: a name is missing"), ("exit", "report: exit does not exist"),
      ("exits,exits", "report: exits is given twice"), ("exits,all", "report: all stands alone"),
      ("a\nb", "report: a\\u{a}b does not exist"),
    ])
  func refuses(list: String, message: String) {
    let error = #expect(throws: SetupError.self) { try Report.list(list) }
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    #expect(error?.exitStatus == 64)
  }

  @Test("every report has a line in the help, a title, and a form in every format", arguments: Report.allCases)
  func forms(report: Report) throws {
    #expect(Report.help.contains("\(report.rawValue): \(report.summary)\n"))
    #expect(try text([report]).hasPrefix("demo: "))
    #expect(try text([report], samples, .csv).split(separator: "\n").count > 1)
    #expect(try text([report], samples, .json).contains("\"\(report.rawValue)\" : [") == (report != .causes))
    for line in try text([report]).split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
  }

  @Test("tables stand below one another in the order in which they are asked for, in one document where it is JSON")
  func several() throws {
    let both = try text([.mmu, .exits])
    #expect(try both == text([.mmu]) + "\n" + text([.exits]))
    let csv = try text([.mmu, .exits], samples, .csv)
    #expect(try csv == text([.mmu], samples, .csv) + "\n" + text([.exits], samples, .csv))
    let document = try text([.mmu, .exits], samples, .json)
    #expect(document.ranges(of: "\"schema\" : \"penumbra.compare/1\"").count == 1)
    #expect(document.contains("\"exits\" : [") && document.contains("\"mmu\" : ["))
  }

  @Test("of a region only the causes are known: the other tables say that they are of the whole run")
  func region() throws {
    var runs = samples
    for index in runs.indices { runs[index].regions["1"] = .init(visits: 1, instructions: 1) }
    #expect(try text([.causes], runs, region: "1").hasPrefix("demo, region 1: cycles by cause"))
    #expect(try text([.exits], runs, region: "1").hasPrefix("demo, whole run: exits by reason"))
  }

  @Test("one run's causes have no conclusion")
  func alone() throws {
    let table = try text([.causes], [samples[1]])
    #expect(!table.contains("cheapest") && table.hasSuffix("  -\n"), "\(table)")
  }
}

@Suite struct ExitsReportTests {
  @Test("one run's exits are in perf's shape, by samples, equal ones by name")
  func one() throws {
    #expect(
      try text([.exits], [samples[1]]) == """
        demo: exits by reason, cycles from the exit to the entry after it

        VM-EXIT     Samples  Samples%  Cycles%    Min    Max       Avg
        --------------------------------------------------------------
        page-fault        6     60.0%    90.0%  1,000  2,500  1,500.00
        assisted          2     20.0%     0.0%      0      0      0.00
        io                2     20.0%    10.0%    400    600    500.00

        Total Samples: 10, Total events handled cycles: 10,000
        assisted: the end of an instruction that the hypervisor has completed, no exit of the hardware's

        """)
  }

  @Test("several runs' exits stand below one another, each a share of its own run's")
  func several() throws {
    #expect(
      try text([.exits]) == """
        demo: exits by reason, cycles from the exit to the entry after it

        VM-EXIT     paging        Samples  Samples%  Cycles%    Min    Max       Avg
        ----------------------------------------------------------------------------
        page-fault  shadow:trace        6     60.0%    90.0%  1,000  2,500  1,500.00
        assisted    shadow:trace        2     20.0%     0.0%      0      0      0.00
        io          shadow:trace        2     20.0%    10.0%    400    600    500.00
                    nested              2    100.0%   100.0%    700    700    700.00

        native: Total Samples: 0, Total events handled cycles: 0
        shadow:trace: Total Samples: 10, Total events handled cycles: 10,000
        nested: Total Samples: 2, Total events handled cycles: 1,400
        assisted: the end of an instruction that the hypervisor has completed, no exit of the hardware's

        """)
    #expect(
      try text([.exits], samples, .csv) == """
        paging,reason,samples,cycles,min,max
        shadow:trace,page-fault,6,9000,1000,2500
        shadow:trace,assisted,2,0,0,0
        shadow:trace,io,2,1000,400,600
        nested,io,2,1400,700,700

        """)
  }
}

@Suite struct CountersReportTests {
  @Test("the counters stand side by side under their documents' names, a bare machine left out")
  func several() throws {
    let lines = try text([.mmu]).split(separator: "\n")
    #expect(lines[1] == "counter            shadow:trace  nested")
    for line in [
      "pf_taken                      6       0", "hiddenFaults                  5       0",
      "trueFaults                    1       0", "hidden of all             83.3%       -",
      "lockWaits                     4       0", "cycles a wait            250.00       -",
    ] { #expect(lines.contains { $0 == line }, "\(line)") }
    for counter in Statistics.Shadow.counters {
      let isShown = counter.group != .memory && counter.group != .dirty
      #expect(lines.contains { $0.hasPrefix(counter.name + " ") } == isShown, "\(counter.name)")
    }
    let csv = try text([.mmu], samples, .csv)
    #expect(csv.hasPrefix("counter,shadow:trace,nested\npf_taken,6,0\n"))
  }

  @Test("what is logged as written is told where something is")
  func dirty() throws {
    var logged = samples
    logged[logged.count - 1].shadow.dirtyPages = 12
    logged[logged.count - 1].shadow.dirtyCollections = 3
    let lines = try text([.mmu], logged).split(separator: "\n")
    for line in ["dirtyPages                    0      12", "dirtyCollections              0       3"] {
      #expect(lines.contains { $0 == line }, "\(line)")
    }
    for counter in Statistics.Shadow.counters where counter.group == .dirty {
      #expect(lines.contains { $0.hasPrefix(counter.name + " ") }, "\(counter.name)")
    }
  }

  @Test("beside one run's counters stands what they count; a bare machine has none")
  func one() throws {
    #expect(try text([.mmu], [samples[1]]).contains(" 5  faults that the guest never saw\n"))
    #expect(try text([.mmu], [samples[0]]).hasSuffix("\n\nno hypervisor\n"))
  }
}

@Suite struct HitsReportTests {
  @Test("rates are of what each cache was asked: a structure cache of what the ones before it did not have")
  func table() throws {
    #expect(
      try text([.hits]) == """
        demo: hit rates of what translates, and references a walk

        asked                 native  shadow:trace  nested
        --------------------------------------------------
        L1 data TLB            90.0%         90.0%   90.0%
          look-ups             1,000         1,000   1,000
        L2 TLB                 50.0%         50.0%   50.0%
          look-ups               100           100     100
        PDE cache              60.0%         60.0%   60.0%
          look-ups                50            50      50
        PDPTE cache            50.0%         50.0%   50.0%
          look-ups                20            20      20
        PML4E cache             0.0%          0.0%    0.0%
          look-ups                10            10      10
        nested TLB                 -             -   60.0%
          look-ups                 0             0     100
        nested PDE cache           -             -   47.6%
          look-ups                 0             0      42
        nested PDPTE cache         -             -   68.2%
          look-ups                 0             0      22
        --------------------------------------------------
        walks                     50            50      50
        references a walk       2.00          0.00    3.00
          of guest tables       2.00          0.00    1.80
            served by L2       75.0%             -  100.0%
            served by L3       20.0%             -    0.0%
            served by memory    5.0%             -    0.0%
          of host tables        0.00          0.00    1.20
            served by L2           -             -   50.0%
            served by L3           -             -   25.0%
            served by memory       -             -   25.0%

        """)
  }

  @Test("CSV has the counts behind the rates")
  func csv() throws {
    let csv = try text([.hits], samples, .csv)
    #expect(csv.hasPrefix("count,native,shadow:trace,nested\n\"L1 data TLB, look-ups\",1000,1000,1000\n"))
    #expect(csv.contains("\"nested PDE cache, hits\",0,0,20\n"))
    #expect(csv.contains("\"host tables, served by memory\",0,0,15\n"))
  }
}

@Suite struct MemoryReportTests {
  @Test("each kind of table has a line with its course, as high as the most that it ever took")
  func table() throws {
    let half = String(repeating: "·", count: 24)
    let course = half + String(repeating: "▄", count: 23)
    let full = String(repeating: "█", count: 48)
    // All: 1 page, 5, then 8 of at most 12.
    let all = String(repeating: "▁", count: 24) + String(repeating: "▄", count: 23) + "▆"
    #expect(
      try text([.memory], [samples[1]]) == """
        demo: overhead memory by kind of table; the charts reach to the most that each ever took

        tables             now   at most
        ----------------------------------------------------------------------------------
        all           32.0 KiB  48.0 KiB  \(all)
        shadow.1      28.0 KiB  32.0 KiB  \(course)▇
        shadow.empty   4.0 KiB   4.0 KiB  \(full)

        shadow:trace: 3.2% of the guest's 992.0 KiB in use; 3 samples over 48,000 cycles, at most one in
          4,096

        """)
  }

  @Test("several runs' tables stand below one another, with a time of its own each")
  func several() throws {
    let lines = try text([.memory]).split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("shadow:trace  all           32.0 KiB  48.0 KiB  ▁") })
    #expect(lines.contains { $0.hasPrefix("nested        all            4.0 KiB       0 B") })
    #expect(!lines.contains { $0.hasPrefix("native") })
    #expect(try text([.memory], [samples[0]]).hasSuffix("\n\nno hypervisor, no tables of one\n"))
    #expect(
      try text([.memory], samples, .csv) == """
        paging,table,bytes,peakBytes
        shadow:trace,shadow.1,28672,32768
        shadow:trace,shadow.empty,4096,4096
        nested,nested.4,4096,4096

        """)
  }
}

@Suite struct TextChartTests {
  @Test("a value is seen in every column that it holds in, and the greatest of a column wins")
  func columns() {
    func line(_ points: [(UInt64, UInt64)], until end: UInt64, most: UInt64 = 8) -> String {
      TextChart.line(points.map { (cycles: $0.0, value: $0.1) }, until: end, most: most, width: 8)
    }
    #expect(line([(0, 1), (10, 8), (11, 2)], until: 80) == "▁█▂▂▂▂▂▂")
    #expect(line([(0, 1), (20, 0), (40, 3)], until: 80) == "▁▁··▃▃▃▃")
    #expect(line([(0, 4)], until: 0) == "▄·······")
    #expect(line([(0, 0), (80, 8)], until: 80) == "·······█", "what begins with the end is in the last column")
    #expect(line([], until: 80) == "········")
    #expect(line([(0, 1)], until: .max, most: .max) == "▁▁▁▁▁▁▁▁", "anything but nothing is seen")
    #expect(line([(0, 9)], until: 1) == "████████", "no more than all")
  }
}
