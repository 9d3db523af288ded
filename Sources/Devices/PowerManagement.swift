/// The ways to power the machine off: ACPI's PM1a control register at port 0x604 (ACPI 6.5, 4.8.3.2.1), and the word
/// `Shutdown` written byte by byte to port 0x8900, as Bochs has it.
public struct PowerManagement: Equatable, Sendable {
  private static let word = Array("Shutdown".utf8)

  /// SLP_EN, which enters the state that SLP_TYP names.
  private static let sleepEnable: UInt16 = 1 << 13
  /// SLP_TYP; 0 stands for S5, soft off, as on QEMU's boards.
  private static let sleepType: UInt16 = 7 << 10

  private var control: UInt16 = 0
  private var matched = 0

  public init() {}

  /// Reads the byte of PM1a control at an offset of 0 or 1; SLP_EN reads as zero.
  public func readControl(_ offset: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: offset & 1 == 0 ? control : control >> 8)
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
