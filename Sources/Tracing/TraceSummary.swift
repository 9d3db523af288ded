import Emulator

/// What a trace is of, for people.
public enum TraceSummary {
  /// A line for each fact: its name, and what it is.
  public static func text(_ trace: Trace) -> String {
    let statistics = trace.statistics
    func setting(_ key: String) -> String { printable(statistics.config[key]?.description ?? "") }
    let exits = trace.exits
    var facts = [
      ("format", "\(TraceFile.version)"),
      ("name", printable(trace.name)),
      ("guest", printable(statistics.guest.name)),
      ("sha256", printable(statistics.guest.sha256)),
      ("append", setting("append")),
      ("paging", setting("paging")),
      ("profile", setting("profile")),
      ("memory", setting("memory")),
      ("outcome", printable(statistics.outcome?.message ?? "none", limit: 160)),
      ("instructions", "\(statistics.instructions)"),
      ("cycles", "\(statistics.cycles)"),
      ("output", "\(trace.output.count) bytes"),
      ("exits", "\(exits.count), \(exits.isWhole ? "all" : "the first \(exits.kept.count)") kept"),
    ]
    let reasons = statistics.exits.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    for (reason, exit) in reasons { facts.append(("  \(printable(reason))", "\(exit.count)")) }
    let width = facts.map(\.0.count).max() ?? 0
    return facts.map { name, fact in
      let line = name + String(repeating: " ", count: width - name.count + 2) + fact
      return (fact.isEmpty ? name : line) + "\n"
    }
    .joined()
  }
}
