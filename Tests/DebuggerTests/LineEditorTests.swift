import Testing

@testable import Debugger

/// The line editor, key by key.
@Suite struct LineEditorTests {
  private func editor(history: [String] = [], words: [String] = []) -> LineEditor {
    LineEditor(prompt: "> ", columns: 40, history: history) { text in
      let word = text.split(separator: " ", omittingEmptySubsequences: false).last.map(String.init) ?? ""
      return (text.count - word.count, words.filter { $0.hasPrefix(word) })
    }
  }

  /// Types, and gives the lines that were finished.
  private func type(_ text: String, into editor: inout LineEditor) -> [String] {
    var lines: [String] = []
    for byte in text.utf8 {
      if case .line(let line) = editor.feed(byte).outcome { lines.append(line) }
    }
    return lines
  }

  @Test(
    arguments: [
      ("step\r", "step"), ("stap\u{7f}\u{7f}ep\r", "step"), ("tep\u{01}s\r", "step"),
      ("step 5\u{17}7\r", "step 7"), ("xstep\u{01}\u{04}\r", "step"),
      ("step now\u{02}\u{02}\u{02}\u{02}\u{0b}\r", "step"),
      ("sxtep\u{1b}[D\u{1b}[D\u{1b}[D\u{7f}\r", "step"), ("tep\u{1b}[Hs\u{1b}[F!\r", "step!"),
      ("xyz\u{15}next\r", "next"), ("stäp\u{7f}\u{7f}ep\r", "step"), ("step\u{1b}[H\u{1b}[3~\r", "tep"),
    ])
  func `keys edit the line`(keys: String, line: String) {
    var editor = editor()
    #expect(type(keys, into: &editor) == [line])
  }

  @Test func `arrows go through the history and back to what was being typed`() {
    var editor = editor(history: ["one", "two"])
    _ = type("thr", into: &editor)
    _ = type("\u{1b}[A", into: &editor)
    #expect(String(editor.line) == "two")
    _ = type("\u{1b}[A\u{1b}[A", into: &editor)
    #expect(String(editor.line) == "one")
    _ = type("\u{1b}[B\u{1b}[B", into: &editor)
    #expect(String(editor.line) == "thr")
    #expect(type("ee\r", into: &editor) == ["three"])
    #expect(editor.history == ["one", "two", "three"])
    _ = type("three\r\r", into: &editor)
    #expect(editor.history == ["one", "two", "three"], "neither a repetition nor an empty line is kept")
  }

  @Test func `tab completes what is certain and lists the rest`() {
    var editor = editor(words: ["registers", "regions", "flags"])
    _ = type("info f\t", into: &editor)
    #expect(String(editor.line) == "info flags ")
    editor.begin()
    _ = type("info r\t", into: &editor)
    #expect(String(editor.line) == "info regi")
    let output = editor.feed(0x09).output
    #expect(output.contains("registers  regions"))
    editor.begin()
    #expect(type("zz", into: &editor) == [] && editor.feed(0x09).output == "\u{07}")
  }

  @Test func `control-C gives the line up, control-D ends an empty one`() {
    var editor = editor()
    _ = type("step", into: &editor)
    #expect(editor.feed(0x03).outcome == .cancelled)
    #expect(editor.line.isEmpty)
    #expect(editor.feed(0x04).outcome == .end)
    _ = type("x\u{01}", into: &editor)
    #expect(editor.feed(0x04).outcome == .editing)
    #expect(editor.line.isEmpty)
  }

  @Test func `a long line shows the part around the cursor`() {
    var editor = editor()
    _ = type(String(repeating: "a", count: 100) + "end", into: &editor)
    #expect(editor.rendered.hasSuffix("end\u{1b}[K"))
    #expect(editor.rendered.count < 60)
    _ = type("\u{01}", into: &editor)
    #expect(editor.rendered.hasPrefix("\r> aaa"))
  }

  @Test func `a folder is completed without a blank behind it`() {
    var editor = editor(words: ["folder/"])
    _ = type("source f\t", into: &editor)
    #expect(String(editor.line) == "source folder/")
  }

  @Test func `no sequence of bytes does harm`() {
    var editor = editor(history: ["a"], words: ["abc", "abd"])
    var random: UInt64 = 1
    for _ in 0..<20_000 {
      random = random &* 6_364_136_223_846_793_005 &+ 1
      _ = editor.feed(UInt8(truncatingIfNeeded: random >> 40))
      #expect(0...editor.line.count ~= editor.cursor)
    }
  }
}
