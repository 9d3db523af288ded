/// The Intel 8254 programmable interval timer (datasheet order number 231164) as the PC wires it: channel 0 raises
/// line 0, channel 1 once refreshed the memory, channel 2 drives the speaker through port 0x61.
///
/// Times are in cycles of the timer's clock.
public struct PIT8254: Equatable, Sendable {
  /// The frequency of the timer's clock, in Hz: 14.31818 MHz / 12.
  public static let hertz: UInt64 = 1_193_182

  /// The programming interface of one channel.
  private struct Port: Equatable, Sendable {
    /// The low six bits of the control word: access, mode, BCD.
    var control: UInt8
    /// The first byte of a two-byte count.
    var firstByte: UInt8?
    /// Whether the next byte that is read is the second of two.
    var readsHighByte = false
    var latchedCount: UInt16?
    var latchedStatus: UInt8?

    /// 1 low byte, 2 high byte, 3 low then high byte.
    var access: UInt8 { control >> 4 & 3 }
  }

  public private(set) var channels: [PITChannel]
  private var ports: [Port]
  /// Bits 0 to 3 of port 0x61: speaker gate, speaker data, and two enables that do nothing here.
  private var systemControl: UInt8 = 0
  /// The last cycle that `advance` was told of.
  private var cycle: UInt64 = 0

  /// The timer as PC firmware leaves it: channel 0 at 18.2 Hz, in mode 2.
  public init() {
    channels = [
      PITChannel(mode: 2, count: 65536, gate: true),
      PITChannel(mode: 2, count: 18, gate: true),
      PITChannel(mode: 3, count: 65536, gate: false),
    ]
    ports = [Port(control: 0x34), Port(control: 0x14), Port(control: 0x36)]
  }

  /// Brings the timer to a cycle: the level of channel 0's output, and whether it rose on the way.
  public mutating func advance(to cycle: UInt64) -> (output: Bool, rose: Bool) {
    let edge = channels[0].nextEdge(to: true, after: self.cycle)
    self.cycle = max(self.cycle, cycle)
    for index in channels.indices { channels[index].settle(at: self.cycle) }
    return (output, edge.map { $0 <= self.cycle } ?? false)
  }

  /// The level of channel 0's output.
  public var output: Bool { channels[0].output(at: cycle) }

  /// What a channel's counting element holds, and the level of its output.
  public func reading(of channel: Int) -> (count: UInt16, output: Bool) {
    (channels[channel].count(at: cycle), channels[channel].output(at: cycle))
  }

  /// The next cycle at which channel 0's output changes to `level`; nil when it never does.
  public func nextEdge(to level: Bool) -> UInt64? { channels[0].nextEdge(to: level, after: cycle) }

  /// Reads port 0x40 + `register`, at the cycle of the last `advance`.
  public mutating func read(_ register: Int) -> UInt8 {
    // The control word register cannot be read.
    guard register & 3 != 3 else { return 0xff }
    let index = register & 3
    if let status = ports[index].latchedStatus {
      ports[index].latchedStatus = nil
      return status
    }
    let count = ports[index].latchedCount ?? channels[index].count(at: cycle)
    let access = ports[index].access
    let isHigh = access == 3 ? ports[index].readsHighByte : access == 2
    if access == 3 { ports[index].readsHighByte.toggle() }
    if access != 3 || isHigh { ports[index].latchedCount = nil }
    return UInt8(truncatingIfNeeded: isHigh ? count >> 8 : count)
  }

  /// Writes port 0x40 + `register`, at the cycle of the last `advance`.
  public mutating func write(_ value: UInt8, to register: Int) {
    let index = register & 3
    guard index != 3 else { return writeControl(value) }
    switch ports[index].access {
    case 1: channels[index].write(UInt16(value), at: cycle)
    case 2: channels[index].write(UInt16(value) << 8, at: cycle)
    default:
      if let low = ports[index].firstByte {
        ports[index].firstByte = nil
        channels[index].write(UInt16(value) << 8 | UInt16(low), at: cycle)
      } else {
        ports[index].firstByte = value
        channels[index].announceCount(at: cycle)
      }
    }
  }

  private mutating func writeControl(_ value: UInt8) {
    let index = Int(value >> 6)
    guard index != 3 else { return readBack(value) }
    guard value & 0x30 != 0 else { return latchCount(index) }
    ports[index] = Port(control: value & 0x3f)
    channels[index].program(mode: value >> 1 & 7, isDecimal: value & 1 != 0)
  }

  private mutating func latchCount(_ index: Int) {
    // A second latch before the first one is read is ignored.
    if ports[index].latchedCount == nil { ports[index].latchedCount = channels[index].count(at: cycle) }
  }

  /// The read-back command; its bits that ask for the count (5) and the status (4) are active low.
  private mutating func readBack(_ value: UInt8) {
    for index in 0..<3 where value & 2 << UInt8(index) != 0 {
      if value & 0x20 == 0 { latchCount(index) }
      if value & 0x10 == 0 && ports[index].latchedStatus == nil { ports[index].latchedStatus = status(index) }
    }
  }

  private func status(_ index: Int) -> UInt8 {
    let output: UInt8 = channels[index].output(at: cycle) ? 0x80 : 0
    return output | (channels[index].isNull ? 0x40 : 0) | ports[index].control
  }

  // MARK: Port 0x61

  /// Port 0x61: the speaker's gate and data bits, the refresh bit (4), which toggles every 18 cycles, and channel 2's
  /// output (5).
  public func readSystemControl() -> UInt8 {
    let refresh: UInt8 = cycle / 18 & 1 != 0 ? 0x10 : 0
    return systemControl | refresh | (channels[2].output(at: cycle) ? 0x20 : 0)
  }

  /// Port 0x61: bit 0 is channel 2's gate.
  public mutating func writeSystemControl(_ value: UInt8) {
    systemControl = value & 0x0f
    channels[2].setGate(value & 1 != 0, at: cycle)
  }
}
