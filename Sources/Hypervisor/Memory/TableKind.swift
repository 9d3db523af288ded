/// What a table of the hypervisor's is: the kinds by which its overhead memory is told apart.
public enum TableKind: UInt8, CaseIterable, Sendable {
  /// Shadows of the guest's tables, by the level of their entries.
  case shadow1, shadow2, shadow3, shadow4, shadow5
  /// Shadow pages that shadow no table: parts of a large page of the guest's, or under shadow paging all of its memory
  /// while it does not page.
  case direct
  /// The table without an entry, the root where CR3 points to no memory.
  case empty
  /// Nested tables, by the level of their entries.
  case nested1, nested2, nested3, nested4, nested5
  /// A processor's page-modification log, which is no table, but memory that nested paging takes like one.
  case modificationLog

  /// - Parameter level: 1 ... 5.
  static func shadow(level: Int) -> TableKind { byLevel(.shadow1, level) }
  /// - Parameter level: 1 ... 5.
  static func nested(level: Int) -> TableKind { byLevel(.nested1, level) }

  private static func byLevel(_ first: TableKind, _ level: Int) -> TableKind {
    TableKind(rawValue: first.rawValue + UInt8(min(max(level, 1), 5) - 1)) ?? first
  }

  /// How the frame allocator knows the frame.
  var use: FrameUse { self < .nested1 ? .shadowTable : .nestedTable }

  /// The name in statistics: `shadow.1`, `shadow.direct`, `nested.4`.
  public var name: String {
    switch self {
    case .direct: "shadow.direct"
    case .empty: "shadow.empty"
    case .modificationLog: "nested.log"
    case _ where self < .direct: "shadow.\(rawValue + 1)"
    default: "nested.\(rawValue - TableKind.nested1.rawValue + 1)"
    }
  }
}

extension TableKind: Comparable {
  public static func < (left: TableKind, right: TableKind) -> Bool { left.rawValue < right.rawValue }
}

/// A number of frames for each kind of table.
public struct TableCounts: Sendable, Equatable {
  private var counts = [UInt32](repeating: 0, count: TableKind.allCases.count)

  public init() {}

  public internal(set) subscript(_ kind: TableKind) -> UInt32 {
    get { counts[Int(kind.rawValue)] }
    set { counts[Int(kind.rawValue)] = newValue }
  }
}
