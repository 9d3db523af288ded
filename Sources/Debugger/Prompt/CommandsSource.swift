import Boot

extension CommandTable {
  static let source: [Command] = [
    Command(
      "list", ["l"], "[PLACE]", .looking,
      "source lines, where the guest's file has line tables: around this instruction, a symbol, *ADDRESS, LINE, FILE:LINE",
      detail: "Without a place it goes on behind what was shown last.", completion: .symbol
    ) { prompt, rest throws(PromptError) in
      try prompt.list(rest)
    },
    Command("info line", [], "[PLACE]", .looking, "the source line of an instruction, and where its code begins") {
      prompt, rest throws(PromptError) in
      let address = rest.isEmpty ? prompt.session.programCounter : try prompt.address(ofPlace: rest)
      let (file, line) = try prompt.sourcePlace(of: address)
      let start = prompt.session.lines?.address(ofLine: line, in: file) ?? address
      prompt.say("\(file):\(line), from \(prompt.place(start)) on")
    },
    Command(
      "directory", ["dir"], "[FOLDER]", .looking, "look for source files in a folder, too; without one tell where",
      completion: .file
    ) { prompt, rest throws(PromptError) in
      guard !rest.isEmpty else { return prompt.say(prompt.sourceFolders.joined(separator: ":")) }
      prompt.sourceFolders.insert(rest, at: 0)
    },
  ]
}

extension Prompt {
  /// How many lines `list` shows, and how many of them before the one that is asked for.
  private static let shownLines = 10
  private static let linesBefore = 4

  func sourcePlace(of address: UInt64) throws(PromptError) -> (file: String, line: Int) {
    guard let lines = session.lines else { throw PromptError("the guest's file has no line tables") }
    guard let place = lines.place(of: address) else { throw PromptError("no line for \(place(address))") }
    return place
  }

  /// `FILE:LINE`, or an expression, with a star or without.
  func address(ofPlace text: String) throws(PromptError) -> UInt64 {
    if let (file, line) = fileAndLine(text) {
      guard let lines = session.lines else { throw PromptError("the guest's file has no line tables") }
      guard let address = lines.address(ofLine: line, in: file) else { throw PromptError("no code at \(text)") }
      return address
    }
    return try value(text.hasPrefix("*") ? String(text.dropFirst()) : text)
  }

  private func fileAndLine(_ text: String) -> (String, Int)? {
    guard let colon = text.lastIndex(of: ":"), let line = Int(text[text.index(after: colon)...]) else { return nil }
    // The end of a path is enough.
    let name = String(text[..<colon])
    return (session.lines?.files.first { $0 == name || $0.hasSuffix("/" + name) } ?? name, line)
  }

  func list(_ text: String) throws(PromptError) {
    let middle: (file: String, line: Int)
    if text.isEmpty, let next = nextListed {
      return try show(next.file, from: next.line)
    } else if text.isEmpty {
      middle = try sourcePlace(of: session.programCounter)
    } else if let named = fileAndLine(text) {
      middle = named
    } else if let line = Int(text) {
      let file: String
      if let nextListed { file = nextListed.file } else { file = try sourcePlace(of: session.programCounter).file }
      middle = (file, line)
    } else {
      middle = try sourcePlace(of: try address(ofPlace: text))
    }
    try show(middle.file, from: max(middle.line - Self.linesBefore, 1))
  }

  private func show(_ file: String, from first: Int) throws(PromptError) {
    guard let source = sourceText(file) else {
      throw PromptError("cannot read \(file); `directory FOLDER` tells where sources are")
    }
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
    guard first <= lines.count else { throw PromptError("\(file) has \(lines.count) lines") }
    let here = try? sourcePlace(of: session.programCounter)
    for number in first...min(first + Self.shownLines - 1, lines.count) {
      let mark = here.map { $0.file == file && $0.line == number } ?? false ? "=>" : "  "
      let digits = String(number)
      let line = "\(mark) \(String(repeating: " ", count: max(4 - digits.count, 0)))\(digits)  \(lines[number - 1])"
      say(String(line.reversed().drop(while: \.isWhitespace).reversed()))
    }
    nextListed = (file, first + Self.shownLines)
  }

  private func sourceText(_ file: String) -> String? {
    if let text = readFile(file) { return text }
    let name = String(file.split(separator: "/").last ?? "")
    for folder in sourceFolders {
      if let text = readFile("\(folder)/\(file)") ?? readFile("\(folder)/\(name)") { return text }
    }
    return nil
  }
}
