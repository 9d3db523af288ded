/// One claim of the literature, measured: what is claimed, a table, perhaps a picture, and the ratios that decide whether
/// the model shows it.
public struct Finding: Sendable {
  /// A ratio that the claim bounds.
  public struct Ratio: Sendable {
    public let name: String
    /// In hundredths.
    public let value: UInt64
    /// What the claim allows, in hundredths.
    public let bounds: ClosedRange<UInt64>

    /// - Parameter base: 1 or more.
    public init(_ name: String, _ value: UInt64, to base: UInt64, within bounds: ClosedRange<UInt64>) {
      self.name = name
      self.value = (value * 200 + base) / (2 * max(base, 1))
      self.bounds = bounds
    }

    public var holds: Bool { bounds.contains(value) }
  }

  /// The name of its picture's file, without a suffix.
  public let name: String
  public let title: String
  /// What is claimed and by whom, and what the guest does.
  public let text: String
  public let headings: [String]
  /// The first cell of each row names it.
  public let rows: [[String]]
  public let ratios: [Ratio]
  public let chart: LineChart?

  public init(
    _ name: String, _ title: String, _ text: String, headings: [String], rows: [[String]], ratios: [Ratio],
    chart: LineChart? = nil
  ) {
    (self.name, self.title, self.text) = (name, title, text)
    (self.headings, self.rows, self.ratios, self.chart) = (headings, rows, ratios, chart)
  }

  /// Its section of the page.
  /// - Parameter folder: where the pictures are, seen from the page.
  public func markdown(pictures folder: String) -> String {
    var text = "## \(title)\n\(self.text)\n\n"
    text += "| " + headings.joined(separator: " | ") + " |\n"
    text += "|" + headings.indices.map { $0 == 0 ? "---|" : "--:|" }.joined() + "\n"
    for row in rows { text += "| " + row.joined(separator: " | ") + " |\n" }
    text += "\n"
    for ratio in ratios {
      text +=
        "- \(ratio.name): **\(NumberFormat.decimal(Int128(ratio.value), decimals: 2))**, \(Self.words(ratio.bounds))"
      text += ratio.holds ? "\n" : ": does not hold\n"
    }
    if chart != nil { text += "\n![\(title)](\(folder)/\(name).svg)\n" }
    return text
  }

  private static func words(_ bounds: ClosedRange<UInt64>) -> String {
    let (low, high) = (
      NumberFormat.decimal(Int128(bounds.lowerBound), decimals: 2),
      NumberFormat.decimal(Int128(clamping: bounds.upperBound), decimals: 2)
    )
    if bounds.upperBound == .max { return "claimed: at least \(low)" }
    return bounds.lowerBound == 0 ? "claimed: at most \(high)" : "claimed: from \(low) to \(high)"
  }
}
