import Emulator
import Machine

/// What the reports of `bench` have around their measurements, in every format.
struct BenchFrame {
  private let profile: String
  private let unverified: Int

  init(_ profile: CostProfile) {
    self.profile = profile.name
    unverified = profile.unverified.count
  }

  /// A table under a line that says what its cycles are.
  func text(_ table: TextTable, of cycles: String, _ style: TextStyle) -> String {
    let figures = unverified == 0 ? "" : " (\(unverified) figures unverified)"
    return "\(cycles), profile \(profile)\(figures)\n\n" + table.text(style)
  }

  /// JSON of measurements.
  /// - Throws: `SetupError` of kind `defect` if it cannot be made.
  func json(_ schema: String, _ measurements: [some Encodable]) throws(SetupError) -> String {
    try DeterministicJSON.encode(
      Document(schema: schema, profile: profile, unverified: unverified, measurements: measurements))
  }

  private struct Document<Row: Encodable>: Encodable {
    var schema: String
    var profile: String
    var unverified: Int
    var measurements: [Row]
  }
}
