import Debugger

/// The prompt behind gdb's `monitor`.
final class Monitor {
  let prompt: Prompt
  private final class Text { var contents = "" }
  private let text: Text

  init(_ session: Session) {
    let text = Text()
    self.text = text
    prompt = Prompt(session, ownsConsole: false) { text.contents += $0 }
  }

  /// Does a command, and gives what it shows.
  func output(of line: String) -> String {
    text.contents = ""
    // An empty line would repeat the last command.
    prompt.execute(line.allSatisfy(\.isWhitespace) ? "help" : line)
    return text.contents
  }

  /// Text for gdb's console: `O` and digits, in as many packets as it takes.
  static func packets(_ text: String) -> [[UInt8]] {
    let bytes = Array(text.utf8)
    let most = Packet.size / 2 - 1
    return stride(from: 0, to: bytes.count, by: most).map {
      [UInt8(ascii: "O")] + Hex.text(bytes[$0..<min($0 + most, bytes.count)])
    }
  }
}
