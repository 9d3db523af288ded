import Machine

/// Numbers at random, the same in every run (splitmix64).
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  /// A number below a bound.
  mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }

  /// True once in so many times.
  mutating func once(in times: UInt64) -> Bool { next() % times == 0 }
}

/// Operands with a bias to the corners.
struct OperandMaker {
  var random: SeededRandom

  mutating func integer() -> UInt64 {
    let value = random.next()
    switch value % 8 {
    case 0: return random.next() & 0xff
    case 1: return 0 &- (random.next() & 0xff)
    case 2: return 1 << (random.next() & 63)
    case 3:
      let corners: [UInt64] = [
        0, 1, .max, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, .max >> 1, 1 << 63,
      ]
      return corners[Int(value >> 8) % corners.count]
    case 4: return random.next() & random.next() & random.next()
    default: return random.next()
    }
  }

  /// 128 bits as lanes of integers, singles or doubles.
  mutating func vector() -> Vector128 {
    switch random.below(4) {
    case 0: Vector128(singles(), singles())
    case 1: Vector128(double(), double())
    case 2: Vector128(lanes(), lanes())
    default: Vector128(random.next(), random.next())
    }
  }

  private mutating func lanes() -> UInt64 {
    let corners: [UInt64] = [
      0, .max, 1, 0x8000_8000_8000_8000, 0x7fff_7fff_7fff_7fff, 0x8080_8080_8080_8080, 0x8000_0000_8000_0000, 1 << 63,
      .max >> 1, 0x0001_0203_0405_0607,
    ]
    switch random.below(4) {
    case 0: return corners[Int(random.below(UInt64(corners.count)))]
    // Counts and lengths; few different characters.
    case 1: return random.next() & 0x1f
    case 2: return random.next() & 0x0303_0303_0303_0303
    default: return integer()
    }
  }

  private mutating func singles() -> UInt64 { UInt64(single()) | UInt64(single()) << 32 }

  private mutating func single() -> UInt32 {
    let special: [UInt32] = [
      0, 1, 0x7f_ffff, 0x80_0000, 0x80_0001, 0x3f80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000, 0x7f7f_ffff,
      0x7f80_0000, 0x7fc0_0000, 0x7fc1_2345, 0x7f80_0001, 0x7fa0_0000, 0x4b00_0000, 0x4aff_ffff, 0x4eff_ffff,
      0x4f00_0000, 0x5eff_ffff, 0x5f00_0000, 0x3fb5_04f3, 0x0c00_0000, 0x33ff_ffff,
    ]
    let sign = UInt32(random.next() & 1) << 31
    let fraction = UInt32(truncatingIfNeeded: random.next()) & 0x7f_ffff
    switch random.below(6) {
    case 0, 1: return special[Int(random.below(UInt64(special.count)))] | sign
    case 2: return UInt32(truncatingIfNeeded: random.next())
    case 3: return sign | UInt32(random.below(256)) << 23 | (random.once(in: 2) ? 0x7f_ffff : fraction & 0x7c_0000)
    default: return sign | (100 + UInt32(random.below(59))) << 23 | fraction
    }
  }

  private mutating func double() -> UInt64 {
    let special: [UInt64] = [
      0, 1, 0xf_ffff_ffff_ffff, 0x10_0000_0000_0000, 0x10_0000_0000_0001, 0x3ff0_0000_0000_0000, 0x3fe0_0000_0000_0000,
      0x3ff8_0000_0000_0000, 0x4004_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000,
      0x7ff8_0000_0000_0000, 0x7ff8_0000_1234_5678, 0x7ff0_0000_0000_0001, 0x7ff4_0000_0000_0000,
      0x41df_ffff_ffc0_0000, 0x41df_ffff_ffe0_0000, 0x41e0_0000_0000_0000, 0x43df_ffff_ffff_ffff,
      0x43e0_0000_0000_0000, 0x4330_0000_0000_0000, 0x3810_0000_0000_0000, 0x380f_ffff_f000_0000,
      0x36a0_0000_0000_0000, 0x3690_0000_0000_0000, 0x47ef_ffff_efff_ffff, 0x47ef_ffff_f000_0000,
    ]
    let sign = random.next() & 1 << 63
    let fraction = random.next() & 0xf_ffff_ffff_ffff
    switch random.below(6) {
    case 0, 1: return special[Int(random.below(UInt64(special.count)))] | sign
    case 2: return random.next()
    case 3: return sign | random.below(2048) << 52 | (random.once(in: 2) ? 0xf_ffff_ffff_ffff : fraction & ~0 << 32)
    default: return sign | (980 + random.below(110)) << 52 | fraction
    }
  }
}
