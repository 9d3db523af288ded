import Machine

/// Causes in the order and the groups in which tables show them.
enum CauseTree {
  /// The causes under one top-level name (`walk`: `walk.guest`, `walk.host`, ...).
  struct Group: Sendable {
    var name: String
    var causes: [Cause]
  }

  /// The groups that have any cycles in any of the ledgers, with only such causes.
  static func groups(in ledgers: [CycleLedger]) -> [Group] {
    groups { cause in ledgers.contains { $0[cause] != 0 } }
  }

  /// The groups that have any cycles in any of the differences, with only such causes.
  static func groups(in costs: [CostDifference]) -> [Group] {
    groups { cause in costs.contains { $0.cycles(of: cause) != 0 } }
  }

  /// The causes that are wanted, by group. A group stands where its first cause does, wanted or not, so that tables of
  /// different runs have one order.
  static func groups(where isWanted: (Cause) -> Bool) -> [Group] {
    all.compactMap { group in
      let causes = group.causes.filter(isWanted)
      return causes.isEmpty ? nil : Group(name: group.name, causes: causes)
    }
  }

  private static let all: [Group] = {
    var groups: [Group] = []
    for cause in Cause.all {
      let name = String(cause.name.prefix { $0 != "." })
      if let index = groups.firstIndex(where: { $0.name == name }) {
        groups[index].causes.append(cause)
      } else {
        groups.append(Group(name: name, causes: [cause]))
      }
    }
    return groups
  }()
}
