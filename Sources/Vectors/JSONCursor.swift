import Emulator

/// Reads JSON (RFC 8259) a token at a time and makes no tree of it: a million vectors are some gigabytes.
final class JSONCursor {
  private let input: UnpackedInput
  private let path: String
  private let buffer: UnsafeMutableBufferPointer<UInt8>
  private var at = 0
  private var end = 0
  /// Bytes before the buffer's.
  private var before = 0
  private var line = 1
  /// Where the line begins, counted from the start of the text.
  private var lineStart = 0
  /// The text that `string` read last.
  private(set) var text: [UInt8] = []

  private static let deepest = 256

  init(_ path: String) throws(SetupError) {
    self.path = path
    input = try UnpackedInput(path)
    buffer = .allocate(capacity: 1 << 18)
  }

  deinit { buffer.deallocate() }

  /// An error at the place that has been reached.
  func problem(_ why: String) -> SetupError {
    .input("vectors", path, "line \(line), column \(before + at - lineStart + 1): \(why)")
  }

  // MARK: Bytes

  /// Gets more of the text; false at its end.
  @inline(never) private func refill() throws(SetupError) -> Bool {
    before += end
    at = 0
    end = 0
    end = try input.read(into: buffer)
    return end > 0
  }

  @inline(__always) private func next() throws(SetupError) -> UInt8 {
    if at == end, try !refill() { throw problem("the text ends too early") }
    at += 1
    return buffer[at - 1]
  }

  /// The next byte that is no white space, which stays; nil at the end.
  @inline(__always) private func peekOrEnd() throws(SetupError) -> UInt8? {
    while true {
      if at == end, try !refill() { return nil }
      let byte = buffer[at]
      switch byte {
      case 0x20, 0x09, 0x0d: at += 1
      case 0x0a:
        at += 1
        line += 1
        lineStart = before + at
      default: return byte
      }
    }
  }

  /// The next byte that is no white space, which stays.
  @inline(__always) func peek() throws(SetupError) -> UInt8 {
    guard let byte = try peekOrEnd() else { throw problem("the text ends too early") }
    return byte
  }

  private func expect(_ byte: Unicode.Scalar, _ what: String) throws(SetupError) {
    guard try peek() == UInt8(ascii: byte) else { throw problem("\(what) is expected here") }
    at += 1
  }

  /// Nothing but white space is left.
  func finish() throws(SetupError) {
    guard try peekOrEnd() == nil else { throw problem("there is more after the list") }
  }

  // MARK: Values

  /// A list; the body reads one element.
  @inline(__always) func list(_ what: String, _ element: () throws(SetupError) -> Void) throws(SetupError) {
    try expect("[", what)
    if try peek() == UInt8(ascii: "]") {
      at += 1
      return
    }
    while true {
      try element()
      switch try peek() {
      case UInt8(ascii: ","): at += 1
      case UInt8(ascii: "]"):
        at += 1
        return
      default: throw problem("a comma or ] is expected here")
      }
    }
  }

  /// An object; the body reads the value of one member, whose key is in `text`.
  @inline(__always) func object(_ what: String, _ member: () throws(SetupError) -> Void) throws(SetupError) {
    try expect("{", what)
    if try peek() == UInt8(ascii: "}") {
      at += 1
      return
    }
    while true {
      try string("a key in quotes")
      try expect(":", "a colon")
      try member()
      switch try peek() {
      case UInt8(ascii: ","): at += 1
      case UInt8(ascii: "}"):
        at += 1
        return
      default: throw problem("a comma or } is expected here")
      }
    }
  }

  /// A string, into `text`.
  func string(_ what: String) throws(SetupError) {
    try expect("\"", what)
    text.removeAll(keepingCapacity: true)
    while true {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "\""): return
      case UInt8(ascii: "\\"): try escape()
      case 0..<0x20: throw problem("a control character in a string")
      default: text.append(byte)
      }
    }
  }

  private func escape() throws(SetupError) {
    let byte = try next()
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): try unicodeEscape()
    default: throw problem("an unknown escape in a string")
    }
  }

  private func unicodeEscape() throws(SetupError) {
    var code = try fourDigits()
    if code & 0xfc00 == 0xd800 {
      guard try next() == UInt8(ascii: "\\"), try next() == UInt8(ascii: "u") else {
        throw problem("half a surrogate pair")
      }
      let low = try fourDigits()
      code = 0x10000 + (code & 0x3ff) << 10 + low & 0x3ff
    }
    guard let scalar = Unicode.Scalar(code) else { throw problem("half a surrogate pair") }
    text.append(contentsOf: Array(String(Character(scalar)).utf8))
  }

  private func fourDigits() throws(SetupError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = JSONCursor.digit(try next()) else { throw problem("a hexadecimal digit is expected here") }
      code = code << 4 | UInt32(digit)
    }
    return code
  }

  @inline(__always) static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// A decimal number that is not negative, within a limit.
  func decimal(_ what: String, limit: UInt64 = .max) throws(SetupError) -> UInt64 {
    guard case UInt8(ascii: "0")...UInt8(ascii: "9") = try peek() else {
      throw problem("\(what), a number that is not negative, is expected here")
    }
    var value: UInt64 = 0
    while true {
      if at == end, try !refill() { break }
      guard case UInt8(ascii: "0")...UInt8(ascii: "9") = buffer[at] else { break }
      let (tens, high) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(buffer[at] - UInt8(ascii: "0")))
      guard !high, !carry else { throw problem("\(what) is greater than \(limit)") }
      value = sum
      at += 1
    }
    if at < end, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(buffer[at]) {
      throw problem("\(what) is not a whole number")
    }
    guard value <= limit else { throw problem("\(what) is greater than \(limit)") }
    return value
  }

  /// A number as a hexadecimal string, with or without 0x, the most significant digit first: what it has below 128
  /// bits, and above.
  /// - Parameter bits: the most that it may have, 256 or no more than 128.
  func hexadecimal(_ what: String, bits: UInt128) throws(SetupError) -> (low: UInt128, high: UInt128) {
    try expect("\"", "\(what), hexadecimal digits in quotes,")
    var low: UInt128 = 0
    var high: UInt128 = 0
    var digits = 0
    while true {
      let byte = try next()
      if let digit = JSONCursor.digit(byte) {
        guard (bits > 128 ? high >> 124 : low >> (bits - 4)) == 0 else {
          throw problem("\(what) has more than \(bits) bits")
        }
        high = bits > 128 ? high << 4 | low >> 124 : 0
        low = low << 4 | UInt128(digit)
        digits += 1
      } else if byte == UInt8(ascii: "\"") && digits > 0 {
        return (low, high)
      } else if digits == 1 && low == 0 && byte | 0x20 == UInt8(ascii: "x") {
        digits = 0
      } else {
        throw problem("\(what) is not a hexadecimal number")
      }
    }
  }

  /// A number, decimal, or hexadecimal in quotes.
  func number(_ what: String, limit: UInt64 = .max) throws(SetupError) -> UInt64 {
    guard try peek() == UInt8(ascii: "\"") else { return try decimal(what, limit: limit) }
    let value = UInt64(truncatingIfNeeded: try hexadecimal(what, bits: 64).low)
    guard value <= limit else { throw problem("\(what) is greater than \(limit)") }
    return value
  }

  /// Passes over `null`; false where something else stands.
  func skipNull() throws(SetupError) -> Bool {
    guard try peek() == UInt8(ascii: "n") else { return false }
    try literal("null")
    return true
  }

  private func literal(_ word: StaticString) throws(SetupError) {
    for index in 0..<word.utf8CodeUnitCount {
      guard try next() == word.utf8Start[index] else { throw problem("a value is expected here") }
    }
  }

  /// Passes over a value of any kind.
  func skip(depth: Int = 0) throws(SetupError) {
    guard depth < JSONCursor.deepest else { throw problem("lists and objects are nested too deeply") }
    switch try peek() {
    case UInt8(ascii: "\""): try string("")
    case UInt8(ascii: "["): try list("") { () throws(SetupError) in try skip(depth: depth + 1) }
    case UInt8(ascii: "{"): try object("") { () throws(SetupError) in try skip(depth: depth + 1) }
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      at += 1
      while true {
        if at == end, try !refill() { return }
        guard "+-.eE0123456789".utf8.contains(buffer[at]) else { return }
        at += 1
      }
    default: throw problem("a value is expected here")
    }
  }
}
