import Foundation

/// The built program, run as a user runs it.
struct Program {
  var status: Int32
  var output: String
  var errors: String

  /// The binary beside the tests.
  static let url = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    .appendingPathComponent("penumbra")

  init(_ arguments: String..., input: String = "", environment: [String: String] = [:]) throws {
    try self.init(arguments, input: input, environment: environment)
  }

  init(_ arguments: [String], input: String = "", environment: [String: String] = [:]) throws {
    let process = Process()
    process.executableURL = Program.url
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files, so that neither side can block on a full pipe.
    for name in ["in", "out", "err"] {
      try Data((name == "in" ? input : "").utf8).write(to: folder.appendingPathComponent(name))
    }
    process.standardInput = try FileHandle(forReadingFrom: folder.appendingPathComponent("in"))
    process.standardOutput = try FileHandle(forWritingTo: folder.appendingPathComponent("out"))
    process.standardError = try FileHandle(forWritingTo: folder.appendingPathComponent("err"))
    try process.start()
    process.waitUntilExit()
    status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    output = String(decoding: try Data(contentsOf: folder.appendingPathComponent("out")), as: UTF8.self)
    errors = String(decoding: try Data(contentsOf: folder.appendingPathComponent("err")), as: UTF8.self)
  }
}

extension Process {
  private static let watchdog = DispatchQueue(label: "penumbra.tests.watchdog")

  /// Runs the program, and kills it after ten minutes: whoever waits for it or for its words fails then, instead of
  /// holding up all tests.
  func start() throws {
    try run()
    Self.watchdog.asyncAfter(deadline: .now() + 600) { [weak self] in
      if let self, isRunning { kill(processIdentifier, SIGKILL) }
    }
  }
}
