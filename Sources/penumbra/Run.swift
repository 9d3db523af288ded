import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra run GUEST`
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Boot a guest; its serial port is standard input and output.")

  @Argument(help: "A file, or the name of a built-in guest.", completion: .file())
  var guest: String

  @OptionGroup var tables: ReportOptions
  @OptionGroup var options: MachineOptions
  @OptionGroup var gdb: GDBOptions

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let configuration = try options.configuration(default: [.nested])
      guard configuration.pagings.count == 1 else { throw SetupError.usage("paging: run takes one kind; see compare") }
      let reports = try tables.reports(default: [])
      let image = try GuestImage.find(guest)
      let file = try StatisticsFile(options.stats)
      if let endpoint = try gdb.endpoint {
        let run = try ServedRun(configuration, image, endpoint, waits: gdb.wait, quiet: options.quiet)
        status = try end(run.outcome, run.statistics, reports, file)
        return
      }

      let input = HostInput()
      let console = HostConsole(input: input)
      let progress = ProgressLine(options.quiet ? nil : image.name)
      // Whoever sits at the terminal sees what the guest asks for.
      if !options.quiet && !input.isLive {
        input.whenWaitIsLong = {
          console.endLine()
          Diagnostics.sayThatInputIsAwaited(progress)
        }
      }
      console.beforeOutput = { progress.clear() }
      progress.isWelcome = { console.isAtLineStart && console.silence > .seconds(2) }
      Terminal.enter()
      defer { Terminal.leave() }
      let run = try GuestRun(configuration, image, console, progress) {
        console.flush()
        return !console.isBroken
      }
      console.flush()
      console.endLine()
      status = try end(run.outcome, run.statistics, reports, file)
    }
    throw ExitCode(status)
  }

  /// Tells how the run has ended, and gives the exit status.
  private func end(
    _ outcome: RunOutcome, _ statistics: Statistics, _ reports: [Report], _ file: StatisticsFile?
  ) throws -> Int32 {
    if !options.quiet {
      Diagnostics.say(RunSummary.text(statistics, detailed: options.verbose, Diagnostics.style(STDERR_FILENO)))
    } else if [2, 70].contains(outcome.exitStatus) || outcome == .waitsForNothing {
      Diagnostics.say("penumbra: \(outcome.message)\n")
    }
    if !reports.isEmpty {
      let text = try ReportSet(reports, of: Comparison([statistics])).text(
        options.format, Diagnostics.style(STDERR_FILENO))
      Diagnostics.say(options.quiet || options.format != .table ? text : "\n" + text)
    }
    try file?.write(try statistics.json())
    return outcome.exitStatus
  }
}
