import Devices
import Emulator
import Machine
import Reports

/// Runs of the guest `nanobench`, one a kind of paging.
struct NanobenchRuns {
  /// Turns of each loop, 1 or more.
  var count: Int

  /// Measures every operation under every kind of paging of the configuration; nil, with a status that says why, if a run
  /// did not come to its end.
  func measure(_ configuration: Configuration, quiet: Bool)
    throws(SetupError) -> ([NanobenchReport.Measurement]?, Int32)
  {
    let guest = try GuestImage.find("nanobench")
    var measurements: [NanobenchReport.Measurement] = []
    for one in configuration.eachPaging {
      var single = one
      single.append = "count=\(count) " + one.append
      let label = "nanobench, \(one.profile.name), \(one.paging.name)"
      let run = try GuestRun(single, guest, BufferConsole(), ProgressLine(quiet ? nil : label))
      guard run.outcome == .shutdown(.debugExit(0)) else {
        Diagnostics.say("penumbra: \(label): \(run.outcome.message)\n")
        let status = run.outcome.exitStatus
        return (nil, status == 0 || status & 1 == 1 ? 70 : status)
      }
      measurements += NanobenchReport.measurements(run.statistics, one.paging, count: UInt64(count))
    }
    return (measurements, 0)
  }
}
