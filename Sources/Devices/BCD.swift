/// Binary-coded decimal, four digits in sixteen bits.
enum BCD {
  /// The number that the digits stand for. A digit above nine counts for what it is, up to 16665 in all.
  static func decode(_ digits: UInt16) -> UInt16 {
    digits >> 12 * 1000 + (digits >> 8 & 0xf) * 100 + (digits >> 4 & 0xf) * 10 + digits & 0xf
  }

  /// The digits of a number, modulo 10000.
  static func encode(_ number: UInt16) -> UInt16 {
    let number = number % 10000
    return number / 1000 << 12 | number / 100 % 10 << 8 | number / 10 % 10 << 4 | number % 10
  }
}
