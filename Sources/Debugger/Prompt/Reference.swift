/// The reference of all commands, as Docs/Debugger.md has it.
public enum Reference {
  public static var markdown: String {
    var text = ""
    for group in Command.Group.allCases {
      text += "### \(group.rawValue)\n\n| command | what it does |\n|---|---|\n"
      for command in CommandTable.all where command.group == group {
        let usage = escaped(command.name + (command.parameters.isEmpty ? "" : " " + command.parameters))
        var what = command.summary
        if !command.detail.isEmpty { what += ". " + command.detail }
        if !command.aliases.isEmpty {
          what += ". Also " + command.aliases.map { "`\($0)`" }.joined(separator: ", ")
        }
        text += "| `\(usage)` | \(escaped(what)) |\n"
      }
      text += "\n"
    }
    text += "### Functions of expressions\n\n| function | value |\n|---|---|\n"
    for function in ExpressionFunction.all {
      text += "| `\(function.name)(\(function.parameters))` | \(function.summary) |\n"
    }
    return text
  }

  private static func escaped(_ text: String) -> String {
    text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}
