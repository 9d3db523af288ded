import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra validate`
struct Validate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rerun published experiments; print published figure, modelled figure and error.",
    discussion: """
      AA06: the nanobenchmarks of Adams and Agesen (ASPLOS 2006), on the profiles p4-hardware-vmm and p4-software-vmm. \
      BH08: the references of page walks, on skylake, and their costs, on opteron-bh08 (Bhargava et al., ASPLOS 2008). \
      AG12: the round trips of Agesen et al. (USENIX ATC 2012). Agile paging: the references of its walks (Gandhi et \
      al., ISCA 2016). Constants that the papers give are inputs, and figures that a profile was fitted to are fitted, \
      and marked so; predictions follow from the mechanisms. Exit status 6 if a prediction or a fit lies outside its \
      tolerance for no known reason.
      """)

  @Option(help: "How the table is printed: table, json or csv.")
  var format = OutputFormat.table

  @Option(
    help: ArgumentHelp("Write the report as JSON (-: standard error).", valueName: "file"), completion: .file())
  var stats: String?

  @Flag(name: .shortAndLong, help: "Say nothing on standard error but errors.")
  var quiet = false

  /// Every profile that an experiment runs on.
  private static let profiles = ["skylake", "p4-hardware-vmm", "p4-software-vmm", "nehalem", "opteron-bh08"]

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let file = try StatisticsFile(stats)
      let runs = ExperimentRuns(quiet: quiet)
      do {
        let rows =
          try WalkReferences.rows(runs) + Nanobenchmarks.rows(runs) + RoundTrips.rows(runs) + PageWalkCosts.rows(runs)
        let report = ValidationReport(
          rows, remarks: Nanobenchmarks.remarks, profiles: try Self.profiles.map(ProfileLibrary.profile))
        Diagnostics.show(try report.text(format, Diagnostics.style(STDOUT_FILENO)))
        try file?.write(try report.text(.json))
        status = report.failures == 0 ? 0 : 6
      } catch let stopped as ExperimentRuns.Stopped {
        status = stopped.status
      }
    }
    throw ExitCode(status)
  }
}
