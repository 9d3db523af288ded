import ArgumentParser
import Emulator
import Foundation
import Reports

/// `penumbra profiles [show NAME]`
struct Profiles: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the cost profiles, or show one.", subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the built-in profiles.")

    func run() throws {
      try Diagnostics.report {
        Diagnostics.show(Listings.profiles(try ProfileLibrary.all(), Diagnostics.style(STDOUT_FILENO)))
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show every figure of a profile with its source; checks a file.")

    @Argument(help: "A built-in profile, or a YAML file.", completion: .list(ProfileLibrary.names))
    var profile: String

    @Option(help: "How the figures are printed: table, json or csv.")
    var format = OutputFormat.table

    func run() throws {
      try Diagnostics.report {
        let style = Diagnostics.style(STDOUT_FILENO)
        Diagnostics.show(try Listings.profile(try ProfileLibrary.profile(profile), format, style))
      }
    }
  }
}
