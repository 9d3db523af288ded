import Machine

/// A PC's interrupt controllers and how they are wired: every ISA line goes to the 8259 pair and to the I/O APIC, whose
/// input 2 has line 0 (ACPI calls that an interrupt source override); the pair's output is pin LINT0 of every local
/// APIC.
public struct InterruptControllers: Equatable, Sendable {
  public var pic = PIC8259Pair()
  public private(set) var ioAPIC = IOAPIC()
  public private(set) var localAPICs: LocalAPICs

  init(processors: Int, hasLocalAPICs: Bool) {
    localAPICs = LocalAPICs(count: processors, arePresent: hasLocalAPICs)
  }

  /// Drives a line: 0 to 15 are ISA's, those up to 23 the I/O APIC's alone.
  mutating func set(_ line: Int, _ level: Bool) {
    if line < 16 { pic.set(line, level) }
    ioAPIC.set(Self.input(of: line), level, &localAPICs)
  }

  /// The I/O APIC's input of a line. The cascade's own line reaches none.
  private static func input(of line: Int) -> Int {
    switch line {
    case 0: 2
    case PIC8259Pair.cascadeInput: IOAPIC.inputs
    default: line
    }
  }

  /// Whether an interrupt on a line would reach no processor.
  func isMasked(_ line: Int) -> Bool {
    isMaskedAtPair(line) && ioAPIC.isMasked(Self.input(of: line))
  }

  func isMaskedAtPair(_ line: Int) -> Bool { !localAPICs.watchPin || pic.isMasked(line) }

  // MARK: The processors' side

  /// Lets LINT0 follow the 8259 pair.
  mutating func updatePin() { localAPICs.setPin(pic.isAsserted) }

  mutating func advance(to now: LocalAPIC.Time) { localAPICs.advance(to: now) }

  /// Lets one processor's timer run.
  mutating func advance(_ processor: Int, to now: LocalAPIC.Time) { localAPICs[processor].advance(to: now) }

  func signals(_ processor: Int) -> ProcessorSignals { localAPICs.signals(processor, external: pic.isAsserted) }

  /// The local APIC's interrupts come before those that it lets through. Where there is none any more, the spurious
  /// vector is its own, or the pair's where the pair is asked directly.
  mutating func acknowledge(_ processor: Int) -> UInt8 {
    let isFromPair =
      !localAPICs[processor].isAsserted && localAPICs[processor].acceptsExternalInterrupts
      && (pic.isAsserted || !localAPICs[processor].isPresent)
    return isFromPair ? pic.acknowledge() : localAPICs[processor].acknowledge()
  }

  mutating func take(_ signal: ProcessorSignals, _ processor: Int) -> UInt8 { localAPICs[processor].take(signal) }

  // MARK: Registers

  /// Reads a controller's register in memory; nil where there is none.
  mutating func read(_ address: UInt64, _ processor: Int, now: LocalAPIC.Time) -> UInt32? {
    switch place(address, processor) {
    case .local(let offset): localAPICs[processor].read(offset, now: now)
    case .io(let offset): ioAPIC.read(offset)
    case nil: nil
    }
  }

  /// Writes a controller's register in memory: whether there is one.
  mutating func write(_ address: UInt64, _ value: UInt32, _ processor: Int, now: LocalAPIC.Time) -> Bool {
    switch place(address, processor) {
    case .local(let offset): perform(localAPICs[processor].write(offset, value, now: now), processor)
    case .io(let offset): ioAPIC.write(offset, value, &localAPICs)
    case nil: return false
    }
    return true
  }

  private enum Place {
    case local(Int)
    case io(Int)
  }

  /// A local APIC answers to its own processor alone, which may have moved it (SDM vol. 3, 11.4.5).
  private func place(_ address: UInt64, _ processor: Int) -> Place? {
    let page = address & ~0xfff
    if page == localAPICs[processor].registerPage { return .local(Int(address & 0xfff)) }
    return page == IOAPIC.base ? .io(Int(address & 0xfff)) : nil
  }

  mutating func readRegister(_ number: UInt32, _ processor: Int, now: LocalAPIC.Time) -> UInt64? {
    localAPICs[processor].readRegister(number, now: now)
  }

  mutating func writeRegister(
    _ number: UInt32, _ value: UInt64, _ processor: Int, now: LocalAPIC.Time
  ) -> Bool {
    guard let effect = localAPICs[processor].writeRegister(number, value, now: now) else { return false }
    perform(effect, processor)
    return true
  }

  /// The class of the task priority: CR8.
  func taskPriority(_ processor: Int) -> UInt8 { UInt8(truncatingIfNeeded: localAPICs[processor].taskPriority >> 4) }

  mutating func setTaskPriority(_ value: UInt8, _ processor: Int) {
    localAPICs[processor].taskPriority = UInt32(value & 0xf) << 4
  }

  mutating func setTimeStampOffset(_ offset: UInt64, _ processor: Int) {
    localAPICs[processor].timeStampOffset = offset
  }

  private mutating func perform(_ effect: LocalAPIC.Effect, _ processor: Int) {
    switch effect {
    case .none: break
    case .send(let message): localAPICs.deliver(message, from: processor)
    case .endOfInterrupt(let vector): ioAPIC.endInterrupt(vector, &localAPICs)
    case .enabled: ioAPIC.sendPending(&localAPICs)
    }
  }
}
