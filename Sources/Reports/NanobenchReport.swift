import Emulator
import Foundation
import Machine

/// What single operations cost, by cause: the region of each operation's loop in the guest `nanobench`, less the region of
/// the loop without an operation, divided by the number of turns.
public struct NanobenchReport {
  /// The operations of the guest; the raw value is the mark of its region.
  public enum Operation: Int, CaseIterable, Sendable {
    case call = 2
    case systemCall, portRead, writeCR8, divideError, pageFault, writeEntry, invalidate, loadCR3

    /// As tables and results name it; those that AA06 measured have its names.
    public var name: String {
      switch self {
      case .call: "call/ret"
      case .systemCall: "syscall"
      case .portRead: "in"
      case .writeCR8: "cr8wr"
      case .divideError: "divzero"
      case .pageFault: "pgfault"
      case .writeEntry: "ptemod"
      case .invalidate: "invlpg"
      case .loadCR3: "cr3wr"
      }
    }

    /// What is measured, in a line.
    public var summary: String {
      switch self {
      case .call: "a call and its return"
      case .systemCall: "SYSCALL from ring 3 to a handler that returns at once"
      case .portRead: "a read of port 0x80"
      case .writeCR8: "a write of CR8"
      case .divideError: "a divide error, delivered, and the handler's return"
      case .pageFault: "a page fault that is the guest's own, delivered, and the handler's return"
      case .writeEntry: "a change of an ignored bit in a page-table entry in use"
      case .invalidate: "INVLPG of a mapped page"
      case .loadCR3: "a load of CR3 with the value that it has, and the refills after it"
      }
    }
  }

  /// The mark of the loop without an operation.
  private static let controlMark = 1

  /// What a run of the guest measured.
  /// - Parameter count: the turns of each loop, 1 or more.
  public static func measurements(_ statistics: Statistics, _ paging: PagingKind, count: UInt64) -> [Measurement] {
    guard let control = statistics.regions[Statistics.regionName(controlMark)] else { return [] }
    return Operation.allCases.compactMap { operation in
      statistics.regions[Statistics.regionName(operation.rawValue)].map { region in
        Measurement(
          operation: operation, paging: paging, count: count,
          cost: CostDifference(region.causes.ledger, less: control.causes.ledger))
      }
    }
  }

  /// One operation under one kind of paging, `count` times.
  public struct Measurement: Sendable {
    public var operation: Operation
    public var paging: PagingKind
    /// 1 or more.
    public var count: UInt64
    public var cost: CostDifference

    public init(operation: Operation, paging: PagingKind, count: UInt64, cost: CostDifference) {
      (self.operation, self.paging, self.count, self.cost) = (operation, paging, count, cost)
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
    case .json: try frame.json("penumbra.bench.nanobench/1", measurements.map(Row.init))
    }
  }

  /// The kinds of paging, each once, in the order of the measurements.
  private var pagings: [PagingKind] {
    measurements.reduce(into: []) { if !$0.contains($1.paging) { $0.append($1.paging) } }
  }

  private func table(_ style: TextStyle) -> String {
    let pagings = pagings
    var table = TextTable(
      [("operation", .left)] + pagings.map { ($0.name, .right) } + [("what is measured", .left)])
    for operation in Operation.allCases {
      let cells = pagings.map { paging in
        measurements.first { $0.operation == operation && $0.paging == paging }.map { measurement in
          let total = Apportionment.divide(
            [measurement.cost.total], by: measurement.count, decimals: Self.decimals
          ).total
          return NumberFormat.decimal(total, decimals: Self.decimals)
        } ?? "-"
      }
      table.add([operation.name] + cells + [operation.summary])
    }
    return frame.text(table, of: "cycles of one operation, its loop taken off", style)
  }

  private var csv: String {
    let causes = CauseTree.groups(in: measurements.map(\.cost)).flatMap(\.causes)
    var csv = CommaSeparatedValues()
    csv.add(["operation", "paging", "count", "cycles"] + causes.map(\.name))
    for measurement in measurements {
      let shares = measurement.cost.shares(causes, by: measurement.count)
      csv.add(
        [measurement.operation.name, measurement.paging.name, "\(measurement.count)"]
          + ([shares.total] + shares.parts).map { NumberFormat.plain($0, decimals: CostDifference.fineDecimals) })
    }
    return csv.text
  }

  /// A measurement in JSON.
  private struct Row: Encodable {
    var operation: String
    var paging: String
    var count: UInt64
    /// Of one operation.
    var cycles: Decimal
    var causes: [String: Decimal]

    init(_ measurement: Measurement) {
      operation = measurement.operation.name
      (paging, count) = (measurement.paging.name, measurement.count)
      (cycles, causes) = measurement.cost.decimals(by: measurement.count)
    }
  }
}
