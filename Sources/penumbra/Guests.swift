import ArgumentParser
import Foundation
import Reports

/// `penumbra guests`
struct Guests: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the built-in guests.")

  @Flag(help: "Show what each takes by --append instead of what it does.")
  var parameters = false

  func run() { Diagnostics.show(Listings.guests(parameters: parameters, Diagnostics.style(STDOUT_FILENO))) }
}
