import Emulator

/// Exits by reason, in the shape of `perf kvm stat report`; of several runs, the kinds of paging below one another.
struct ExitsReport: RunTable {
  /// The exits of one reason under one kind of paging.
  struct Row: Encodable {
    var reason: String
    var paging: String
    var samples: UInt64
    var cycles: UInt64
    var min: UInt64
    var max: UInt64
  }

  /// All exits under one kind of paging.
  private struct Total {
    var paging: String
    var samples: UInt64
    var cycles: UInt64
  }

  private let exits: [Row]
  private let totals: [Total]

  init(_ columns: [Comparison.Column]) {
    totals = columns.map { column in
      let all = column.statistics.exits.values
      return Total(
        paging: column.name, samples: all.reduce(0) { $0 + $1.count }, cycles: all.reduce(0) { $0 + $1.cycles })
    }
    func greatest(_ reason: String) -> UInt64 { columns.map { $0.statistics.exits[reason]?.count ?? 0 }.max() ?? 0 }
    // By samples, those of the kind that has most; equal ones by name.
    let reasons = Set(columns.flatMap(\.statistics.exits.keys)).map { (count: greatest($0), name: $0) }
      .sorted { ($1.count, $0.name) < ($0.count, $1.name) }
    exits = reasons.flatMap { reason in
      columns.compactMap { column in
        column.statistics.exits[reason.name].map {
          Row(
            reason: reason.name, paging: column.name, samples: $0.count, cycles: $0.cycles, min: $0.min, max: $0.max)
        }
      }
    }
  }

  var title: String { ": exits by reason, cycles from the exit to the entry after it" }

  private var isAlone: Bool { totals.count == 1 }

  func lines(_ style: TextStyle) -> String {
    var table = TextTable(
      [("VM-EXIT", .left)] + (isAlone ? [] : [("paging", .left)])
        + ["Samples", "Samples%", "Cycles%", "Min", "Max", "Avg"].map { ($0, .right) })
    var last = ""
    for row in exits {
      guard let total = totals.first(where: { $0.paging == row.paging }) else { continue }
      table.add(
        [row.reason == last ? "" : row.reason] + (isAlone ? [] : [row.paging]) + [
          NumberFormat.grouped(row.samples), NumberFormat.share(row.samples, of: total.samples),
          NumberFormat.share(row.cycles, of: total.cycles), NumberFormat.grouped(row.min),
          NumberFormat.grouped(row.max), NumberFormat.ratio(row.cycles, to: row.samples),
        ])
      last = row.reason
    }
    var text = exits.isEmpty ? "" : table.text(style) + "\n"
    for total in totals {
      let name = isAlone ? "" : total.paging + ": "
      text +=
        "\(name)Total Samples: \(NumberFormat.grouped(total.samples)), "
        + "Total events handled cycles: \(NumberFormat.grouped(total.cycles))\n"
    }
    if exits.contains(where: { $0.reason == "assisted" }) {
      text += "assisted: the end of an instruction that the hypervisor has completed, no exit of the hardware's\n"
    }
    return text
  }

  var csv: CommaSeparatedValues {
    var csv = CommaSeparatedValues()
    csv.add(["paging", "reason", "samples", "cycles", "min", "max"])
    for row in exits {
      csv.add([row.paging, row.reason] + [row.samples, row.cycles, row.min, row.max].map { "\($0)" })
    }
    return csv
  }

  var rows: DocumentRows { DocumentRows(exits) }
}
