import Emulator
import Reports

/// How many references a walk takes with every cache of the walker off: (g+1)(h+1) - 1 for g guest levels over h host levels
/// (BH08); under agile paging g + kh where the k lowest of the guest's levels are walked in two dimensions (Gandhi et al.,
/// ISCA 2016).
enum WalkReferences {
  private struct Walk {
    var name: String
    var references: Int128
    var paging = PagingKind.native
    var parameters = ""
    var settings: [String] = []
  }

  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    try native.map { try row("BH08, references of a walk", $0, runs) }
      + nested.map { try row("BH08, references of a walk", $0, runs) }
      + agile.map { try row("Agile, references of a walk", $0, runs) }
  }

  private static var native: [Walk] {
    [
      Walk(name: "4K, native", references: 4), Walk(name: "2M, native", references: 3, parameters: "page=2M"),
      Walk(name: "1G, native", references: 2, parameters: "page=1G"),
      Walk(name: "4K, native, five levels", references: 5, parameters: "levels=5", settings: fiveLevels),
    ]
  }

  private static let fiveLevels = ["cpu-features=+la57"]

  private static var nested: [Walk] {
    let sizes: [(guest: String, host: String, references: Int128)] = [
      ("4K", "4K", 24), ("2M", "4K", 19), ("4K", "2M", 19), ("2M", "2M", 15), ("4K", "1G", 14), ("2M", "1G", 11),
      ("1G", "1G", 8),
    ]
    return sizes.map { one in
      Walk(
        name: "\(one.guest) on \(one.host)", references: one.references, paging: .nested,
        parameters: "page=\(one.guest)",
        settings: ["host-page=\(one.host)"] + (one.host == "1G" ? ["memory=2G"] : []))
    } + [
      Walk(
        name: "4K on 4K, five levels on five", references: 35, paging: .nested, parameters: "levels=5",
        settings: fiveLevels + ["nested.levels=5"])
    ]
  }

  /// Tables begin shadowed; those that the guest keeps writing are nested with all below them, others come back.
  private static var agile: [Walk] {
    (1...4).map { level in
      Walk(
        name: level == 4 ? "switch at the root" : "switch above level \(level)", references: Int128(4 + 4 * level),
        paging: .agile, parameters: "steps=40000 written=\(level)",
        settings: ["agile.start-nested=false", "agile.interval=300000", "agile.patience=0"])
    }
  }

  /// Nearly all walks are those of the guest's places: TLBs of four entries never have the next one.
  private static func row(_ experiment: String, _ walk: Walk, _ runs: ExperimentRuns) throws -> ValidationReport.Row {
    let caches = ["psc.pml4e", "psc.pdpte", "psc.pde", "psc.nested.pdpte", "psc.nested.pde", "nested-tlb"]
    let tlbs = ["data.4K.entries=4", "data.2M.entries=4", "data.1G.entries=0", "data.1G.ways=0", "l2.1G.entries=0"]
    let settings =
      caches.map { "profile.\($0).entries=0" }
      + (tlbs + ["l2.1G.ways=0", "l2.entries=0", "l2.ways=0"]).map {
        "profile.tlb.\($0)"
      }
    let statistics = try runs.statistics("walks", walk.parameters, walk.paging, settings + walk.settings)
    let commonest = statistics.walks.byReferences.max { ($0.value, $1.key) < ($1.value, $0.key) }
    return ValidationReport.Row(
      experiment, walk.name, "", published: (walk.references * 100)...(walk.references * 100),
      modelled: (commonest.flatMap { Int128($0.key) } ?? 0) * 100, tolerance: .percent(0))
  }
}
