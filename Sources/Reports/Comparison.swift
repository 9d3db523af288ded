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

  /// Which kind is cheapest, and for each other what makes most of the difference.
  public var conclusion: String {
    guard let cheapest = columns.min(by: { $0.ledger.total < $1.ledger.total }) else { return "" }
    let base = cheapest.ledger.total
    var text = "\(cheapest.name) is the cheapest with \(NumberFormat.grouped(base)) cycles"
    for column in columns where column.name != cheapest.name {
      let total = column.ledger.total
      guard total != base else {
        text += ";\n\(column.name) takes as many"
        continue
      }
      text += ";\n\(column.name) takes \(NumberFormat.ratio(total, to: base)) times as many"
      text += " (+\(NumberFormat.grouped(total - base)))"
      if let most = Comparison.dearest(column.ledger, than: cheapest.ledger) {
        text += ", above all in \(most.name) (+\(NumberFormat.grouped(most.cycles)))"
      }
    }
    return text + "."
  }

  /// The cause by which a ledger exceeds another most. Walks count together, for what one kind of paging walks in one
  /// dimension another walks in the other; they are told apart where one dimension alone is no more than all.
  private static func dearest(_ ledger: CycleLedger, than base: CycleLedger) -> (name: String, cycles: UInt64)? {
    func most(_ causes: [Cause]) -> (name: String, cycles: UInt64)? {
      let dearer = causes.filter { ledger[$0] > base[$0] }.map { (name: $0.name, cycles: ledger[$0] - base[$0]) }
      return dearer.reversed().max { $0.cycles < $1.cycles }
    }
    let walks: [Cause] = [.walkGuest, .walkHost, .walkShadow]
    let other = most(Cause.all.filter { !walks.contains($0) })
    let (all, allBefore) = (walks.reduce(0) { $0 + ledger[$1] }, walks.reduce(0) { $0 + base[$1] })
    guard all > allBefore, all - allBefore > other?.cycles ?? 0 else { return other }
    let one = most(walks)
    return one.map { $0.cycles <= all - allBefore } ?? false ? one : ("walk", all - allBefore)
  }
}
