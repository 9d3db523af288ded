/// Binary-coded decimal, four digits in sixteen bits.
enum BCD {
  /// The number that the digits stand for. A digit above nine counts for what it is, up to 16665 in all.
  static func decode(_ digits: UInt16) -> UInt16 {
    digits >> 12 * 1000 + (digits >> 8 & 0xf) * 100 + (digits >> 4 & 0xf) * 10 + digits & 0xf
  }

  /// The digits of a number, modulo 10000.
  static func encode(_ number: UInt16) -> UInt16 {
    let number = number % 10000
    let thousands = number / 1000
    let hundreds = number / 100 % 10
    let tens = number / 10 % 10
    return thousands << 12 | hundreds << 8 | tens << 4 | number % 10
  }
}
