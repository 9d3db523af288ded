/// The chip set's reset registers: port 0xcf9 (Intel 82371SB datasheet, RC) and system control port A, 0x92.
public struct ResetControl: Equatable, Sendable {
  private var reset: UInt8 = 0
  private var portA: UInt8 = 0x02

  public init() {}

  /// Port 0xcf9: bit 1 selects a hard reset, and is all that reads back.
  public func readReset() -> UInt8 { reset }

  /// Port 0xcf9: whether bit 2 resets the machine.
  public mutating func writeReset(_ value: UInt8) -> Bool {
    reset = value & 0x02
    return value & 0x04 != 0
  }

  /// Port 0x92: bit 1 is A20, which is always on.
  public func readPortA() -> UInt8 { portA | 0x02 }

  /// Port 0x92: whether bit 0 has risen, which resets the machine.
  public mutating func writePortA(_ value: UInt8) -> Bool {
    let rises = value & ~portA & 0x01 != 0
    portA = value
    return rises
  }
}
