import ArgumentParser
import Emulator

/// A look at the verbs, before anything else is parsed: a verb that does not exist is named together with those that
/// do, and a line without one is wrong usage.
enum VerbCheck {
  /// What is wrong with the verbs of a command line, for standard error; nil if nothing is.
  static func problem(_ arguments: some Sequence<String>) -> String? {
    var command: any ParsableCommand.Type = Penumbra.self
    var path: [String] = []
    for argument in arguments {
      let verbs = command.configuration.subcommands
      // Options, `help` and what a verb takes are the parser's.
      guard !verbs.isEmpty, !argument.hasPrefix("-"), !(path.isEmpty && argument == "help") else { return nil }
      path.append(argument)
      guard let verb = verbs.first(where: { $0._commandName == argument }) else {
        return unknown(path, among: verbs.filter { $0.configuration.shouldDisplay }.map { $0._commandName })
      }
      command = verb
    }
    let configuration = command.configuration
    guard !configuration.subcommands.isEmpty, configuration.defaultSubcommand == nil else { return nil }
    return Penumbra.helpMessage(for: command) + "\n"
  }

  private static func unknown(_ path: [String], among names: [String]) -> String {
    var hint = suggestion(path[path.count - 1], names)
    if hint.isEmpty { hint = "; there \(names.count == 1 ? "is" : "are") " + names.joined(separator: ", ") }
    return "penumbra: there is no verb \(path.map { printable($0) }.joined(separator: " "))\(hint)\n"
  }
}
