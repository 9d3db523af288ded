import Emulator
import Foundation
import Reports
import Testing

@testable import penumbra

@Suite struct FindingsTests {
  private static let runs = FindingRuns(runs: ExperimentRuns(quiet: true))
  private static let measurements: [(String, @Sendable () throws -> Finding)] = [
    ("accesses", { try runs.ordinaryAccesses() }), ("mappings", { try runs.mappings() }),
    ("processors", { try runs.processors() }), ("memory", { try runs.memory() }),
    ("misses", { try runs.missLatency() }),
    ("crossover", { try runs.crossover() }), ("savings", { try runs.savings() }),
    ("agile", { try runs.agile() }),
  ]

  @Test(arguments: measurements.map(\.0))
  func `what the literature claims follows from the mechanism`(name: String) throws {
    let measure = try #require(Self.measurements.first { $0.0 == name }).1
    let finding = try measure()
    #expect(finding.name == name)
    #expect(!finding.ratios.isEmpty)
    for ratio in finding.ratios {
      #expect(ratio.holds, "\(ratio.name): \(ratio.value) hundredths, claimed \(ratio.bounds)")
    }
    // The page and its picture are what is measured: `make findings` writes them.
    let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../Docs")
    let page = try String(contentsOf: docs.appendingPathComponent("Findings.md"), encoding: .utf8)
    #expect(page.contains(finding.markdown(pictures: "findings")), "Docs/Findings.md is not what is measured: \(name)")
    if let chart = finding.chart {
      let picture = try String(contentsOf: docs.appendingPathComponent("findings/\(name).svg"), encoding: .utf8)
      #expect(picture == chart.svg)
    }
  }
}
