import Machine

extension CommandTable {
  static let scripts: [Command] = [
    Command("source", [], "FILE", .scripts, "do a file's commands", completion: .file) {
      prompt, rest throws(PromptError) in
      try prompt.source(rest)
    },
    Command(
      "assert", [], "EXPRESSION", .scripts, "where an expression is 0, say so, and let the exit status be 6",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      let isTrue: Bool
      do throws(Expression.Failure) {
        isTrue = try Expression(rest).value(in: prompt.session) != 0
      } catch {
        prompt.failures += 1
        throw PromptError("assert \(rest): \(error.description)")
      }
      guard !isTrue else { return }
      prompt.failures += 1
      prompt.say("Assertion failed: \(rest)")
    },
    Command(
      "define", [], "NAME", .scripts, "make a command of the lines that follow, up to `end`; $arg0, $arg1 are its words"
    ) {
      prompt, rest throws(PromptError) in
      guard !rest.isEmpty, !rest.contains(where: \.isWhitespace) else { throw PromptError("define NAME") }
      prompt.definitions[rest] = prompt.block()
    },
    Command(
      "display", [], "[COMMAND]", .scripts, "do a command after every stop, such as `info flags`; without one list them"
    ) {
      prompt, rest throws(PromptError) in
      guard !rest.isEmpty else {
        for display in prompt.displays { prompt.say("\(display.number)  \(display.command)") }
        return
      }
      var command = rest
      // gdb's own form: an expression, or a format.
      if rest.hasPrefix("/") {
        command = "x" + rest
      } else if (try? Expression(rest)) != nil {
        command = "print " + rest
      }
      _ = try CommandTable.find(Substring(command))
      prompt.displays.append((prompt.nextDisplay, command))
      prompt.nextDisplay += 1
      try prompt.perform(Substring(command))
    },
    Command("undisplay", [], "[NUMBER...]", .scripts, "stop displaying; without a number everything") {
      prompt, rest throws(PromptError) in
      let numbers = try prompt.numbers(rest)
      prompt.displays.removeAll { rest.isEmpty || numbers.contains($0.number) }
    },
    Command("echo", [], "TEXT", .scripts, "say something") { prompt, rest throws(PromptError) in prompt.say(rest) },
    Command(
      "log", ["logfile"], "[FILE]", .scripts, "write all that is shown to a file, too; without one stop that",
      completion: .file
    ) {
      prompt, rest throws(PromptError) in
      guard !rest.isEmpty else {
        prompt.logPath = nil
        return
      }
      guard prompt.writeFile(rest, "", false) else { throw PromptError("cannot write \(rest)") }
      prompt.logPath = rest
    },
    Command(
      "help", ["h", "?"], "[COMMAND]", .scripts, "what commands there are, or what one does", completion: .command
    ) {
      prompt, rest throws(PromptError) in try prompt.help(rest)
    },
  ]
}

extension Prompt {
  func help(_ name: String) throws(PromptError) {
    guard name.isEmpty else {
      let (command, _) = try CommandTable.find(Substring(name))
      say("\(command.name)\(command.parameters.isEmpty ? "" : " " + command.parameters)")
      say("  \(command.summary)")
      if !command.aliases.isEmpty { say("  also: \(command.aliases.joined(separator: ", "))") }
      if !command.detail.isEmpty { say("  " + command.detail) }
      return
    }
    for group in Command.Group.allCases {
      say("\(group.rawValue):")
      let rows = CommandTable.all.filter { $0.group == group }.map { ["  " + $0.name, $0.parameters, $0.summary] }
      for row in columns(rows.map { [$0[0] + ($0[1].isEmpty ? "" : " " + $0[1]), $0[2]] }) { say(row) }
    }
    for name in definitions.keys.sorted() { say("  \(name)  (defined)") }
  }
}
