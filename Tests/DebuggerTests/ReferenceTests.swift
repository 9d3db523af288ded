import Foundation
import Testing

@testable import Debugger

@Suite struct ReferenceTests {
  /// With DIALOGUES=write in the environment the document is written anew.
  @Test func `the document's reference is that of the table of commands`() throws {
    let file = Dialogue.folder.appending(path: "../../Docs/Debugger.md").standardizedFileURL
    let text = try String(contentsOf: file, encoding: .utf8)
    let start = try #require(text.firstRange(of: "## Reference\n"))
    let head = text[..<start.upperBound].split(separator: "\n", omittingEmptySubsequences: false)
    let comment = "<!-- From here on the text is made from the table of commands: DIALOGUES=write make dialogues. -->"
    let expected = head.joined(separator: "\n") + "\n\(comment)\n\n" + Reference.markdown
    if ProcessInfo.processInfo.environment["DIALOGUES"] == "write" {
      try expected.write(to: file, atomically: true, encoding: .utf8)
    } else {
      #expect(text == expected)
    }
  }
}
