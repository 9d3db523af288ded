import Machine
import Vectors

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
  var floating: FloatingOperands<SeededRandom>
  var random: SeededRandom {
    get { floating.random }
    set { floating.random = newValue }
  }

  init(random: SeededRandom) { floating = FloatingOperands(random) }

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
    case 1: Vector128(floating.double(), floating.double())
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

  private mutating func singles() -> UInt64 { UInt64(floating.single()) | UInt64(floating.single()) << 32 }
}
