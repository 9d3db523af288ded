import ArgumentParser
import Reports

/// `penumbra instructions`: writes `Docs/Instructions.md`; for `make`, not for users.
struct Instructions: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the table of supported instructions.", shouldDisplay: false)

  func run() { Diagnostics.show(InstructionListing.markdown) }
}
