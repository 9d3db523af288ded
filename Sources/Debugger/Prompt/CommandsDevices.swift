import Devices

/// The interrupt controllers, timers and the serial port, their registers decoded.
extension Prompt {
  // MARK: The local APIC

  /// Entries of the local vector table (SDM vol. 3, figure 11-8).
  private static let localVectors = ["timer", "thermal", "PMC", "LINT0", "LINT1", "error"]

  func showAPIC() {
    let units = session.machine.devices.localAPICs(at: session.processor.guestTime)
    let index = session.processor.index
    guard units.indices.contains(index), units[index].isPresent else { return say("There is no local APIC.") }
    let unit = units[index]
    let mode = unit.isExtended ? "x2APIC" : "xAPIC"
    say(
      "local APIC \(unit.identifier) of processor \(index): \(mode), \(unit.isEnabled ? "enabled" : "disabled")"
        + " by software, base \(hex(unit.base & ~0xfff))")
    say(
      "TPR \(byte(unit.taskPriority))  PPR \(byte(unit.processorPriority))  LDR \(word(unit.logicalDestination))"
        + (unit.isExtended ? "" : "  DFR \(word(unit.destinationFormat))"))
    say("SPIV \(word(unit.spurious))  spurious vector \(byte(unit.spurious & 0xff))  ESR \(word(unit.errors))")
    say("ICR \(hex(unit.command, digits: 16))  \(command(unit))")
    for (name, vectors) in [("IRR", unit.requested), ("ISR", unit.inService), ("TMR", unit.levelTriggered)] {
      show(vectors, name)
    }
    for (name, entry) in zip(Self.localVectors, unit.localVectors) {
      say("LVT \(padded(name, 8))\(word(entry))  \(localVector(entry, name))")
    }
    say("timer: divides by \(unit.divider), initial count \(unit.initialCount), current \(unit.currentCount)")
    if unit.deadline != 0 { say("TSC deadline \(hex(unit.deadline))") }
  }

  private func localVector(_ entry: UInt32, _ name: String) -> String {
    var words = ["vector \(byte(entry & 0xff))"]
    if name == "timer" { words.append(["one-shot", "periodic", "TSC deadline", "reserved"][Int(entry >> 17 & 3)]) }
    if name != "timer" && name != "error" { words.append(Self.deliveryMode(UInt64(entry))) }
    if name.hasPrefix("LINT") {
      words.append(entry & 1 << 13 != 0 ? "active low" : "active high")
      words.append(entry & 1 << 15 != 0 ? "level" : "edge")
      if entry & 1 << 14 != 0 { words.append("remote IRR") }
    }
    if entry & 1 << 16 != 0 { words.append("masked") }
    return words.joined(separator: ", ")
  }

  /// Bits 10:8 of whatever sends interrupts (SDM vol. 3, 11.5.1).
  private static func deliveryMode(_ bits: UInt64) -> String {
    ["fixed", "lowest priority", "SMI", "reserved", "NMI", "INIT", "start-up", "ExtINT"][Int(bits >> 8 & 7)]
  }

  private func command(_ unit: LocalAPICView) -> String {
    let target = UInt32(truncatingIfNeeded: unit.command >> 32)
    let isLogical = unit.command & 1 << 11 != 0
    let destination =
      switch unit.command >> 18 & 3 {
      case 0: "to \(isLogical ? "logical " : "")\(hex(UInt64(unit.isExtended ? target : target >> 24)))"
      case 1: "to itself"
      case 2: "to all"
      default: "to all others"
      }
    return "\(Self.deliveryMode(unit.command)), vector \(hex(unit.command & 0xff, digits: 2)), \(destination)"
  }

  /// Vectors as a list, in lines that fit a terminal.
  private func show(_ vectors: [UInt8], _ name: String) {
    guard !vectors.isEmpty else { return say("\(name) (none)") }
    for start in stride(from: 0, to: vectors.count, by: 14) {
      let words = vectors[start..<min(start + 14, vectors.count)].map { hex(UInt64($0), digits: 2) }
      say("\(start == 0 ? name : "   ") \(words.joined(separator: " "))")
    }
  }

  // MARK: The others

  func showDevices() {
    let devices = session.machine.devices
    let state = devices.preview(at: session.processor.guestTime)
    show(state.interrupts.pic)
    show(state.interrupts.ioAPIC)
    show(state.timer)
    show(state.clock)
    show(state.serial)
    say(
      "next deadline: \(devices.nextDeadline == .max ? "none" : "tick \(devices.nextDeadline)"), now tick \(state.time)"
    )
    for entry in devices.unclaimed {
      say("unclaimed: \(entry.description), read \(entry.reads), written \(entry.writes) times")
    }
  }

  private func show(_ pair: PIC8259Pair) {
    for (number, pic) in [pair.master, pair.slave].enumerated() {
      say(
        "pic\(number)    vectors \(byte(UInt32(pic.vectorBase)))-\(byte(UInt32(pic.vectorBase | 7)))"
          + "  IRR \(lines(pic.requests, number))  ISR \(lines(pic.inService, number))"
          + "  IMR \(byte(UInt32(pic.mask)))  ELCR \(byte(UInt32(pic.levelTriggered)))")
    }
  }

  /// The lines of one of the two controllers whose bits are set.
  private func lines(_ bits: UInt8, _ controller: Int) -> String {
    let set = (0..<8).filter { bits & 1 << UInt8($0) != 0 }.map { "\(controller * 8 + $0)" }
    return set.isEmpty ? "(none)" : set.joined(separator: ",")
  }

  private func show(_ unit: IOAPIC) {
    let entries = unit.redirections
    var first = 0
    while first < entries.count {
      var last = first
      while last + 1 < entries.count && entries[last + 1] == entries[first] && pin(first, unit) == pin(last + 1, unit) {
        last += 1
      }
      let pins = first == last ? "\(first)" : "\(first)-\(last)"
      say("ioapic  pin \(padded(pins, 6))\(redirection(entries[first]))\(pin(first, unit) ? ", high" : "")")
      first = last + 1
    }
  }

  private func pin(_ input: Int, _ unit: IOAPIC) -> Bool { unit.pins & 1 << UInt32(input) != 0 }

  /// An entry of the I/O APIC (82093AA datasheet, 3.2.4).
  private func redirection(_ entry: UInt64) -> String {
    var words = ["vector \(hex(entry & 0xff, digits: 2))", Self.deliveryMode(entry)]
    words.append("to \(entry & 1 << 11 != 0 ? "logical " : "")\(hex(entry >> 56))")
    words.append(entry & 1 << 15 != 0 ? "level" : "edge")
    if entry & 1 << 13 != 0 { words.append("active low") }
    if entry & 1 << 14 != 0 { words.append("remote IRR") }
    if entry & 1 << 12 != 0 { words.append("pending") }
    if entry & 1 << 16 != 0 { words.append("masked") }
    return words.joined(separator: ", ")
  }

  private func show(_ timer: PIT8254) {
    for (number, channel) in timer.channels.enumerated() {
      let (count, output) = timer.reading(of: number)
      say(
        "pit     channel \(number): mode \(channel.mode)\(channel.isDecimal ? ", BCD" : "")"
          + ", reload \(channel.reload.map { "\($0)" } ?? "none"), count \(count)"
          + ", gate \(channel.gate ? 1 : 0), output \(output ? 1 : 0)")
    }
  }

  private func show(_ clock: RTC) {
    // Reading register C would clear it; this is a copy.
    var copy = clock
    func register(_ number: UInt8) -> UInt32 {
      copy.select(number)
      return UInt32(copy.read())
    }
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    let date = clock.date
    say(
      "rtc     \(date.year)-\(two(date.month))-\(two(date.day)) "
        + "\(two(date.hour)):\(two(date.minute)):\(two(date.second))"
        + "  A \(byte(register(0xa)))  B \(byte(register(0xb)))  C \(byte(register(0xc)))")
  }

  private func show(_ port: UART16550) {
    let settings = port.settings
    let speed = settings.divisor == 0 ? "no clock" : "\(115_200 / UInt32(settings.divisor)) baud"
    say(
      "serial  IER \(byte(UInt32(settings.interruptEnable)))  LCR \(byte(UInt32(settings.lineControl)))"
        + "  MCR \(byte(UInt32(settings.modemControl)))  \(speed), \(port.consumed) bytes taken")
  }

  private func byte(_ value: UInt32) -> String { hex(UInt64(value), digits: 2) }
  private func word(_ value: UInt32) -> String { hex(UInt64(value), digits: 8) }
  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 1))
  }
}
