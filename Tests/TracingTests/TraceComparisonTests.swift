import Emulator
import Testing

@testable import Tracing

@Suite struct TraceComparisonTests {
  private func report(_ left: Trace, _ right: Trace) throws -> [String] {
    try TraceComparison(left, right, names: ("old", "new")).lines
  }

  @Test("a trace is the same as itself, and as one that keeps fewer exits")
  func same() throws {
    #expect(try TraceComparison(sampleTrace(), sampleTrace()).isSame)
    #expect(try report(sampleTrace(), sampleTrace(keeping: 1)).isEmpty)
  }

  @Test("causes and counters that differ are told with both values")
  func counters() throws {
    var other = sampleTrace()
    other.statistics.causes[.execute] = 10
    other.statistics.tlb["l2"] = .init(hits: 1)
    #expect(
      try report(sampleTrace(), other) == [
        "causes: 1 different (old -> new)", "  causes.execute: 12 -> 10 (-2)",
        "counters: 4 different (old -> new)", "  cycles: 12 -> 10 (-2)", "  tlb.l2.flushes: - -> 0",
        "  tlb.l2.hits: - -> 1", "  tlb.l2.misses: - -> 0",
      ])
  }

  @Test("what makes the runs different comes first")
  func order() throws {
    var other = sampleTrace(output: "one\r\nthree\n\n")
    other.statistics.config["memory"] = .number(8192)
    other.statistics.config["max-cycles"] = .number(5)
    other.statistics.instructions = 21
    other.statistics.outcome = .init(.haltedForEver)
    let titles = try report(sampleTrace(), other).filter { !$0.hasPrefix("  ") }
    #expect(
      titles == [
        "guest and configuration: 2 different (old -> new)", "outcome: 3 different (old -> new)", "output, line 2:",
        "counters: 1 different (old -> new)",
      ])
    #expect(try report(sampleTrace(), other).contains("  old: \"two\""))
  }

  @Test("only so many figures are listed")
  func many() throws {
    var other = sampleTrace()
    for index in 0..<100 { other.statistics.unclaimed["port \(index)"] = 1 }
    let lines = try report(sampleTrace(), other)
    #expect(lines.count == 42)
    #expect(lines.last == "  ... and 60 more")
  }

  @Test("the first exit that differs is told with both sides")
  func exit() throws {
    var exits = sampleExits
    exits[2].detail = 0x3f9
    exits[3].rip = 5
    #expect(
      try report(sampleTrace(), sampleTrace(exits: exits)) == [
        "first exit that differs, number 2:", "  old: io at RIP 0x0, detail 0x3f8, clock 2001, retired 11",
        "  new: io at RIP 0x0, detail 0x3f9, clock 2001, retired 11",
      ])
  }

  @Test("an exit that comes at another time is told from another exit")
  func time() throws {
    var exits = sampleExits
    exits[1].clock += 1
    exits[2].clock += 1
    let lines = try report(sampleTrace(), sampleTrace(exits: exits))
    #expect(lines.first == "first exit that differs, number 1:")
    #expect(lines.last == "the exits are the same, at other times")
    exits[3].reason = "hlt"
    let more = try report(sampleTrace(), sampleTrace(exits: exits))
    #expect(more[3] == "first exit that differs in more than its time, number 3:")
    #expect(more[5].hasPrefix("  new: hlt at "))
  }

  @Test("a sequence that ends early, or differs beyond what is kept, says so")
  func ends() throws {
    let shorter = try report(sampleTrace(), sampleTrace(exits: Array(sampleExits.dropLast())))
    #expect(shorter[...2] == ["number of exits:", "  old: 5", "  new: 4"])
    #expect(shorter[3] == "first exit that differs, number 4:")
    #expect(shorter[5] == "  new: there are no more")
    var exits = sampleExits
    exits[4].detail = 9
    #expect(
      try report(sampleTrace(keeping: 2), sampleTrace(exits: exits, keeping: 3)) == [
        "first exit that differs, number 2:", "  old: beyond the 2 that are kept",
        "  new: io at RIP 0x0, detail 0x3f8, clock 2001, retired 11",
      ])
  }
}
