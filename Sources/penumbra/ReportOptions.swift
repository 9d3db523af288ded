import ArgumentParser
import Emulator
import Reports

/// Which tables a verb prints of its runs.
struct ReportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Tables to print, separated by commas; run prints none without it, compare causes.", discussion: Report.help,
      valueName: "list"),
    completion: .list(Report.names))
  var report: String?

  /// The tables that are asked for.
  func reports(default reports: [Report]) throws(SetupError) -> [Report] {
    guard let report else { return reports }
    return try Report.list(report)
  }
}
