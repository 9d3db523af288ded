import Devices
import Emulator
import Foundation
import Testing

@testable import Debugger

/// A conversation with the prompt, as a file has it: a question, how the machine is made, and what was said.
///
///     # Why did this store fault?
///     guest: questions
///     paging: nested
///
///     (penumbra) continue
///     ...
///
/// Lines behind `(penumbra) ` are commands, those behind `> ` the lines of a block; everything else is what the prompt
/// and the guest said.
struct Dialogue: CustomTestStringConvertible {
  let file: URL
  let header: [String]
  /// What is typed, with the prompt before it.
  let typed: [String]
  let transcript: String

  var question: String { String(header.first { $0.hasPrefix("# ") }?.dropFirst(2) ?? "?") }
  var testDescription: String { "\(file.deletingPathExtension().lastPathComponent): \(question)" }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent()

  static let all: [Dialogue] = {
    let files = try? FileManager.default.contentsOfDirectory(
      at: folder.appending(path: "Dialogues"), includingPropertiesForKeys: nil)
    return (files ?? []).filter { $0.pathExtension == "dialogue" }.sorted { $0.path < $1.path }.compactMap(
      Dialogue.init)
  }()

  init?(_ file: URL) {
    guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let end = lines.firstIndex(of: "") ?? lines.count
    self.file = file
    header = Array(lines[..<end])
    let rest = lines.dropFirst(end + 1)
    typed = rest.filter { $0.hasPrefix("(penumbra) ") || $0.hasPrefix("> ") }
    transcript = rest.joined(separator: "\n")
  }

  private func values(_ key: String) -> [String] {
    header.filter { $0.hasPrefix(key + ": ") }.map { String($0.dropFirst(key.count + 2)) }
  }

  /// A machine at its prompt.
  func session(history: Int = 512 << 20) throws -> Session {
    var configuration = try Configuration(pagings: [.nested])
    configuration.memory = 32 << 20
    for paging in values("paging") { try ConfigurationKey.apply("paging=\(paging)", to: &configuration) }
    for assignment in values("set") { try ConfigurationKey.apply(assignment, to: &configuration) }
    let name = values("guest").first ?? "questions"
    let image = try name == "questions" ? Self.questions : GuestImage.find(name)
    let console = SessionConsole(source: BufferConsole(input: Array((values("input").first ?? "").utf8)))
    let machine = try VirtualMachine(configuration, guest: image, console: console)
    return Session(machine, console: console, history: history)
  }

  /// The dialogues' own guest (Guest/questions.c).
  static var questions: GuestImage {
    get throws {
      let bytes = try Data(contentsOf: folder.appending(path: "Guest/questions.image"))
      return GuestImage(name: "questions", bytes: [UInt8](bytes))
    }
  }

  /// Holds the conversation again.
  func held() throws -> (transcript: String, prompt: Prompt) {
    var text = ""
    let prompt = Prompt(try session()) { text += $0 }
    var at = 0
    prompt.run {
      guard at < typed.count else { return nil }
      at += 1
      text += typed[at - 1] + "\n"
      return String(typed[at - 1].drop { $0 != " " }.dropFirst())
    }
    return (text, prompt)
  }
}

@Suite struct DialogueTests {
  /// With DIALOGUES=write in the environment the transcripts are written anew, to be read and judged.
  @Test(arguments: Dialogue.all)
  func `a conversation goes as its transcript says`(dialogue: Dialogue) throws {
    let (transcript, _) = try dialogue.held()
    if ProcessInfo.processInfo.environment["DIALOGUES"] == "write" {
      let text = (dialogue.header + [""]).joined(separator: "\n") + "\n" + transcript
      try text.write(to: dialogue.file, atomically: true, encoding: .utf8)
      return
    }
    let (expected, actual) = (lines(dialogue.transcript), lines(transcript))
    for index in 0..<max(expected.count, actual.count) {
      let (wanted, found) = (
        index < expected.count ? expected[index] : "(end)", index < actual.count ? actual[index] : "(end)"
      )
      if wanted != found {
        Issue.record("line \(index + 1): expected \(wanted)\n         found    \(found)")
        return
      }
    }
  }

  private func lines(_ text: String) -> [Substring] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    while lines.last == "" { lines.removeLast() }
    return lines
  }

  @Test func `there are conversations`() { #expect(Dialogue.all.count >= 5) }
}
