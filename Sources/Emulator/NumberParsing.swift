/// Numbers as users write them.
public enum NumberParsing {
  /// A decimal number, or hexadecimal after `0x`; underscores may group digits. Nil for anything else, signs included.
  static func integer(_ text: some StringProtocol) -> UInt64? {
    let hexadecimal = text.hasPrefix("0x") || text.hasPrefix("0X")
    let digits = text.dropFirst(hexadecimal ? 2 : 0)
    // `UInt64` itself would take a sign.
    guard let first = digits.first, first != "_", first != "+", first != "-", digits.last != "_" else { return nil }
    return UInt64(String(digits.filter { $0 != "_" }), radix: hexadecimal ? 16 : 10)
  }

  /// A number of bytes: `4096`, `64K`, `128M`, `1G`, `1T`; `KiB` and the like mean the same. Nil for anything else, or
  /// beyond 64 bits.
  public static func bytes(_ text: some StringProtocol) -> UInt64? {
    let letters: [(Character, UInt64)] = [("k", 10), ("m", 20), ("g", 30), ("t", 40)]
    var number = text[...]
    var shift: UInt64 = 0
    for suffix in ["ib", "b"] where number.lowercased().hasSuffix(suffix) {
      guard let before = number.dropLast(suffix.count).last, "kmgtKMGT".contains(before) else { return nil }
      number = number.dropLast(suffix.count)
      break
    }
    if let last = number.last?.lowercased().first, let unit = letters.first(where: { $0.0 == last }), !isHex(number) {
      shift = unit.1
      number = number.dropLast()
    }
    guard let value = integer(number) else { return nil }
    let scaled = value.multipliedReportingOverflow(by: 1 << shift)
    return scaled.overflow ? nil : scaled.partialValue
  }

  private static func isHex(_ text: some StringProtocol) -> Bool { text.hasPrefix("0x") || text.hasPrefix("0X") }

  /// A number of bytes in the greatest unit that divides it: `128M`, `4097`.
  static func describe(bytes: UInt64) -> String {
    for (letter, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] as [(String, UInt64)]
    where bytes != 0 && bytes & ((1 << shift) - 1) == 0 {
      return "\(bytes >> shift)\(letter)"
    }
    return "\(bytes)"
  }
}
