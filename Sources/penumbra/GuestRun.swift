import Devices
import Emulator
import Reports

/// One machine from its first instruction to its end, with Control-C and the progress line.
struct GuestRun {
  let outcome: RunOutcome
  let statistics: Statistics

  /// - Parameter pause: called now and then, while the machine stands still; false stops it.
  init(
    _ configuration: Configuration, _ guest: GuestImage, _ console: any Console, _ progress: ProgressLine,
    pause: () -> Bool = { true }
  ) throws(SetupError) {
    let machine = try VirtualMachine(configuration, guest: guest, console: console)
    outcome = Interruption.whileWatching(machine) { GuestRun.run(machine, configuration, progress, pause) }
    progress.clear()
    var statistics = machine.statistics
    statistics.outcome = Statistics.Outcome(outcome)
    self.statistics = statistics
  }

  /// Instructions between two looks at the world outside. Where a run is cut changes nothing in it.
  private static let slice: UInt64 = 5_000_000

  private static func run(
    _ machine: VirtualMachine, _ configuration: Configuration, _ progress: ProgressLine, _ pause: () -> Bool
  ) -> RunOutcome {
    var limit: UInt64 = 0
    while true {
      if Interruption.wasRequested || !pause() { return .interrupted }
      limit += slice
      let outcome = machine.run(until: .init(instructions: limit))
      let ownLimit = configuration.maxInstructions ?? .max
      guard case .limit(.instructions(let reached)) = outcome, reached < ownLimit else { return outcome }
      progress.show(instructions: reached)
    }
  }
}
