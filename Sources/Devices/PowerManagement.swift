/// ACPI's fixed hardware (ACPI 6.5, 4.8.3), in the place where QEMU's board has it: PM1a events at ports 0x600 to 0x603,
/// PM1a control at 0x604, the timer at 0x608; and the word `Shutdown` written byte by byte to port 0x8900, which powers
/// off on Bochs.
public struct PowerManagement: Equatable, Sendable {
  /// The timer's frequency, in Hz.
  public static let hertz: UInt64 = 3_579_545

  private static let word = Array("Shutdown".utf8)

  /// SLP_EN, which enters the state that SLP_TYP names.
  private static let sleepEnable: UInt16 = 1 << 13
  /// SLP_TYP; 0 stands for S5, soft off, as on QEMU's boards.
  private static let sleepType: UInt16 = 7 << 10
  /// SCI_EN: the machine is in ACPI mode from the start.
  private static let interruptEnable: UInt16 = 1
  /// TMR_STS and TMR_EN.
  private static let timerBit: UInt16 = 1
  /// PM1 status bits that exist: timer, bus master, global lock, power button, sleep button, clock, wake.
  private static let statusBits: UInt16 = 0x8731
  /// Cycles between two changes of the timer's most significant bit, bit 31.
  private static let halfPeriod: UInt64 = 1 << 31

  private var control: UInt16 = 0
  private var enable: UInt16 = 0
  private var status: UInt16 = 0
  private var matched = 0
  /// The timer's cycle, which never wraps here.
  private var cycle: UInt64 = 0

  public init() {}

  // MARK: Time

  /// Lets the timer run to a cycle. A change of its most significant bit sets TMR_STS.
  mutating func advance(to now: UInt64) {
    if now / Self.halfPeriod != cycle / Self.halfPeriod { status |= Self.timerBit }
    cycle = now
  }

  /// Whether the system control interrupt is asserted.
  var isAsserted: Bool { status & enable != 0 }

  /// The cycle at which it will be, if nothing is written.
  var nextInterrupt: UInt64? {
    guard enable & Self.timerBit != 0, !isAsserted else { return nil }
    return (cycle / Self.halfPeriod &+ 1) &* Self.halfPeriod
  }

  /// The timer, 32 bits.
  var timer: UInt32 { UInt32(truncatingIfNeeded: cycle) }

  // MARK: Registers

  /// Reads a byte of PM1a events: status at 0 and 1, enable at 2 and 3.
  func readEvent(_ offset: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: (offset & 2 == 0 ? status : enable) >> (UInt16(offset & 1) * 8))
  }

  /// Writes a byte of PM1a events. A 1 clears a status bit.
  mutating func writeEvent(_ value: UInt8, _ offset: Int) {
    let shift = UInt16(offset & 1) * 8
    let bits = UInt16(value) << shift
    if offset & 2 == 0 {
      status &= ~bits
    } else {
      enable = (enable & ~(0xff << shift) | bits) & Self.statusBits
    }
  }

  /// Reads the byte of PM1a control at an offset of 0 or 1; SLP_EN reads as zero.
  public func readControl(_ offset: Int) -> UInt8 {
    let value = control | Self.interruptEnable
    return UInt8(truncatingIfNeeded: offset & 1 == 0 ? value : value >> 8)
  }

  /// Writes bytes of PM1a control, the first one at an offset of 0 or 1: whether the machine powers off.
  public mutating func writeControl(_ value: UInt32, width: Int, offset: Int) -> Bool {
    let value = UInt16(truncatingIfNeeded: value)
    let written: UInt16
    if offset & 1 != 0 {
      written = control & 0x00ff | value << 8
    } else {
      written = width == 1 ? control & 0xff00 | value & 0x00ff : value
    }
    control = written & ~Self.sleepEnable
    return written & Self.sleepEnable != 0 && written & Self.sleepType == 0
  }

  /// Takes a byte of port 0x8900: whether it completes the word.
  public mutating func spell(_ value: UInt8) -> Bool {
    if value != Self.word[matched] { matched = 0 }
    if value == Self.word[matched] { matched += 1 }
    guard matched == Self.word.count else { return false }
    matched = 0
    return true
  }
}
