import Emulator
import Machine

/// The prompt: takes lines, does commands, prints. Where lines come from and where text goes is its owner's business.
public final class Prompt {
  public let session: Session
  /// Takes what is to be shown.
  private let show: (String) -> Void
  private let ownsConsole: Bool
  /// The next line of whatever commands are being read from: a terminal, a file, a definition; nil at its end.
  var nextLine: () -> String? = { nil }
  /// Reads a file, for `source`.
  public var readFile: (String) -> String? = { _ in nil }
  /// Writes a file's new contents, or appends to it; false if it cannot.
  public var writeFile: (_ path: String, _ text: String, _ append: Bool) -> Bool = { _, _, _ in false }

  /// The names in a folder, those of folders with a slash behind them, for completion.
  public var listFolder: (String) -> [String] = { _ in [] }

  /// The terminal's size, where what is shown goes to one: for the full-screen view.
  public var screenSize: () -> (columns: Int, rows: Int)? = { nil }
  /// The full-screen view, while there is one.
  var layout: Layout?

  /// Whether somebody wants the script in progress to end.
  public var isInterrupted: () -> Bool = { false }

  /// Assertions of scripts that did not hold.
  public internal(set) var failures = 0
  /// `quit` was given.
  public internal(set) var isDone = false
  /// Commands that could not be done.
  private var errors = 0
  /// Files of commands that ended because one could not be done.
  public private(set) var brokenScripts = 0

  var definitions: [String: [String]] = [:]
  var displays: [(number: Int, command: String)] = []
  var nextDisplay = 1
  var checkpoints: [(number: Int, moment: Moment)] = []
  var logPath: String?
  /// What the last command was, for an empty line.
  private var lastLine = ""
  /// Where `x` and `disassemble` go on.
  var nextAddress: UInt64 = 0
  /// How `x` has shown memory last.
  var lastFormat = Format()
  /// Where `list` goes on; nothing after a stop.
  var nextListed: (file: String, line: Int)?
  var sourceFolders = ["."]
  /// The ledger at the last stop, for `info cost`.
  var ledgerAtStop = CycleLedger()
  var ledgerBefore = CycleLedger()
  /// How deep definitions and sourced files are in one another.
  private var depth = 0
  private static let deepest = 32

  /// - Parameter ownsConsole: whether what the guest writes is shown here, too, between the prompt's own lines.
  public init(_ session: Session, ownsConsole: Bool = true, show: @escaping (String) -> Void) {
    self.session = session
    self.ownsConsole = ownsConsole
    self.show = show
    if ownsConsole {
      session.console.output = { [unowned self] bytes in showConsole(String(decoding: bytes, as: UTF8.self)) }
    }
    ledgerAtStop = session.machine.statistics.causes.ledger
    ledgerBefore = ledgerAtStop
  }

  // MARK: Printing

  /// Shows a line.
  func say(_ line: String) {
    endLine()
    emit(line + "\n")
  }

  /// The guest's last line ends before something else is said.
  private func endLine() { if ownsConsole { session.console.endLine() } }

  private func emit(_ text: String) {
    if layout != nil { layout?.said += text } else { show(text) }
    if let logPath { _ = writeFile(logPath, text, true) }
  }

  /// Shows what the guest writes: in its place of the full-screen view where there is one.
  private func showConsole(_ text: String) {
    guard layout != nil else { return emit(text) }
    layout?.noteConsole(text)
    if let logPath { _ = writeFile(logPath, text, true) }
  }

  /// Shows what is no part of a log: the view.
  func showPlain(_ text: String) { show(text) }

  // MARK: Lines

  /// Does one line's command. An empty line repeats the last one.
  public func execute(_ line: String) {
    let trimmed = Substring(line).drop(while: \.isWhitespace)
    let text = trimmed.isEmpty ? Substring(lastLine) : trimmed
    guard !text.isEmpty, !text.hasPrefix("#") else { return }
    if depth == 0 { lastLine = String(text) }
    do throws(PromptError) {
      try perform(text)
    } catch {
      errors += 1
      say(error.description)
    }
    endLine()
    if depth == 0 { drawLayout() }
  }

  func perform(_ text: Substring) throws(PromptError) {
    let name = String(text.prefix { !$0.isWhitespace })
    if let lines = definitions[name] {
      let words = text.dropFirst(name.count).split(separator: " ").map(String.init)
      return try run(lines.map { Self.substitute(words, in: $0) })
    }
    let (command, rest) = try CommandTable.find(text)
    var end = Substring(rest)
    while let last = end.last, last.isWhitespace { end.removeLast() }
    try command.action(self, String(end))
  }

  /// `$arg0`, `$arg1`... of a definition.
  private static func substitute(_ words: [String], in line: String) -> String {
    var line = line
    for (index, word) in words.enumerated().reversed() {
      line = line.split(separator: "$arg\(index)", omittingEmptySubsequences: false).joined(separator: word)
    }
    return line
  }

  /// Does a list of commands; nested no deeper than is sensible.
  /// - Parameter file: whose lines they are, if they are a file's. It ends at a command that cannot be done, as gdb's do.
  func run(_ lines: [String], of file: String? = nil) throws(PromptError) {
    guard depth < Self.deepest else { throw PromptError("commands are nested too deeply") }
    depth += 1
    let outer = nextLine
    var at = 0
    nextLine = {
      guard at < lines.count else { return nil }
      at += 1
      return lines[at - 1]
    }
    defer {
      depth -= 1
      nextLine = outer
    }
    while !isDone, !isInterrupted(), let line = nextLine() {
      if line.allSatisfy(\.isWhitespace) { continue }
      let before = errors
      execute(line)
      guard let file, errors != before else { continue }
      brokenScripts += 1
      throw PromptError("\(file):\(at): the file's commands end here")
    }
  }

  /// Does lines until there are no more, or `quit`.
  public func run(reading lines: @escaping () -> String?) {
    nextLine = lines
    while !isDone, !isInterrupted(), let line = nextLine() { execute(line) }
    endLine()
  }

  /// Does the commands of a file.
  public func source(_ path: String) throws(PromptError) {
    guard let text = readFile(path) else { throw PromptError("cannot read \(path)") }
    try run(text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init), of: path)
  }

  /// The lines up to `end`, for `define` and `commands`.
  func block() -> [String] {
    var lines: [String] = []
    var depth = 0
    while let line = nextLine() {
      let text = Substring(line).drop(while: \.isWhitespace)
      if text == "end" {
        if depth == 0 { break }
        depth -= 1
      }
      if text.hasPrefix("commands") || text.hasPrefix("define ") { depth += 1 }
      lines.append(String(text))
    }
    return lines
  }

  // MARK: Expressions

  func value(_ text: String) throws(PromptError) -> UInt64 {
    do throws(Expression.Failure) {
      return try Expression(text).value(in: session)
    } catch {
      throw PromptError(error.description)
    }
  }

  func expression(_ text: String) throws(PromptError) -> Expression {
    do throws(Expression.Failure) {
      return try Expression(text)
    } catch {
      throw PromptError(error.description)
    }
  }

  /// A number of repetitions, 1 where none is given.
  func count(_ text: String) throws(PromptError) -> UInt64 {
    let count = text.isEmpty ? 1 : try value(text)
    guard count < 1 << 63 else { throw PromptError("no number of repetitions: \(text)") }
    return count
  }

  // MARK: Stops

  /// Tells why a run has stopped, and where.
  func report(_ stop: Stop) throws(PromptError) {
    endLine()
    nextListed = nil
    ledgerBefore = ledgerAtStop
    ledgerAtStop = session.machine.statistics.causes.ledger
    var commands: [String] = []
    var isSilent = false
    switch stop {
    case .stepped, .arrived: break
    case .beginning: say("This is where the history begins.")
    case .interrupted: say("Interrupted.")
    case .delivered(let event, let rip): say("\(event.text) at \(place(rip)): its handler is entered.")
    case .breakpoint(let hits):
      // As in gdb: commands that begin with `silent` tell what is to be told.
      isSilent = hits.allSatisfy { $0.commands.first == "silent" }
      for hit in hits {
        if !isSilent { say(hit.report) }
        commands += hit.commands.first == "silent" ? Array(hit.commands.dropFirst()) : hit.commands
      }
    case .ended(let outcome):
      say("The guest has ended: \(outcome.message) (exit status \(outcome.exitStatus)).")
      return
    }
    // The full-screen view has it.
    if layout == nil && !isSilent { showPlace() }
    if !isSilent { for display in displays { try perform(Substring(display.command)) } }
    if !commands.isEmpty { try run(commands) }
  }

  /// The instruction that comes next.
  func showPlace() {
    let pc = session.programCounter
    let processor = session.machine.processors.count > 1 ? "[cpu \(session.selected)] " : ""
    say("\(processor)=> \(place(pc)):  \(session.instruction(at: pc)?.text ?? "(unreadable)")")
  }

  /// An address with the symbol that it belongs to.
  public func place(_ address: UInt64) -> String {
    session.symbols.name(of: address).map { "\(hex(address)) <\($0)>" } ?? hex(address)
  }
}

func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

func hex(_ value: UInt64, digits: Int) -> String {
  let text = String(value, radix: 16)
  return "0x" + String(repeating: "0", count: max(digits - text.count, 0)) + text
}

/// Columns of text, each as wide as its widest cell; numbers to the right.
func columns(_ rows: [[String]], right: Set<Int> = []) -> [String] {
  var widths: [Int] = []
  for row in rows {
    for (index, cell) in row.enumerated() {
      if index < widths.count { widths[index] = max(widths[index], cell.count) } else { widths.append(cell.count) }
    }
  }
  return rows.map { row in
    var line = ""
    for (index, cell) in row.enumerated() {
      let padding = String(repeating: " ", count: widths[index] - cell.count)
      line += (index > 0 ? "  " : "") + (right.contains(index) ? padding + cell : cell + padding)
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}
