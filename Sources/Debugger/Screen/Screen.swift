import Machine

/// The full-screen view of a stopped machine: registers, code, stack, the walk of an address, where the cycles went, and
/// the console. It only looks: nothing of the machine changes.
struct Screen {
  /// The smallest terminal that it is drawn on.
  static let least = (columns: 80, rows: 24)
  /// Rows below the view for what a command says, and the line that is typed.
  static let rowsBelow = 2

  let session: Session
  /// The address whose walk is shown.
  let address: UInt64
  let addressName: String
  /// Cycles by cause since the last stop; nil after a step back.
  let since: CycleLedger?
  let console: [String]

  /// The view's lines, all of the terminal's width.
  func lines(columns: Int, rows: Int) -> [String] {
    let height = rows - Self.rowsBelow
    let left = 45
    let registers = registerLines
    let walk = walkLines
    // The title, three rules, and what code and console share: most of it is code.
    let shared = max(height - 4 - registers.count - walk.count, 2)
    let console = max(shared / 4, 1)
    let code = shared - console
    let body =
      [ScreenText.fit(title, columns)]
      + ScreenText.beside(registers, stackLines(registers.count), leftWidth: left, width: columns)
      + ScreenText.beside(
        [ScreenText.rule("code", left)] + codeLines(code),
        [ScreenText.rule("cycles", columns - left - 3)] + causeLines(code),
        leftWidth: left, width: columns)
      + [ScreenText.rule("walk of \(addressName)", columns)] + walk.map { ScreenText.fit($0, columns) }
      + [ScreenText.rule("console", columns)]
      + ScreenText.fill(Array(self.console.suffix(console)), console).map { ScreenText.fit($0, columns) }
    return ScreenText.fill(body, height)
  }

  private var state: ProcessorState { session.processor.state }

  private var title: String {
    let machine = session.machine
    let cpu = machine.processors.count > 1 ? "  cpu \(session.selected)" : ""
    return "\(machine.configuration.paging.name)\(cpu)  instruction \(session.moment.instructions)"
      + "  cycle \(session.processor.clock)  \(state.mode.name), cpl \(state.cpl)"
  }

  /// Nine lines: sixteen general registers and CR3, CR2, the flags.
  private var registerLines: [String] {
    func cell(_ index: Int) -> String {
      let name = RegisterName.general[index]
      return name + (name.count < 3 ? "  " : " ") + hex(state.slots[index], digits: 16).dropFirst(2)
    }
    let flags = RegisterName.flags.filter { state.rflags & $0.bit != 0 }.map { $0.name.uppercased() }
    return (0..<8).map { "\(cell($0))  \(cell($0 + 8))" }
      + ["cr3 \(hex(state.cr3))  cr2 \(hex(state.cr2))  \(flags.joined(separator: " "))"]
  }

  /// The causes that most cycles went to since the last stop; of the whole run where nothing has passed.
  private func causeLines(_ height: Int) -> [String] {
    let all = session.machine.statistics.causes.ledger
    let shown = since.flatMap { $0.total == 0 ? nil : $0 } ?? all
    let rows = shown.nonzero.enumerated().sorted { ($1.element.cycles, $0.offset) < ($0.element.cycles, $1.offset) }
    let head = "\(shown.total == all.total ? "in all" : "since the last stop"): \(shown.total)"
    return [head] + rows.prefix(height - 1).map { "\($0.element.cycles)  \($0.element.cause.name)" }
  }

  /// The instructions from RIP on, and the one before it where there is a symbol to start at.
  private func codeLines(_ height: Int) -> [String] {
    var at = session.programCounter
    var lines: [String] = []
    while lines.count < height {
      let mark = at == session.programCounter ? "=>" : "  "
      guard let instruction = session.instruction(at: at) else {
        lines.append("\(mark) \(hex(at))  (unreadable)")
        break
      }
      if let name = session.symbols.name(of: at), !name.contains("+"), lines.count < height - 1 {
        lines.append("\(name):")
      }
      lines.append("\(mark) \(hex(at))  \(instruction.text)")
      at &+= UInt64(instruction.length)
    }
    return lines
  }

  private func stackLines(_ height: Int) -> [String] {
    let (top, width) = session.stackTop
    return (0..<height).map { row in
      let address = top &+ UInt64(row * width)
      guard let bytes = session.read(address, count: width) else { return "\(hex(address))  (not mapped)" }
      let value = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      let name = session.symbols.name(of: value).map { " <\($0)>" } ?? ""
      return "\(hex(address))  \(hex(value, digits: 2 * width).dropFirst(2))\(name)"
    }
  }

  /// The guest's entries from the root on, two a line, where they lead, and what it costs the hardware.
  private var walkLines: [String] {
    guard session.isCanonical(address) else { return ["\(hex(address)) is not canonical"] }
    let walk = session.guestWalkView(address)
    guard walk.levels != 0 else { return ["paging is off: linear addresses are physical"] }
    let entries: [String] = walk.steps.filter { $0.reference.dimension == .first }.map { step in
      "\(step.reference.entryName) \(hex(step.reference.entry, digits: 16)) "
        + "[\(EntryText.ordinary(step.reference.entry, level: step.reference.level))]"
    }
    let hardware = session.hardwareWalk(address)
    let held = session.cached(address).first
    let cost = "the hardware: \(hardware.steps.count) references, \(hardware.cycles) cycles from the root"
    let cache = held.map { "; \($0.entry.holder.rawValue) has it\($0.isCurrent == false ? ", STALE" : "")" } ?? ""
    let outcome =
      switch walk.result {
      case .mapped(let mapping):
        "=> guest-physical \(mapping.physical)"
          + (session.hostAddress(of: mapping.physical).map { ", host \($0)" } ?? ", not populated")
      case .fault(let fault): "=> #PF at the level-\(fault.level) entry"
      case .nestedFault(let fault): "=> guest-physical \(fault.address) is not there"
      }
    let pairs = stride(from: 0, to: entries.count, by: 2).map { entries[$0..<min($0 + 2, entries.count)] }
    return pairs.map { ScreenText.fit($0.first ?? "", 40) + ($0.count > 1 ? $0.last ?? "" : "") }
      + [outcome + cache, cost]
  }
}
