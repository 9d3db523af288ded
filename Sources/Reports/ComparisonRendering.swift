import Emulator
import Machine

extension Comparison: RunTable {
  /// The comparison in a format.
  /// - Throws: `SetupError` of kind `defect` if JSON cannot be made.
  public func text(_ format: OutputFormat, _ style: TextStyle = TextStyle(coloured: false)) throws(SetupError) -> String
  {
    try ReportSet([.causes], of: self).text(format, style)
  }

  func lines(_ style: TextStyle) -> String {
    var headings: [(String, TextTable.Alignment)] = [("cause", .left)]
    for (index, column) in columns.enumerated() {
      headings.append((column.name, .right))
      if showsShares { headings.append(("share", .right)) }
      if index > 0 && showsRatios { headings.append(("ratio", .right)) }
    }
    var table = TextTable(headings)
    for group in groups {
      if group.causes.count > 1 {
        table.add(row(group.name) { ledger in group.causes.reduce(0) { $0 + ledger[$1] } }, .strong)
        for cause in group.causes { table.add(row("  " + cause.name) { $0[cause] }) }
      } else {
        for cause in group.causes { table.add(row(cause.name) { $0[cause] }) }
      }
    }
    table.addRule()
    table.add(row("cycles") { $0.total }, .strong)
    if !showsRatios, let base = columns.first?.ledger.total {
      table.add(["ratio to \(columns[0].name)"] + columns.map { NumberFormat.ratio($0.ledger.total, to: base) })
    }
    for count in counts {
      table.add(
        spread(count.name, count.values.map { count.isBytes ? NumberFormat.bytes($0) : NumberFormat.grouped($0) }) {
          NumberFormat.ratio(count.values[$0], to: count.values[0])
        })
    }
    table.add(
      spread("cycles per instruction", columns.map { NumberFormat.ratio($0.ledger.total, to: $0.instructions) }))
    return table.text(style) + (remarks.isEmpty ? "" : "\n" + remarks)
  }

  /// A line has room for so much: beside many kinds not for what each cause is of the whole, nor for the ratio of each, but
  /// for that of the sum.
  private var showsShares: Bool { columns.count <= 3 }
  private var showsRatios: Bool { columns.count <= 4 }

  var title: String {
    let place = region.map { ", region \($0)" } ?? ""
    return "\(place): cycles by cause, profile \(profile)"
      + (unverified == 0 ? "" : " (\(unverified) figures unverified)")
  }

  private func row(_ name: String, _ cycles: (CycleLedger) -> UInt64) -> [String] {
    var cells = [name]
    let base = columns.first.map { cycles($0.ledger) } ?? 0
    for (index, column) in columns.enumerated() {
      let value = cycles(column.ledger)
      cells.append(NumberFormat.grouped(value))
      if showsShares { cells.append(NumberFormat.share(value, of: column.ledger.total)) }
      if index > 0 && showsRatios { cells.append(NumberFormat.ratio(value, to: base)) }
    }
    return cells
  }

  /// A row without shares.
  private func spread(_ name: String, _ values: [String], ratio: ((Int) -> String)? = nil) -> [String] {
    var cells = [name]
    for (index, value) in values.enumerated() {
      cells.append(value)
      if showsShares { cells.append("") }
      if index > 0 && showsRatios { cells.append(ratio?(index) ?? "") }
    }
    return cells
  }

  var csv: CommaSeparatedValues {
    var csv = CommaSeparatedValues()
    csv.add(["cause"] + columns.map(\.name))
    for cause in groups.flatMap(\.causes) { csv.add([cause.name] + columns.map { "\($0.ledger[cause])" }) }
    csv.add(["cycles"] + columns.map { "\($0.ledger.total)" })
    for count in counts { csv.add([count.name] + count.values.map { "\($0)" }) }
    return csv
  }

  var rows: DocumentRows { DocumentRows(Document(self, reports: [:]).rows) }

  /// The JSON document: the rows as the table of causes has them, other tables that somebody has asked for, and every run's
  /// statistics.
  struct Document: Encodable {
    struct Row: Encodable {
      var name: String
      /// `group`, `cause`, `total` or `count`.
      var kind: String
      /// One value a kind of paging, in the order of `kinds`.
      var values: [UInt64]
    }

    let schema = "penumbra.compare/1"
    var guest: String
    var profile: String
    var region: String?
    var kinds: [String]
    var rows: [Row] = []
    var conclusion: String
    /// By the report's name.
    var reports: [String: DocumentRows]?
    var runs: [Statistics]

    init(_ comparison: Comparison, reports: [String: DocumentRows]) {
      let columns = comparison.columns
      guest = comparison.guest
      profile = comparison.profile
      region = comparison.region
      kinds = columns.map(\.name)
      conclusion = comparison.conclusion
      runs = columns.map(\.statistics)
      self.reports = reports.isEmpty ? nil : reports
      for group in comparison.groups {
        if group.causes.count > 1 {
          rows.append(
            Row(
              name: group.name, kind: "group",
              values: columns.map { column in group.causes.reduce(0) { $0 + column.ledger[$1] } }))
        }
        for cause in group.causes {
          rows.append(Row(name: cause.name, kind: "cause", values: columns.map { $0.ledger[cause] }))
        }
      }
      rows.append(Row(name: "cycles", kind: "total", values: columns.map(\.ledger.total)))
      for count in comparison.counts { rows.append(Row(name: count.name, kind: "count", values: count.values)) }
    }
  }
}
