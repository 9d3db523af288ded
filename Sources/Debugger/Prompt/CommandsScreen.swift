import Machine

extension CommandTable {
  static let screen: [Command] = [
    Command(
      "layout", ["tui"], "[on|off|EXPRESSION]", .looking,
      "a full-screen view, drawn anew at every stop; an expression is the address whose walk it shows",
      detail:
        "Registers, cycles by cause, code, stack, the walk and the console, with what a command says below. It wants a terminal of 80 columns and 24 rows.",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.setLayout(rest)
    },
    Command("refresh", [], .looking, "draw the full-screen view anew") { prompt, _ throws(PromptError) in
      guard prompt.layout != nil else { throw PromptError("there is no view: layout on") }
    },
  ]
}

/// The full-screen view as a prompt has it.
struct Layout {
  /// The address whose walk is shown.
  var address: Expression
  var addressName: String
  /// What the guest has written lately, by lines.
  var console = [""]
  /// What the command in progress says.
  var said = ""

  private static let keptLines = 100

  mutating func noteConsole(_ text: String) {
    for character in text {
      if character.isNewline {
        console.append("")
        if console.count > Layout.keptLines { console.removeFirst() }
      } else {
        console[console.count - 1].append(character)
      }
    }
  }

  /// The lines to show, without an empty one at the end.
  var consoleLines: [String] { console.last == "" ? Array(console.dropLast()) : console }
}

extension Prompt {
  func setLayout(_ text: String) throws(PromptError) {
    switch text {
    case "off":
      guard layout != nil else { return }
      let said = layout?.said ?? ""
      layout = nil
      showPlain(Screen.clear + said)
    case "", "on": try openLayout("rip")
    default: try openLayout(text)
    }
  }

  private func openLayout(_ address: String) throws(PromptError) {
    let expression = try expression(address)
    guard let size = screenSize() else { throw PromptError("the view wants a terminal") }
    guard size.columns >= Screen.least.columns, size.rows >= Screen.least.rows else {
      throw PromptError(
        "the view wants \(Screen.least.columns) columns and \(Screen.least.rows) rows, and the terminal has"
          + " \(size.columns) and \(size.rows)")
    }
    if layout == nil {
      layout = Layout(address: expression, addressName: address)
    } else {
      layout?.address = expression
      layout?.addressName = address
    }
  }

  /// Draws the view, and below it what the last command said: all of it, even where it moves the view out of sight.
  func drawLayout() {
    guard let layout, let size = screenSize() else { return }
    let now = session.machine.statistics.causes.ledger
    let address = (try? layout.address.value(in: session)) ?? session.programCounter
    let screen = Screen(
      session: session, address: address, addressName: "\(layout.addressName) = \(hex(address))",
      since: now.total >= ledgerBefore.total ? now.since(ledgerBefore) : nil, console: layout.consoleLines)
    let lines = screen.lines(
      columns: max(size.columns, Screen.least.columns), rows: max(size.rows, Screen.least.rows))
    showPlain(Screen.clear + lines.joined(separator: "\n") + "\n" + layout.said)
    self.layout?.said = ""
  }
}

extension Screen {
  /// Clears a terminal and goes to its first place (ECMA-48: CUP, ED).
  static let clear = "\u{1b}[H\u{1b}[2J"
}
