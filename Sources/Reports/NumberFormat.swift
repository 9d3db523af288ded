/// Numbers as tables show them, computed in integers, so that they are alike on every machine.
public enum NumberFormat {
  /// `1234567` as `1,234,567`.
  public static func grouped(_ value: some BinaryInteger) -> String {
    let digits = Array(String(value.magnitude))
    var text = value < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// `part / whole` in per cent with one decimal, rounded half up; `-` for a whole of 0.
  public static func share(_ part: UInt64, of whole: UInt64) -> String {
    whole == 0 ? "-" : fixed(part, over: whole, scale: 100, decimals: 1) + "%"
  }

  /// `value / base` with two decimals, rounded half up; `-` for a base of 0.
  public static func ratio(_ value: UInt64, to base: UInt64) -> String {
    base == 0 ? "-" : fixed(value, over: base, scale: 1, decimals: 2)
  }

  /// `value * scale / base` with a number of decimals, rounded half up.
  static func fixed(_ value: UInt64, over base: UInt64, scale: UInt64, decimals: Int) -> String {
    let units = UInt128(scale) * UInt128(powerOfTen(decimals))
    let rounded = (UInt128(value) * units * 2 + UInt128(base)) / (UInt128(base) * 2)
    return decimal(Int128(rounded), decimals: decimals)
  }

  /// A whole number of units of 10^-decimals: 12345 with 2 decimals is `123.45`.
  static func decimal(_ units: Int128, decimals: Int) -> String { decimal(units, decimals) { grouped($0) } }

  /// The same for programs, without separators: `12345.67`.
  static func plain(_ units: Int128, decimals: Int) -> String { decimal(units, decimals) { "\($0)" } }

  private static func decimal(_ units: Int128, _ decimals: Int, _ digitsOfWhole: (Int128) -> String) -> String {
    let unit = Int128(powerOfTen(decimals))
    let magnitude = Int128(units.magnitude)
    let whole = (units < 0 ? "-" : "") + digitsOfWhole(magnitude / unit)
    guard decimals > 0 else { return whole }
    let digits = String(magnitude % unit)
    return whole + "." + String(repeating: "0", count: decimals - digits.count) + digits
  }

  /// Bytes in the greatest unit that keeps at least one digit before the point, with one decimal: `1.5 MiB`.
  public static func bytes(_ count: UInt64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, UInt64)] where count >= 1 << shift {
      return fixed(count, over: 1 << shift, scale: 1, decimals: 1) + " " + unit
    }
    return "\(count) B"
  }

  static func powerOfTen(_ exponent: Int) -> UInt64 {
    (0..<exponent).reduce(1) { power, _ in power * 10 }
  }
}
