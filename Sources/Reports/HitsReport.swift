import Emulator

/// How often TLBs and structure caches, of either dimension, had what they were asked for, and what a walk's references
/// cost in the data caches.
struct HitsReport: RunTable {
  /// A cache, and what it was asked.
  struct Cache {
    var name: String
    var lookups: UInt64
    var hits: UInt64
  }

  /// The tables of one kind that were walked.
  struct Dimension {
    var name: String
    var references: UInt64
    var served: [(name: String, count: UInt64)]
  }

  private let columns: [Comparison.Column]

  init(_ columns: [Comparison.Column]) { self.columns = columns }

  var title: String { ": hit rates of what translates, and references a walk" }

  /// The caches in the order in which they are asked; a structure cache is asked for what the ones before it did not
  /// have.
  static func caches(_ statistics: Statistics) -> [Cache] {
    func buffer(_ name: String, _ key: String) -> Cache {
      let counted = statistics.tlb[key] ?? Statistics.TLB()
      return Cache(name: name, lookups: counted.hits + counted.misses, hits: counted.hits)
    }
    func structures(_ caches: [(name: String, figure: String)], _ byLevel: [String: UInt64]) -> [Cache] {
      var rest = byLevel.values.reduce(0, +)
      return caches.enumerated().map { index, cache in
        let hits = byLevel["\(index + 1)"] ?? 0
        defer { rest -= min(hits, rest) }
        // What the profile's processor does not have is asked for nothing.
        let isAbsent = statistics.config["profile.psc.\(cache.figure).entries"] == .number(0)
        return Cache(name: cache.name, lookups: isAbsent ? 0 : rest, hits: hits)
      }
    }
    let walks = statistics.walks
    func walkCache(_ table: String) -> Cache {
      let asked = walks.served?[table] ?? Statistics.Walks.Served()
      let hits = asked.walkCache ?? 0
      return Cache(
        name: "page-walk cache, \(table) tables",
        lookups: asked.walkCache == nil ? 0 : hits + asked.l2 + asked.l3 + asked.memory, hits: hits)
    }
    return [buffer("L1 data TLB", "data"), buffer("L1 code TLB", "code"), buffer("L2 TLB", "l2")]
      + structures(
        [("PDE cache", "pde"), ("PDPTE cache", "pdpte"), ("PML4E cache", "pml4e")], walks.byLevel)
      + [buffer("nested TLB", "nested")]
      + structures(
        [("nested PDE cache", "nested.pde"), ("nested PDPTE cache", "nested.pdpte")], walks.nestedByLevel ?? [:])
      + ["guest", "shadow", "host"].map(walkCache)
  }

  /// The first dimension's tables, the guest's or the hypervisor's shadows of them, and the second dimension's.
  static func dimensions(_ walks: Statistics.Walks) -> [Dimension] {
    [
      ("guest", walks.guestReferences), ("shadow", walks.shadowReferences), ("host", walks.hostReferences),
    ].map { name, references in
      let served = walks.served?[name] ?? Statistics.Walks.Served()
      return Dimension(
        name: "\(name) tables", references: references,
        served: [
          ("page-walk cache", served.walkCache ?? 0), ("L2", served.l2), ("L3", served.l3), ("memory", served.memory),
        ])
    }
  }

  func lines(_ style: TextStyle) -> String {
    var table = TextTable([("asked", .left)] + columns.map { ($0.name, .right) })
    let caches = columns.map { HitsReport.caches($0.statistics) }
    for (index, cache) in (caches.first ?? []).enumerated() {
      let all = caches.map { $0[index] }
      guard all.contains(where: { $0.lookups != 0 }) else { continue }
      table.add([cache.name] + all.map { NumberFormat.share($0.hits, of: $0.lookups) })
      table.add(["  look-ups"] + all.map { NumberFormat.grouped($0.lookups) }, .faint)
    }
    table.addRule()
    table.add(["walks"] + columns.map { NumberFormat.grouped($0.statistics.walks.count) })
    table.add(
      ["references a walk"]
        + columns.map { NumberFormat.ratio($0.statistics.walks.references, to: $0.statistics.walks.count) }, .strong)
    let dimensions = columns.map { HitsReport.dimensions($0.statistics.walks) }
    for (index, dimension) in (dimensions.first ?? []).enumerated() {
      let all = dimensions.map { $0[index] }
      guard all.contains(where: { $0.references != 0 }) else { continue }
      table.add(
        ["  of \(dimension.name)"]
          + zip(all, columns).map { NumberFormat.ratio($0.references, to: $1.statistics.walks.count) })
      for (place, source) in dimension.served.enumerated()
      where place != 0 || all.contains(where: { $0.served[0].count != 0 }) {
        table.add(
          ["    served by \(source.name)"]
            + all.map { NumberFormat.share($0.served[place].count, of: $0.references) }, .faint)
      }
    }
    return table.text(style)
  }

  private var counts: [CountRow] {
    var rows: [CountRow] = []
    let caches = columns.map { HitsReport.caches($0.statistics) }
    for (index, cache) in (caches.first ?? []).enumerated() {
      rows.append(CountRow(name: "\(cache.name), look-ups", values: caches.map { $0[index].lookups }))
      rows.append(CountRow(name: "\(cache.name), hits", values: caches.map { $0[index].hits }))
    }
    rows.append(CountRow(name: "walks", values: columns.map(\.statistics.walks.count)))
    let dimensions = columns.map { HitsReport.dimensions($0.statistics.walks) }
    for (index, dimension) in (dimensions.first ?? []).enumerated() {
      rows.append(CountRow(name: "\(dimension.name), references", values: dimensions.map { $0[index].references }))
      for (place, source) in dimension.served.enumerated() {
        rows.append(
          CountRow(
            name: "\(dimension.name), served by \(source.name)",
            values: dimensions.map { $0[index].served[place].count }))
      }
    }
    return rows
  }

  var csv: CommaSeparatedValues { CountRow.csv(counts, "count", columns) }
  var rows: DocumentRows { DocumentRows(counts) }
}
