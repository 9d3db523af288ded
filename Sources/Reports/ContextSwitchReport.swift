import Emulator
import Foundation
import Machine

/// What a context switch costs, by cause: for each measurement, the measured region of a run in which tasks have spaces
/// of their own, less the same region of a control run in which they share one, divided by the number of switches.
public struct ContextSwitchReport {
  /// How the guest's kernel manages the TLB.
  public enum Variant: String, CaseIterable, Sendable {
    /// Every load of CR3 drops everything.
    case plain
    /// The kernel's own pages are global.
    case global
    /// Spaces have PCIDs, and loads of CR3 keep entries.
    case pcid
  }

  /// One measurement, of all switches together.
  public struct Measurement: Sendable {
    public var processes: Int
    /// Pages that each process touches between two switches.
    public var pages: Int
    public var variant: Variant
    public var paging: PagingKind
    /// 1 or more.
    public var switches: UInt64
    /// The run with spaces of their own, less the control run.
    public var cost: CostDifference

    public init(
      processes: Int, pages: Int, variant: Variant, paging: PagingKind, switches: UInt64, cost: CostDifference
    ) {
      (self.processes, self.pages, self.variant, self.paging) = (processes, pages, variant, paging)
      (self.switches, self.cost) = (switches, cost)
    }
  }

  /// Digits after the point in a table.
  static let decimals = 1

  private let frame: BenchFrame
  private let measurements: [Measurement]

  public init(_ measurements: [Measurement], profile: CostProfile) {
    self.measurements = measurements
    frame = BenchFrame(profile)
  }

  /// The report in a format.
  /// - Throws: `SetupError` of kind `defect` if JSON cannot be made.
  public func text(_ format: OutputFormat, _ style: TextStyle = TextStyle(coloured: false)) throws(SetupError) -> String
  {
    switch format {
    case .table: table(style)
    case .csv: csv
    case .json: try frame.json("penumbra.bench.context-switch/2", measurements.map(Row.init))
    }
  }

  private func table(_ style: TextStyle) -> String {
    let groups = CauseTree.groups(in: measurements.map(\.cost))
    let fixed: [(String, TextTable.Alignment)] = [
      ("processes", .right), ("pages", .right), ("kernel", .left), ("paging", .left), ("cycles/switch", .right),
    ]
    var table = TextTable(fixed + groups.map { ($0.name, .right) })
    var last: (Int, Int)?
    for measurement in measurements {
      let point = (measurement.processes, measurement.pages)
      if let last, last != point { table.addRule() }
      last = point
      let sums = groups.map { group in group.causes.reduce(0) { $0 + measurement.cost.cycles(of: $1) } }
      let shown = Apportionment.divide(sums, by: measurement.switches, decimals: Self.decimals)
      table.add(
        ["\(measurement.processes)", "\(measurement.pages)", measurement.variant.rawValue, measurement.paging.name]
          + ([shown.total] + shown.parts).map { NumberFormat.decimal($0, decimals: Self.decimals) })
    }
    return frame.text(
      table, of: "cycles of a context switch, by cause: spaces of their own less one shared space", style)
  }

  /// Cycles of one switch, as the table has them, and after them the whole cycles of all switches, of which nothing is
  /// rounded.
  private var csv: String {
    let causes = CauseTree.groups(in: measurements.map(\.cost)).flatMap(\.causes)
    var csv = CommaSeparatedValues()
    csv.add(
      ["processes", "pages", "kernel", "paging", "switches", "cycles"] + causes.map(\.name) + ["totalCycles"]
        + causes.map { "total." + $0.name })
    for measurement in measurements {
      let shares = measurement.cost.shares(causes, by: measurement.switches)
      csv.add(
        [
          "\(measurement.processes)", "\(measurement.pages)", measurement.variant.rawValue, measurement.paging.name,
          "\(measurement.switches)",
        ] + ([shares.total] + shares.parts).map { NumberFormat.plain($0, decimals: CostDifference.fineDecimals) }
          + ["\(measurement.cost.total)"] + causes.map { "\(measurement.cost.cycles(of: $0))" })
    }
    return csv.text
  }

  /// A measurement in JSON.
  private struct Row: Encodable {
    var processes: Int
    var pages: Int
    var kernel: String
    var paging: String
    var switches: UInt64
    /// Of one switch.
    var cycles: Decimal
    var causes: [String: Decimal]
    /// Of all switches together.
    var totalCycles: Int64
    var totalCauses: [String: Int64]

    init(_ measurement: Measurement) {
      (processes, pages, switches) = (measurement.processes, measurement.pages, measurement.switches)
      (kernel, paging) = (measurement.variant.rawValue, measurement.paging.name)
      let cost = measurement.cost
      (cycles, causes) = cost.decimals(by: switches)
      totalCycles = Int64(clamping: cost.total)
      totalCauses = Dictionary(uniqueKeysWithValues: cost.causes.map { ($0.cause.name, Int64(clamping: $0.cycles)) })
    }
  }
}
