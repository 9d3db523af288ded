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

  /// The five greatest causes, greatest first.
  private static func topCauses(_ ledger: CycleLedger) -> String {
    let sorted = ledger.nonzero.enumerated().sorted {
      ($1.element.cycles, $0.offset) < ($0.element.cycles, $1.offset)
    }
    return sorted.prefix(5).map {
      "\($0.element.cause.name) \(NumberFormat.share($0.element.cycles, of: ledger.total))"
    }
    .joined(separator: ", ")
  }
}
