/// 128 bits of a vector register, low half first; instructions look at it as lanes of their element.
public typealias Vector128 = SIMD2<UInt64>

/// A vector register whole: most instructions do the same in both halves.
@frozen public struct Vector256: Equatable, Sendable {
  public var low: Vector128
  public var high: Vector128

  @inlinable public init(_ low: Vector128 = Vector128(), _ high: Vector128 = Vector128()) {
    self.low = low
    self.high = high
  }
}

/// The registers of the vector unit and of the x87: what XSAVE saves.
@frozen public struct VectorState: Sendable {
  /// XMM0 to XMM15, and the upper halves of YMM0 to YMM15, apart as XSAVE has them.
  public var xmm: InlineArray<16, Vector128>
  public var upper: InlineArray<16, Vector128>
  public var mxcsr: UInt32
  public var x87: X87State

  public init() {
    xmm = InlineArray(repeating: Vector128())
    upper = InlineArray(repeating: Vector128())
    mxcsr = MXCSR.initial
    x87 = X87State()
  }
}

/// MXCSR (SDM vol. 1, 10.2.3).
public enum MXCSR {
  public static let initial: UInt32 = 0x1f80
  /// Exception flags, in their order; the masks are seven bits higher.
  public static let invalid: UInt32 = 1 << 0
  public static let denormal: UInt32 = 1 << 1
  public static let zeroDivide: UInt32 = 1 << 2
  public static let overflow: UInt32 = 1 << 3
  public static let underflow: UInt32 = 1 << 4
  public static let precision: UInt32 = 1 << 5
  public static let flags: UInt32 = 0x3f
  public static let denormalsAreZeros: UInt32 = 1 << 6
  public static let maskShift: UInt32 = 7
  public static let roundingShift: UInt32 = 13
  public static let flushToZero: UInt32 = 1 << 15
  /// The bits that exist.
  public static let defined: UInt32 = 0xffff
}
