import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra compare GUEST`
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Boot a guest under several kinds of paging; one table, cycles by cause, side by side.",
    discussion: """
      The guest's output is not shown. Exit status 0 when every run ended by the guest's own will and alike, 6 when \
      guests ended differently, otherwise that of the run that did not come to its end.
      """)

  @Argument(help: "A file, or the name of a built-in guest.", completion: .file())
  var guest: String

  @Option(help: ArgumentHelp("Compare only what lies between this mark and the next.", valueName: "mark"))
  var region: Int?

  @OptionGroup var tables: ReportOptions

  @OptionGroup var options: MachineOptions

  func validate() throws {
    if let region, !(0...255).contains(region) { throw ValidationError("region: \(region) is not between 0 and 255") }
  }

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let configuration = try options.configuration(default: PagingKind.all)
      let reports = try tables.reports(default: [.causes])
      let image = try GuestImage.find(guest)
      let file = try StatisticsFile(options.stats)
      let input = HostInput()
      var runs: [GuestRun] = []
      var outputs: [[UInt8]] = []
      for one in configuration.eachPaging {
        let console = CapturedConsole(input: input)
        let progress = ProgressLine(options.quiet ? nil : "\(image.name), \(one.paging.name)")
        if !options.quiet { input.whenWaitIsLong = { Diagnostics.sayThatInputIsAwaited(progress) } }
        runs.append(try GuestRun(one, image, console, progress))
        outputs.append(console.output)
        if Interruption.wasRequested { break }
      }
      let name = region.map(Statistics.regionName)
      if let name, !runs.contains(where: { $0.statistics.regions[name] != nil }) {
        throw SetupError.usage("region: the guest executed no mark \(name)")
      }
      let comparison = Comparison(runs.map(\.statistics), region: name)
      let set = ReportSet(reports, of: comparison)
      Diagnostics.show(try set.text(options.format, Diagnostics.style(STDOUT_FILENO)))
      try file?.write(try comparison.text(.json))
      status = Compare.status(runs)
      if !options.quiet || status != 0 { Compare.remark(runs, outputs) }
    }
    throw ExitCode(status)
  }

  /// What was out of the ordinary, on standard error.
  private static func remark(_ runs: [GuestRun], _ outputs: [[UInt8]]) {
    for run in runs where run.outcome.exitStatus & 1 == 0 && run.outcome.exitStatus != 0 {
      Diagnostics.say("penumbra: \(run.statistics.config["paging"]?.description ?? ""): \(run.outcome.message)\n")
    }
    for (run, output) in zip(runs, outputs).dropFirst() {
      let kind = run.statistics.config["paging"]?.description ?? ""
      if run.outcome != runs[0].outcome {
        Diagnostics.say("penumbra: under \(kind) the guest ended differently: \(run.outcome.message)\n")
      } else if output != outputs[0] {
        Diagnostics.say("penumbra: under \(kind) the guest printed something else (it may measure time)\n")
      }
    }
  }

  static func status(_ runs: [GuestRun]) -> Int32 {
    // An odd status is the guest's own word, 0 its power-off.
    let troubles = runs.map(\.outcome.exitStatus).filter { $0 & 1 == 0 && $0 != 0 }
    if let worst = [70, 130, 2, 4].first(where: troubles.contains) { return worst }
    return runs.allSatisfy { $0.outcome == runs[0].outcome } ? 0 : 6
  }
}
