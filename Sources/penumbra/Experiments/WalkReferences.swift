import Emulator
import Reports

/// How many references a walk takes with every cache of the walker off (BH08: (g+1)(h+1) - 1 for g guest levels over h
/// host levels).
enum WalkReferences {
  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    let cases: [(guest: String, host: String?, references: Int128)] = [
      ("4K", nil, 4), ("2M", nil, 3), ("4K", "4K", 24), ("2M", "4K", 19), ("4K", "2M", 19), ("2M", "2M", 15),
      ("4K", "1G", 14), ("2M", "1G", 11),
    ]
    let caches = ["psc.pml4e", "psc.pdpte", "psc.pde", "psc.nested.pdpte", "psc.nested.pde", "nested-tlb"]
    let small = ["data.4K.entries=4", "data.2M.entries=4", "l2.entries=0", "l2.ways=0"].map { "profile.tlb.\($0)" }
    let settings = caches.map { "profile.\($0).entries=0" } + small
    let chases = ["4K": "page=4K pages=64", "2M": "page=2M size=96M stride=2M"]
    return try cases.map { one in
      let statistics = try runs.statistics(
        "pointer-chase", chases[one.guest, default: ""] + " steps=4000", one.host == nil ? .native : .nested,
        settings + (one.host.map { ["host-page=\($0)"] } ?? []) + (one.host == "1G" ? ["memory=2G"] : []))
      // Nearly all walks are those of the chase.
      let commonest = statistics.walks.byReferences.max { ($0.value, $1.key) < ($1.value, $0.key) }
      return ValidationReport.Row(
        "BH08, references of a walk", one.host.map { "\(one.guest) on \($0)" } ?? "\(one.guest), native", "",
        published: (one.references * 100)...(one.references * 100),
        modelled: (commonest.flatMap { Int128($0.key) } ?? 0) * 100, tolerance: 0)
    }
  }
}
