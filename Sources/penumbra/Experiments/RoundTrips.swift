import Emulator
import Reports

/// AG12, table 1: the hardware's round trip of an exit, processor by processor. The profile's figure is what comes out, since
/// nothing else is in it: these are inputs, and the run shows that the model charges them once an exit.
enum RoundTrips {
  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    let published: [(processor: String, cycles: Int128)] = [
      ("Prescott", 3963), ("Merom", 1579), ("Penryn", 1266), ("Nehalem", 1009), ("Westmere", 761),
      ("Sandy Bridge", 784),
    ]
    return try published.map { one in
      let statistics = try runs.statistics(
        "nanobench", "count=100", .nested, ["profile=nehalem", "profile.exit.round-trip=\(one.cycles)"])
      let exits = statistics.exits["io"] ?? Statistics.Exit()
      let hardware = statistics.causes.ledger[.exitHardware(.port)]
      return ValidationReport.Row(
        "AG12, round trip", one.processor, "cycles", published: (one.cycles * 100)...(one.cycles * 100),
        modelled: ValidationReport.hundredths(Int128(hardware), over: exits.count), role: .input)
    }
  }
}
