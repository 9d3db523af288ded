import Devices
import Emulator
import Foundation
import Reports

/// One machine from its first instruction to its end, with Control-C and the progress line.
struct GuestRun {
  let outcome: RunOutcome
  let statistics: Statistics

  /// - Parameters:
  ///   - label: what the progress line says is running; nil for no such line.
  ///   - keepGoing: asked now and then; false stops the guest.
  init(
    _ configuration: Configuration, _ guest: GuestImage, _ console: any Console, label: String?,
    keepGoing: () -> Bool = { true }
  ) throws(SetupError) {
    let machine = try VirtualMachine(configuration, guest: guest, console: console)
    var progress = ProgressLine(label: isatty(STDERR_FILENO) == 1 ? label : nil)
    outcome = Interruption.whileWatching(machine) {
      GuestRun.run(machine, configuration, &progress, keepGoing)
    }
    progress.clear()
    var statistics = machine.statistics
    statistics.outcome = Statistics.Outcome(outcome)
    self.statistics = statistics
  }

  /// Instructions between two looks at the world outside.
  private static let slice: UInt64 = 5_000_000

  private static func run(
    _ machine: VirtualMachine, _ configuration: Configuration, _ progress: inout ProgressLine, _ keepGoing: () -> Bool
  ) -> RunOutcome {
    var limit: UInt64 = 0
    while true {
      if Interruption.wasRequested || !keepGoing() { return .interrupted }
      limit += slice
      let outcome = machine.run(until: .init(instructions: limit))
      let ownLimit = configuration.maxInstructions ?? .max
      guard case .limit(.instructions(let reached)) = outcome, reached < ownLimit else { return outcome }
      progress.show(instructions: reached)
    }
  }
}

/// A line on the terminal that tells how far a long run has come. Host time is used here and nowhere else.
struct ProgressLine {
  private let label: String?
  private let start = ContinuousClock.now
  private var last = ContinuousClock.now
  private var isShown = false

  init(label: String?) { self.label = label }

  /// Shows how many instructions have retired, every now and then.
  mutating func show(instructions: UInt64) {
    guard let label, last.duration(to: .now) > .milliseconds(500) else { return }
    last = .now
    let seconds = max(UInt64(start.duration(to: last).components.seconds), 1)
    let millions = NumberFormat.grouped(instructions / 1_000_000)
    Diagnostics.say("\r\u{1b}[K\(label): \(millions) M instructions, \(instructions / 1_000_000 / seconds) M/s")
    isShown = true
  }

  /// Takes the line away.
  mutating func clear() {
    if isShown { Diagnostics.say("\r\u{1b}[K") }
    isShown = false
  }
}
