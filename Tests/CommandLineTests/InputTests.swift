import Foundation
import Support
import Testing

@testable import Emulator
@testable import penumbra

/// The program with standard input of every kind.
@Suite(.timeLimit(.minutes(2))) struct InputTests {
  /// A folder with the echo guest as a file.
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    var guest: String { path.appendingPathComponent("echo").path }

    init() throws {
      try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
      try Data(EchoGuest.image).write(to: URL(fileURLWithPath: guest))
    }

    deinit { try? FileManager.default.removeItem(at: path) }
  }

  private func process(_ arguments: [String], input: Pipe) throws -> (Process, output: Pipe, errors: Pipe) {
    let process = Process()
    process.executableURL = Program.url
    process.arguments = arguments
    let (output, errors) = (Pipe(), Pipe())
    (process.standardInput, process.standardOutput, process.standardError) = (input, output, errors)
    try process.start()
    return (process, output, errors)
  }

  private func text(_ pipe: Pipe) -> String {
    String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  }

  @Test(
    "a file and a pipe, however slow, give the same statistics",
    arguments: ["native", "shadow:trace", "shadow:unsync", "nested"])
  func pace(paging: String) throws {
    let folder = try Folder()
    let arguments = ["run", folder.guest, "--paging", paging, "--quiet", "--stats", "-"]
    let file = try Program(arguments, input: "abq")
    #expect(file.status == 9 << 1 | 1)
    #expect(file.output == "...a...b...q")

    let input = Pipe()
    let (process, output, errors) = try process(arguments, input: input)
    for text in ["a", "bq"] {
      usleep(600_000)
      input.fileHandleForWriting.write(Data(text.utf8))
    }
    #expect(self.text(output) == file.output)
    #expect(self.text(errors) == file.errors)
    process.waitUntilExit()
  }

  @Test("a guest that asks for no input is not held up by a pipe that never closes")
  func silentPipe() throws {
    let input = Pipe()
    let (process, output, _) = try process(["run", "hello", "--quiet"], input: input)
    #expect(text(output).hasPrefix("Hello"))
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    try input.fileHandleForWriting.close()
  }

  @Test("what was printed is seen while the guest waits, somebody is told of it, and Control-C ends the wait")
  func interruptedWait() throws {
    let folder = try Folder()
    let input = Pipe()
    let (process, output, errors) = try process(["run", folder.guest], input: input)
    var seen = ""
    while seen != "..." {
      let data = output.fileHandleForReading.availableData
      try #require(!data.isEmpty, "\(seen)")
      seen += String(decoding: data, as: UTF8.self)
    }
    let notice = String(decoding: errors.fileHandleForReading.availableData, as: UTF8.self)
    #expect(notice.hasPrefix("penumbra: the guest waits for standard input"), "\(notice)")
    process.interrupt()
    #expect(text(errors).hasPrefix("penumbra: interrupted\n"))
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    try input.fileHandleForWriting.close()
  }

  @Test("at a terminal a halted guest waits for what is typed, and the summary stands on a line of its own")
  func terminal() throws {
    let folder = try Folder()
    try Data(EchoGuest.haltingImage).write(to: URL(fileURLWithPath: folder.guest))
    var (master, slave): (Int32, Int32) = (-1, -1)
    try #require(openpty(&master, &slave, nil, nil, nil) == 0)
    defer { close(master) }
    let process = Process()
    process.executableURL = Program.url
    process.arguments = ["run", folder.guest]
    let terminal = FileHandle(fileDescriptor: slave)
    (process.standardInput, process.standardOutput, process.standardError) = (terminal, terminal, terminal)
    // Whatever terminal the tests run in.
    process.environment = ProcessInfo.processInfo.environment.merging(["NO_COLOR": "1"]) { $1 }
    try process.start()
    close(slave)
    var seen = ""
    func readOn(to end: String) {
      var bytes = [UInt8](repeating: 0, count: 4096)
      while !seen.hasSuffix(end) {
        let count = read(master, &bytes, bytes.count)
        guard count > 0 else { break }
        seen += String(decoding: bytes[..<count], as: UTF8.self)
      }
    }
    readOn(to: ">")
    for key in ["x", "q"] {
      #expect(Diagnostics.writeBytes(Array((key + "\n").utf8), to: master))
      usleep(300_000)
    }
    readOn(to: "no end")
    process.waitUntilExit()
    #expect(process.terminationStatus == 113 << 1 & 0xff | 1)
    #expect(seen.contains("q\r\npenumbra: the guest wrote 113"), "\(seen)")
  }

  @Test("input that ends leaves a guest that polls for more to its limit")
  func ended() throws {
    let folder = try Folder()
    let program = try Program("run", folder.guest, "--max-cycles", "50000000", "--quiet", input: "ab")
    #expect(program.status == 4)
    #expect(program.output.hasPrefix("...a...b......"))
  }
}

/// What a run takes from the host. The figures that a person would measure are in Docs/Performance.md; these bounds
/// only catch what goes badly wrong.
@Suite(.serialized, .timeLimit(.minutes(1))) struct ResourceTests {
  @Test("with 128 MB of guest memory the process needs less than 100 MB beside what the guest touched")
  func memory() throws {
    // Standard error is full, so that the process is there to be looked at when everything is done.
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let flags = fcntl(ends[1], F_GETFL)
    _ = fcntl(ends[1], F_SETFL, flags | O_NONBLOCK)
    let filler = [UInt8](repeating: 0, count: 4096)
    while write(ends[1], filler, filler.count) > 0 {}
    _ = fcntl(ends[1], F_SETFL, flags)

    let process = Process()
    process.executableURL = Program.url
    process.arguments = ["run", "hello", "--memory", "128M"]
    let output = Pipe()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = FileHandle(fileDescriptor: ends[1])
    try process.start()
    close(ends[1])
    var seen = ""
    while !seen.contains("long mode") {
      let data = output.fileHandleForReading.availableData
      try #require(!data.isEmpty)
      seen += String(decoding: data, as: UTF8.self)
    }
    func status(_ field: String) throws -> String {
      let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
      let line = status.split(separator: "\n").first { $0.hasPrefix(field + ":") }
      return line.map { String($0.dropFirst(field.count + 1).drop { $0.isWhitespace }) } ?? ""
    }
    while try !status("State").hasPrefix("S") { usleep(10_000) }
    let peak = try status("VmHWM")
    let kibibytes = try #require(Int(peak.prefix { $0.isNumber }), "\(peak)")
    #expect(kibibytes < 100_000_000 / 1024, "\(kibibytes) KiB")
    #expect(kibibytes > 1000, "it was measured")
    process.terminate()
    close(ends[0])
    process.waitUntilExit()
  }

  @Test("the guest's first words come within a second")
  func start() throws {
    var best = Duration.seconds(60)
    for _ in 0..<3 {
      let process = Process()
      process.executableURL = Program.url
      process.arguments = ["run", "hello", "--quiet"]
      let output = Pipe()
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = output
      let start = ContinuousClock.now
      try process.start()
      let first = output.fileHandleForReading.availableData
      best = min(best, start.duration(to: .now))
      #expect(String(decoding: first, as: UTF8.self).hasPrefix("Hello"))
      _ = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
    }
    #expect(best < .seconds(1))
  }
}
