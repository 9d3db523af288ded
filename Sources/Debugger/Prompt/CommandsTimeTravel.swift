import Emulator

extension CommandTable {
  static let timeTravel: [Command] = [
    Command(
      "reverse-step", ["rs", "rsi", "reverse-stepi"], "[N]", .time,
      "undo N instructions, or what was delivered between two", completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.reverseStep(try prompt.count(rest)))
    },
    Command(
      "reverse-next", ["rn", "rni", "reverse-nexti"], "[N]", .time, "the same, a call with all that it did as one",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.reverseNext(try prompt.count(rest)))
    },
    Command(
      "reverse-continue", ["rc"], .time, "go back to the last stop that the present breakpoints would have made"
    ) { prompt, _ throws(PromptError) in
      try prompt.report(prompt.session.reverseContinue())
    },
    Command("reverse-finish", ["rfin"], .time, "go back to the call of the function in execution") {
      prompt, _ throws(PromptError) in
      guard let stop = prompt.session.reverseFinish() else {
        throw PromptError("no symbol tells where the function in execution begins")
      }
      try prompt.report(stop)
    },
    Command(
      "goto-instruction", ["gi", "seek"], "N", .time, "go to where N instructions have retired, back or forward",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.go(instructions: try prompt.value(rest)))
    },
    Command(
      "goto-cycle", ["gc"], "N", .time, "go to the first instruction boundary at or after cycle N",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.report(prompt.session.go(cycles: try prompt.value(rest)))
    },
    Command("checkpoint", [], .time, "give the present moment a number, to come back to") {
      prompt, _ throws(PromptError) in
      let number = (prompt.checkpoints.last?.number ?? 0) + 1
      prompt.checkpoints.append((number, prompt.session.moment))
      prompt.say("Checkpoint \(number) at instruction \(prompt.session.moment.instructions).")
    },
    Command("restore", ["restart"], "[NUMBER]", .time, "go to a checkpoint; without a number to the last one made") {
      prompt, rest throws(PromptError) in
      let number = rest.isEmpty ? prompt.checkpoints.last?.number : Int(clamping: try prompt.value(rest))
      guard let checkpoint = prompt.checkpoints.first(where: { $0.number == number }) else {
        throw PromptError("no such checkpoint; see info checkpoints")
      }
      try prompt.report(prompt.session.go(to: checkpoint.moment))
    },
    Command(
      "save", [], "FILE", .time,
      "write down where the machine stands and what was typed, for `load` in another session",
      completion: .file
    ) { prompt, rest throws(PromptError) in
      guard !rest.isEmpty else { throw PromptError("save FILE") }
      guard prompt.writeFile(rest, try prompt.session.record().text, false) else {
        throw PromptError("cannot write \(rest)")
      }
    },
    Command(
      "load", [], "FILE", .time,
      "go to where a session stood that was saved: the same guest and configuration, run again with the same input",
      completion: .file
    ) { prompt, rest throws(PromptError) in
      guard let text = prompt.readFile(rest) else { throw PromptError("cannot read \(rest)") }
      let stop = try prompt.session.restore(try SessionRecord(text))
      prompt.checkpoints = []
      try prompt.report(stop)
    },
    Command("info checkpoints", [], .time, "the checkpoints, and how far the history reaches") {
      prompt, _ throws(PromptError) in
      for (number, moment) in prompt.checkpoints {
        prompt.say("\(number)  instruction \(moment.instructions), cycle \(moment.cycles)")
      }
      let moments = prompt.session.timeline.moments
      if let first = moments.first, let last = moments.last {
        prompt.say(
          "History from instruction \(first.instructions) to \(max(last, prompt.session.moment).instructions).")
      }
    },
    Command("info time", ["when"], .time, "the present moment: instructions, cycles, events delivered") {
      prompt, _ throws(PromptError) in
      let moment = prompt.session.moment
      prompt.say("instruction \(moment.instructions), cycle \(moment.cycles), \(moment.deliveries) events delivered")
    },
    Command(
      "history", [], "ADDRESS [N]", .time,
      "who wrote the eight bytes at an address: the last N writes (4), what they changed, and what became stale",
      detail: """
        ADDRESS is linear, `phys ADDRESS` guest-physical, `entry ADDRESS` the page-table entry that maps a linear \
        address. The past is run through again, from the present backwards. For a page-table entry, the entries of TLBs \
        and paging-structure caches are told which the write made stale, and the shadow entries as they stood after it.
        """, completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.tellHistory(rest)
    },
    Command(
      "diff", [], "CHECKPOINT [registers|tables|memory]", .time,
      "what is different now from a checkpoint: registers, mappings, and how many pages of memory"
    ) { prompt, rest throws(PromptError) in
      try prompt.tellDifferences(rest)
    },
  ]
}
