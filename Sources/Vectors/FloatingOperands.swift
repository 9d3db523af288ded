import Machine

/// Numbers at random to try floating-point instructions with, with a preference for those at which something changes.
public struct FloatingOperands<Random: RandomNumberGenerator> {
  public var random: Random

  public init(_ random: Random) { self.random = random }

  private mutating func below(_ bound: UInt64) -> UInt64 { random.next() % bound }

  private mutating func choose<Value>(_ values: [Value]) -> Value { values[Int(below(UInt64(values.count)))] }

  // MARK: Half, single and double precision

  public mutating func half() -> UInt16 {
    let special: [UInt16] = [0, 1, 0x3ff, 0x400, 0x3c00, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7dff]
    let bits = UInt16(truncatingIfNeeded: random.next())
    return below(2) == 0 ? choose(special) | bits & 0x8000 : bits
  }

  public mutating func single() -> UInt32 {
    let special: [UInt32] = [
      0, 1, 0x7f_ffff, 0x80_0000, 0x80_0001, 0x3f80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000, 0x7f7f_ffff,
      0x7f80_0000, 0x7fc0_0000, 0x7fc1_2345, 0x7f80_0001, 0x7fa0_0000, 0x4b00_0000, 0x4aff_ffff, 0x4eff_ffff,
      0x4f00_0000, 0x5eff_ffff, 0x5f00_0000, 0x3fb5_04f3, 0x0c00_0000, 0x33ff_ffff,
    ]
    let sign = UInt32(random.next() & 1) << 31
    switch below(8) {
    case 0, 1: return choose(special) | sign
    case 2: return UInt32(truncatingIfNeeded: random.next())
    // Exponents at which products, quotients and conversions come to the borders.
    case 3:
      return sign | choose([0, 1, 2, 24, 62, 63, 64, 65, 126, 150, 190, 191, 253, 254]) << 23 | singleFraction()
    // Few bits: exact results and halves.
    case 4: return sign | choose([120, 126, 127, 128, 140, 149, 150, 151]) << 23 | singleFraction() & 0x7c_0000
    default: return sign | (100 + UInt32(below(59))) << 23 | singleFraction()
    }
  }

  private mutating func singleFraction() -> UInt32 {
    switch below(4) {
    case 0: 0x7f_ffff
    case 1: 1
    default: UInt32(truncatingIfNeeded: random.next()) & 0x7f_ffff
    }
  }

  public mutating func double() -> UInt64 {
    let special: [UInt64] = [
      0, 1, 0xf_ffff_ffff_ffff, 0x10_0000_0000_0000, 0x10_0000_0000_0001, 0x3ff0_0000_0000_0000, 0x3fe0_0000_0000_0000,
      0x3ff8_0000_0000_0000, 0x4004_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000,
      0x7ff8_0000_0000_0000, 0x7ff8_0000_1234_5678, 0x7ff0_0000_0000_0001, 0x7ff4_0000_0000_0000,
      0x41df_ffff_ffc0_0000, 0x41df_ffff_ffe0_0000, 0x41e0_0000_0000_0000, 0x41e0_0000_0010_0000,
      0x43df_ffff_ffff_ffff, 0x43e0_0000_0000_0000, 0x4330_0000_0000_0000, 0x432f_ffff_ffff_ffff,
      0x3810_0000_0000_0000, 0x380f_ffff_ffff_ffff, 0x380f_ffff_f000_0000, 0x36a0_0000_0000_0000,
      0x3690_0000_0000_0000, 0x47ef_ffff_efff_ffff, 0x47ef_ffff_f000_0000, 0x47ef_ffff_e000_0000,
    ]
    let exponents: [UInt64] = [
      0, 1, 2, 53, 510, 511, 512, 513, 872, 873, 874, 896, 897, 1022, 1075, 1150, 1151, 1534, 1535, 2045, 2046,
    ]
    let sign = random.next() & 1 << 63
    let fraction = doubleFraction()
    switch below(8) {
    case 0, 1: return choose(special) | sign
    case 2: return random.next()
    case 3: return sign | choose(exponents) << 52 | fraction
    case 4: return sign | (1018 + below(43)) << 52 | fraction & 0xf_0000_0000_0000
    default: return sign | (980 + below(111)) << 52 | fraction
    }
  }

  private mutating func doubleFraction() -> UInt64 {
    switch below(5) {
    case 0: 0xf_ffff_ffff_ffff
    case 1: 1
    case 2: random.next() & 0xf_ffff_e000_0000
    default: random.next() & 0xf_ffff_ffff_ffff
    }
  }

  // MARK: Extended precision

  private mutating func significand() -> UInt64 {
    let top: UInt64 = 1 << 63
    let special: [UInt64] = [
      top, .max, top | 1, 3 << 62, top | 1 << 39, top | 1 << 40, top | 1 << 10, top | 1 << 11, 0xffff_ff80_0000_0000,
      0xffff_ff00_0000_0000, 0xffff_ffff_ffff_fc00, 0xffff_ffff_ffff_f800,
    ]
    switch below(4) {
    case 0: return choose(special)
    case 1: return top | random.next() & random.next() & random.next()
    default: return top | random.next()
    }
  }

  public mutating func real() -> ExtendedReal {
    let sign = UInt16(truncatingIfNeeded: random.next() & 1) << 15
    // At which sums, products and conversions come to the borders.
    let exponents: [UInt16] = [
      1, 2, 64, 65, 0x7ffe, 0x7ffd, 0x1fff, 0x5fff, 0x3fff, 0x3ffe, 0x4000, 0x403d, 0x403e, 0x403f, 0x400d, 0x400e,
      0x401d, 0x401e, 0x3fff + 59, 0x3fff + 127, 0x3fff + 128, 0x3fff - 126, 0x3fff - 127, 0x3fff - 149, 0x3fff - 150,
      0x3fff + 1023, 0x3fff + 1024, 0x3fff - 1022, 0x3fff - 1023, 0x3fff - 1074, 0x3fff - 1075,
    ]
    switch below(16) {
    case 0: return ExtendedReal(significand: 0, head: sign)
    case 1: return ExtendedReal(significand: 1 << 63, head: sign | 0x7fff)
    // Denormal and pseudo-denormal numbers.
    case 2: return ExtendedReal(significand: random.next() >> (1 + below(63)), head: sign)
    case 3: return ExtendedReal(significand: significand(), head: sign | (below(2) == 0 ? 0 : 0x7fff))
    // NaNs.
    case 4: return ExtendedReal(significand: significand() & ~(below(2) << 62), head: sign | 0x7fff)
    // What is no number any more.
    case 5: return ExtendedReal(significand: random.next() >> 1, head: sign | UInt16(below(0x8000)))
    case 6: return ExtendedReal(significand: significand(), head: sign | UInt16(below(0x7fff)))
    case 7: return ExtendedReal(significand: significand(), head: sign | choose(exponents))
    // Small integers.
    case 8:
      let value = 1 + below(40)
      let shift = value.leadingZeroBitCount
      return ExtendedReal(significand: value << UInt64(shift), head: sign | UInt16(0x3fff + 63 - shift))
    default: return ExtendedReal(significand: significand(), head: sign | UInt16(0x3fd8 + below(0x6e)))
    }
  }

  // MARK: The x87

  /// How the x87's exceptions and its stack are.
  public enum Mode: CaseIterable, Sendable {
    /// All masked, and the stack as most instructions want it.
    case masked
    case unmasked
    /// Registers empty and full at random.
    case anyStack
  }

  /// A state in which nothing is pending.
  public mutating func x87(_ mode: Mode) -> X87State {
    var state = X87State()
    let modes = UInt16(truncatingIfNeeded: random.next())
    // Precision and rounding; bit 12 is the infinity control, which means nothing.
    state.control = 0x40 | (mode == .unmasked ? modes & 0x3f : 0x3f) | modes & 0x1f00
    let status = UInt16(truncatingIfNeeded: random.next())
    state.status = status & 0x4700 | status & state.control & 0x3f
    state.top = Int(below(8))
    for number in 0..<8 { state.registers[number] = real() }
    // Now and then the operands are neighbours, opposites or equal.
    if below(4) == 0 {
      var near = state[0]
      near.significand ^= choose([0, 1, .max >> 1, 1 << 62])
      near.head ^= UInt16(below(2)) << 15
      state[1] = near
    }
    state.tags = 0
    let used = mode == .anyStack ? random.next() : 0x3f
    for i in 0..<8 where used >> UInt64(i) & 1 != 0 { state.tags |= 1 << UInt8((state.top + i) & 7) }
    return state
  }

  /// A number of packed decimal digits, eighteen of them and a sign: sixteen digits, then the rest of ten bytes.
  public mutating func decimal() -> (low: UInt64, high: UInt16) {
    var low = random.next()
    for digit in 0..<16 as Range<UInt64> where low >> (4 * digit) & 15 > 9 { low &= ~(6 << (4 * digit)) }
    if below(8) == 0 { low = 0 }
    return (low, UInt16(truncatingIfNeeded: random.next()) & 0x8077)
  }

  /// An integer in 64, 32 or 16 bits.
  public mutating func integer() -> UInt64 {
    below(2) == 0 ? choose([0, 1, .max, 1 << 63, 0x8000_0000, 0x8000, 0x7fff_ffff, 10]) : random.next()
  }
}
