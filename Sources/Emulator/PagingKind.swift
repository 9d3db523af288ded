import Hypervisor

/// How a guest's memory is virtualised.
public enum PagingKind: Hashable, Sendable {
  /// Not at all: the guest runs on the bare machine.
  case native
  /// By shadow page tables that the hypervisor keeps coherent.
  case shadow(ShadowPolicy)
  /// By the hardware's two-dimensional walks.
  case nested
  /// By shadow page tables above and the hardware's two-dimensional walks below, as the guest's writes suggest.
  case agile

  /// Every kind that exists, in the order in which tables show them.
  public static let all: [PagingKind] = [.native] + ShadowPolicy.allCases.map(PagingKind.shadow) + [.nested, .agile]

  /// The name by which `--paging` and results know the kind, for example `shadow:trace`.
  public var name: String {
    switch self {
    case .native: "native"
    case .shadow(let policy): "shadow:\(policy.rawValue)"
    case .nested: "nested"
    case .agile: "agile"
    }
  }

  /// Whether the hardware walks shadow tables, under whichever policy, at least at first.
  public var isShadow: Bool {
    switch self {
    case .shadow, .agile: true
    case .native, .nested: false
    }
  }

  /// Reads a list of names, separated by commas; `all` stands for every kind, and `shadow` alone for `shadow:unsync`, the
  /// policy of the hypervisor that most people know.
  /// - Throws: `SetupError` of kind `usage` for a kind that does not exist, or one that is given twice.
  public static func list(_ text: String) throws(SetupError) -> [PagingKind] {
    if text == "all" { return all }
    var kinds: [PagingKind] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      let existing = all.map(\.name).joined(separator: ", ")
      guard let kind = part == "shadow" ? .shadow(.unsync) : all.first(where: { $0.name == part }) else {
        let what = part.isEmpty ? "a name is missing" : "\(printable(part)) does not exist"
        throw .usage("paging: \(what); there are \(existing)")
      }
      guard !kinds.contains(kind) else { throw .usage("paging: \(kind.name) is given twice") }
      kinds.append(kind)
    }
    return kinds
  }
}

/// How a hypervisor keeps shadow page tables coherent with the guest's.
public typealias ShadowPolicy = CoherencePolicy
