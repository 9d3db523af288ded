import Machine

extension CommandTable {
  static let looking: [Command] = [
    Command(
      "info registers", ["info r", "regs", "r"], "[NAME...]", .looking,
      "general registers, RIP and flags; or the ones named", completion: .expression
    ) {
      prompt, rest throws(PromptError) in try prompt.showRegisters(rest)
    },
    Command("info cr", ["creg"], .looking, "control registers, EFER and what their bits mean") {
      prompt, _ throws(PromptError) in prompt.showControlRegisters()
    },
    Command("info msr", [], .looking, "model-specific registers") { prompt, _ throws(PromptError) in prompt.showMSRs()
    },
    Command("info segments", ["sreg"], .looking, "segment registers with their hidden parts, and the descriptor tables")
    {
      prompt, _ throws(PromptError) in prompt.showSegments()
    },
    Command("info flags", [], .looking, "RFLAGS in words") { prompt, _ throws(PromptError) in
      prompt.say(prompt.flagsText())
    },
    Command("info debug", ["dreg"], .looking, "the guest's debug registers") { prompt, _ throws(PromptError) in
      let registers = prompt.session.processor.state.debugRegisters
      for number in [0, 1, 2, 3, 6, 7] { prompt.say("DR\(number)  \(hex(registers[number], digits: 16))") }
    },
    Command("info apic", ["info lapic"], .looking, "the local APIC") { prompt, _ throws(PromptError) in
      prompt.showAPIC()
    },
    Command("info devices", ["info irq", "info pic"], .looking, "the devices' state in short") {
      prompt, _ throws(PromptError) in
      prompt.showDevices()
    },
    Command("info symbol", [], "ADDRESS", .looking, "the symbol that an address belongs to", completion: .expression) {
      prompt, rest throws(PromptError) in
      let address = try prompt.value(rest)
      prompt.say(
        prompt.session.symbols.name(of: address).map { "\(hex(address)) is \($0)" } ?? "no symbol at \(hex(address))")
    },
    Command("info functions", ["info symbols"], "[PART]", .looking, "symbols whose names contain a text") {
      prompt, rest throws(PromptError) in
      let found = prompt.session.symbols.all.filter { rest.isEmpty || $0.name.contains(rest) }
      for symbol in found.prefix(200) { prompt.say("\(hex(symbol.address.rawValue, digits: 16))  \(symbol.name)") }
      if found.count > 200 { prompt.say("... and \(found.count - 200) more") }
      if found.isEmpty { prompt.say("No symbols.") }
    },
    Command(
      "x", [], "[/COUNT FORMAT SIZE] [ADDRESS]", .looking, "memory at a linear address",
      detail:
        "FORMAT is x (hexadecimal), d, u, o, t (binary), c, s (text), a (address with its symbol) or i (instructions); SIZE b, h, w or g. As gdb, without an address it goes on behind what was shown last.",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.examine(rest, isPhysical: false)
    },
    Command(
      "xp", [], "[/COUNT FORMAT SIZE] [ADDRESS]", .looking, "the same of guest-physical memory", completion: .expression
    ) {
      prompt, rest throws(PromptError) in try prompt.examine(rest, isPhysical: true)
    },
    Command(
      "print", ["p", "inspect"], "[/FORMAT] EXPRESSION", .looking, "the value of an expression",
      detail:
        "Registers are $rax or rax, flags $zf, symbols their addresses; *ADDRESS reads eight bytes, {u8} to {u64} ADDRESS so many, {p8} to {p64} ADDRESS guest-physical ones. C's operators. Functions: see the reference.",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.printValue(rest)
    },
    Command(
      "disassemble", ["disas"], "[ADDRESS [COUNT]]", .looking,
      "instructions: of the function in execution, or from an address on", completion: .symbol
    ) { prompt, rest throws(PromptError) in
      try prompt.disassemble(rest)
    },
    Command("backtrace", ["bt", "where", "info stack"], .looking, "the callers, by frame pointers") {
      prompt, _ throws(PromptError) in
      for (number, frame) in prompt.session.backtrace().enumerated() {
        let symbols = prompt.session.symbols
        let name = number == 0 ? symbols.name(of: frame.pc) : symbols.name(ofReturn: frame.pc)
        prompt.say("#\(number)  \(hex(frame.pc))\(name.map { " <\($0)>" } ?? "")")
      }
    },
  ]
}

extension Prompt {
  // MARK: Registers

  func showRegisters(_ text: String) throws(PromptError) {
    if !text.isEmpty {
      for word in text.split(separator: " ") {
        let name = word.drop { $0 == "$" }.lowercased()
        guard let value = RegisterName.value(name, session) else { throw PromptError("no register \(name)") }
        say("\(name)  \(hex(value))  \(value)")
      }
      return
    }
    let state = session.processor.state
    let names = RegisterName.general
    for row in stride(from: 0, to: 16, by: 4) {
      say(
        (row..<row + 4).map { index in
          let name = names[index] + (names[index].count < 3 ? " " : "")
          return "\(name) \(hex(state.slots[index], digits: 16).dropFirst(2))"
        }.joined(separator: "  "))
    }
    say("rip \(place(session.programCounter))  \(flagsText())  cpl \(state.cpl)  \(state.mode.name)")
  }

  func flagsText() -> String {
    let flags = session.processor.state.rflags
    var words = RegisterName.flags.filter { flags & $0.bit != 0 }.map { $0.name.uppercased() }
    let level = (flags & Flag.ioPrivilege) >> 12
    if level != 0 { words.append("IOPL=\(level)") }
    return "rflags \(hex(flags)) [\(words.joined(separator: " "))]"
  }

  func showControlRegisters() {
    let state = session.processor.state
    func bits(_ value: UInt64, _ names: [(UInt64, String)]) -> String {
      "[" + names.filter { value & $0.0 != 0 }.map(\.1).joined(separator: " ") + "]"
    }
    say("CR0   \(hex(state.cr0, digits: 16))  \(bits(state.cr0, ControlBits.cr0))")
    say("CR2   \(hex(state.cr2, digits: 16))")
    let contexts = state.cr4 & CR4.pcid != 0 ? "PCID \(state.cr3 & 0xfff), " : ""
    say("CR3   \(hex(state.cr3, digits: 16))  \(contexts)\(Self.paging(session.processor))")
    say("CR4   \(hex(state.cr4, digits: 16))  \(bits(state.cr4, ControlBits.cr4))")
    say("CR8   \(hex(UInt64(session.machine.devices.taskPriority(processor: session.processor.index)), digits: 16))")
    say("EFER  \(hex(state.efer, digits: 16))  \(bits(state.efer, ControlBits.efer))")
    if state.cr4 & CR4.protectionKeys != 0 { say("PKRU  \(hex(UInt64(state.pkru), digits: 8))") }
    if state.cr4 & CR4.supervisorKeys != 0 { say("PKRS  \(hex(UInt64(state.pkrs), digits: 8))") }
    say(state.mode.name)
  }

  static func paging(_ processor: Processor) -> String {
    switch processor.pagingRegisters.mode {
    case .off: "paging is off"
    case .narrow: "32-bit paging"
    case .pae: "PAE paging"
    case .levels4: "4-level paging"
    case .levels5: "5-level paging"
    }
  }

  func showMSRs() {
    let state = session.processor.state
    let rows: [(UInt32, String, UInt64)] = [
      (MSR.efer, "EFER", state.efer), (MSR.star, "STAR", state.star), (MSR.lstar, "LSTAR", state.lstar),
      (MSR.cstar, "CSTAR", state.cstar), (MSR.sfmask, "SFMASK", state.sfmask), (MSR.fsBase, "FS_BASE", state[.fs].base),
      (MSR.gsBase, "GS_BASE", state[.gs].base), (MSR.kernelGSBase, "KERNEL_GS_BASE", state.kernelGSBase),
      (MSR.tscAux, "TSC_AUX", state.tscAux), (MSR.sysEnterCS, "SYSENTER_CS", state.sysEnterCS),
      (MSR.sysEnterESP, "SYSENTER_ESP", state.sysEnterESP), (MSR.sysEnterEIP, "SYSENTER_EIP", state.sysEnterEIP),
      (MSR.pat, "PAT", state.pat), (MSR.miscEnable, "MISC_ENABLE", state.miscEnable),
    ]
    let lines = rows.map { number, name, value in
      [
        hex(UInt64(number), digits: 8), name, hex(value, digits: 16),
        session.symbols.name(of: value).map { "<\($0)>" } ?? "",
      ]
    }
    for line in columns(lines) { say(line) }
  }

  func showSegments() {
    let state = session.processor.state
    var rows = [["", "selector", "base", "limit", ""]]
    let names: [(String, Segment)] = [
      ("ES", state[.es]), ("CS", state[.cs]), ("SS", state[.ss]), ("DS", state[.ds]), ("FS", state[.fs]),
      ("GS", state[.gs]), ("LDTR", state.ldtr), ("TR", state.tr),
    ]
    for (name, segment) in names {
      rows.append([
        name, hex(UInt64(segment.selector), digits: 4), hex(segment.base, digits: 16),
        hex(UInt64(segment.limit), digits: 8), Self.describe(segment),
      ])
    }
    rows.append(["GDTR", "", hex(state.gdtr.base, digits: 16), hex(UInt64(state.gdtr.limit), digits: 8), ""])
    rows.append(["IDTR", "", hex(state.idtr.base, digits: 16), hex(UInt64(state.idtr.limit), digits: 8), ""])
    for line in columns(rows) { say(line) }
  }

  private static func describe(_ segment: Segment) -> String {
    guard segment.attributes & 0x80 != 0 else { return "unusable" }
    var words: [String] = []
    if segment.isCodeOrData {
      words.append(
        segment.isCode
          ? (segment.isReadable ? "code" : "code, execute only") : (segment.isWritable ? "data" : "data, read only"))
      words.append(segment.isLong && segment.isCode ? "64-bit" : segment.isBig ? "32-bit" : "16-bit")
    } else {
      words.append("system type \(segment.type)")
    }
    words.append("DPL \(segment.privilegeLevel)")
    return words.joined(separator: ", ")
  }

  // MARK: Memory

  /// How `x` shows memory.
  struct Format {
    var count = 1
    var letter: Character = "x"
    var size = 8
  }

  /// The format behind a slash, and what follows it; what it does not say is as in another one.
  private func format(_ text: String, otherwise last: Format = Format()) throws(PromptError) -> (Format, String) {
    var format = last
    format.count = 1
    guard text.hasPrefix("/") else { return (format, text) }
    let word = text.dropFirst().prefix { !$0.isWhitespace }
    let digits = word.prefix { $0.isNumber }
    if !digits.isEmpty {
      guard let count = Int(digits), 1...65536 ~= count else { throw PromptError("a count of 1 to 65536 is wanted") }
      format.count = count
    }
    for letter in word.dropFirst(digits.count) {
      switch letter {
      case "b": format.size = 1
      case "h": format.size = 2
      case "w": format.size = 4
      case "g": format.size = 8
      case "x", "d", "u", "o", "t", "c", "s", "a", "i": format.letter = letter
      default: throw PromptError("no format \"\(letter)\"; see help x")
      }
    }
    if format.letter == "c" { format.size = 1 }
    if format.letter == "a" { format.size = 8 }
    return (format, String(text.dropFirst(1 + word.count).drop(while: \.isWhitespace)))
  }

  func examine(_ text: String, isPhysical: Bool) throws(PromptError) {
    let (format, rest) = try format(text, otherwise: lastFormat)
    lastFormat = format
    var at = rest.isEmpty ? nextAddress : try value(rest)
    func read(_ address: UInt64, _ count: Int) throws(PromptError) -> [UInt8] {
      let bytes =
        isPhysical
        ? session.readPhysical(GuestPhysical(address), count: count) : session.read(address, count: count)
      guard let bytes else { throw PromptError("\(isPhysical ? "no memory" : "nothing mapped") at \(hex(address))") }
      return bytes
    }
    defer { nextAddress = at }
    switch format.letter {
    case "i":
      guard !isPhysical else { throw PromptError("instructions have linear addresses: use x") }
      for _ in 0..<format.count { at = try showInstruction(at) }
    case "s":
      for _ in 0..<format.count {
        var bytes: [UInt8] = []
        var end = at
        while bytes.count < 256 {
          let byte = try read(end, 1)[0]
          end &+= 1
          if byte == 0 { break }
          bytes.append(byte)
        }
        say("\(hex(at)):  \"\(String(decoding: bytes, as: UTF8.self))\"")
        at = end
      }
    default:
      let perLine =
        format.letter == "t" ? 2 : format.letter == "a" ? 1 : format.size == 1 ? 8 : format.size == 8 ? 2 : 4
      var remaining = format.count
      while remaining > 0 {
        let count = min(perLine, remaining)
        var cells: [String] = []
        let line = at
        for _ in 0..<count {
          let number = try read(at, format.size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
          cells.append(show(number, format))
          at &+= UInt64(format.size)
        }
        say("\(isPhysical ? hex(line) : place(line)):  \(cells.joined(separator: "  "))")
        remaining -= count
      }
    }
  }

  private func show(_ number: UInt64, _ format: Format) -> String {
    let bits = UInt64(format.size * 8)
    switch format.letter {
    case "d":
      let shift = 64 - bits
      return "\(Int64(bitPattern: number << shift) >> Int64(shift))"
    case "u": return "\(number)"
    case "o": return "0" + String(number, radix: 8)
    case "t":
      let text = String(number, radix: 2)
      return String(repeating: "0", count: max(Int(bits) - text.count, 0)) + text
    case "c": return 0x20..<0x7f ~= number ? "'\(Character(UnicodeScalar(UInt8(number))))'" : "\(number)"
    case "a": return place(number)
    default: return hex(number, digits: format.size * 2)
    }
  }

  func printValue(_ text: String) throws(PromptError) {
    let (format, rest) = try format(text)
    let number = try value(rest)
    if text.hasPrefix("/") {
      var wide = format
      wide.size = 8
      say(format.letter == "x" ? hex(number) : show(number, wide))
    } else {
      let name = session.symbols.name(of: number).map { "  <\($0)>" } ?? ""
      say("\(hex(number))  \(number)\(name)")
    }
  }

  // MARK: Code

  private func showInstruction(_ address: UInt64) throws(PromptError) -> UInt64 {
    let mark = address == session.programCounter ? "=>" : "  "
    guard let instruction = session.instruction(at: address) else {
      guard let byte = session.read(address, count: 1) else { throw PromptError("nothing mapped at \(hex(address))") }
      say("\(mark) \(place(address)):  (bad) \(hex(UInt64(byte[0]), digits: 2))")
      return address &+ 1
    }
    say("\(mark) \(place(address)):  \(instruction.text)")
    return address &+ UInt64(instruction.length)
  }

  func disassemble(_ text: String) throws(PromptError) {
    let words = text.split(whereSeparator: { $0 == " " || $0 == "," }).map(String.init)
    let start = words.isEmpty ? session.programCounter : try value(words[0])
    if words.count > 1 {
      var at = start
      for _ in 0..<min(try value(words[1]), 4096) { at = try showInstruction(at) }
      return
    }
    guard let (symbol, _) = session.symbols.symbol(at: start), symbol.size != 0 else {
      var at = start
      for _ in 0..<10 { at = try showInstruction(at) }
      return
    }
    var at = symbol.address.rawValue
    while at < symbol.address.rawValue &+ min(symbol.size, 1 << 16) { at = try showInstruction(at) }
  }
}

/// Names of the bits of control registers.
public enum ControlBits {
  public static let cr0: [(UInt64, String)] = [
    (CR0.protectionEnable, "PE"), (CR0.monitorCoprocessor, "MP"), (CR0.emulation, "EM"), (CR0.taskSwitched, "TS"),
    (CR0.extensionType, "ET"), (CR0.numericError, "NE"), (CR0.writeProtect, "WP"), (CR0.alignmentMask, "AM"),
    (CR0.notWriteThrough, "NW"), (CR0.cacheDisable, "CD"), (CR0.paging, "PG"),
  ]
  public static let cr4: [(UInt64, String)] = [
    (CR4.virtual8086Extensions, "VME"), (CR4.protectedVirtualInterrupts, "PVI"),
    (CR4.timeStampDisable, "TSD"), (CR4.debuggingExtensions, "DE"), (CR4.pageSizeExtensions, "PSE"),
    (CR4.physicalAddressExtension, "PAE"), (CR4.machineCheck, "MCE"), (CR4.pageGlobal, "PGE"),
    (CR4.performanceCounter, "PCE"), (CR4.osFXSR, "OSFXSR"),
    (CR4.osXMMExceptions, "OSXMMEXCPT"), (CR4.umip, "UMIP"), (CR4.la57, "LA57"), (CR4.fsgsbase, "FSGSBASE"),
    (CR4.pcid, "PCIDE"), (CR4.osXSAVE, "OSXSAVE"), (CR4.smep, "SMEP"), (CR4.smap, "SMAP"), (CR4.protectionKeys, "PKE"),
    (CR4.supervisorKeys, "PKS"),
  ]
  public static let efer: [(UInt64, String)] = [
    (EFER.systemCall, "SCE"), (EFER.longModeEnable, "LME"), (EFER.longModeActive, "LMA"), (EFER.noExecute, "NXE"),
  ]
}
