import Debugger
import Foundation

/// Where the prompt's lines come from: a terminal with line editing and a history that is kept, or standard input line by
/// line.
///
/// The terminal is in the editor's mode while a line is typed and in the guest's while a command runs, and as it was found
/// at the end.
final class PromptReader {
  private let prompt: Prompt
  private var editor: LineEditor
  let isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1

  init(_ prompt: Prompt) {
    self.prompt = prompt
    editor = LineEditor(
      prompt: "(penumbra) ", columns: Terminal.columns, history: isTerminal ? Self.savedHistory : [],
      complete: { [unowned prompt] in prompt.completions(of: $0) })
  }

  /// The next line; nil at the end of input.
  func line() -> String? {
    guard isTerminal else { return readLine() }
    Interruption.clear()
    Terminal.enter(keys: true)
    defer {
      Terminal.leave()
      Terminal.enter()
    }
    editor.begin()
    Diagnostics.show(editor.rendered)
    while let byte = Self.key() {
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

  private static func key() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      guard count < 0, errno == EINTR else { return nil }
    }
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
