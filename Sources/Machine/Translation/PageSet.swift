/// A set of page numbers that may say yes wrongly, and never no: 64 bits, of which each number has one.
struct PageSet {
  private(set) var bits: UInt64

  static let nothing = PageSet(bits: 0)
  static let everything = PageSet(bits: .max)

  private init(bits: UInt64) { self.bits = bits }

  /// What either set has.
  @inline(__always) init(_ one: PageSet, _ other: PageSet) { bits = one.bits | other.bits }

  @inline(__always) private static func bit(_ number: UInt64) -> UInt64 {
    1 &<< ((number &* 0x9e37_79b9_7f4a_7c15) &>> 58)
  }

  @inline(__always) func mayContain(_ number: UInt64) -> Bool { bits & PageSet.bit(number) != 0 }
  @inline(__always) mutating func insert(_ number: UInt64) { bits |= PageSet.bit(number) }
}
