import Foundation
import Reports

/// A line on the terminal that tells how far a long run has come. Host time is used for what a person sees and for
/// nothing else.
final class ProgressLine {
  private let label: String?
  private let start = ContinuousClock.now
  private var last = ContinuousClock.now
  private var isShown = false
  /// Whether the line may be shown just now.
  var isWelcome: () -> Bool = { true }

  /// - Parameter label: what is running; nil for no line. Without a terminal there is none either.
  init(_ label: String?) { self.label = isatty(STDERR_FILENO) == 1 ? label : nil }

  /// Shows how many instructions have retired, every now and then.
  func show(instructions: UInt64) {
    guard let label, last.duration(to: .now) > .milliseconds(500), isWelcome() else { return }
    last = .now
    let seconds = max(UInt64(start.duration(to: last).components.seconds), 1)
    let millions = instructions / 1_000_000
    Diagnostics.say("\r\u{1b}[K\(label): \(NumberFormat.grouped(millions)) M instructions, \(millions / seconds) M/s")
    isShown = true
  }

  /// Takes the line away.
  func clear() {
    if isShown { Diagnostics.say("\r\u{1b}[K") }
    isShown = false
  }
}
