import Emulator
import Machine

/// A run whose trace is kept in `Traces`, so that no change of behaviour goes unseen: a built-in guest with parameters
/// that make it short.
public struct GoldenRecord: Sendable, CustomStringConvertible {
  /// The record's name, with which its file's name begins.
  public let name: String
  /// The built-in guest.
  public let guest: String
  /// Its command line.
  public let append: String
  public let processors: Int
  /// The status with which the guest ends.
  public let status: Int

  private init(_ name: String, _ guest: String, _ append: String = "", processors: Int = 1, status: Int = 1) {
    (self.name, self.guest, self.append, self.processors) = (name, guest, append, processors)
    self.status = status
  }

  public static let all: [GoldenRecord] = [
    GoldenRecord("hello", "hello", "from the golden records"),
    GoldenRecord("paging-tour", "paging-tour"),
    GoldenRecord("context-switch", "context-switch"),
    GoldenRecord("context-switch-user", "context-switch", "mode=user global=1 pcid=1 switches=200"),
    GoldenRecord("context-switch-timer", "context-switch", "mode=user switch=timer switches=50"),
    GoldenRecord("page-table-storm", "page-table-storm", "rounds=1 pages=64"),
    GoldenRecord("pointer-chase", "pointer-chase", "pages=256 steps=20000"),
    GoldenRecord("pointer-chase-far", "pointer-chase", "pages=12288 steps=2000"),
    GoldenRecord("pointer-chase-2m", "pointer-chase", "pages=16 page=2M steps=20000"),
    GoldenRecord("compute", "compute", "rounds=1"),
    GoldenRecord("processors", "processors", "rounds=6 laps=2 changes=4", processors: 3),
    GoldenRecord("shootdown", "shootdown", "changes=6", processors: 3),
    GoldenRecord("nanobench", "nanobench", "count=10"),
    GoldenRecord("requests", "requests", "requests=50 pages=256"),
    GoldenRecord("crossover", "crossover", "writes=3 misses=50 turns=5"),
    GoldenRecord("walks", "walks", "page=2M places=40 steps=2000 written=2"),
    GoldenRecord("bug-missed-invlpg", "bug-missed-invlpg", status: 3),
    GoldenRecord("bug-guard-page", "bug-guard-page", status: 3),
    GoldenRecord("bug-read-only-alias", "bug-read-only-alias", status: 3),
    GoldenRecord("bug-user-bit", "bug-user-bit", status: 3),
    GoldenRecord("bug-freed-table", "bug-freed-table", status: 3),
  ]

  /// The exits of which a golden record keeps all that is told of them.
  public static let limit = 1 << 15

  /// The record of a name.
  /// - Throws: `SetupError` of kind `usage` for a name that no record has.
  public static func named(_ name: String) throws(SetupError) -> GoldenRecord {
    guard let record = all.first(where: { $0.name == name }) else {
      throw .usage("golden: no record \(printable(name)); there are \(all.map(\.name).joined(separator: ", "))")
    }
    return record
  }

  public var description: String { name }

  /// The machine of the record under a kind of paging.
  /// - Parameter image: the guest: the built-in one for a new record, the one kept beside a record to compare with
  ///   that.
  public func recorder(_ paging: PagingKind, image: GuestImage) throws(SetupError) -> TraceRecorder {
    var configuration = try Configuration(pagings: [paging])
    configuration.append = append
    configuration.cpus = processors
    return try TraceRecorder(name, configuration, guest: image, keeping: GoldenRecord.limit)
  }
}
