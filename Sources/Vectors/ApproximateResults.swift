import Machine

/// Results that the manuals promise to some precision only, so that two processors may differ in the last bits: the
/// one table of them.
///
/// | instructions | what is promised | where |
/// |---|---|---|
/// | F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS, FSINCOS, FPTAN | less than 1 unit in the last place | SDM vol. 1, 8.3.10 |
/// | RCPPS, RCPSS, RSQRTPS, RSQRTSS and their VEX forms | a relative error of no more than 1.5 * 2^-12 | SDM vol. 2, RCPPS |
enum ApproximateResults {
  /// How far two results may be from one another.
  enum Tolerance {
    /// One unit in the last place of the x87's registers. C1 tells of the last rounding, and counts for nothing.
    case unitInLastPlace
    /// Either may be 1.5 * 2^-12 of the exact result away from it. Zeros, infinities and NaNs are not approximations.
    case reciprocal
  }

  private static let table: [String: Tolerance] = [
    "f2xm1": .unitInLastPlace, "fyl2x": .unitInLastPlace, "fyl2xp1": .unitInLastPlace, "fpatan": .unitInLastPlace,
    "fsin": .unitInLastPlace, "fcos": .unitInLastPlace, "fsincos": .unitInLastPlace, "fptan": .unitInLastPlace,
    "rcpps": .reciprocal, "rcpss": .reciprocal, "rsqrtps": .reciprocal, "rsqrtss": .reciprocal,
    "vrcpps": .reciprocal, "vrcpss": .reciprocal, "vrsqrtps": .reciprocal, "vrsqrtss": .reciprocal,
  ]

  /// Nil for an instruction with one result.
  static func tolerance(_ mnemonic: String) -> Tolerance? { table[mnemonic] }

  /// Whether two registers of the x87 are neighbours.
  static func agree(_ a: ExtendedReal, _ b: ExtendedReal) -> Bool {
    // Sign and exponent above the fraction: numbers of one sign in their order.
    func place(_ value: ExtendedReal) -> UInt128 { UInt128(value.head) << 63 | UInt128(value.significand & .max >> 1) }
    let (a, b) = (place(a), place(b))
    return (a > b ? a - b : b - a) <= 1
  }

  /// Whether each of four singles is as near to the other's as two approximations have to be.
  static func agree(_ a: Vector128, _ b: Vector128) -> Bool {
    func lanes(_ value: Vector128) -> [UInt32] {
      [value.x, value.x >> 32, value.y, value.y >> 32].map { UInt32(truncatingIfNeeded: $0) }
    }
    return zip(lanes(a), lanes(b)).allSatisfy { a, b in
      if a == b { return true }
      let (x, y) = (Double(Float(bitPattern: a)), Double(Float(bitPattern: b)))
      guard x.isFinite, y.isFinite, x != 0, y != 0 else { return false }
      return abs(x / y - 1) <= 3.01 / 4096
    }
  }
}
