import Machine
import Support
import Testing

@testable import Reports

@Suite struct ValidationReportTests {
  private func row(
    _ published: ClosedRange<Int128>, _ modelled: Int128, _ role: ValidationReport.Role = .predicted,
    within tolerance: ValidationReport.Tolerance? = nil, known: String? = nil
  ) -> ValidationReport.Row {
    ValidationReport.Row(
      "AA06", "in", "cycles", published: published, modelled: modelled, role: role, tolerance: tolerance,
      knownDeviation: known)
  }

  @Test("the error is the distance to the published range, in tenths of a per cent of its nearer bound")
  func error() {
    #expect(row(100_00...100_00, 125_00).error == 250)
    #expect(row(100_00...100_00, 74_99).error == -250)
    #expect(row(100_00...200_00, 150_00).error == 0)
    #expect(row(100_00...200_00, 210_00).error == 50)
    #expect(row(0...0, 0).error == 0)
    #expect(row(0...0, 5).error == 1000)
  }

  @Test("a prediction outside its tolerance fails, unless the deviation is known; inputs are never judged")
  func verdicts() throws {
    let rows = [
      row(100_00...100_00, 125_00), row(100_00...100_00, 126_00), row(100_00...100_00, 126_00, known: "a reason"),
      row(100_00...100_00, 300_00, .input), row(100_00...100_00, 110_00, .fitted),
      row(100_00...100_00, 111_00, .fitted),
    ]
    #expect(rows.map(\.verdict) == ["ok", "off", "known", "input", "fitted", "off"])
    let profile = CostProfile.flat().with([:])
    let report = ValidationReport(rows, remarks: ["A remark."], profiles: [profile])
    #expect(report.failures == 2)
    let text = try report.text(.table)
    #expect(
      text.contains("AA06, in: a reason\nA remark.\nunverified figures: 0 of \(CostKey.allCases.count) in flat\n"))
    #expect(text.contains("+25.0%     25%  ok"))
    #expect(text.hasSuffix("1 of 3 predictions within their tolerance, 1 known to miss, 2 failed\n"))
    let csv = try report.text(.csv).split(separator: "\n")
    #expect(csv[2] == "AA06,in,cycles,100.00,100.00,126.00,26.0,25%,predicted,off")
  }

  @Test("a hit rate is judged by points, a count by itself")
  func tolerances() {
    #expect(row(1_00...1_00, 20_00, within: .points(20)).holds)
    #expect(!row(1_00...1_00, 21_01, within: .points(20)).holds)
    #expect(!row(80_00...85_00, 59_99, within: .points(20)).holds)
    #expect(row(24_00...24_00, 24_00, within: .percent(0)).holds)
    #expect(!row(24_00...24_00, 24_01, within: .percent(0)).holds)
  }
}
