/// The I/O APIC (Intel 82093AA datasheet): 24 inputs, each with an entry that says which interrupt becomes of it.
///
/// Signals are electrical: an entry of low polarity counts an input as asserted while it is low. A level-triggered entry
/// sends once and waits, its remote IRR set, for the end of interrupt that local APICs broadcast.
public struct IOAPIC: Equatable, Sendable {
  /// Where its registers are.
  public static let base: UInt64 = 0xfec0_0000
  /// The number of inputs.
  public static let inputs = 24

  /// Registers in memory, by offset: one selects, the other is the window.
  private enum Port { static let select = 0x00, window = 0x10 }
  /// Registers behind the window (3.2).
  private enum Register { static let id: UInt8 = 0, version: UInt8 = 1, arbitration: UInt8 = 2, table: UInt8 = 0x10 }

  /// Bits of a redirection entry (3.2.4).
  private enum Entry {
    static let logical: UInt64 = 1 << 11, status: UInt64 = 1 << 12, activeLow: UInt64 = 1 << 13
    static let remoteIRR: UInt64 = 1 << 14, level: UInt64 = 1 << 15, masked: UInt64 = 1 << 16
    /// What software can write; an xAPIC's destination has eight bits.
    static let writable: UInt64 = 0xff00_0000_0000_0000 | 0x1_afff
  }

  private var selected: UInt8 = 0
  private var identifier: UInt32 = 0
  private var entries = [UInt64](repeating: Entry.masked, count: inputs)
  /// The inputs, a bit each: their level, and whether they were asserted at the last look.
  private var levels: UInt32 = 0
  private var asserted: UInt32 = 0

  public init() {}

  /// Whether an input's interrupts go nowhere.
  func isMasked(_ input: Int) -> Bool { !entries.indices.contains(input) || entries[input] & Entry.masked != 0 }

  /// All entries, with their delivery status, and the levels of the inputs, a bit each.
  public var redirections: [UInt64] { entries.indices.map { entries[$0] | (isPending($0) ? Entry.status : 0) } }
  public var pins: UInt32 { levels }

  // MARK: Inputs

  /// Drives an input.
  mutating func set(_ input: Int, _ level: Bool, _ locals: inout LocalAPICs) {
    guard entries.indices.contains(input) else { return }
    let bit: UInt32 = 1 << UInt32(input)
    guard (levels & bit != 0) != level else { return }
    levels ^= bit
    let wasAsserted = asserted & bit != 0
    noteAssertion(input)
    guard asserted & bit != 0 else { return }
    if entries[input] & Entry.level != 0 {
      serveLevel(input, &locals)
    } else if !wasAsserted && entries[input] & Entry.masked == 0 {
      // An edge on a masked input is lost (3.2.4).
      if let message = message(of: entries[input]) { locals.deliver(message) }
    }
  }

  private mutating func noteAssertion(_ input: Int) {
    let bit: UInt32 = 1 << UInt32(input)
    let isAsserted = (levels & bit != 0) != (entries[input] & Entry.activeLow != 0)
    asserted = isAsserted ? asserted | bit : asserted & ~bit
  }

  /// Sends the interrupt of a level-triggered entry whose input is asserted, unless one is being served.
  private mutating func serveLevel(_ input: Int, _ locals: inout LocalAPICs) {
    let entry = entries[input]
    guard entry & Entry.level != 0, entry & (Entry.masked | Entry.remoteIRR) == 0,
      asserted & 1 << UInt32(input) != 0, let message = message(of: entry)
    else { return }
    // What nobody takes stays pending in the delivery status, and is sent again (`sendPending`).
    let isTaken = locals.deliver(message)
    if isTaken && message.isLevelTriggered { entries[input] |= Entry.remoteIRR }
  }

  /// Sends again what nobody took: a local APIC has been enabled.
  mutating func sendPending(_ locals: inout LocalAPICs) {
    for input in entries.indices { serveLevel(input, &locals) }
  }

  /// A local APIC has ended the service of a level-triggered vector.
  mutating func endInterrupt(_ vector: UInt8, _ locals: inout LocalAPICs) {
    for input in entries.indices
    where entries[input] & Entry.remoteIRR != 0 && UInt8(truncatingIfNeeded: entries[input]) == vector {
      entries[input] &= ~Entry.remoteIRR
      serveLevel(input, &locals)
    }
  }

  /// Only fixed and lowest-priority interrupts are level-triggered (3.2.4). ExtINT would ask the 8259 pair, whose output
  /// no input has here.
  private func message(of entry: UInt64) -> InterruptMessage? {
    guard let mode = InterruptMessage.Mode(rawValue: UInt8(truncatingIfNeeded: entry >> 8 & 7)),
      mode != .startUp, mode != .external
    else { return nil }
    return InterruptMessage(
      mode: mode, vector: UInt8(truncatingIfNeeded: entry),
      destination: InterruptMessage.destination(
        UInt32(truncatingIfNeeded: entry >> 56), isLogical: entry & Entry.logical != 0, isExtended: false),
      isLevelTriggered: entry & Entry.level != 0 && (mode == .fixed || mode == .lowestPriority))
  }

  // MARK: Registers

  /// Reads 32 bits at an offset from the base.
  func read(_ offset: Int) -> UInt32 {
    switch offset {
    case Port.select: return UInt32(selected)
    case Port.window: return readSelected()
    default: return 0
    }
  }

  /// Writes 32 bits at an offset from the base.
  mutating func write(_ offset: Int, _ value: UInt32, _ locals: inout LocalAPICs) {
    switch offset {
    case Port.select: selected = UInt8(truncatingIfNeeded: value)
    case Port.window: writeSelected(value, &locals)
    default: break
    }
  }

  private func readSelected() -> UInt32 {
    switch selected {
    // Arbitration among I/O APICs goes by the identifier.
    case Register.id, Register.arbitration: return identifier
    case Register.version: return UInt32(Self.inputs - 1) << 16 | 0x11
    default:
      guard let (input, isHigh) = tablePlace else { return 0 }
      let entry = entries[input] | (isPending(input) ? Entry.status : 0)
      return UInt32(truncatingIfNeeded: isHigh ? entry >> 32 : entry)
    }
  }

  private mutating func writeSelected(_ value: UInt32, _ locals: inout LocalAPICs) {
    if selected == Register.id { identifier = value & 0x0f00_0000 }
    guard let (input, isHigh) = tablePlace else { return }
    let old = entries[input]
    let written = isHigh ? old & 0xffff_ffff | UInt64(value) << 32 : old & ~0xffff_ffff | UInt64(value)
    entries[input] = written & Entry.writable | old & Entry.remoteIRR
    // An entry that becomes edge-triggered waits for no end of interrupt: software uses that to clear it.
    if entries[input] & Entry.level == 0 { entries[input] &= ~Entry.remoteIRR }
    noteAssertion(input)
    serveLevel(input, &locals)
  }

  /// The entry, and its half, that the selected register is.
  private var tablePlace: (input: Int, isHigh: Bool)? {
    guard selected >= Register.table else { return nil }
    let place = Int(selected - Register.table)
    return entries.indices.contains(place >> 1) ? (place >> 1, place & 1 != 0) : nil
  }

  /// The delivery status: a level-triggered interrupt that nobody has taken.
  private func isPending(_ input: Int) -> Bool {
    entries[input] & Entry.level != 0 && entries[input] & (Entry.masked | Entry.remoteIRR) == 0
      && asserted & 1 << UInt32(input) != 0
  }
}
