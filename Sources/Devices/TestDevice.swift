/// The device by which kvm-unit-tests drive what a guest cannot (QEMU's pc-testdev): a data port, interrupt lines by
/// number, a port that flushes a page of the host's, and memory that is a device's.
///
/// The flush makes QEMU's host forget how it maps a page, so that the guest's next access comes through the hypervisor.
/// A guest cannot tell whether it happened; here it is accepted and does nothing.
public struct TestDevice: Equatable, Sendable {
  /// Where its memory is, and how much of it.
  public static let memoryBase: UInt64 = 0xff00_0000
  static let memorySize = 1 << 16
  /// The port of interrupt line 0.
  static let linePort: UInt16 = 0x2000

  /// Ports 0xe0 to 0xe3.
  var data: UInt32 = 0
  /// The lines that it drives, a bit each.
  private(set) var lines: UInt32 = 0
  /// Made when first written.
  private var memory: [UInt8] = []

  /// Port 0x2000 + n: any value but 0 raises line n. Gives the line.
  mutating func setLine(at port: UInt16, _ value: UInt32) -> Int {
    let line = Int(port &- Self.linePort) & 31
    lines = value != 0 ? lines | 1 << UInt32(line) : lines & ~(1 << UInt32(line))
    return line
  }

  func drives(_ line: Int) -> Bool { lines & 1 << UInt32(line) != 0 }

  /// Whether an address is in its memory.
  static func contains(_ address: UInt64) -> Bool {
    address >= memoryBase && address - memoryBase < UInt64(memorySize)
  }

  func read(_ address: UInt64, width: Int) -> UInt64 {
    (0..<max(min(width, 8), 1)).reduce(0) { value, byte in
      let place = Int((address &- Self.memoryBase) &+ UInt64(byte))
      return memory.indices.contains(place) ? value | UInt64(memory[place]) << UInt64(8 * byte) : value
    }
  }

  mutating func write(_ address: UInt64, width: Int, _ value: UInt64) {
    if memory.isEmpty { memory = Array(repeating: 0, count: Self.memorySize) }
    for byte in 0..<max(min(width, 8), 1) {
      let place = Int((address &- Self.memoryBase) &+ UInt64(byte))
      if memory.indices.contains(place) { memory[place] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
    }
  }
}
