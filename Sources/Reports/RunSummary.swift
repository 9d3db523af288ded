import Emulator
import Machine

/// What `run` says of itself on standard error when the guest has ended.
public enum RunSummary {
  /// A few lines: how it ended, what it took, where most cycles went.
  /// - Parameter detailed: also what nothing claimed.
  public static func text(_ statistics: Statistics, detailed: Bool = false, _ style: TextStyle) -> String {
    var text = ""
    if let outcome = statistics.outcome { text += "penumbra: \(outcome.message)\n" }
    text += line(statistics) + "\n"
    let causes = topCauses(statistics.causes.ledger)
    if !causes.isEmpty { text += "  \(causes)\n" }
    if statistics.cpus.count > 1 {
      for (index, one) in statistics.cpus.enumerated() { text += processorLine(index, one) + "\n" }
    }
    let exits = statistics.exits.values.reduce(0) { $0 + $1.count }
    text += "  \(NumberFormat.grouped(exits)) exits, \(NumberFormat.grouped(statistics.walks.count)) walks with "
    text += "\(NumberFormat.grouped(statistics.walks.references)) references, "
    text += "\(NumberFormat.bytes(statistics.memory.overheadBytes)) overhead memory\n"
    if detailed {
      for (place, count) in statistics.unclaimed.sorted(by: { $0.key < $1.key }) {
        text += "  nothing at \(place): \(NumberFormat.grouped(count)) accesses\n"
      }
    }
    return style.faint(String(text.dropLast())) + "\n"
  }

  private static func line(_ statistics: Statistics) -> String {
    let paging = statistics.config["paging"]?.description ?? ""
    let profile = statistics.config["profile"]?.description ?? ""
    let unverified = statistics.unverified.count
    return "  \(NumberFormat.grouped(statistics.instructions)) instructions, "
      + "\(NumberFormat.grouped(statistics.cycles)) cycles "
      + "(\(NumberFormat.ratio(statistics.cycles, to: statistics.instructions)) each), "
      + "paging \(paging), profile \(profile)"
      + (unverified == 0 ? "" : " (\(unverified) figures unverified)")
  }

  /// One of several processors: what it executed and took, and its greatest causes.
  private static func processorLine(_ index: Int, _ one: Statistics.CPU) -> String {
    let causes = topCauses(one.causes.ledger, 3)
    return "  processor \(index): \(NumberFormat.grouped(one.instructions)) instructions, "
      + "\(NumberFormat.grouped(one.cycles)) cycles" + (causes.isEmpty ? "" : "; \(causes)")
  }

  /// The greatest causes, greatest first.
  private static func topCauses(_ ledger: CycleLedger, _ count: Int = 5) -> String {
    let sorted = ledger.nonzero.enumerated().sorted {
      ($1.element.cycles, $0.offset) < ($0.element.cycles, $1.offset)
    }
    return sorted.prefix(count).map {
      "\($0.element.cause.name) \(NumberFormat.share($0.element.cycles, of: ledger.total))"
    }
    .joined(separator: ", ")
  }
}
