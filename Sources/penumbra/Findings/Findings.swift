import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra findings FOLDER`: writes `Findings.md` and its pictures there; for `make`, not for users.
struct Findings: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure what the literature claims; write Findings.md and its pictures into a folder.",
    shouldDisplay: false)

  /// Where the pictures are, seen from the page.
  private static let pictures = "findings"

  @Argument(help: "The folder.", completion: .directory)
  var folder: String

  @Flag(name: .shortAndLong, help: "Say nothing on standard error but errors.")
  var quiet = false

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      do {
        let findings = try FindingRuns(runs: ExperimentRuns(quiet: quiet)).all()
        try write(Self.page(findings), to: "Findings.md")
        for finding in findings {
          if let chart = finding.chart { try write(chart.svg, to: "\(Self.pictures)/\(finding.name).svg") }
        }
        status = findings.allSatisfy { $0.ratios.allSatisfy(\.holds) } ? 0 : 6
      } catch let stopped as ExperimentRuns.Stopped {
        status = stopped.status
      }
    }
    throw ExitCode(status)
  }

  static func page(_ findings: [Finding]) -> String {
    """
    # Findings
    What the literature says of memory virtualization, measured on built-in guests with the profile `skylake`, and with the defaults where nothing else is
    said. No ratio is put in: it follows from what the guest does, how often the hardware exits and walks, and what the hypervisor has to do then. What single steps
    cost are constants (`Docs/CostModel.md`), and where an operation is little but one exit, as INVLPG is, its ratio says little but what an exit costs. `make findings` writes
    this page and its pictures anew; tests check that every ratio lies where the claim puts it, and that the page is what is measured.


    """ + findings.map { $0.markdown(pictures: pictures) }.joined(separator: "\n")
  }

  private func write(_ text: String, to name: String) throws(SetupError) {
    let file = URL(fileURLWithPath: folder).appendingPathComponent(name)
    do {
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    } catch {
      throw .input("findings", file.path, "cannot be written")
    }
  }
}
