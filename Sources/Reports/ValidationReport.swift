import Emulator
import Foundation

/// Published figures beside those that the model yields for the same experiment.
///
/// All figures are fixed-point numbers, in hundredths of their unit, so that the report is alike on every machine.
public struct ValidationReport {
  /// What a published figure is to the model.
  public enum Role: String, Sendable {
    /// It follows from mechanisms that were given other figures: this is what is judged.
    case predicted
    /// A constant of the profile, or what one was fitted to: shown for completeness, never judged.
    case input
  }

  /// One published figure and its counterpart.
  public struct Row: Sendable {
    /// The paper, as the documents abbreviate it, and the experiment.
    public var experiment: String
    public var quantity: String
    public var unit: String
    /// The least and the greatest figure that was published, in hundredths; equal where there is one.
    public var published: ClosedRange<Int128>
    /// In hundredths.
    public var modelled: Int128
    public var role: Role
    /// How far outside the published range a prediction may lie, in per cent of the nearer bound.
    public var tolerance: Int128
    /// Why the model is known to miss the figure, if it does.
    public var knownDeviation: String?

    public init(
      _ experiment: String, _ quantity: String, _ unit: String, published: ClosedRange<Int128>, modelled: Int128,
      role: Role = .predicted, tolerance: Int128 = 25, knownDeviation: String? = nil
    ) {
      (self.experiment, self.quantity, self.unit) = (experiment, quantity, unit)
      (self.published, self.modelled, self.role) = (published, modelled, role)
      (self.tolerance, self.knownDeviation) = (tolerance, knownDeviation)
    }

    /// The distance to the published range in tenths of a per cent of its nearer bound, 0 inside it.
    public var error: Int128 {
      let bound = min(max(modelled, published.lowerBound), published.upperBound)
      guard bound != 0 else { return modelled == 0 ? 0 : 1000 }
      let doubled = (modelled - bound) * 2000
      return (doubled + (doubled < 0 ? -bound : bound)) / (bound * 2)
    }

    /// Whether a prediction lies within its tolerance; inputs always do.
    public var holds: Bool { role == .input || error.magnitude <= UInt128(tolerance) * 10 }

    /// `input`, `ok`, `known` or `off`.
    var verdict: String {
      switch role {
      case .input: "input"
      case .predicted: holds ? "ok" : knownDeviation == nil ? "off" : "known"
      }
    }
  }

  private let rows: [Row]
  private let remarks: [String]

  /// - Parameter remarks: what was published and has no counterpart in the model, a sentence each.
  public init(_ rows: [Row], remarks: [String]) {
    (self.rows, self.remarks) = (rows, remarks)
  }

  /// Predictions that miss their figure for no known reason.
  public var failures: Int { rows.count { $0.verdict == "off" } }

  /// The report in a format.
  /// - Throws: `SetupError` of kind `defect` if JSON cannot be made.
  public func text(_ format: OutputFormat, _ style: TextStyle = TextStyle(coloured: false)) throws(SetupError) -> String
  {
    switch format {
    case .table: table(style)
    case .csv: csv
    case .json: try DeterministicJSON.encode(Document(rows: rows.map(Document.Row.init), remarks: remarks))
    }
  }

  private func table(_ style: TextStyle) -> String {
    var table = TextTable([
      ("experiment", .left), ("quantity", .left), ("published", .right), ("modelled", .right), ("", .left),
      ("error", .right), ("", .left),
    ])
    var last = ""
    for row in rows {
      if !last.isEmpty && last != row.experiment { table.addRule() }
      let sign = row.error > 0 ? "+" : ""
      table.add([
        row.experiment == last ? "" : row.experiment, row.quantity, Self.shown(row.published),
        NumberFormat.decimal(row.modelled, decimals: 2), row.unit,
        row.role == .input ? "" : sign + NumberFormat.decimal(row.error, decimals: 1) + "%", row.verdict,
      ])
      last = row.experiment
    }
    let predicted = rows.filter { $0.role == .predicted }
    var text = table.text(style) + "\n"
    for row in rows where row.verdict == "known" {
      text += "\(row.experiment), \(row.quantity): \(row.knownDeviation ?? "")\n"
    }
    text += remarks.map { $0 + "\n" }.joined()
    let known = predicted.count { $0.verdict == "known" }
    return text + "\(predicted.count { $0.holds }) of \(predicted.count) predictions within their tolerance, "
      + "\(known) known to miss, \(failures) failed\n"
  }

  private static func shown(_ range: ClosedRange<Int128>) -> String {
    let low = NumberFormat.decimal(range.lowerBound, decimals: 2)
    return range.lowerBound == range.upperBound
      ? low : low + "-" + NumberFormat.decimal(range.upperBound, decimals: 2)
  }

  private var csv: String {
    var csv = CommaSeparatedValues()
    csv.add([
      "experiment", "quantity", "unit", "publishedFrom", "publishedTo", "modelled", "error", "role", "verdict",
    ])
    for row in rows {
      csv.add(
        [row.experiment, row.quantity, row.unit]
          + [row.published.lowerBound, row.published.upperBound, row.modelled].map {
            NumberFormat.plain($0, decimals: 2)
          }
          + [NumberFormat.plain(row.error, decimals: 1), row.role.rawValue, row.verdict])
    }
    return csv.text
  }

  private struct Document: Encodable {
    struct Row: Encodable {
      var experiment: String
      var quantity: String
      var unit: String
      var publishedFrom: Decimal
      var publishedTo: Decimal
      var modelled: Decimal
      /// Per cent.
      var error: Decimal
      /// Per cent that are tolerated.
      var tolerance: Int
      var role: String
      var verdict: String
      var knownDeviation: String?

      init(_ row: ValidationReport.Row) {
        func decimal(_ value: Int128, _ exponent: Int) -> Decimal {
          Decimal(
            sign: value < 0 ? .minus : .plus, exponent: exponent,
            significand: Decimal(UInt64(clamping: value.magnitude)))
        }
        (experiment, quantity, unit) = (row.experiment, row.quantity, row.unit)
        publishedFrom = decimal(row.published.lowerBound, -2)
        publishedTo = decimal(row.published.upperBound, -2)
        modelled = decimal(row.modelled, -2)
        error = decimal(row.error, -1)
        tolerance = Int(clamping: row.tolerance)
        (role, verdict, knownDeviation) = (row.role.rawValue, row.verdict, row.knownDeviation)
      }
    }

    let schema = "penumbra.validate/1"
    var rows: [Row]
    var remarks: [String]
  }
}

extension ValidationReport {
  /// `part / whole * scale` in hundredths, rounded half up; 0 for a whole of 0.
  public static func hundredths(_ part: Int128, over whole: UInt64, scale: Int128 = 1) -> Int128 {
    whole == 0 ? 0 : Apportionment.divide([part * scale], by: whole, decimals: 2).total
  }
}
