import Debugger
import Foundation
import GDBStub

/// Where the prompt's lines come from: a terminal with line editing and a history that is kept, or standard input line by
/// line.
///
/// The terminal is in the editor's mode while a line is typed and in the guest's while a command runs, and as it was found
/// at the end.
final class PromptReader {
  private let prompt: Prompt
  /// gdb, which is served while nobody types.
  private let gdb: Service?
  private var editor: LineEditor
  let isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1

  /// Bytes of standard input behind the last line that was read from it.
  private var pending: [UInt8] = []

  init(_ prompt: Prompt, _ gdb: Service? = nil) {
    self.prompt = prompt
    self.gdb = gdb
    editor = LineEditor(
      prompt: "(penumbra) ", columns: Terminal.columns, history: isTerminal ? Self.savedHistory : [],
      complete: { [unowned prompt] in prompt.completions(of: $0) })
  }

  /// The next line; nil at the end of input.
  func line() -> String? {
    guard isTerminal else { return plainLine() }
    Interruption.clear()
    Terminal.enter(keys: true)
    defer {
      Terminal.leave()
      Terminal.enter()
    }
    editor.begin()
    Diagnostics.show(editor.rendered)
    while let byte = key() {
      let (outcome, output) = editor.feed(byte)
      Diagnostics.show(output)
      switch outcome {
      case .editing: continue
      case .line(let text): return text
      case .cancelled: Diagnostics.show(editor.rendered)
      case .end: return nil
      }
    }
    return nil
  }

  private func key() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      if serveGDB() {
        if gdb?.isKilled ?? false { return nil }
        Diagnostics.show(editor.rendered)
        continue
      }
      let count = read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      guard count < 0, errno == EINTR else { return nil }
    }
  }

  /// A line of standard input that is no terminal; nil at its end.
  private func plainLine() -> String? {
    guard gdb != nil else { return readLine() }
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeSubrange(...end) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      if prompt.isInterrupted() || gdb?.isKilled ?? false { return nil }
      if serveGDB() { continue }
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = read(STDIN_FILENO, &bytes, bytes.count)
      if count > 0 { pending += bytes[..<count] }
      guard count == 0 || count < 0 && errno != EINTR else { continue }
      defer { pending = [] }
      return pending.isEmpty ? nil : String(decoding: pending, as: UTF8.self)
    }
  }

  /// Waits until there is something to read. True: it was gdb's, and has been seen to.
  private func serveGDB() -> Bool {
    guard let gdb else { return false }
    var requests = [
      pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
      pollfd(fd: gdb.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&requests, 2, -1) > 0 else { return true }
    guard requests[1].revents != 0 else { return false }
    if isTerminal {
      // What the guest writes stands in the place of the line that is being typed, which is shown again behind it.
      Diagnostics.show("\r\u{1b}[K")
      Terminal.leave()
      Terminal.enter()
    }
    gdb.serve()
    if isTerminal { Terminal.enter(keys: true) }
    prompt.session.console.endLine()
    return true
  }

  /// Leaves the terminal as it was, and keeps the history.
  func end() {
    Terminal.leave()
    guard isTerminal, let path = Self.historyPath else { return }
    let text = editor.history.joined(separator: "\n") + "\n"
    try? text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// PENUMBRA_HISTORY, or a file in the home folder.
  private static var historyPath: String? {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["PENUMBRA_HISTORY"] { return path.isEmpty ? nil : path }
    return environment["HOME"].map { $0 + "/.penumbra_history" }
  }

  private static var savedHistory: [String] {
    guard let path = historyPath, let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
    return text.split(separator: "\n").map(String.init)
  }
}
