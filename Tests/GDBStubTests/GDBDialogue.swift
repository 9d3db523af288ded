import Debugger
import Devices
import Emulator
import Foundation
import Machine
import Support
import Synchronization
import Testing

@testable import GDBStub

/// A conversation with the real gdb. Lines behind `(gdb) ` are its commands; the port is the one that is served.
struct GDBDialogue: CustomTestStringConvertible {
  let transcript: Transcript

  var testDescription: String { transcript.title }

  static let all = Transcript.all(
    in: URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Dialogues")
  ).map(GDBDialogue.init)

  private static let prompt = "(gdb) "
  private var typed: [String] {
    transcript.body.filter { $0.hasPrefix(Self.prompt) }.map { String($0.dropFirst(Self.prompt.count)) }
  }

  private func configuration() throws -> Configuration {
    var configuration = try Configuration(pagings: [.nested])
    configuration.memory = 32 << 20
    for assignment in transcript.values("set") { try ConfigurationKey.apply(assignment, to: &configuration) }
    return configuration
  }

  private func image() throws -> GuestImage {
    let name = transcript.values("guest").first ?? "questions"
    return name == "questions" ? GuestImage(name: name, bytes: try Transcript.questions) : try GuestImage.find(name)
  }

  /// What has become of the machine at the end.
  struct Ending: Sendable {
    var outcome: RunOutcome?
    var output = ""
    var statistics: Statistics?
  }

  /// Holds the conversation again.
  func held() throws -> (said: String, ending: Ending) {
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(try configuration(), guest: try image(), console: console)
    let session = Session(machine, console: console)
    let ended = Mutex(false)
    let request = session.machine.processor.stopRequest
    let server = try Server(Endpoint("0")) { request.raise() }
    let port = server.port
    let commands = typed
    let said = Mutex("")
    // gdb has a thread of its own, and this one is the machine's.
    let finished = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let text = (try? Self.gdb(commands, port)) ?? "(gdb does not run: it is Debian's package gdb)"
      said.withLock { $0 = text }
      ended.withLock { $0 = true }
      finished.signal()
    }
    var ending = Ending()
    console.output = { ending.output += String(decoding: $0, as: UTF8.self) }
    // Where gdb was lost nobody would let the machine go on.
    final class Box { var service: Service? }
    let box = Box()
    let service = Service(
      Stub(session), server.mailbox,
      isInterrupted: { [unowned box] in ended.withLock { $0 } && box.service?.runsFree == false })
    box.service = service
    ending.outcome = service.run(waits: true)
    finished.wait()
    server.close()
    console.flush()
    ending.statistics = session.machine.statistics
    return (said.withLock { $0 }, ending)
  }

  /// What gdb says to commands, each echoed behind its prompt.
  private static func gdb(_ commands: [String], _ port: Int) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    var arguments = ["gdb", "-nx", "-q", "-batch"]
    for setting in ["confirm off", "width 0", "height 0", "style enabled off", "debuginfod enabled off"] {
      arguments += ["-ex", "set \(setting)"]
    }
    for command in commands {
      let echoed = command.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
      arguments += ["-ex", "echo \(prompt)\(echoed)\\n"]
      arguments += ["-ex", command.replacingOccurrences(of: ":1234", with: ":\(port)")]
    }
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C", "DEBUGINFOD_URLS": ""]) { $1 }
    let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    #expect(FileManager.default.createFile(atPath: file.path, contents: nil))
    defer { try? FileManager.default.removeItem(at: file) }
    let output = try FileHandle(forWritingTo: file)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    // A test's thread may have Control-C blocked, and gdb would inherit that.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGCHLD] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    try process.run()
    let deadline = Date().addingTimeInterval(60)
    while process.isRunning, Date() < deadline { usleep(5000) }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    return String(decoding: try Data(contentsOf: file), as: UTF8.self)
  }

  /// The same machine without gdb.
  func undisturbed() throws -> Ending {
    let console = BufferConsole()
    let machine = try VirtualMachine(try configuration(), guest: try image(), console: console)
    let outcome = machine.run()
    return Ending(outcome: outcome, output: console.text, statistics: machine.statistics)
  }
}

/// One gdb at a time: each has a machine to itself, and two processors are soon busy.
@Suite(.serialized) struct GDBDialogueTests {
  @Test(arguments: GDBDialogue.all)
  func `a conversation with gdb goes as its transcript says`(dialogue: GDBDialogue) throws {
    let (said, ending) = try dialogue.held()
    let difference = try dialogue.transcript.difference(from: said)
    #expect(difference == nil)
    guard dialogue.transcript.values("ends").first == "undisturbed" else { return }
    let plain = try dialogue.undisturbed()
    #expect(ending.outcome == plain.outcome)
    #expect(ending.output == plain.output)
    #expect(ending.statistics == plain.statistics)
  }

  @Test func `there are conversations, and most leave the machine as it would have been`() {
    #expect(GDBDialogue.all.count >= 15)
    #expect(GDBDialogue.all.count { $0.transcript.values("ends") == ["undisturbed"] } * 2 > GDBDialogue.all.count)
  }
}
