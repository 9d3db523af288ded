import Emulator

/// What the hypervisor's memory management counted, by the names that `kvm_stat` has for it.
struct CountersReport: RunTable {
  private typealias Counter = Statistics.Shadow.Counter

  private let columns: [Comparison.Column]
  private let counters: [Counter]

  init(_ columns: [Comparison.Column]) {
    // A bare machine has nobody who counts.
    let columns = columns.filter { $0.name != PagingKind.native.name }
    self.columns = columns
    // Dirty logging is rare: its rows are there where there is one.
    let logs = columns.contains { $0.statistics.shadow.dirtyCollections + $0.statistics.shadow.dirtyPages != 0 }
    counters = Counter.shown.filter { $0.group != .dirty || logs }
  }

  var title: String { ": the hypervisor's memory management, kvm_stat's counters" }

  func lines(_ style: TextStyle) -> String {
    guard !columns.isEmpty else { return "no hypervisor\n" }
    var table = TextTable(
      [("counter", .left)] + columns.map { ($0.name, .right) } + (columns.count == 1 ? [("", .left)] : []))
    for (index, counter) in counters.enumerated() {
      if index > 0 && counters[index - 1].group != counter.group { table.addRule() }
      let values = columns.map { NumberFormat.grouped($0.statistics.shadow[counter]) }
      table.add([counter.name] + values + (columns.count == 1 ? [counter.meaning] : []))
      if index == counters.count - 1 || counters[index + 1].group != counter.group {
        for (name, value) in CountersReport.derived(counter.group) {
          table.add([name] + columns.map { value($0.statistics.shadow) }, .faint)
        }
      }
    }
    return table.text(style)
  }

  /// What a group's counters say together.
  private static func derived(_ group: Counter.Group) -> [(String, (Statistics.Shadow) -> String)] {
    switch group {
    case .faults:
      [("hidden of all", { NumberFormat.share($0.hiddenFaults, of: $0.hiddenFaults + $0.trueFaults) })]
    case .lock: [("cycles a wait", { NumberFormat.ratio($0.lockWaitCycles, to: $0.lockWaits) })]
    case .tables, .flushes, .dirty, .memory: []
    }
  }

  private var counts: [CountRow] {
    counters.map { counter in CountRow(name: counter.name, values: columns.map { $0.statistics.shadow[counter] }) }
  }

  var csv: CommaSeparatedValues { CountRow.csv(counts, "counter", columns) }
  var rows: DocumentRows { DocumentRows(counts) }
}

extension Statistics.Shadow.Counter {
  /// Bytes have a table of their own.
  fileprivate static var shown: [Statistics.Shadow.Counter] {
    Statistics.Shadow.counters.filter { $0.group != .memory }
  }
}
