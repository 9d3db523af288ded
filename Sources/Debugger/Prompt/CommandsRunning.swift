extension CommandTable {
  static let running: [Command] = [
    Command(
      "step", ["s", "si", "stepi"], "[N]", .running, "execute N instructions, one by one; into calls and handlers",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.step(try prompt.count(rest)))
    },
    Command(
      "next", ["n", "ni", "nexti"], "[N]", .running, "the same, a call with all that it does as one",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.next(try prompt.count(rest)))
    },
    Command(
      "continue", ["c", "cont", "fg"], "[N]", .running,
      "run until a breakpoint, or the guest's end; with N pass N - 1 stops at the breakpoint that was met last",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      var stop = prompt.session.resume()
      for _ in 1..<max(try prompt.count(rest), 1) {
        guard case .breakpoint = stop else { break }
        stop = prompt.session.resume()
      }
      try prompt.report(stop)
    },
    Command("finish", ["fin"], .running, "run until the function in execution has returned") {
      prompt, _ throws(PromptError) in try prompt.report(prompt.session.finish())
    },
    Command(
      "until", ["u", "advance"], "[PLACE]", .running,
      "run to a place; without one, to an instruction behind this one, out of a loop", completion: .symbol
    ) { prompt, rest throws(PromptError) in
      guard !rest.isEmpty else { return try prompt.report(prompt.session.until()) }
      try prompt.report(prompt.session.run(to: [try prompt.address(ofPlace: rest)]))
    },
    Command(
      "run-instructions", ["ri"], "N", .running, "run N instructions on, breakpoints counting", completion: .expression
    ) { prompt, rest throws(PromptError) in
      let (sum, overflow) = prompt.session.moment.instructions.addingReportingOverflow(try prompt.value(rest))
      try prompt.report(prompt.session.resume(until: .init(instructions: overflow ? nil : sum)))
    },
    Command(
      "cpu", ["thread", "processor", "info cpus", "info threads"], "[N]", .running,
      "look at processor N from now on; without N tell which there are"
    ) {
      prompt, rest throws(PromptError) in
      let processors = prompt.session.machine.processors
      guard !rest.isEmpty else {
        for processor in processors {
          let mark = processor.index == prompt.session.selected ? "*" : " "
          let what =
            processor.awaitsStartUp
            ? "waits to be started" : processor.state.isHalted ? "halted" : "RIP \(hex(processor.state.rip))"
          prompt.say("\(mark) \(processor.index)  \(what)")
        }
        return
      }
      let number = try prompt.value(rest)
      guard number < UInt64(processors.count) else {
        throw PromptError("there \(processors.count == 1 ? "is 1 processor" : "are \(processors.count) processors")")
      }
      prompt.session.selected = Int(number)
      prompt.showPlace()
    },
    Command("quit", ["q", "exit"], .running, "leave") { prompt, _ throws(PromptError) in prompt.isDone = true },
  ]
}

extension Command {
  /// A command without parameters.
  init(
    _ name: String, _ aliases: [String] = [], _ group: Group, _ summary: String, detail: String = "",
    _ action: @escaping @Sendable (Prompt, String) throws(PromptError) -> Void
  ) {
    self.init(name, aliases, "", group, summary, detail: detail, completion: .none, action)
  }
}
