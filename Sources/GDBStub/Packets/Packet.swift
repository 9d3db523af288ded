/// A packet on its way to gdb: `$payload#checksum`.
public enum Packet {
  /// The longest payload that is announced, in bytes.
  public static let size = 0x4000
  /// The longest one that is read: a packet of the announced size may hold nothing but escaped bytes.
  static let greatestSize = 2 * size

  static let escape = UInt8(ascii: "}")
  /// What an escaped byte differs by from the one that is meant.
  static let escapedBit: UInt8 = 0x20

  /// Bytes that stand for something else in an answer.
  private static let special: Set<UInt8> = [
    UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "}"), UInt8(ascii: "*"),
  ]

  /// What to send for a payload.
  public static func framed(_ payload: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(ascii: "$")]
    var at = 0
    while at < payload.count {
      let byte = payload[at]
      if special.contains(byte) {
        bytes += [escape, byte ^ escapedBit]
        at += 1
        continue
      }
      var run = 1
      while run <= greatestRepeat, at + run < payload.count, payload[at + run] == byte { run += 1 }
      at += run
      bytes.append(byte)
      bytes += repeats(of: byte, run - 1)
    }
    let sum = bytes.dropFirst().reduce(UInt8(0), &+)
    return bytes + [UInt8(ascii: "#")] + Hex.text([sum])
  }

  /// A count must be a printable character.
  private static let greatestRepeat = 126 - 29

  /// A byte said again so many times: as a count where that is shorter.
  private static func repeats(of byte: UInt8, _ count: Int) -> [UInt8] {
    guard count >= 3 else { return [UInt8](repeating: byte, count: count) }
    // Counts that would read as `#` or `$`: five in one, the rest as it is.
    let counted = count == 6 || count == 7 ? 5 : count
    return [UInt8(ascii: "*"), UInt8(counted + 29)] + [UInt8](repeating: byte, count: count - counted)
  }
}
