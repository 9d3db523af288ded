import Emulator

/// The memory that the hypervisor's tables take, by kind of table, with a chart of its course.
struct MemoryReport: RunTable {
  /// Tables of one kind under one kind of paging.
  struct Row: Encodable {
    var paging: String
    var table: String
    var bytes: UInt64
    var peakBytes: UInt64
  }

  /// Characters of a chart.
  static let width = 48

  private let columns: [Comparison.Column]

  init(_ columns: [Comparison.Column]) {
    // A bare machine has no such tables.
    self.columns = columns.filter { $0.statistics.memory.tables != nil }
  }

  var title: String { ": overhead memory by kind of table; the charts reach to the most that each ever took" }

  private static func tables(_ memory: Statistics.Memory) -> [(kind: String, tables: Statistics.Tables)] {
    Statistics.Memory.kinds.compactMap { kind in memory.tables?[kind].map { (kind, $0) } }
  }

  func lines(_ style: TextStyle) -> String {
    guard !columns.isEmpty else { return "no hypervisor, no tables of one\n" }
    let isAlone = columns.count == 1
    var table = TextTable(
      (isAlone ? [] : [("paging", .left)]) + [("tables", .left), ("now", .right), ("at most", .right), ("", .left)])
    for (index, column) in columns.enumerated() {
      if index > 0 { table.addRule() }
      let (memory, shadow) = (column.statistics.memory, column.statistics.shadow)
      let timeline = memory.timeline ?? Statistics.Timeline(cycles: 0, interval: 0, samples: [])
      func row(_ name: String, _ now: UInt64, _ most: UInt64, isFirst: Bool, _ value: ([String: UInt64]) -> UInt64)
        -> [String]
      {
        let points = timeline.samples.map { (cycles: $0.cycles, value: value($0.tables)) }
        return (isAlone ? [] : [isFirst ? column.name : ""]) + [
          name, NumberFormat.bytes(now), NumberFormat.bytes(most),
          TextChart.line(points, until: timeline.cycles, most: most, width: MemoryReport.width),
        ]
      }
      table.add(
        row("all", memory.overheadBytes, shadow.peakTableBytes, isFirst: true) { $0.values.reduce(0, +) }, .strong)
      for (kind, bytes) in MemoryReport.tables(memory) {
        table.add(row(kind, bytes.bytes, bytes.peakBytes, isFirst: false) { $0[kind] ?? 0 })
      }
    }
    return table.text(style) + "\n" + columns.map(MemoryReport.remark).joined()
  }

  /// What the tables are beside the guest's memory, and how fine the chart is.
  private static func remark(_ column: Comparison.Column) -> String {
    let memory = column.statistics.memory
    let backing = memory.hostBytes - min(memory.overheadBytes, memory.hostBytes)
    var text = "\(column.name): \(NumberFormat.share(memory.overheadBytes, of: backing)) of the guest's "
    text += "\(NumberFormat.bytes(backing)) in use"
    if let timeline = memory.timeline {
      text += "; \(timeline.samples.count) samples over \(NumberFormat.grouped(timeline.cycles)) cycles, "
      text += "at most one in \(NumberFormat.grouped(timeline.interval))"
    }
    let words = text.split(separator: " ").map(String.init)
    return Listings.wrapped(words[0], Array(words.dropFirst()))
  }

  private var taken: [Row] {
    columns.flatMap { column in
      MemoryReport.tables(column.statistics.memory).map { kind, tables in
        Row(paging: column.name, table: kind, bytes: tables.bytes, peakBytes: tables.peakBytes)
      }
    }
  }

  var csv: CommaSeparatedValues {
    var csv = CommaSeparatedValues()
    csv.add(["paging", "table", "bytes", "peakBytes"])
    for row in taken { csv.add([row.paging, row.table, "\(row.bytes)", "\(row.peakBytes)"]) }
    return csv
  }

  var rows: DocumentRows { DocumentRows(taken) }
}
