import Foundation
import Testing

@testable import penumbra

/// The built program with `--gdb`, and the real gdb.
@Suite(.serialized) struct GDBTests {
  /// Runs the program, and gdb as soon as there is something to connect to.
  private func serve(
    _ arguments: [String], input: String = "", gdb sessions: [[String]]
  ) throws -> (program: Program, gdb: String) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func file(_ name: String) throws -> FileHandle {
      let url = folder.appendingPathComponent(name)
      try Data().write(to: url)
      return try FileHandle(forWritingTo: url)
    }
    func text(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: folder.appendingPathComponent(name)), as: UTF8.self)
    }
    try Data(input.utf8).write(to: folder.appendingPathComponent("in"))
    let process = Process()
    process.executableURL = Program.url
    process.arguments = arguments
    process.standardInput = try FileHandle(forReadingFrom: folder.appendingPathComponent("in"))
    process.standardOutput = try file("out")
    process.standardError = try file("err")
    try process.start()
    defer { if process.isRunning { process.terminate() } }
    let deadline = Date().addingTimeInterval(60)
    while try !text("err").contains("gdb: target remote "), process.isRunning, Date() < deadline { usleep(5000) }
    let line = try #require(try text("err").split(separator: "\n").first { $0.hasPrefix("gdb: target remote ") })
    for commands in sessions {
      let gdb = Process()
      gdb.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      gdb.arguments =
        ["gdb", "-nx", "-q", "-batch", "-ex", "set confirm off", "-ex", String(line.dropFirst(5))]
        + commands.flatMap { ["-ex", $0] }
      gdb.standardInput = FileHandle.nullDevice
      // What the target says comes by gdb's standard error.
      let output = try file("gdb")
      gdb.standardOutput = output
      gdb.standardError = output
      try gdb.start()
      gdb.waitUntilExit()
    }
    while process.isRunning, Date() < deadline { usleep(5000) }
    #expect(!process.isRunning, "the program has not ended")
    process.waitUntilExit()
    let program = Program(
      status: process.terminationStatus, output: try text("out"), errors: try text("err"))
    return (program, try text("gdb"))
  }

  @Test("a guest that gdb has looked at ends as one that it has not", .timeLimit(.minutes(2)))
  func run() throws {
    let arguments = ["run", "hello", "--append", "x y"]
    let (program, gdb) = try serve(
      arguments + ["--gdb", "0", "--wait"],
      gdb: [["stepi 3", "info registers rip", "monitor info time", "detach"]])
    let plain = try Program(arguments)
    #expect(program.output == plain.output && program.status == plain.status)
    #expect(program.errors.split(separator: "\n").dropFirst() == plain.errors.split(separator: "\n")[...])
    #expect(gdb.contains("instruction 3, "))
  }

  @Test("gdb may leave without a word and come back; kill is the end", .timeLimit(.minutes(2)))
  func reconnect() throws {
    let (program, gdb) = try serve(
      ["run", "hello", "--gdb", "127.0.0.1:0", "--wait"],
      gdb: [["stepi 7", "disconnect"], ["monitor info time", "kill"]])
    #expect(program.status == 130)
    #expect(program.output.isEmpty)
    #expect(gdb.contains("instruction 7, "))
  }

  @Test("the prompt and gdb share one machine", .timeLimit(.minutes(2)))
  func prompt() throws {
    let (program, _) = try serve(
      ["debug", "hello", "--gdb", "0", "--wait"], input: "print $instructions\nstep\nprint $instructions\n",
      gdb: [["stepi 5", "detach"]])
    #expect(program.status == 0)
    // The script goes on between gdb's packets: its step counts, wherever it comes in.
    #expect(program.output.split(separator: "\n").count == 3)
  }

  @Test("a port that is taken, and a host that is none, are told in a line")
  func refused() throws {
    let program = try Program("run", "hello", "--gdb", "256.256.256.256:1")
    #expect(program.status == 66)
    #expect(program.errors.hasPrefix("penumbra: gdb: cannot listen on 256.256.256.256:1"))
    #expect(program.errors.split(separator: "\n").count == 1)
  }
}

extension Program {
  fileprivate init(status: Int32, output: String, errors: String) {
    (self.status, self.output, self.errors) = (status, output, errors)
  }
}
