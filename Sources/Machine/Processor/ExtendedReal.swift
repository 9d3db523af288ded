/// A number of the x87 as its 80 bits: a significand with its integer bit, and sign and exponent (SDM vol. 1, 4.2.2).
@frozen public struct ExtendedReal: Equatable, Sendable {
  public var significand: UInt64
  /// The sign (bit 15) and the biased exponent.
  public var head: UInt16

  @inlinable public init(significand: UInt64, head: UInt16) {
    self.significand = significand
    self.head = head
  }

  @inlinable public init() { self.init(significand: 0, head: 0) }

  static let bias = 16383
  static let integerBit: UInt64 = 1 << 63
  static let quietBit: UInt64 = 1 << 62
  static let one = ExtendedReal(significand: integerBit, head: 0x3fff)
  /// The NaN of an invalid operation.
  static let indefinite = ExtendedReal(significand: 3 << 62, head: 0xffff)

  static func zero(isNegative: Bool = false) -> ExtendedReal {
    ExtendedReal(significand: 0, head: isNegative ? 0x8000 : 0)
  }

  static func infinity(isNegative: Bool = false) -> ExtendedReal {
    ExtendedReal(significand: integerBit, head: isNegative ? 0xffff : 0x7fff)
  }

  @inline(__always) var isNegative: Bool { head & 0x8000 != 0 }
  /// The biased exponent.
  @inline(__always) var exponent: Int { Int(head & 0x7fff) }
  @inline(__always) var isZero: Bool { head & 0x7fff == 0 && significand == 0 }
  @inline(__always) var isInfinite: Bool { head & 0x7fff == 0x7fff && significand == Self.integerBit }
  @inline(__always) var isNaN: Bool { head & 0x7fff == 0x7fff && significand > Self.integerBit }
  @inline(__always) var isSignalling: Bool { isNaN && significand & Self.quietBit == 0 }
  /// A number too small for a normal exponent; one that has the integer bit all the same is a pseudo-denormal.
  @inline(__always) var isDenormal: Bool { head & 0x7fff == 0 && significand != 0 }
  /// An exponent that wants the integer bit, and none: unnormals, pseudo-infinities, pseudo-NaNs (SDM vol. 1, 8.2.2).
  @inline(__always) var isUnsupported: Bool { head & 0x7fff != 0 && significand & Self.integerBit == 0 }

  @inline(__always) var quieted: ExtendedReal {
    ExtendedReal(significand: significand | Self.quietBit, head: head)
  }

  @inline(__always) func with(isNegative: Bool) -> ExtendedReal {
    ExtendedReal(significand: significand, head: head & 0x7fff | (isNegative ? 0x8000 : 0))
  }
}
