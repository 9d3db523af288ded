/// The PC's real-time clock and its battery-backed memory (Motorola MC146818 datasheet).
///
/// Times are in cycles of its 32,768 Hz crystal. A second ends with an update, during which UIP is set.
public struct RTC: Equatable, Sendable {
  /// The crystal's frequency, in Hz.
  public static let hertz: UInt64 = 32768
  /// The date that a machine starts with unless it is told another.
  public static let defaultDate = CalendarDate(year: 2024, month: 1, day: 1)

  /// UIP is set for this many cycles before a second ends: the notice of 244 us and the update cycle of 1984 us.
  static let updateCycles: UInt64 = 8 + 65

  /// Bits of register B.
  private enum Control {
    static let set: UInt8 = 0x80
    static let periodic: UInt8 = 0x40
    static let alarm: UInt8 = 0x20
    static let update: UInt8 = 0x10
    static let binary: UInt8 = 0x04
    static let hours24: UInt8 = 0x02
  }

  /// The date and time that the registers hold.
  public private(set) var date: CalendarDate
  private var weekday: Int
  private var index = 0
  private var registerA: UInt8 = 0x26
  private var registerB: UInt8 = 0x02
  /// The flags PF, AF and UF; IRQF follows from them.
  private var flags: UInt8 = 0
  /// The alarm as it was written: second, minute, hour. From 0xc0 on a byte matches everything.
  private var alarm: [UInt8] = [0, 0, 0]
  private var memory = [UInt8](repeating: 0, count: 128)
  /// The cycle at which the current second began; it may lie before cycle 0: differences wrap.
  private var secondStart: UInt64 = 0
  private var cycle: UInt64 = 0

  /// A clock as PC firmware leaves it: BCD, 24 hours, no interrupts.
  /// - Parameters:
  ///   - date: the date at cycle 0.
  ///   - memoryBytes: the size of memory that firmware would have noted; 0 notes none.
  public init(date: CalendarDate = RTC.defaultDate, memoryBytes: UInt64 = 0) {
    self.date = date
    weekday = date.weekday
    noteMemory(memoryBytes)
  }

  /// Whether the interrupt output (line 8) is high.
  public var isAsserted: Bool { flags & registerB & 0x70 != 0 }

  // MARK: Ports

  /// Port 0x70: selects a register; bit 7 would mask NMI.
  public mutating func select(_ value: UInt8) { index = Int(value & 0x7f) }

  /// Port 0x71: reads the register selected, at the cycle of the last `advance`.
  public mutating func read() -> UInt8 {
    switch index {
    case 0: return encode(date.second)
    case 2: return encode(date.minute)
    case 4: return encodeHour(date.hour)
    case 6: return encode(weekday)
    case 7: return encode(date.day)
    case 8: return encode(date.month)
    case 9: return encode(date.year)
    case 0x32: return encode(date.year / 100)
    case 1, 3, 5: return alarm[index / 2]
    case 0x0a: return registerA | (isUpdating ? 0x80 : 0)
    case 0x0b: return registerB
    case 0x0c:
      let value = flags | (isAsserted ? 0x80 : 0)
      flags = 0
      return value
    case 0x0d: return 0x80  // VRT: the battery is good.
    default: return memory[index]
    }
  }

  /// Port 0x71: writes the register selected, at the cycle of the last `advance`.
  public mutating func write(_ value: UInt8) {
    switch index {
    case 0: date.second = decode(value)
    case 2: date.minute = decode(value)
    case 4: date.hour = decodeHour(value)
    case 6: weekday = decode(value)
    case 7: date.day = decode(value)
    case 8: date.month = decode(value)
    case 9: date.year = date.year / 100 * 100 + decode(value)
    case 0x32: date.year = decode(value) * 100 + date.year % 100
    case 1, 3, 5: alarm[index / 2] = value
    case 0x0a:
      let wasReset = isDividerReset
      registerA = value & 0x7f
      // The first update comes half a second after the divider is let go.
      if wasReset && !isDividerReset { secondStart = cycle &- Self.hertz / 2 }
    case 0x0b:
      // Setting the clock withdraws the update interrupt.
      registerB = value & Control.set != 0 ? value & ~Control.update : value
    case 0x0c, 0x0d: break
    default: memory[index] = value
    }
  }

  // MARK: Time

  /// Brings the clock to a cycle: seconds pass, flags are raised.
  public mutating func advance(to target: UInt64) {
    let previous = cycle
    cycle = max(cycle, target)
    guard !isDividerReset else {
      secondStart = cycle
      return
    }
    if let period, (cycle &- secondStart) / period != (previous &- secondStart) / period { flags |= Control.periodic }
    let seconds = (cycle &- secondStart) / Self.hertz
    guard seconds > 0 else { return }
    secondStart = secondStart &+ seconds * Self.hertz
    guard registerB & Control.set == 0 else { return }
    flags |= Control.update
    if let next = secondsToAlarm, UInt64(next) <= seconds { flags |= Control.alarm }
    let passed = Int(seconds)
    let days = (date.secondOfDay + passed) / 86400
    if days > 0 { weekday = (weekday + days + 6) % 7 + 1 }
    date = date.adding(seconds: passed)
  }

  /// The next cycle at which the interrupt output rises, if nothing is written; nil when it is high, or never does.
  public var nextInterrupt: UInt64? {
    guard !isAsserted, !isDividerReset else { return nil }
    var delay: UInt64?
    func consider(_ cycles: UInt64) { delay = min(delay ?? cycles, cycles) }
    let phase = cycle &- secondStart
    if registerB & Control.periodic != 0, let period { consider(period - phase % period) }
    if registerB & Control.set == 0 {
      let rest = Self.hertz - phase % Self.hertz
      if registerB & Control.update != 0 { consider(rest) }
      if registerB & Control.alarm != 0, let seconds = secondsToAlarm {
        consider(rest + UInt64(seconds - 1) * Self.hertz)
      }
    }
    return delay.map { cycle &+ $0 }
  }

  private var isDividerReset: Bool { registerA & 0x60 == 0x60 }

  private var isUpdating: Bool {
    registerB & Control.set == 0 && !isDividerReset && cycle &- secondStart >= Self.hertz - Self.updateCycles
  }

  /// Cycles from one periodic interrupt to the next, after register A's rate; nil where it is off.
  private var period: UInt64? {
    let rate = UInt64(registerA & 0x0f)
    guard rate > 0 else { return nil }
    // Rates 1 and 2 repeat 8 and 9 (256 Hz and 128 Hz).
    return 1 << (rate <= 2 ? rate + 6 : rate - 1)
  }

  /// Seconds, 1 to 86400, until the time of day equals the alarm; nil where it never does.
  private var secondsToAlarm: Int? {
    func wanted(_ raw: UInt8, _ value: (UInt8) -> Int) -> Int? { raw >= 0xc0 ? nil : value(raw) }
    let second = wanted(alarm[0], decode)
    let minute = wanted(alarm[1], decode)
    let hour = wanted(alarm[2], decodeHour)
    // A part that no time has is told at once: this is asked at every access of a device.
    guard second ?? 0 < 60, minute ?? 0 < 60, hour ?? 0 < 24 else { return nil }
    let now = date.secondOfDay
    var delta = 1
    while delta <= 86400 {
      let time = (now + delta) % 86400
      if let hour, hour != time / 3600 {
        delta += 3600 - time % 3600
      } else if let minute, minute != time / 60 % 60 {
        delta += 60 - time % 60
      } else if let second, second != time % 60 {
        delta += 1
      } else {
        return delta
      }
    }
    return nil
  }

  // MARK: Formats

  private func encode(_ value: Int) -> UInt8 {
    let value = UInt16(truncatingIfNeeded: value % 100)
    return UInt8(truncatingIfNeeded: registerB & Control.binary != 0 ? value : BCD.encode(value))
  }

  private func decode(_ value: UInt8) -> Int {
    Int(registerB & Control.binary != 0 ? UInt16(value) : BCD.decode(UInt16(value)))
  }

  /// Hours from 1 to 12 carry PM in bit 7.
  private func encodeHour(_ hour: Int) -> UInt8 {
    guard registerB & Control.hours24 == 0 else { return encode(hour) }
    return encode((hour + 11) % 12 + 1) | (hour >= 12 ? 0x80 : 0)
  }

  private func decodeHour(_ value: UInt8) -> Int {
    guard registerB & Control.hours24 == 0 else { return decode(value) }
    return decode(value & 0x7f) % 12 + (value & 0x80 != 0 ? 12 : 0)
  }

  /// The memory's size where a PC's firmware notes it, as QEMU does too: KiB below 1 MiB, KiB above it, and units of
  /// 64 KiB above 16 MiB.
  private mutating func noteMemory(_ bytes: UInt64) {
    guard bytes > 0 else { return }
    func note(_ value: UInt64, at low: Int) {
      let value = min(value, 0xffff)
      memory[low] = UInt8(truncatingIfNeeded: value)
      memory[low + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }
    let kibibytes = bytes >> 10
    note(min(kibibytes, 640), at: 0x15)
    let extended = kibibytes - min(kibibytes, 1024)
    note(extended, at: 0x17)
    note(extended, at: 0x30)
    note((kibibytes - min(kibibytes, 16384)) / 64, at: 0x34)
  }
}
