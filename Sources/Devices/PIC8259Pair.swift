/// The PC's two cascaded 8259As: 16 interrupt lines, the slave's INT output on the master's IR2, and the edge/level
/// control registers of the EISA chip set (ELCR, Intel 82374EB datasheet).
public struct PIC8259Pair: Equatable, Sendable {
  /// The master's input that the slave drives.
  public static let cascadeInput = 2

  /// Serves the lines 0 to 7.
  public private(set) var master = PIC8259(vectorBase: 0x08, cascade: 1 << 2, isMaster: true)
  /// Serves the lines 8 to 15.
  public private(set) var slave = PIC8259(vectorBase: 0x70, cascade: 2, isMaster: false)

  public init() {}

  /// Whether the processor's INTR pin is asserted.
  public var isAsserted: Bool { master.isAsserted }

  /// Drives an interrupt line, 0 to 15.
  public mutating func set(_ line: Int, _ level: Bool) {
    if line & 8 == 0 {
      master.set(line & 7, level)
    } else {
      slave.set(line & 7, level)
      updateCascade()
    }
  }

  /// Whether an interrupt line is requested and not yet in service.
  public func isRequested(_ line: Int) -> Bool {
    (line & 8 == 0 ? master : slave).requests & 1 << UInt8(line & 7) != 0
  }

  /// Whether the masks keep an interrupt line from the processor.
  public func isMasked(_ line: Int) -> Bool {
    line & 8 == 0 ? master.isMasked(line) : slave.isMasked(line) || master.isMasked(Self.cascadeInput)
  }

  /// The processor's interrupt-acknowledge cycle: the vector of the most urgent request.
  public mutating func acknowledge() -> UInt8 {
    let input = master.acknowledge()
    guard input == Self.cascadeInput else { return master.vector(of: input) }
    let slaveInput = slave.acknowledge()
    dropCascade()
    return slave.vector(of: slaveInput)
  }

  /// Reads port 0x20 or 0xa0 (even), 0x21 or 0xa1 (odd).
  public mutating func read(slave isSlave: Bool, odd: Bool) -> UInt8 {
    guard isSlave else { return master.read(odd: odd) }
    let requests = slave.requests
    let value = slave.read(odd: odd)
    // A poll may have acknowledged a request.
    if slave.requests != requests { dropCascade() } else { updateCascade() }
    return value
  }

  /// Writes port 0x20 or 0xa0 (even), 0x21 or 0xa1 (odd).
  public mutating func write(_ value: UInt8, slave isSlave: Bool, odd: Bool) {
    if isSlave {
      slave.write(value, odd: odd)
      updateCascade()
    } else {
      master.write(value, odd: odd)
    }
  }

  /// The edge/level control registers, port 0x4d0 (lines 0 to 7) and 0x4d1 (lines 8 to 15); a set bit makes a line
  /// level-triggered. The timer, the keyboard, the cascade, the clock and the coprocessor stay edge-triggered.
  public var edgeLevelControl: (low: UInt8, high: UInt8) {
    get { (master.levelTriggered, slave.levelTriggered) }
    set {
      master.levelTriggered = newValue.low & 0xf8
      slave.levelTriggered = newValue.high & 0xde
      updateCascade()
    }
  }

  private mutating func updateCascade() { master.set(Self.cascadeInput, slave.isAsserted) }

  /// The slave's INT output falls during an acknowledge and rises again for a further request.
  private mutating func dropCascade() {
    master.set(Self.cascadeInput, false)
    updateCascade()
  }
}
