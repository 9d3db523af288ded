import Emulator
import Machine
import Reports

/// The measurements behind `Docs/Findings.md`, one function a claim.
struct FindingRuns {
  let runs: ExperimentRuns

  func all() throws -> [Finding] {
    try [
      ordinaryAccesses(), mappings(), processors(), memory(), missLatency(), crossover(), savings(), agile(),
    ]
  }

  // MARK: Help

  /// The kinds of paging that are compared, natively first.
  var kinds: [PagingKind] { PagingKind.all }

  static let trace = PagingKind.shadow(.trace)
  static let unsync = PagingKind.shadow(.unsync)

  /// One measurement under every kind.
  func byKind(_ measure: (PagingKind) throws -> UInt64) rethrows -> [PagingKind: UInt64] {
    var values: [PagingKind: UInt64] = [:]
    for kind in kinds { values[kind] = try measure(kind) }
    return values
  }

  func row(_ name: String, _ values: [PagingKind: UInt64], _ show: (UInt64) -> String = { NumberFormat.grouped($0) })
    -> [String]
  {
    [name] + kinds.map { show(values[$0] ?? 0) }
  }

  var kindNames: [String] { kinds.map { "`\($0.name)`" } }

  /// A line for each kind: its values where the sweep's `x` are.
  func series(_ xs: [UInt64], _ values: [[PagingKind: UInt64]]) -> [LineChart.Series] {
    kinds.map { kind in
      LineChart.Series(kind.name, zip(xs, values).map { LineChart.Point($0, $1[kind] ?? 0) })
    }
  }

  /// Cycles of a region of one run.
  func region(
    _ mark: Int, _ guest: String, _ parameters: String, _ kind: PagingKind, _ settings: [String] = []
  ) throws -> UInt64 {
    try runs.statistics(guest, parameters, kind, settings).regions[Statistics.regionName(mark)]?.cycles ?? 0
  }

  /// Hundredths, for tables of small figures.
  static func hundredths(_ value: UInt64) -> String {
    let fraction = value % 100
    return NumberFormat.grouped(value / 100) + (fraction < 10 ? ".0" : ".") + "\(fraction)"
  }
}
