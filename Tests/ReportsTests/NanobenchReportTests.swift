import Emulator
import Machine
import Testing

@testable import Reports

@Suite struct NanobenchReportTests {
  /// A run in which the control's loop took 10 cycles, and a port read's 3 x 100 more, of them 90 exits.
  private var statistics: Statistics {
    var statistics = Statistics()
    statistics.regions["1"] = Statistics.Region(visits: 1, instructions: 10, causes: causes([(.execute, 10)]))
    statistics.regions["4"] = Statistics.Region(
      visits: 1, instructions: 13, causes: causes([(.execute, 40), (.exitHardware(.port), 270)]))
    return statistics
  }

  private func causes(_ parts: [(Cause, UInt64)]) -> CauseCounts {
    var ledger = CycleLedger()
    for (cause, cycles) in parts { ledger[cause] = cycles }
    return CauseCounts(ledger)
  }

  @Test("an operation costs what its loop spent more than the empty one, over the turns")
  func cost() throws {
    let measurements = NanobenchReport.measurements(statistics, .nested, count: 3)
    #expect(measurements.map(\.operation) == [.portRead])
    #expect(measurements[0].cost.total == 300)
    let report = NanobenchReport(measurements, profile: try Configuration().profile)
    let rows = try report.text(.csv).split(separator: "\n").map(String.init)
    #expect(rows[0] == "operation,paging,count,cycles,execute,exit.io.hardware")
    #expect(rows[1] == "in,nested,3,100.000,10.000,90.000")
    let line = try #require(try report.text(.table).split(separator: "\n").first { $0.hasPrefix("in ") })
    #expect(line.split(separator: " ")[1] == "100.0")
  }

  @Test("without the control nothing is measured")
  func noControl() {
    var statistics = statistics
    statistics.regions["1"] = nil
    #expect(NanobenchReport.measurements(statistics, .nested, count: 3).isEmpty)
  }
}
