import Devices
import Emulator
import Foundation
import Support
import Testing

@testable import Debugger

/// A conversation with the prompt. Lines behind `(penumbra) ` are commands, those behind `> ` the lines of a block.
struct Dialogue: CustomTestStringConvertible {
  let transcript: Transcript

  var testDescription: String { transcript.title }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
  static let all = Transcript.all(in: folder.appending(path: "Dialogues")).map(Dialogue.init)

  /// What is typed, with the prompt before it.
  private var typed: [String] { transcript.body.filter { $0.hasPrefix("(penumbra) ") || $0.hasPrefix("> ") } }

  /// A machine at its prompt.
  func session(history: Int = 512 << 20) throws -> Session {
    var configuration = try Configuration(pagings: [.nested])
    configuration.memory = 32 << 20
    for paging in transcript.values("paging") { try ConfigurationKey.apply("paging=\(paging)", to: &configuration) }
    for assignment in transcript.values("set") { try ConfigurationKey.apply(assignment, to: &configuration) }
    let name = transcript.values("guest").first ?? "questions"
    let image = try name == "questions" ? Self.questions : GuestImage.find(name)
    let console = SessionConsole(source: BufferConsole(input: Array((transcript.values("input").first ?? "").utf8)))
    let machine = try VirtualMachine(configuration, guest: image, console: console)
    return Session(machine, console: console, history: history)
  }

  static var questions: GuestImage {
    get throws { GuestImage(name: "questions", bytes: try Transcript.questions) }
  }

  /// Holds the conversation again.
  func held() throws -> (said: String, prompt: Prompt) {
    let typed = typed
    var text = ""
    let prompt = Prompt(try session()) { text += $0 }
    // Sources are where the guests' are built.
    let sources = Self.folder.appending(path: "../../Sources/Guests").standardizedFileURL
    prompt.readFile = { try? String(contentsOf: sources.appending(path: $0), encoding: .utf8) }
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
  @Test(arguments: Dialogue.all)
  func `a conversation goes as its transcript says`(dialogue: Dialogue) throws {
    let difference = try dialogue.transcript.difference(from: dialogue.held().said)
    #expect(difference == nil)
  }

  @Test func `there are conversations`() { #expect(Dialogue.all.count >= 5) }
}
