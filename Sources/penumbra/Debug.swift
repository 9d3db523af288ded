import ArgumentParser
import Boot
import Debugger
import Devices
import Emulator
import Foundation
import GDBStub

/// `penumbra debug GUEST`
struct Debug: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Boot a guest at a debugger prompt.",
    discussion: """
      Commands come from the terminal, or line by line from standard input where that is none; `help` lists them. \
      Exit status: 0, 6 if an `assert` of a script failed or a file's commands could not all be done, 64 and 66 as \
      everywhere.
      """)

  @Argument(help: "A file, or the name of a built-in guest.", completion: .file())
  var guest: String

  @OptionGroup var options: MachineOptions
  @OptionGroup var gdb: GDBOptions

  @Option(
    name: [.customShort("x"), .customLong("command")], parsing: .singleValue,
    help: ArgumentHelp("Do a file's commands first; repeatable.", valueName: "file"), completion: .file())
  var scripts: [String] = []

  @Option(
    name: [.customLong("eval-command"), .customLong("ex", withSingleDash: true)], parsing: .unconditionalSingleValue,
    help: ArgumentHelp("Do a command, after the files; repeatable.", valueName: "command"))
  var commands: [String] = []

  @Flag(help: "Leave when the files' and options' commands are done; standard input is the guest's then.")
  var batch = false

  @Flag(help: "Begin with the full-screen view (`layout on`).")
  var tui = false

  @Option(help: ArgumentHelp("The guest's serial input.", valueName: "file"), completion: .file())
  var input: String?

  @Option(help: ArgumentHelp("Symbols from another ELF file.", valueName: "file"), completion: .file())
  var symbols: String?

  @Option(help: ArgumentHelp("Memory for going back in time, 0: none.", valueName: "size"))
  var history = "512M"

  func run() throws {
    var status: Int32 = 0
    try Diagnostics.report {
      let configuration = try options.configuration(default: [.nested])
      guard configuration.pagings.count == 1 else { throw SetupError.usage("paging: debug takes one kind") }
      let image = try GuestImage.find(guest)
      let file = try StatisticsFile(options.stats)
      for script in scripts { _ = try InputFile.read(script, what: "script") }
      let console = SessionConsole(source: try source())
      let machine = try VirtualMachine(configuration, guest: image, console: console)
      let session = Session(machine, console: console, history: try historyBytes())
      let symbolFile = try symbols.map { try InputFile.read($0, what: "symbols") }
      if let symbolFile {
        session.symbols = try Self.symbols(symbolFile.bytes, symbols ?? "")
        session.lines = LineTable(elf: symbolFile.bytes)
      }
      let prompt = Prompt(session) { Diagnostics.show($0) }
      Self.giveFiles(to: prompt)
      prompt.screenSize = { isatty(STDOUT_FILENO) == 1 ? Terminal.size : nil }
      let served = try gdb.endpoint.map {
        try GDBService(
          session, $0, symbols: symbolFile?.bytes, quiet: options.quiet, prepare: Self.giveFiles,
          seeToInterruption: Interruption.clear)
      }
      status = Interruption.whileWatching(machine) { converse(prompt, served?.service) }
      served?.server.close()
      var statistics = machine.statistics
      statistics.outcome = session.outcome.map(Statistics.Outcome.init)
      try file?.write(try statistics.json())
    }
    throw ExitCode(status)
  }

  /// Does all commands, and gives the exit status.
  private func converse(_ prompt: Prompt, _ gdb: Service?) -> Int32 {
    let reader = batch ? nil : PromptReader(prompt, gdb)
    // Somebody at a terminal goes on after Control-C; a script ends.
    Interruption.isPatient = reader?.isTerminal ?? false
    prompt.isInterrupted = { Interruption.wasRequested && !Interruption.isPatient }
    if self.gdb.wait { gdb?.awaitConnection() }
    for script in scripts where !prompt.isDone { prompt.execute("source \(script)") }
    for command in commands where !prompt.isDone { prompt.execute(command) }
    if tui, !prompt.isDone { prompt.execute("layout on") }
    if let reader, !prompt.isDone { prompt.run { reader.line() } }
    // A script's end is not gdb's.
    if !prompt.isDone, reader?.isTerminal != true { gdb?.serveToEnd() }
    reader?.end()
    if prompt.isInterrupted() { return 130 }
    return prompt.failures + prompt.brokenScripts > 0 ? 6 : 0
  }

  private func source() throws -> any Console {
    if let input { return BufferConsole(input: try InputFile.read(input, what: "input").bytes) }
    // A terminal's keys are the guest's while it runs; a script's lines are not.
    if batch || isatty(STDIN_FILENO) == 1 { return CapturedConsole(input: HostInput()) }
    return BufferConsole()
  }

  private func historyBytes() throws -> Int {
    guard let bytes = NumberParsing.bytes(history) else { throw SetupError.usage("history: \(history) is no size") }
    return Int(clamping: bytes)
  }

  private static func symbols(_ bytes: [UInt8], _ path: String) throws -> Symbols {
    guard let symbols = Symbols(elf: bytes) else {
      throw SetupError.input("symbols", path, "no ELF file with symbols")
    }
    return symbols
  }

  /// Lets a prompt's commands read and write files.
  static func giveFiles(to prompt: Prompt) {
    prompt.readFile = { path in (try? String(contentsOfFile: path, encoding: .utf8)) }
    prompt.writeFile = write
    prompt.listFolder = { folder in
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return names.map { name in
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: folder + "/" + name, isDirectory: &isFolder)
        return isFolder.boolValue ? name + "/" : name
      }
    }
  }

  private static func write(_ path: String, _ text: String, _ append: Bool) -> Bool {
    guard let file = fopen(path, append ? "ab" : "wb") else { return false }
    let bytes = Array(text.utf8)
    let written = fwrite(bytes, 1, bytes.count, file)
    return fclose(file) == 0 && written == bytes.count
  }
}
