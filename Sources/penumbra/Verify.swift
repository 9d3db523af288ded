import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra verify GUEST`
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a guest under several kinds of paging in step, and stop at the first difference.",
    discussion: """
      Registers, memory, events and accesses to devices must be the same whatever the kind of paging. Time is counted in \
      instructions, and TLBs are coherent unless --set tlb=real says otherwise. The guest's output is not shown. \
      A limit is one of instructions: --max-cycles, --clock cycles and --format csv are refused. Exit status 0 when \
      nothing differs, 6 when something does, 70 when an invariant is broken (--check-invariants).
      """)

  @Argument(help: "A file, or the name of a built-in guest.", completion: .file())
  var guest: String

  @Option(help: ArgumentHelp("Instructions between two comparisons, 1 or more.", valueName: "n"))
  var every: UInt64 = 10_000

  @OptionGroup var options: MachineOptions

  func validate() throws {
    if every == 0 { throw ValidationError("every: 0 is not 1 or more") }
    if options.format == .csv { throw ValidationError("format: verify prints no table, and csv is for tables") }
  }

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let configuration = try options.configuration(default: PagingKind.all) {
        $0.clock = .instructions
        $0.tlb = .coherent
      }
      let image = try GuestImage.find(guest)
      let file = try StatisticsFile(options.stats)
      let input = HostInput()
      let progress = ProgressLine(options.quiet ? nil : "\(image.name), in step")
      if !options.quiet { input.whenWaitIsLong = { Diagnostics.sayThatInputIsAwaited(progress) } }
      let verification = try Verification(configuration, guest: image, every: every) { CapturedConsole(input: input) }
      let result = Interruption.whileWatching(verification.first) {
        verification.run { instructions in
          progress.show(instructions: instructions)
          return !Interruption.wasRequested
        }
      }
      progress.clear()
      status = Verify.status(result)
      try file?.write(try Comparison(verification.statistics).text(.json))
      let kinds = configuration.pagings.map(\.name)
      if options.format == .json {
        Diagnostics.show(try VerificationReport.json(result, guest: image.name, kinds: kinds))
      } else if !options.quiet || status == 6 || status == 70 {
        Diagnostics.say(
          VerificationReport.text(result, guest: image.name, kinds: kinds, Diagnostics.style(STDERR_FILENO)))
      }
    }
    throw ExitCode(status)
  }

  private static func status(_ result: VerificationResult) -> Int32 {
    switch result {
    case .same: 0
    case .different: 6
    case .violated(_, let outcome): outcome.exitStatus
    case .interrupted: 130
    }
  }
}
