import Machine

/// What a line may go on with: from the table of commands, the registers and the guest's symbols.
extension Prompt {
  /// - Parameter text: the line up to the cursor.
  /// - Returns: where the last word begins, and the words that could stand there.
  public func completions(of text: String) -> (start: Int, words: [String]) {
    let characters = Array(text)
    let separators: Set<Character> = [" ", "*", "+", "-", "(", "&", ",", "/", "=", "<", ">", "{", "!"]
    let start = (characters.lastIndex { separators.contains($0) } ?? -1) + 1
    let word = String(characters[start...])
    let before = characters[..<start].drop { $0 == " " }
    if before.isEmpty {
      let names = CommandTable.all.map { String($0.name.prefix { $0 != " " }) } + definitions.keys
      return (start, Set(names.filter { $0.hasPrefix(word) }).sorted())
    }
    let line = String(before)
    let first = String(before.prefix { $0 != " " && $0 != "/" })
    let members = CommandTable.all.filter { $0.name.hasPrefix(first + " ") }
    if !members.isEmpty, before.count(where: { $0 == " " }) <= 1 {
      let names = members.map { String($0.name.dropFirst(first.count + 1)) }
      return (start, names.filter { $0.hasPrefix(word) }.sorted())
    }
    guard let (command, _) = try? CommandTable.find(Substring(line + word)) else { return (start, []) }
    if command.completion == .file {
      // The folder is what stands between the command and the last slash.
      let folder = text.dropFirst(text.prefix { $0 == " " }.count).drop { $0 != " " }.drop { $0 == " " }
      guard let begin = folder.lastIndex(of: "/").map(folder.index(after:)) else {
        return (text.count - folder.count, listFolder(".").filter { $0.hasPrefix(folder) }.sorted())
      }
      let name = folder[begin...]
      return (text.count - name.count, listFolder(String(folder[..<begin])).filter { $0.hasPrefix(name) }.sorted())
    }
    return (start, candidates(command.completion).filter { $0.hasPrefix(word) }.sorted())
  }

  private func candidates(_ completion: Command.Completion) -> [String] {
    switch completion {
    case .none, .file: []
    case .symbol: session.symbols.all.map(\.name)
    case .expression:
      session.symbols.all.map(\.name) + RegisterName.all.map { "$" + $0 } + ExpressionFunction.all.map(\.name)
    case .command: CommandTable.all.map(\.name)
    case .event:
      [
        "exception", "interrupt", "exit", "cr", "cr0", "cr3", "cr4", "invlpg", "table-write", "mode", "port", "msr",
        "syscall",
      ] + ExitReason.allCases.map(\.name)
    }
  }
}
