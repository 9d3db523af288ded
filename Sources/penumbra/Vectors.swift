import ArgumentParser
import Emulator
import Foundation
import Reports
import Vectors

/// `penumbra vectors FILE...`
struct VectorsVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vectors",
    abstract: "Execute instruction vectors: one instruction each, with the state before and after.",
    discussion: """
      A file is JSON or gzip of it: a list of {name, bytes, flags_mask, initial: {regs, ram}, final: {regs, ram}}. \
      regs: rax ... r15, rip, rflags, xmm0 ... xmm15 as hexadecimal strings, 0 where missing; where they matter, \
      ymm0 ... ymm15, mxcsr, fcw, fsw, ftw, fpr0 ... fpr7 or mm0 ... mm7, fop, fip, fdp; ram: [[address, byte], \
      ...]; final holds what changed, or {exception, error}. 64-bit mode, ring 3, flat segments, or with cs, ss, ds, es \
      16- and 32-bit code in segments of a fixed table (Docs/Conformance.md); MXCSR 0x1f80; every \
      page that is listed and 0x10000000-0x1000ffff, 0x20000000-0x20003fff, 0x30000000-0x30001fff are mapped, and \
      memory that is not listed is 0 and must stay so. A vector may say by vendor: intel or amd whose processor it \
      comes from; without, it passes if either's does what it says. --profile chooses one for all. Exit status 0 when \
      all pass, 6 when some fail.
      """)

  @Argument(help: "Files of vectors.", completion: .file(extensions: ["json", "gz"]))
  var files: [String]

  @Option(
    help: ArgumentHelp(
      "The processor, by a built-in cost profile or a YAML file; default: that of the vector's vendor.",
      valueName: "name-or-file"),
    completion: .list(ProfileLibrary.names))
  var profile: String?

  @Option(help: ArgumentHelp("Failures that are told field by field.", valueName: "n"))
  var show = 10

  func validate() throws {
    guard show >= 0 else { throw ValidationError("show: \(show) is less than 0") }
  }

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let run = VectorRun(profile: try profile.map(ProfileLibrary.profile))
      for file in files {
        try run.run(file) { failure in
          if run.failed <= show { Diagnostics.show(Self.text(failure)) }
        }
      }
      if run.failed > show && show > 0 { Diagnostics.show("... and \(run.failed - show) more\n\n") }
      if run.failed > 0 {
        var table = TextTable([("mnemonic", .left), ("failed", .right)])
        for (mnemonic, count) in run.failuresByMnemonic { table.add([mnemonic, String(count)]) }
        Diagnostics.show(table.text(Diagnostics.style(STDOUT_FILENO)) + "\n")
        status = 6
      }
      if run.passedElsewhere > 0 {
        Diagnostics.show("\(run.passedElsewhere) name no vendor and passed on AMD's processor only\n")
      }
      Diagnostics.show("\(run.passed) passed, \(run.failed) failed\n")
    }
    throw ExitCode(status)
  }

  /// A failure field by field.
  private static func text(_ failure: VectorRun.Failure) -> String {
    let bytes = failure.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    let name = failure.name.isEmpty ? "" : " \(printable(failure.name))"
    var table = TextTable([("", .left), ("", .left), ("", .left), ("", .left)])
    for difference in failure.differences {
      table.add([
        "  " + difference.field, "expected \(printable(difference.expected))", "found \(printable(difference.found))",
        difference.note,
      ])
    }
    return "\(printable(failure.file)) #\(failure.number)\(name) (\(bytes))\n"
      + table.text(TextStyle(coloured: false)) + "\n"
  }
}
