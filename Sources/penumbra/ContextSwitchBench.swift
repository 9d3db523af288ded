import Devices
import Emulator
import Machine
import Reports

/// The runs of `bench context-switch`.
struct ContextSwitchBench {
  var processes: [Int]
  var pages: [Int]
  var variants: [ContextSwitchReport.Variant]
  var switches: Int

  /// The region that the guest marks: exactly the measured switches.
  private static let region = Statistics.regionName(1)

  /// Measures every point; the report is nil, and the status says why, if one could not be measured.
  func measure(_ configuration: Configuration, quiet: Bool) throws(SetupError) -> (ContextSwitchReport?, Int32) {
    let guest = try GuestImage.find("context-switch")
    let usable = usable(configuration)
    if !quiet {
      for variant in variants where !usable.contains(variant) {
        Diagnostics.say("penumbra: kernel \(variant.rawValue) left out: the processor lacks the feature\n")
      }
    }
    var measurements: [ContextSwitchReport.Measurement] = []
    for count in processes {
      for touched in pages {
        for variant in usable {
          for one in configuration.eachPaging {
            var ledgers: [CycleLedger] = []
            for spaces in [count, 1] {
              var single = one
              single.append = parameters(spaces: spaces, tasks: count, pages: touched, variant) + " " + one.append
              let label = "\(count) processes, \(touched) pages, \(variant.rawValue), \(one.paging.name)"
              let run = try GuestRun(single, guest, BufferConsole(), ProgressLine(quiet ? nil : label))
              guard run.outcome == .shutdown(.debugExit(0)), let region = run.statistics.regions[Self.region] else {
                Diagnostics.say("penumbra: \(label), spaces=\(spaces): \(run.outcome.message)\n")
                let status = run.outcome.exitStatus
                return (nil, status == 0 || status == 1 ? 70 : status)
              }
              ledgers.append(region.causes.ledger)
            }
            measurements.append(
              ContextSwitchReport.Measurement(
                processes: count, pages: touched, variant: variant, paging: one.paging, switches: UInt64(switches),
                cost: CostDifference(ledgers[0], less: ledgers[1])))
          }
        }
      }
    }
    return (ContextSwitchReport(measurements, profile: configuration.profile), 0)
  }

  /// The kernels that the processor can run.
  private func usable(_ configuration: Configuration) -> [ContextSwitchReport.Variant] {
    let features = FeatureSet(names: configuration.features)
    return variants.filter {
      switch $0 {
      case .plain: true
      case .global: features.contains(.pge)
      case .pcid: features.contains(.pcid)
      }
    }
  }

  private func parameters(spaces: Int, tasks: Int, pages: Int, _ variant: ContextSwitchReport.Variant) -> String {
    // Every task has its pages, and every cache its steady state, before the measurement begins.
    let warmup = tasks * 4
    return "spaces=\(spaces) tasks=\(tasks) pages=\(pages) switches=\(switches) warmup=\(warmup)"
      + " global=\(variant == .global ? 1 : 0) pcid=\(variant == .pcid ? 1 : 0)"
  }
}
