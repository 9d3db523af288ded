import Machine

extension CommandTable {
  static let stops: [Command] = [
    Command(
      "break", ["b", "br", "hbreak", "lb", "vb"], "[PLACE] [if CONDITION]", .stops,
      "stop before an instruction: a symbol, an address, *address, FILE:LINE; without a place this one",
      completion: .symbol
    ) { prompt, rest throws(PromptError) in
      try prompt.addBreakpoint(rest, isTemporary: false)
    },
    Command("tbreak", ["tb", "thbreak"], "[PLACE] [if CONDITION]", .stops, "the same, once", completion: .symbol) {
      prompt, rest throws(PromptError) in try prompt.addBreakpoint(rest, isTemporary: true)
    },
    Command(
      "watch", [], "[phys] ADDRESS[, LENGTH] [if CONDITION]", .stops,
      "stop after an instruction that changes memory: 8 bytes, or LENGTH, at a linear address or a guest-physical one",
      detail: """
        A physical watchpoint sees every store, the processor's own of A and D bits and a hypervisor's among them, \
        through whatever linear address. A linear one is of that address in every address space.
        """, completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.addWatchpoint(rest, .write)
    },
    Command(
      "rwatch", [], "[phys] ADDRESS[, LENGTH] [if CONDITION]", .stops, "stop after a read", completion: .expression
    ) {
      prompt, rest throws(PromptError) in try prompt.addWatchpoint(rest, .read)
    },
    Command(
      "awatch", [], "[phys] ADDRESS[, LENGTH] [if CONDITION]", .stops, "stop after a read or a write",
      completion: .expression
    ) {
      prompt, rest throws(PromptError) in try prompt.addWatchpoint(rest, .access)
    },
    Command(
      "catch", [], "EVENT [if CONDITION]", .stops, "stop at an event of the machine",
      detail: """
        EVENT is `exception [VECTOR]`, `interrupt`, `exit [REASON]`, `cr [NUMBER]` or `cr3`, `invlpg`, `table-write` (a \
        store to a page table that CR3 leads to), `mode` (real, protected, 64-bit, ...), `port [NUMBER]`, `msr [NUMBER]`, \
        `syscall`.
        """, completion: .event
    ) { prompt, rest throws(PromptError) in
      try prompt.addCatchpoint(rest)
    },
    Command("delete", ["d"], "[NUMBER...]", .stops, "forget breakpoints; without a number all") {
      prompt, rest throws(PromptError) in
      if rest.isEmpty {
        for breakpoint in prompt.session.breakpoints { prompt.session.delete(breakpoint.number) }
        return
      }
      for number in try prompt.numbers(rest) {
        guard prompt.session.delete(number) else { throw PromptError("no breakpoint \(number)") }
      }
    },
    Command("disable", [], "[NUMBER...]", .stops, "let breakpoints be, without forgetting them") {
      prompt, rest throws(PromptError) in try prompt.enable(rest, false)
    },
    Command("enable", [], "[NUMBER...]", .stops, "let them stop again") { prompt, rest throws(PromptError) in
      try prompt.enable(rest, true)
    },
    Command(
      "condition", [], "NUMBER [CONDITION]", .stops,
      "stop at a breakpoint only where a condition holds; without one always"
    ) {
      prompt, rest throws(PromptError) in
      let number = rest.prefix { !$0.isWhitespace }
      let text = String(rest.dropFirst(number.count).drop(while: \.isWhitespace))
      guard !number.isEmpty else { throw PromptError("condition NUMBER [CONDITION]") }
      let condition = text.isEmpty ? nil : try prompt.condition(text)
      let isKnown = prompt.session.change(Int(clamping: try prompt.value(String(number)))) {
        $0.condition = condition
        $0.conditionText = condition == nil ? nil : text
      }
      guard isKnown else { throw PromptError("no breakpoint \(number)") }
    },
    Command("ignore", [], "NUMBER COUNT", .stops, "pass a breakpoint over so many times") {
      prompt, rest throws(PromptError) in
      let words = rest.split(separator: " ").map(String.init)
      guard words.count == 2 else { throw PromptError("ignore NUMBER COUNT") }
      let count = Int(clamping: try prompt.value(words[1]))
      guard prompt.session.change(Int(clamping: try prompt.value(words[0])), { $0.ignored = count }) else {
        throw PromptError("no breakpoint \(words[0])")
      }
    },
    Command(
      "commands", [], "[NUMBER]", .stops,
      "do the lines that follow, up to `end`, after every stop at a breakpoint; without a number the last one"
    ) { prompt, rest throws(PromptError) in
      let lines = prompt.block()
      guard let number = rest.isEmpty ? prompt.session.breakpoints.last?.number : Int(clamping: try prompt.value(rest)),
        prompt.session.change(number, { $0.commands = lines })
      else { throw PromptError("no such breakpoint") }
    },
    Command(
      "info breakpoints", ["info b", "info watchpoints"], .stops, "the breakpoints, and how often each has stopped"
    ) {
      prompt, _ throws(PromptError) in prompt.listBreakpoints()
    },
  ]
}

extension Prompt {
  func numbers(_ text: String) throws(PromptError) -> [Int] {
    var numbers: [Int] = []
    for word in text.split(whereSeparator: { $0 == " " || $0 == "," }) {
      numbers.append(Int(clamping: try value(String(word))))
    }
    return numbers
  }

  func enable(_ text: String, _ isEnabled: Bool) throws(PromptError) {
    let numbers = text.isEmpty ? session.breakpoints.map(\.number) : try numbers(text)
    for number in numbers {
      guard session.change(number, { $0.isEnabled = isEnabled }) else { throw PromptError("no breakpoint \(number)") }
    }
  }

  /// What stands before `if`, and the condition behind it.
  private func split(_ text: String) throws(PromptError) -> (place: String, condition: String?) {
    let padded = " " + text
    guard let range = padded.firstRange(of: " if ") else { return (text, nil) }
    let place = String(padded[..<range.lowerBound].drop(while: \.isWhitespace))
    let condition = String(padded[range.upperBound...])
    _ = try self.condition(condition)
    return (place, condition)
  }

  /// A condition, whose names are known. What it reads may be there only later.
  func condition(_ text: String) throws(PromptError) -> Expression {
    let parsed = try expression(text)
    do throws(Expression.Failure) {
      try parsed.checkNames(in: session)
    } catch {
      throw PromptError(error.description)
    }
    return parsed
  }

  private func finish(_ number: Int, _ condition: String?, isTemporary: Bool = false) throws(PromptError) {
    let parsed: Expression?
    if let condition { parsed = try expression(condition) } else { parsed = nil }
    session.change(number) {
      $0.condition = parsed
      $0.conditionText = condition
      $0.isTemporary = isTemporary
    }
  }

  func addBreakpoint(_ text: String, isTemporary: Bool) throws(PromptError) {
    let (place, condition) = try split(text)
    let address = place.isEmpty ? session.programCounter : try address(ofPlace: place)
    let number = session.add(.code(address), text: self.place(address))
    try finish(number, condition, isTemporary: isTemporary)
    say("\(isTemporary ? "Temporary breakpoint" : "Breakpoint") \(number) at \(self.place(address))")
  }

  func addWatchpoint(_ text: String, _ access: Breakpoint.Watch.Access) throws(PromptError) {
    let (place, condition) = try split(text)
    var rest = place
    let isPhysical = rest.hasPrefix("phys ")
    if isPhysical { rest = String(rest.dropFirst(5)) }
    let parts = rest.split(separator: ",").map(String.init)
    guard let first = parts.first, parts.count <= 2 else { throw PromptError("an address is wanted") }
    let (addressText, width) = Self.watched(first)
    let address = try value(addressText)
    let length = parts.count == 2 ? try value(parts[1]) : width
    guard 1...65536 ~= length else { throw PromptError("a length of 1 to 65536 bytes is wanted") }
    let watch = Breakpoint.Watch(access: access, address: address, length: length, isPhysical: isPhysical)
    let name = isPhysical ? "guest-physical \(hex(address))" : self.place(address)
    let number = session.add(.watch(watch), text: "\(name), \(length) byte\(length == 1 ? "" : "s")")
    try finish(number, condition)
    say(
      "Watchpoint \(number): \(access == .write ? "changes of" : access == .read ? "reads of" : "accesses to") \(name)")
  }

  /// The address of what gdb calls a location: `ADDRESS`, `*ADDRESS` or `*(TYPE *)ADDRESS`, with `-l` before it or not; and
  /// how many bytes its type has.
  private static func watched(_ text: String) -> (address: String, width: UInt64) {
    var rest = Substring(text).drop(while: \.isWhitespace)
    for option in ["-location ", "-l "] where rest.hasPrefix(option) { rest = rest.dropFirst(option.count) }
    guard rest.hasPrefix("*") else { return (String(rest), 8) }
    rest = rest.dropFirst().drop(while: \.isWhitespace)
    guard rest.hasPrefix("("), let end = rest.firstIndex(of: ")") else { return (String(rest), 8) }
    let words = rest[..<end].dropFirst().split { $0.isWhitespace || $0 == "*" }.filter { $0 != "unsigned" }
    let widths: [String: UInt64] = [
      "char": 1, "uint8_t": 1, "int8_t": 1, "short": 2, "uint16_t": 2, "int16_t": 2, "int": 4, "uint32_t": 4,
      "int32_t": 4, "long": 8, "uint64_t": 8, "int64_t": 8,
    ]
    guard rest[..<end].last == "*", let width = words.first.flatMap({ widths[String($0)] }) else {
      return (String(rest), 8)
    }
    return (String(rest[end...].dropFirst()), width)
  }

  func addCatchpoint(_ text: String) throws(PromptError) {
    let (event, condition) = try split(text)
    var words = event.split(separator: " ").map(String.init)
    guard !words.isEmpty else { throw PromptError("catch what? See help catch") }
    let kind = words.removeFirst()
    let argument = words.isEmpty ? nil : words.joined(separator: " ")
    func number(upTo limit: UInt64) throws(PromptError) -> UInt64? {
      guard let argument else { return nil }
      let number = try value(argument)
      guard number <= limit else { throw PromptError("\(kind): a number up to \(hex(limit)) is wanted") }
      return number
    }
    let point: CatchPoint
    switch kind {
    case "exception", "fault":
      if let argument, let vector = Self.vectorNamed(argument) {
        point = .exception(vector)
      } else {
        point = .exception(try number(upTo: 255).map { UInt8(truncatingIfNeeded: $0) })
      }
    case "interrupt", "irq": point = .interrupt
    case "exit":
      guard let argument else {
        point = .exit(nil)
        break
      }
      guard let reason = ExitReason.allCases.first(where: { $0.name == argument }) else {
        throw PromptError(
          "no exit reason \(argument); there are \(ExitReason.allCases.map(\.name).joined(separator: ", "))")
      }
      point = .exit(reason)
    case "cr": point = .controlRegister(try number(upTo: 8).map { Int(clamping: $0) })
    case "cr0", "cr3", "cr4", "cr8": point = .controlRegister(kind.last?.wholeNumberValue)
    case "invlpg", "invalidation": point = .invalidation
    case "table-write", "pt-write": point = .tableWrite
    case "mode": point = .mode
    case "port", "io": point = .port(try number(upTo: 0xffff).map { UInt16(truncatingIfNeeded: $0) })
    case "msr": point = .modelSpecificRegister(try number(upTo: 0xffff_ffff).map { UInt32(truncatingIfNeeded: $0) })
    case "syscall": point = .systemCall
    default: throw PromptError("no event \"\(kind)\"; see help catch")
    }
    let added = session.add(.catching(point), text: event)
    try finish(added, condition)
    say("Catchpoint \(added): \(event)")
  }

  /// `#PF`, `pf`, `14`.
  private static func vectorNamed(_ text: String) -> UInt8? {
    let names = [
      "de", "db", "nmi", "bp", "of", "br", "ud", "nm", "df", "", "ts", "np", "ss", "gp", "pf", "", "mf", "ac", "mc",
      "xm",
    ]
    let bare = text.lowercased().drop { $0 == "#" }
    return names.firstIndex { $0 != "" && $0 == bare }.map { UInt8($0) }
  }

  func listBreakpoints() {
    guard !session.breakpoints.isEmpty else { return say("No breakpoints.") }
    var rows = [["Num", "Type", "Enabled", "Hits", "What"]]
    for breakpoint in session.breakpoints {
      let type: String
      switch breakpoint.kind {
      case .code: type = breakpoint.isTemporary ? "break, once" : "break"
      case .watch(let watch): type = watch.access == .write ? "watch" : watch.access == .read ? "rwatch" : "awatch"
      case .catching: type = "catch"
      }
      var what = breakpoint.text
      if let condition = breakpoint.conditionText { what += " if \(condition)" }
      if breakpoint.ignored > 0 { what += ", the next \(breakpoint.ignored) passed over" }
      rows.append(["\(breakpoint.number)", type, breakpoint.isEnabled ? "y" : "n", "\(breakpoint.hits)", what])
      for line in breakpoint.commands { rows.append(["", "", "", "", "  " + line]) }
    }
    for line in columns(rows, right: [3]) { say(line) }
  }
}
