/// One command of the prompt: what it is called, what it takes, what it says of itself, and what it does. Parsing,
/// abbreviations, help, completion and the reference in Docs/Debugger.md come from the table of these.
public struct Command: Sendable {
  public enum Group: String, CaseIterable, Sendable {
    case running = "Running"
    case time = "Time travel"
    case stops = "Breakpoints"
    case looking = "Looking"
    case model = "The model"
    case changing = "Changing"
    case scripts = "Scripts"
  }

  /// What its argument is, for completion.
  public enum Completion: Sendable { case none, expression, symbol, command, file, event }

  /// A word, or two: `info registers`.
  public let name: String
  /// Other names: gdb's abbreviations, QEMU's and Bochs's names.
  public let aliases: [String]
  public let parameters: String
  public let summary: String
  public let detail: String
  public let group: Group
  public let completion: Completion
  let action: @Sendable (Prompt, String) throws(PromptError) -> Void

  init(
    _ name: String, _ aliases: [String] = [], _ parameters: String = "", _ group: Group, _ summary: String,
    detail: String = "", completion: Completion = .none,
    _ action: @escaping @Sendable (Prompt, String) throws(PromptError) -> Void
  ) {
    self.name = name
    self.aliases = aliases
    self.parameters = parameters
    self.group = group
    self.summary = summary
    self.detail = detail
    self.completion = completion
    self.action = action
  }
}

/// Why a command was not done, for people.
public struct PromptError: Error, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// All commands.
public enum CommandTable {
  public static let all: [Command] =
    running + timeTravel + stops + looking + vector + screen + source + model + changing + scripts

  /// The command that a line begins with, and the rest of the line.
  static func find(_ line: Substring) throws(PromptError) -> (command: Command, rest: String) {
    let word = line.prefix { !$0.isWhitespace && $0 != "/" }
    let rest = line.dropFirst(word.count).drop(while: \.isWhitespace)
    let name = String(word)
    let groups = Set(all.filter { $0.name.contains(" ") }.map { String($0.name.prefix { $0 != " " }) })
    if let exact = all.first(where: { $0.name == name || $0.aliases.contains(name) }) { return (exact, String(rest)) }
    // The first word of two.
    let group = groups.contains(name) ? name : name == "i" ? "info" : nil
    if let group { return try second(group, rest) }
    let starts = all.filter { !$0.name.contains(" ") && $0.name.hasPrefix(name) }
    let groupStarts = groups.filter { $0.hasPrefix(name) }
    if starts.count == 1, groupStarts.isEmpty { return (starts[0], String(rest)) }
    if starts.isEmpty, groupStarts.count == 1, let group = groupStarts.first { return try second(group, rest) }
    guard !starts.isEmpty || !groupStarts.isEmpty else {
      throw PromptError("no command \"\(name)\"; try help")
    }
    throw PromptError(
      "\"\(name)\" may be \((starts.map(\.name) + groupStarts.sorted()).sorted().joined(separator: ", "))")
  }

  private static func second(_ group: String, _ rest: Substring) throws(PromptError) -> (Command, String) {
    let word = rest.prefix { !$0.isWhitespace && $0 != "/" }
    let members = all.filter { $0.name.hasPrefix(group + " ") }
    let after = String(rest.dropFirst(word.count).drop(while: \.isWhitespace))
    let full = "\(group) \(word)"
    if let exact = all.first(where: { $0.name == full || $0.aliases.contains(full) }) { return (exact, after) }
    let starts = word.isEmpty ? [] : members.filter { $0.name.hasPrefix(full) }
    if starts.count == 1 { return (starts[0], after) }
    let names = (starts.isEmpty ? members : starts).map { String($0.name.dropFirst(group.count + 1)) }
    throw PromptError("\(group) what? There are \(names.joined(separator: ", "))")
  }
}
