import ArgumentParser
import Foundation
import Reports

/// `penumbra guests`
struct Guests: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the built-in guests.")

  func run() { Diagnostics.show(Listings.guests(Diagnostics.style(STDOUT_FILENO))) }
}
