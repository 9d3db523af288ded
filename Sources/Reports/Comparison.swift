import Emulator
import Machine

/// One guest under several kinds of paging, side by side: where the cycles went in each.
public struct Comparison {
  /// One kind of paging.
  struct Column {
    var name: String
    var ledger: CycleLedger
    var instructions: UInt64
    var statistics: Statistics
  }

  let guest: String
  let profile: String
  let unverified: Int
  /// The region that is compared; nil for the whole run.
  let region: String?
  let columns: [Column]
  let groups: [CauseTree.Group]

  /// - Parameters:
  ///   - runs: the statistics of each run, which differ in `paging`; the first is what the others are compared to.
  ///   - region: the mark ID of a region to compare alone (`Statistics.regionName`).
  public init(_ runs: [Statistics], region: String? = nil) {
    guest = runs.first?.guest.name ?? ""
    profile = runs.first?.config["profile"]?.description ?? ""
    unverified = runs.first?.unverified.count ?? 0
    self.region = region
    columns = runs.map { run in
      let part = region.map { run.regions[$0] ?? Statistics.Region() }
      return Column(
        name: run.config["paging"]?.description ?? "", ledger: (part?.causes ?? run.causes).ledger,
        instructions: part?.instructions ?? run.instructions, statistics: run)
    }
    groups = CauseTree.groups(in: columns.map(\.ledger))
  }

  /// A row below the causes: a count of each run.
  struct Count {
    var name: String
    var values: [UInt64]
    var isBytes = false
  }

  /// The counts that the statistics have; a region has only its own.
  var counts: [Count] {
    var counts = [Count(name: "instructions", values: columns.map(\.instructions))]
    guard region == nil else { return counts }
    let runs = columns.map(\.statistics)
    let processors = runs.map(\.cpus.count).max() ?? 0
    for index in 0..<(processors > 1 ? processors : 0) {
      let parts = runs.map { $0.cpus.indices.contains(index) ? $0.cpus[index] : Statistics.CPU() }
      counts.append(Count(name: "cycles, processor \(index)", values: parts.map(\.cycles)))
      counts.append(Count(name: "instructions, processor \(index)", values: parts.map(\.instructions)))
    }
    counts.append(Count(name: "exits", values: runs.map { $0.exits.values.reduce(0) { $0 + $1.count } }))
    for level in Set(runs.flatMap(\.tlb.keys)).sorted() {
      counts.append(Count(name: "TLB misses, \(level)", values: runs.map { $0.tlb[level]?.misses ?? 0 }))
    }
    counts.append(Count(name: "walks", values: runs.map(\.walks.count)))
    counts.append(Count(name: "walk references", values: runs.map(\.walks.references)))
    counts.append(Count(name: "overhead memory", values: runs.map(\.memory.overheadBytes), isBytes: true))
    return counts
  }
}
