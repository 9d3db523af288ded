/// Reads a packet's payload from left to right.
struct PacketScanner {
  private(set) var rest: ArraySlice<UInt8>

  init(_ payload: [UInt8]) { rest = payload[...] }

  var isAtEnd: Bool { rest.isEmpty }

  /// Passes a text, if it stands here.
  mutating func skip(_ text: StaticString) -> Bool {
    let wanted = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    guard rest.starts(with: wanted) else { return false }
    rest = rest.dropFirst(wanted.count)
    return true
  }

  /// The next character, whatever it is.
  mutating func character() -> UInt8? { rest.popFirst() }

  /// A hexadecimal number of at most 64 bits; nil where there is none.
  mutating func number() -> UInt64? {
    var value: UInt64 = 0
    var count = 0
    while let digit = rest.first.flatMap(Hex.digit) {
      guard value >> 60 == 0 else { return nil }
      value = value << 4 | UInt64(digit)
      rest = rest.dropFirst()
      count += 1
    }
    return count > 0 ? value : nil
  }

  /// A number that counts something; nil for none, and for one beyond sense.
  mutating func count() -> Int? {
    guard let value = number(), value <= UInt64(Int32.max) else { return nil }
    return Int(value)
  }

  /// Everything up to a character, which is passed, or to the end.
  mutating func text(upTo end: UInt8) -> String {
    let piece = rest.prefix { $0 != end }
    rest = rest.dropFirst(piece.count)
    if !rest.isEmpty { rest = rest.dropFirst() }
    return String(decoding: piece, as: UTF8.self)
  }

  /// The rest, as digits of bytes.
  mutating func hexBytes() -> [UInt8]? {
    defer { rest = [] }
    return Hex.bytes(rest)
  }

  /// As many bytes written as digits.
  mutating func hexBytes(count: Int) -> [UInt8]? {
    guard count >= 0, count <= rest.count / 2 else { return nil }
    defer { rest = rest.dropFirst(2 * count) }
    return Hex.bytes(rest.prefix(2 * count))
  }

  mutating func everything() -> [UInt8] {
    defer { rest = [] }
    return Array(rest)
  }
}
