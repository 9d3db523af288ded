import Foundation
import Guests
import Testing

@testable import Debugger

/// One after the other: both may write the document.
@Suite(.serialized) struct ReferenceTests {
  private static let document = Dialogue.folder.appending(path: "../../Docs/Debugger.md").standardizedFileURL

  /// With DIALOGUES=write in the environment the document is written anew.
  @Test func `the document's reference is that of the table of commands`() throws {
    let text = try String(contentsOf: Self.document, encoding: .utf8)
    let start = try #require(text.firstRange(of: "## Reference\n"))
    let head = text[..<start.upperBound].split(separator: "\n", omittingEmptySubsequences: false)
    let comment = "<!-- From here on the text is made from the table of commands: DIALOGUES=write make dialogues. -->"
    let expected = head.joined(separator: "\n") + "\n\(comment)\n\n" + Reference.markdown
    if ProcessInfo.processInfo.environment["DIALOGUES"] == "write" {
      try expected.write(to: Self.document, atomically: true, encoding: .utf8)
    } else {
      #expect(text == expected)
    }
  }

  /// Behind a comment that names a conversation stands its transcript. With DIALOGUES=write the document is written anew.
  @Test func `the document's transcripts are those of the conversations`() throws {
    let text = try String(contentsOf: Self.document, encoding: .utf8)
    var lines: [Substring] = []
    var named: [String] = []
    var rest = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    while let line = rest.popFirst() {
      lines.append(line)
      guard line.hasPrefix("<!-- dialogue: ") else { continue }
      let name = String(line.dropFirst(15).prefix { $0 != " " })
      named.append(name)
      let transcript = try #require(
        Dialogue.all.first { $0.transcript.file.deletingPathExtension().lastPathComponent == name }?.transcript,
        "\(name)")
      #expect(rest.popFirst() == "```")
      rest = rest.drop { $0 != "```" }.dropFirst()
      lines += ["```"] + transcript.body.filter { $0 != "" }.map { $0[...] } + ["```"]
    }
    #expect(named.count == BuiltInGuest.all.count { $0.name.hasPrefix("bug-") })
    let expected = lines.joined(separator: "\n")
    if ProcessInfo.processInfo.environment["DIALOGUES"] == "write" {
      try expected.write(to: Self.document, atomically: true, encoding: .utf8)
    } else {
      #expect(text == expected)
    }
  }
}
