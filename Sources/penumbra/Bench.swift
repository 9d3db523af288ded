import ArgumentParser
import Devices
import Emulator
import Foundation
import Machine
import Reports

/// `penumbra bench NAME`
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure what something costs, by cause.", subcommands: [ContextSwitch.self, Nanobench.self])
}

/// `penumbra bench context-switch`
struct ContextSwitch: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "context-switch",
    abstract: "The price of a context switch: number of processes x pages touched x kernel x kind of paging.",
    discussion: """
      Each figure is the difference of two runs of the guest context-switch on the same path: tasks in spaces of their \
      own, less tasks that share one space, divided by the number of switches. Kernels: plain (a load of CR3 drops \
      everything), global (the kernel's pages are global), pcid (spaces have PCIDs). --append adds parameters of the \
      guest, for example mode=user.
      """)

  @Option(help: ArgumentHelp("Numbers of processes, each with a space of its own.", valueName: "list"))
  var processes = "2,4,8"

  @Option(help: ArgumentHelp("Numbers of pages that a process touches between two switches.", valueName: "list"))
  var pages = "4,16,64"

  @Option(help: ArgumentHelp("Kinds of kernel: plain, global, pcid.", valueName: "list"))
  var kernel = "plain,global,pcid"

  @Option(help: ArgumentHelp("Switches that are measured.", valueName: "n"))
  var switches = "1000"

  @OptionGroup var options: MachineOptions

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let bench = ContextSwitchBench(
        processes: try list(processes, "processes", in: 2...1024), pages: try list(pages, "pages", in: 1...16384),
        variants: try variants(), switches: try list(switches, "switches", in: 1...100_000_000)[0])
      let configuration = try options.configuration(default: PagingKind.all)
      let file = try StatisticsFile(options.stats)
      let report: ContextSwitchReport?
      (report, status) = try bench.measure(configuration, quiet: options.quiet)
      guard let report else { return }
      Diagnostics.show(try report.text(options.format, Diagnostics.style(STDOUT_FILENO)))
      try file?.write(try report.text(.json))
    }
    throw ExitCode(status)
  }

  private func list(_ text: String, _ name: String, in range: ClosedRange<Int>) throws(SetupError) -> [Int] {
    var numbers: [Int] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let number = Int(part), range.contains(number) else {
        throw .usage(
          "\(name): \(printable(String(part))) is not a number from \(range.lowerBound) to \(range.upperBound)")
      }
      numbers.append(number)
    }
    return numbers
  }

  private func variants() throws(SetupError) -> [ContextSwitchReport.Variant] {
    var variants: [ContextSwitchReport.Variant] = []
    for part in kernel.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      guard let variant = ContextSwitchReport.Variant(rawValue: part) else {
        throw .usage("kernel: \(printable(part)) is none of plain, global, pcid")
      }
      variants.append(variant)
    }
    return variants
  }
}

/// `penumbra bench nanobench`
struct Nanobench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The price of single operations: calls, faults, ports, control registers, page-table writes.",
    discussion: """
      Runs the guest nanobench under each kind of paging: each operation in a loop of its own, less the loop without an \
      operation, divided by the turns. The operations that Adams and Agesen measured (ASPLOS 2006, 6.3) have their names.
      """)

  @Option(help: ArgumentHelp("Turns of each loop.", valueName: "n"))
  var count = "1000"

  @OptionGroup var options: MachineOptions

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      guard let turns = Int(count), (1...1_000_000_000).contains(turns) else {
        throw SetupError.usage("count: \(printable(count)) is not a number from 1 to 1000000000")
      }
      let configuration = try options.configuration(default: PagingKind.all)
      let file = try StatisticsFile(options.stats)
      let measurements: [NanobenchReport.Measurement]?
      (measurements, status) = try NanobenchRuns(count: turns).measure(configuration, quiet: options.quiet)
      guard let measurements else { return }
      let report = NanobenchReport(measurements, profile: configuration.profile)
      Diagnostics.show(try report.text(options.format, Diagnostics.style(STDOUT_FILENO)))
      try file?.write(try report.text(.json))
    }
    throw ExitCode(status)
  }
}
