import Emulator

/// The tables that `--report` can ask for: their names, what each is, and what is made of a list of them come from here.
public enum Report: String, CaseIterable, Sendable {
  case causes, exits, mmu, hits, memory

  /// What the table shows, for the help text.
  public var summary: String {
    switch self {
    case .causes: "cycles by cause"
    case .exits: "exits by reason, as perf kvm stat report shows them"
    case .mmu: "what the hypervisor's memory management counted, by kvm_stat's names"
    case .hits: "hit rates of TLBs and structure caches; references a walk, and what served them"
    case .memory: "overhead memory by kind of table: now, at most, and in the course of time"
    }
  }

  /// The names that a list may have.
  public static var names: [String] { allCases.map(\.rawValue) + ["all"] }

  /// Every name with what it is, a line each.
  public static var help: String {
    allCases.map { "\($0.rawValue): \($0.summary)\n" }.joined() + "all: all of them"
  }

  /// Reads a list of names, separated by commas; `all` stands for every one.
  /// - Throws: `SetupError` of kind `usage` for a report that does not exist, or one that is given twice.
  public static func list(_ text: String) throws(SetupError) -> [Report] {
    if text == "all" { return allCases }
    var reports: [Report] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      guard let report = Report(rawValue: name) else {
        let what =
          name.isEmpty
          ? "a name is missing" : name == "all" ? "all stands alone" : "\(printable(name)) does not exist"
        throw .usage("report: \(what); there are \(names.joined(separator: ", "))")
      }
      guard !reports.contains(report) else { throw .usage("report: \(name) is given twice") }
      reports.append(report)
    }
    return reports
  }

  /// The table of runs.
  func table(of comparison: Comparison) -> any RunTable {
    switch self {
    case .causes: comparison
    case .exits: ExitsReport(comparison.columns)
    case .mmu: CountersReport(comparison.columns)
    case .hits: HitsReport(comparison.columns)
    case .memory: MemoryReport(comparison.columns)
    }
  }
}

/// A table of one run, or of several under different kinds of paging.
protocol RunTable {
  /// What stands above the table, after the guest's name.
  var title: String { get }
  /// The lines, each with a newline.
  func lines(_ style: TextStyle) -> String
  var csv: CommaSeparatedValues { get }
  /// The rows as a document has them.
  var rows: DocumentRows { get }
}

/// Rows of any kind, for a document.
struct DocumentRows: Encodable {
  private let write: (any Encoder) throws -> Void

  init(_ rows: [some Encodable]) { write = { try rows.encode(to: $0) } }

  func encode(to encoder: any Encoder) throws { try write(encoder) }
}

/// A count of each run: a row of a table whose columns are the kinds of paging.
struct CountRow: Encodable {
  var name: String
  /// One value a kind of paging.
  var values: [UInt64]

  /// Rows with the kinds' names above them.
  static func csv(_ rows: [CountRow], _ heading: String, _ columns: [Comparison.Column]) -> CommaSeparatedValues {
    var csv = CommaSeparatedValues()
    csv.add([heading] + columns.map(\.name))
    for row in rows { csv.add([row.name] + row.values.map { "\($0)" }) }
    return csv
  }
}

/// The tables that somebody has asked for, of one run or of several under different kinds of paging.
public struct ReportSet {
  private let comparison: Comparison
  private let reports: [Report]

  /// - Parameter runs: as `Comparison` takes them.
  public init(_ reports: [Report], of comparison: Comparison) {
    (self.reports, self.comparison) = (reports, comparison)
  }

  /// The tables in a format: below one another, or one document.
  /// - Throws: `SetupError` of kind `defect` if JSON cannot be made.
  public func text(_ format: OutputFormat, _ style: TextStyle = TextStyle(coloured: false)) throws(SetupError) -> String
  {
    switch format {
    case .table:
      return reports.map { report in
        let table = report.table(of: comparison)
        // Of a region nothing but its cycles is known.
        let whole = comparison.region != nil && report != .causes ? ", whole run" : ""
        return "\(comparison.guest)\(whole)\(table.title)\n\n\(table.lines(style))"
      }
      .joined(separator: "\n")
    case .csv: return reports.map { $0.table(of: comparison).csv.text }.joined(separator: "\n")
    case .json:
      var tables: [String: DocumentRows] = [:]
      for report in reports where report != .causes { tables[report.rawValue] = report.table(of: comparison).rows }
      return try DeterministicJSON.encode(Comparison.Document(comparison, reports: tables))
    }
  }
}
