/// Interrupt vectors, one bit each: the local APIC's IRR, ISR and TMR.
struct VectorSet: Equatable, Sendable {
  private var words = (0 as UInt64, 0 as UInt64, 0 as UInt64, 0 as UInt64)

  static func == (left: VectorSet, right: VectorSet) -> Bool { left.words == right.words }

  subscript(vector: UInt8) -> Bool {
    get { word(Int(vector >> 6)) >> UInt64(vector & 63) & 1 != 0 }
    set {
      let bit: UInt64 = 1 << UInt64(vector & 63)
      let old = word(Int(vector >> 6))
      setWord(Int(vector >> 6), newValue ? old | bit : old & ~bit)
    }
  }

  /// The highest vector set.
  var highest: UInt8? {
    for index in (0..<4).reversed() where word(index) != 0 {
      return UInt8(index * 64 + 63 - word(index).leadingZeroBitCount)
    }
    return nil
  }

  /// The vectors set, in order.
  var all: [UInt8] { (0...UInt8.max).filter { self[$0] } }

  /// One of the eight registers of 32 vectors.
  func register(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: word(index >> 1) >> UInt64((index & 1) * 32)) }

  private func word(_ index: Int) -> UInt64 {
    switch index {
    case 0: words.0
    case 1: words.1
    case 2: words.2
    default: words.3
    }
  }

  private mutating func setWord(_ index: Int, _ value: UInt64) {
    switch index {
    case 0: words.0 = value
    case 1: words.1 = value
    case 2: words.2 = value
    default: words.3 = value
    }
  }
}
