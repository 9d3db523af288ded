import Devices
import Emulator
import Machine
import Reports

/// Runs of built-in guests for published experiments.
struct ExperimentRuns {
  /// No progress lines.
  let quiet: Bool

  /// A run that did not come to its end; what there is to say has been said.
  struct Stopped: Error { var status: Int32 }

  /// The statistics of one run that ends by the guest's own success.
  /// - Parameter settings: `KEY=VALUE`, applied in their order.
  func statistics(
    _ guest: String, _ parameters: String, _ paging: PagingKind, _ settings: [String]
  ) throws -> Statistics {
    var configuration = try Configuration(pagings: [paging])
    for setting in settings { try ConfigurationKey.apply(setting, to: &configuration) }
    configuration.append = parameters
    try configuration.check()
    let label = "\(guest), \(configuration.profile.name), \(paging.name)"
    let run = try GuestRun(
      configuration, try GuestImage.find(guest), BufferConsole(), ProgressLine(quiet ? nil : label))
    guard run.outcome == .shutdown(.debugExit(0)) else {
      Diagnostics.say("penumbra: \(label): \(run.outcome.message)\n")
      let status = run.outcome.exitStatus
      throw Stopped(status: status == 0 || status & 1 == 1 ? 70 : status)
    }
    return run.statistics
  }
}

extension Statistics {
  /// Cycles of all page walks, in every dimension.
  var walkCycles: UInt64 { Cause.all.reduce(0) { $1.name.hasPrefix("walk.") ? $0 + causes.ledger[$1] : $0 } }
}
