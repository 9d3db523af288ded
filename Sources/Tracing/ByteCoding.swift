/// Numbers as bytes, seven bits a byte, least significant first; every byte but a number's last has its top bit set
/// (LEB128).
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  mutating func write(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(truncatingIfNeeded: rest))
  }

  /// Writes how far a value is from an earlier one, in either direction: little is short.
  mutating func write(_ value: UInt64, since earlier: UInt64) {
    let step = Int64(bitPattern: value &- earlier)
    write(UInt64(bitPattern: step << 1 ^ step >> 63))
  }
}

/// Reads what `ByteWriter` wrote. Nil is the answer to bytes that it cannot have written.
struct ByteReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func read() -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      // The tenth byte has one bit left to give.
      if shift == 63 && byte > 1 { return nil }
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }

  mutating func read(since earlier: UInt64) -> UInt64? {
    guard let code = read() else { return nil }
    let step = Int64(bitPattern: code >> 1) ^ -Int64(bitPattern: code & 1)
    return earlier &+ UInt64(bitPattern: step)
  }
}
