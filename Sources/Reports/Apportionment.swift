/// Division of a sum with its parts such that the rounded parts add up to the rounded total (the largest-remainder
/// method).
enum Apportionment {
  /// `parts / divisor` in units of 10^-decimals.
  ///
  /// The total is rounded half up. Each part is rounded down, and what is then missing goes to the parts with the
  /// largest remainders, the earlier of equal ones first.
  /// - Parameter divisor: 1 or more.
  static func divide(_ parts: [Int128], by divisor: UInt64, decimals: Int) -> (parts: [Int128], total: Int128) {
    let unit = Int128(NumberFormat.powerOfTen(decimals))
    let by = Int128(divisor)
    let total = floored(parts.reduce(0, +) * unit * 2 + by, by * 2)
    var shares = parts.map { floored($0 * unit, by) }
    let remainders = parts.indices.map { parts[$0] * unit - shares[$0] * by }
    let missing = total - shares.reduce(0, +)
    let order = parts.indices.sorted { (remainders[$1], $0) < (remainders[$0], $1) }
    for index in order.prefix(Int(missing)) { shares[index] += 1 }
    return (shares, total)
  }

  /// Division that rounds towards minus infinity.
  private static func floored(_ value: Int128, _ divisor: Int128) -> Int128 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
