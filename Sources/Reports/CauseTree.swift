import Machine

/// Causes in the order and the groups in which tables show them.
enum CauseTree {
  /// The causes under one top-level name (`walk`: `walk.guest`, `walk.host`, ...).
  struct Group {
    var name: String
    var causes: [Cause]
  }

  /// The groups that have any cycles in any of the ledgers, with only such causes.
  static func groups(in ledgers: [CycleLedger]) -> [Group] {
    groups(of: Cause.all.filter { cause in ledgers.contains { $0[cause] != 0 } })
  }

  /// Causes by group: both in the order of `Cause.all`, a group where its first cause stands.
  static func groups(of causes: [Cause]) -> [Group] {
    var groups: [Group] = []
    for cause in causes {
      let name = String(cause.name.prefix { $0 != "." })
      if let index = groups.firstIndex(where: { $0.name == name }) {
        groups[index].causes.append(cause)
      } else {
        groups.append(Group(name: name, causes: [cause]))
      }
    }
    return groups
  }
}
