import Foundation

/// A conversation as a file has it: a question, how its machine is made, and what was typed and said.
///
///     # Why did this store fault?
///     guest: questions
///     paging: nested
///
///     (penumbra) continue
///     ...
///
/// Lines behind a prompt are what was typed; everything else is what the other side said.
public struct Transcript: Sendable {
  public let file: URL
  public let header: [String]
  public let body: [String]

  /// All in a folder, by name.
  public static func all(in folder: URL) -> [Transcript] {
    let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    return (files ?? []).filter { $0.pathExtension == "dialogue" }.sorted { $0.path < $1.path }.compactMap(
      Transcript.init)
  }

  public init?(_ file: URL) {
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let end = lines.firstIndex(of: "") ?? lines.count
    self.file = file
    header = Array(lines[..<end])
    body = Array(lines.dropFirst(end + 1))
  }

  public var title: String {
    let question = header.first { $0.hasPrefix("# ") }?.dropFirst(2) ?? "?"
    return "\(file.deletingPathExtension().lastPathComponent): \(question)"
  }

  /// What the header gives for a key, in order.
  public func values(_ key: String) -> [String] {
    header.filter { $0.hasPrefix(key + ": ") }.map { String($0.dropFirst(key.count + 2)) }
  }

  /// Compares with what was said this time; with DIALOGUES=write in the environment the file is written anew, to be read
  /// and judged.
  ///
  /// - Returns: the first line that is different, in words.
  public func difference(from said: String) throws -> String? {
    if ProcessInfo.processInfo.environment["DIALOGUES"] == "write" {
      let text = (header + [""]).joined(separator: "\n") + "\n" + said
      try text.write(to: file, atomically: true, encoding: .utf8)
      return nil
    }
    let (expected, actual) = (
      Self.trimmed(body), Self.trimmed(said.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
    )
    for index in 0..<max(expected.count, actual.count) {
      let wanted = index < expected.count ? expected[index] : "(end)"
      let found = index < actual.count ? actual[index] : "(end)"
      if wanted != found { return "line \(index + 1): expected \(wanted)\n         found    \(found)" }
    }
    return nil
  }

  private static func trimmed(_ lines: [String]) -> ArraySlice<String> {
    var lines = lines[...]
    while lines.last == "" { lines.removeLast() }
    return lines
  }

  /// The conversations' own guest (DebuggerTests/Guest/questions.c), with its symbols.
  public static var questions: [UInt8] {
    get throws {
      let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      return [UInt8](try Data(contentsOf: tests.appending(path: "DebuggerTests/Guest/questions.image")))
    }
  }
}
