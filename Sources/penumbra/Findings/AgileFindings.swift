import Emulator
import Machine
import Reports

/// Agile paging against the better of the kinds that it is made of.
extension FindingRuns {
  func agile() throws -> Finding {
    let mixed = "spaces=4 tasks=4 warmup=100 pages=64 switches=20000"
    let guests: [(guest: String, parameters: String)] = [
      ("page-table-storm", "rounds=2"), ("pointer-chase", "pages=12288 page=4K steps=1000000"),
      ("context-switch", mixed), ("context-switch", "mode=user switches=20000 spaces=8 tasks=8 pcid=1"),
    ]
    let shown: [PagingKind] = [.native, Self.trace, Self.unsync, .nested, .agile]
    let cycles = try guests.map { one in
      try shown.map { try runs.statistics(one.guest, one.parameters, $0, []).cycles }
    }
    func better(_ cycles: [UInt64]) -> UInt64 { min(cycles[1], cycles[2], cycles[3]) }
    return Finding(
      "agile", "Agile paging comes close to the better of both, and passes them where a guest is mixed",
      """
      Agile paging walks shadow tables where the guest's tables seldom change and the guest's own through nested ones where they often do (Gandhi et al., ISCA 2016, who report 12% less
      time than the better of both, and 4% more than natively, on their workloads). Cycles of the whole run. Where walks have not yet cost three times
      what a table's shadow does (`agile.patience`), it is nested paging still, as in this chase. It loses where more address spaces take turns than there are shadow roots (`shadow.roots`, 4):
      loads of CR3 exit, as they do not under nested paging; the last row has eight.
      """,
      headings: ["guest"] + shown.map { "`\($0.name)`" } + ["agile / better"],
      rows: zip(guests, cycles).map { one, cycles in
        ["`\(one.guest)`, `\(one.parameters)`"] + cycles.map { NumberFormat.grouped($0) } + [
          Self.hundredths((cycles[4] * 200 + better(cycles)) / (2 * better(cycles)))
        ]
      },
      ratios: [
        Finding.Ratio("page-table-storm, agile to nested", cycles[0][4], to: cycles[0][3], within: 0...105),
        Finding.Ratio("pointer-chase, agile to nested", cycles[1][4], to: cycles[1][3], within: 0...105),
        Finding.Ratio(
          "context-switch of four address spaces, agile to the better of both", cycles[2][4], to: better(cycles[2]),
          within: 0...88),
      ])
  }
}
