import Emulator
import Reports

/// AA06, 6.3: seven operations on a Pentium 4, natively and under two VMMs with shadow paging.
enum Nanobenchmarks {
  private static let count: UInt64 = 1000

  static let remarks = [
    "AA06, software VMM: in (214), ptemod (391) and syscall (native + 2000) show what binary translation makes of an"
      + " instruction; the model has no translator, and takes 214 and 391 as inputs of the hardware VMM.",
    "AA06, forkwait and the compile: the papers do not say how many entries a fork of theirs writes.",
  ]

  static func rows(_ runs: ExperimentRuns) throws -> [ValidationReport.Row] {
    let untranslated = "what binary translation makes of an instruction; the model has no translator"
    // VMware's traces stay in place however often a table is written.
    let traces = ["shadow.zap-reused=false"]
    let native = try costs(runs, .native, ["profile=p4-hardware-vmm"])
    let hardware = try costs(runs, .shadow(.trace), ["profile=p4-hardware-vmm"] + traces)
    let software = try costs(runs, .shadow(.trace), ["profile=p4-software-vmm"] + traces)

    func row(
      _ kind: String, _ operation: NanobenchReport.Operation, _ published: Int128,
      _ costs: [NanobenchReport.Operation: Int128], _ role: ValidationReport.Role = .predicted, known: String? = nil
    ) -> ValidationReport.Row {
      ValidationReport.Row(
        "AA06, \(kind)", operation.name, "cycles", published: (published * 100)...(published * 100),
        modelled: costs[operation] ?? 0, role: role, knownDeviation: known)
    }
    func overNative(_ operation: NanobenchReport.Operation, _ published: Int128) -> ValidationReport.Row {
      let base = native[operation] ?? 0
      return ValidationReport.Row(
        "AA06, hardware VMM / native", operation.name, "times", published: published...published,
        modelled: ValidationReport.hundredths(hardware[operation] ?? 0, over: UInt64(clamping: base)))
    }
    return [
      row("native", .portRead, 3209, native, .input),
      row("native", .writeCR8, 140, native, .input),
      row("native", .pageFault, 1093, native, .fitted),
      row("native", .divideError, 889, native),
      row(
        "native", .call, 11, native,
        known: "the model charges an instruction a cycle, and no return that waits for its address"),
      row("hardware VMM", .pageFault, 11242, hardware, .fitted),
      row("hardware VMM", .writeEntry, 12733, hardware),
      row(
        "hardware VMM", .portRead, 15826, hardware,
        known: "the paper's VMM passes the access on to another process; the model's emulates it on the spot"),
      overNative(.systemCall, 100), overNative(.writeCR8, 100), overNative(.call, 100),
      overNative(.divideError, ValidationReport.hundredths(1014, over: 889)),
      row("software VMM", .pageFault, 3927, software),
      row(
        "software VMM", .divideError, 3223, software,
        known: "the paper's VMM takes in every fault, the model's hypervisor page faults only"),
      row("software VMM", .writeCR8, 35, software, known: untranslated),
      row("software VMM", .call, 51, software, known: untranslated),
    ]
  }

  /// Cycles of each operation, in hundredths.
  private static func costs(_ runs: ExperimentRuns, _ paging: PagingKind, _ settings: [String]) throws
    -> [NanobenchReport.Operation: Int128]
  {
    let measurements = NanobenchReport.measurements(
      try runs.statistics("nanobench", "count=\(count)", paging, settings), paging, count: count)
    return Dictionary(
      uniqueKeysWithValues: measurements.map {
        ($0.operation, ValidationReport.hundredths($0.cost.total, over: count))
      })
  }
}
