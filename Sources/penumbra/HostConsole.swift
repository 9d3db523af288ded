import Devices
import Foundation

/// The process's standard streams as the guest's serial port.
final class HostConsole: Console {
  private let input: HostInput
  private var pending: [UInt8] = []
  /// Bytes that were shown or are pending: what a restored machine writes again is not shown again.
  private var shown = 0
  private var lastFlush = ContinuousClock.now
  /// Standard output takes nothing more.
  private(set) var isBroken = false
  /// The last byte that was written ended a line, or there was none.
  private(set) var isAtLineStart = true
  /// Called before bytes are shown.
  var beforeOutput: () -> Void = {}
  private let output: Int32

  init(input: HostInput, output: Int32 = STDOUT_FILENO) {
    self.input = input
    self.output = output
    input.beforeWaiting = { [unowned self] in flush() }
  }

  /// For how long nothing was shown.
  var silence: Duration { lastFlush.duration(to: .now) }

  func write(_ byte: UInt8, at index: Int) {
    guard index >= shown else { return }
    shown = index + 1
    pending.append(byte)
    isAtLineStart = byte == UInt8(ascii: "\n")
    if isAtLineStart || pending.count >= 4096 { flush() }
  }

  func byte(at index: Int) -> UInt8? {
    // A prompt without a newline has to be seen before somebody answers it.
    if input.isLive && !pending.isEmpty && silence > .milliseconds(20) { flush() }
    return input.byte(at: index)
  }

  func isExhausted(at index: Int) -> Bool { input.isExhausted(at: index) }
  var waits: Bool { !input.isLive }
  func awaitByte(at index: Int) -> Bool { input.awaitByte(at: index) }

  /// Ends the guest's last line if what Penumbra says would stand behind it on a terminal.
  func endLine() {
    guard !isAtLineStart, isatty(output) == 1, isatty(STDERR_FILENO) == 1 else { return }
    Diagnostics.say("\n")
  }

  /// Passes on what was written.
  func flush() {
    guard !pending.isEmpty else { return }
    lastFlush = .now
    beforeOutput()
    if !isBroken { isBroken = !Diagnostics.writeBytes(pending, to: output) }
    pending.removeAll(keepingCapacity: true)
  }
}

/// A guest's serial port of which nobody sees the output; the input is that of the process.
final class CapturedConsole: Console {
  private let input: HostInput
  private let buffer = BufferConsole()

  init(input: HostInput) { self.input = input }

  /// What the guest wrote.
  var output: [UInt8] { buffer.output }

  func write(_ byte: UInt8, at index: Int) { buffer.write(byte, at: index) }
  func byte(at index: Int) -> UInt8? { input.byte(at: index) }
  func isExhausted(at index: Int) -> Bool { input.isExhausted(at: index) }
  var waits: Bool { !input.isLive }
  func awaitByte(at index: Int) -> Bool { input.awaitByte(at: index) }
}
