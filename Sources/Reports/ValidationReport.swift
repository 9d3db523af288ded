import Emulator
import Foundation
import Machine

/// Published figures beside those that the model yields for the same experiment.
///
/// All figures are fixed-point numbers, in hundredths of their unit, so that the report is alike on every machine.
public struct ValidationReport {
  /// What a published figure is to the model.
  public enum Role: String, Sendable {
    /// It follows from mechanisms that were given other figures: this is what is judged.
    case predicted
    /// What a constant of the profile or of the guest's load was fitted to: predictions rest on the fit.
    case fitted
    /// A constant of the profile: shown for completeness, never judged.
    case input
  }

  /// How far outside the published range a prediction may lie.
  public enum Tolerance: Sendable {
    /// Of the nearer bound; 0 asks for the figure itself.
    case percent(Int128)
    /// Of figures that are per cent themselves.
    case points(Int128)

    var text: String {
      switch self {
      case .percent(0): "exactly"
      case .percent(let most): "\(most)%"
      case .points(let most): "\(most) points"
      }
    }
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
    public var tolerance: Tolerance
    /// Why the model is known to miss the figure, if it does.
    public var knownDeviation: String?

    public init(
      _ experiment: String, _ quantity: String, _ unit: String, published: ClosedRange<Int128>, modelled: Int128,
      role: Role = .predicted, tolerance: Tolerance? = nil, knownDeviation: String? = nil
    ) {
      (self.experiment, self.quantity, self.unit) = (experiment, quantity, unit)
      (self.published, self.modelled, self.role) = (published, modelled, role)
      (self.tolerance, self.knownDeviation) = (tolerance ?? .percent(role == .fitted ? 10 : 25), knownDeviation)
    }

    /// The bound of the published range that is nearer; inside it the figure itself.
    private var bound: Int128 { min(max(modelled, published.lowerBound), published.upperBound) }

    /// The distance to the published range in tenths of a per cent of its nearer bound, 0 inside it.
    public var error: Int128 {
      guard bound != 0 else { return modelled == 0 ? 0 : 1000 }
      let doubled = (modelled - bound) * 2000
      return (doubled + (doubled < 0 ? -bound : bound)) / (bound * 2)
    }

    /// Whether a prediction lies within its tolerance; inputs always do.
    public var holds: Bool {
      switch tolerance {
      case _ where role == .input: true
      case .percent(let most): (modelled - bound).magnitude * 100 <= UInt128(most) * bound.magnitude
      case .points(let most): (modelled - bound).magnitude <= UInt128(most) * 100
      }
    }

    /// `input`, `fitted`, `ok`, `known` or `off`.
    var verdict: String {
      switch role {
      case .input: "input"
      case .fitted: holds ? "fitted" : "off"
      case .predicted: holds ? "ok" : knownDeviation == nil ? "off" : "known"
      }
    }
  }

  private let rows: [Row]
  private let remarks: [String]
  private let profiles: [CostProfile]

  /// - Parameters:
  ///   - remarks: what was published and has no counterpart in the model, a sentence each.
  ///   - profiles: those that the experiments ran on.
  public init(_ rows: [Row], remarks: [String], profiles: [CostProfile]) {
    (self.rows, self.remarks, self.profiles) = (rows, remarks, profiles)
  }

  /// Predictions that miss their figure for no known reason, and fits that do not fit.
  public var failures: Int { rows.count { $0.verdict == "off" } }

  /// The report in a format.
  /// - Throws: `SetupError` of kind `defect` if JSON cannot be made.
  public func text(_ format: OutputFormat, _ style: TextStyle = TextStyle(coloured: false)) throws(SetupError) -> String
  {
    switch format {
    case .table: table(style)
    case .csv: csv
    case .json:
      try DeterministicJSON.encode(
        Document(
          rows: rows.map(Document.Row.init), remarks: remarks,
          unverified: Dictionary(profiles.map { ($0.name, $0.unverified.count) }) { $1 }))
    }
  }

  private func table(_ style: TextStyle) -> String {
    var table = TextTable([
      ("experiment", .left), ("quantity", .left), ("published", .right), ("modelled", .right), ("", .left),
      ("error", .right), ("within", .right), ("", .left),
    ])
    var last = ""
    for row in rows {
      if !last.isEmpty && last != row.experiment { table.addRule() }
      let sign = row.error > 0 ? "+" : ""
      table.add([
        row.experiment == last ? "" : row.experiment, row.quantity, Self.shown(row.published),
        NumberFormat.decimal(row.modelled, decimals: 2), row.unit,
        row.role == .input ? "" : sign + NumberFormat.decimal(row.error, decimals: 1) + "%",
        row.role == .input ? "" : row.tolerance.text, row.verdict,
      ])
      last = row.experiment
    }
    let predicted = rows.filter { $0.role == .predicted }
    var text = table.text(style) + "\n"
    for row in rows where row.verdict == "known" {
      text += "\(row.experiment), \(row.quantity): \(row.knownDeviation ?? "")\n"
    }
    text += remarks.map { $0 + "\n" }.joined()
    text +=
      "unverified figures: "
      + profiles.map { "\($0.unverified.count) of \(CostKey.allCases.count) in \($0.name)" }.joined(separator: ", ")
      + "\n"
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
      "experiment", "quantity", "unit", "publishedFrom", "publishedTo", "modelled", "error", "tolerance", "role",
      "verdict",
    ])
    for row in rows {
      csv.add(
        [row.experiment, row.quantity, row.unit]
          + [row.published.lowerBound, row.published.upperBound, row.modelled].map {
            NumberFormat.plain($0, decimals: 2)
          }
          + [NumberFormat.plain(row.error, decimals: 1), row.tolerance.text, row.role.rawValue, row.verdict])
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
      /// `25%` of the nearer bound, `25 points`, or `exactly`.
      var tolerance: String
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
        tolerance = row.tolerance.text
        (role, verdict, knownDeviation) = (row.role.rawValue, row.verdict, row.knownDeviation)
      }
    }

    let schema = "penumbra.validate/2"
    var rows: [Row]
    var remarks: [String]
    /// Unverified figures of the profiles, by their names.
    var unverified: [String: Int]
  }
}

extension ValidationReport {
  /// `part / whole * scale` in hundredths, rounded half up; 0 for a whole of 0.
  public static func hundredths(_ part: Int128, over whole: UInt64, scale: Int128 = 1) -> Int128 {
    whole == 0 ? 0 : Apportionment.divide([part * scale], by: whole, decimals: 2).total
  }
}
