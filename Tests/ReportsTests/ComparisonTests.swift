import Emulator
import Machine
import Testing

@testable import Reports

@Suite struct ComparisonTests {
  private func run(_ paging: String, _ causes: [(Cause, UInt64)], instructions: UInt64 = 1000) -> Statistics {
    var statistics = Statistics()
    statistics.guest = .init(name: "demo", sha256: "00")
    statistics.config = ["paging": .text(paging), "profile": .text("skylake")]
    statistics.instructions = instructions
    for (cause, cycles) in causes { statistics.causes[cause] = cycles }
    statistics.unverified = ["a", "b"]
    return statistics
  }

  private var three: [Statistics] {
    var native = run("native", [(.execute, 1000), (.walkGuest, 500)])
    native.tlb["l2"] = .init(hits: 1, misses: 20, flushes: 0)
    native.regions["1"] = .init(visits: 2, instructions: 10, causes: CauseCounts())
    native.regions["1"]?.causes[.execute] = 11
    var shadow = run(
      "shadow:trace",
      [
        (.execute, 1000), (.walkShadow, 500), (.exitHardware(.pageFault), 3000), (.exitHandler(.pageFault), 5000),
        (.shadowFill, 100),
      ])
    shadow.memory.overheadBytes = 8192
    shadow.exits["page-fault"] = .init(count: 6, cycles: 8000, min: 1, max: 2)
    let nested = run("nested", [(.execute, 1000), (.walkGuest, 500), (.walkHost, 1200)])
    return [native, shadow, nested]
  }

  @Test("the table has causes in tree order with subtotals, shares and ratios, and a conclusion")
  func table() throws {
    let text = try Comparison(three).text(.table)
    #expect(
      text == """
        demo: cycles by cause, profile skylake (2 figures unverified)

        cause                       native   share  shadow:trace   share  ratio  nested   share  ratio
        ----------------------------------------------------------------------------------------------
        execute                      1,000   66.7%         1,000   10.4%   1.00   1,000   37.0%   1.00
        walk                           500   33.3%           500    5.2%   1.00   1,700   63.0%   3.40
          walk.guest                   500   33.3%             0    0.0%   0.00     500   18.5%   1.00
          walk.host                      0    0.0%             0    0.0%      -   1,200   44.4%      -
          walk.shadow                    0    0.0%           500    5.2%      -       0    0.0%      -
        exit                             0    0.0%         8,000   83.3%      -       0    0.0%      -
          exit.page-fault.hardware       0    0.0%         3,000   31.3%      -       0    0.0%      -
          exit.page-fault.handler        0    0.0%         5,000   52.1%      -       0    0.0%      -
        shadow.fill                      0    0.0%           100    1.0%      -       0    0.0%      -
        ----------------------------------------------------------------------------------------------
        cycles                       1,500  100.0%         9,600  100.0%   6.40   2,700  100.0%   1.80
        instructions                 1,000                 1,000           1.00   1,000           1.00
        exits                            0                     6              -       0              -
        TLB misses, l2                  20                     0           0.00       0           0.00
        walks                            0                     0              -       0              -
        walk references                  0                     0              -       0              -
        overhead memory                0 B               8.0 KiB              -     0 B              -
        cycles per instruction        1.50                  9.60                   2.70

        nested is the cheapest under a hypervisor with 2,700 cycles, 1.80 times native's, because
          shadow:trace, the next with 3.56 times as many, spends 8,000 more in exit.page-fault and saves
          1,200 in walk.host.

        """)
  }

  @Test("more than three kinds are compared without shares, more than four by the ratio of the sums, and fit a line")
  func many() throws {
    let text = try Comparison(three + three.dropFirst()).text(.table)
    let lines = text.split(separator: "\n")
    #expect(lines[1] == "cause                       native  shadow:trace  nested  shadow:trace  nested")
    #expect(lines.contains("exit                             0         8,000       0         8,000       0"))
    #expect(lines.contains("ratio to native               1.00          6.40    1.80          6.40    1.80"))
    #expect(!text.contains("%"))
    let four = try Comparison(three + three.suffix(1)).text(.table).split(separator: "\n")
    #expect(four[1] == "cause                       native  shadow:trace  ratio  nested  ratio  nested  ratio")
  }

  /// Two processors, of which the second waits for the most part.
  private var shared: Statistics {
    var statistics = run("native", [(.execute, 900), (.idle, 600)])
    statistics.cpus = [Statistics.CPU(instructions: 700), Statistics.CPU(instructions: 300)]
    statistics.cpus[0].causes[.execute] = 800
    statistics.cpus[1].causes[.execute] = 100
    statistics.cpus[1].causes[.idle] = 600
    return statistics
  }

  @Test("of several processors the table and the summary have each one's cycles and instructions")
  func processors() throws {
    let table = try Comparison([shared, three[2]]).text(.table)
    for line in [
      "instructions                1,000           1,000           1.00",
      "cycles, processor 0           800               0           0.00",
      "instructions, processor 0     700               0           0.00",
      "cycles, processor 1           700               0           0.00",
      "instructions, processor 1     300               0           0.00",
    ] { #expect(table.contains(line), "\(table)") }
    let summary = RunSummary.text(shared, TextStyle(coloured: false))
    #expect(summary.contains("\n  processor 0: 700 instructions, 800 cycles; execute 100.0%\n"))
    #expect(summary.contains("\n  processor 1: 300 instructions, 700 cycles; idle 85.7%, execute 14.3%\n"))
    // One processor has no line of its own.
    #expect(!(try Comparison(three).text(.table)).contains("processor"))
  }

  @Test("a region is compared alone, without counts that regions do not have")
  func region() throws {
    let text = try Comparison(three, region: "1").text(.table)
    #expect(text.hasPrefix("demo, region 1: cycles by cause"))
    #expect(text.contains("cycles                  "))
    #expect(!text.contains("exits"))
    #expect(!text.contains("walk"))
  }

  @Test("walks of one dimension in the place of another's are no difference")
  func walks() {
    let runs = [
      run("native", [(.execute, 5), (.walkGuest, 1000)]), run("shadow:trace", [(.execute, 6), (.walkShadow, 1003)]),
    ]
    #expect(
      Comparison(runs).conclusion == "native is the cheapest with 1,005 cycles, about as many as shadow:trace (+4).")
  }

  @Test("a guest that waits nearly for ever is compared, too")
  func longest() {
    let runs = [run("native", [(.idle, 1 << 63)]), run("nested", [(.execute, 5), (.idle, .max - 5)])]
    #expect(Comparison(runs).conclusion.hasSuffix("spends 9,223,372,036,854,775,802 more in idle."))
    #expect(Comparison(runs.reversed()).conclusion.contains("native is the cheapest"))
  }

  @Test("equal runs are called equal")
  func equal() {
    let runs = [run("native", [(.execute, 5)]), run("nested", [(.execute, 5)])]
    #expect(Comparison(runs).conclusion == "native is the cheapest with 5 cycles, as many as nested.")
    let three = runs + [run("shadow:vtlb", [(.execute, 5)])]
    #expect(
      Comparison(three).conclusion
        == "nested is the cheapest under a hypervisor with 5 cycles, 1.00 times native's, as many as shadow:vtlb.")
    #expect(Comparison([runs[0]]).conclusion == "")
  }

  @Test("the conclusion follows the causes, whatever the order of the kinds, and what is dearer still has a line")
  func conclusion() {
    let trace = run("shadow:trace", [(.execute, 100), (.exitHardware(.pageFault), 40), (.exitHandler(.pageFault), 50)])
    let nested = run("nested", [(.execute, 100), (.walkHost, 60), (.nestedFill, 20)])
    let vtlb = run(
      "shadow:vtlb", [(.execute, 100), (.exitHandler(.pageFault), 300), (.exitHandler(.controlRegister3), 9)])
    for runs in [[trace, nested, vtlb], [vtlb, nested, trace]] {
      let comparison = Comparison(runs)
      // Hardware and handler of an exit are one reason.
      #expect(
        comparison.conclusion == "nested is the cheapest with 180 cycles, because shadow:trace, the next with 1.06 "
          + "times as many, spends 90 more in exit.page-fault and saves 60 in walk.host.")
      #expect(
        comparison.others == [
          "shadow:vtlb takes 2.27 times as many as nested (+229), above all in exit.page-fault (+300)."
        ])
    }
  }

  @Test("CSV has one row a cause, whose values add up to the cycles")
  func csv() throws {
    let lines = try Comparison(three).text(.csv).split(separator: "\n").map { $0.split(separator: ",") }
    #expect(lines[0] == ["cause", "native", "shadow:trace", "nested"])
    let total = try #require(lines.firstIndex { $0[0] == "cycles" })
    for column in 1...3 {
      let sum = lines[1..<total].reduce(0) { $0 + (Int($1[column]) ?? 0) }
      #expect("\(sum)" == lines[total][column])
    }
  }

  @Test("JSON has every run's statistics")
  func json() throws {
    let text = try Comparison(three).text(.json)
    #expect(text.contains("\"schema\" : \"penumbra.compare/1\""))
    #expect(text.components("penumbra.stats/1") == 3)
    #expect(text.contains("\"kinds\" : [\n    \"native\",\n    \"shadow:trace\",\n    \"nested\"\n  ]"))
  }

  @Test("the summary tells the end, the greatest causes and the rest in a few lines")
  func summary() {
    var statistics = three[1]
    statistics.outcome = .init(.shutdown(.powerOff))
    statistics.unclaimed = ["port 0x80": 3]
    let style = TextStyle(coloured: false)
    #expect(
      RunSummary.text(statistics, style) == """
        penumbra: the guest powered off
          1,000 instructions, 9,600 cycles (9.60 each), paging shadow:trace, profile skylake (2 figures unverified)
          exit.page-fault.handler 52.1%, exit.page-fault.hardware 31.3%, execute 10.4%, walk.shadow 5.2%, shadow.fill 1.0%
          6 exits, 0 walks with 0 references, 8.0 KiB overhead memory

        """)
    #expect(RunSummary.text(statistics, detailed: true, style).contains("nothing at port 0x80: 3 accesses"))
  }
}

extension String {
  /// How often a text stands in this one.
  fileprivate func components(_ text: String) -> Int { ranges(of: text).count }
}
