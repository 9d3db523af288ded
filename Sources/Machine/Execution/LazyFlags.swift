/// The arithmetic flags, kept as the last operation's kind and operands and computed when somebody asks.
///
/// Both operands are held sign-extended from the operation's width: then a comparison of any width is decided by 64-bit
/// comparisons, signed and unsigned alike, because sign extension keeps both orders.
@frozen public struct LazyFlags: Equatable, Sendable {
  /// What produced the flags; with log2 of the width in bytes it makes the kind.
  public enum Operation {
    /// `a` is the flags themselves, in RFLAGS' places.
    static let eager: UInt8 = 0
    static let add: UInt8 = 1 << 2
    /// Addition with a carry in of 1, subtraction with a borrow in of 1.
    static let addCarry: UInt8 = 2 << 2
    static let subtract: UInt8 = 3 << 2
    static let subtractBorrow: UInt8 = 4 << 2
    /// `a` is the result.
    static let logic: UInt8 = 5 << 2
    /// `a` is the result, `b` the carry before, which stays.
    static let increment: UInt8 = 6 << 2
    static let decrement: UInt8 = 7 << 2
    /// `a` is the value before, `b` the count (not 0, less than the width).
    static let shiftLeft: UInt8 = 8 << 2
    static let shiftRight: UInt8 = 9 << 2
    static let shiftArithmetic: UInt8 = 10 << 2
    /// Signed multiplication with a truncated product.
    static let multiply: UInt8 = 11 << 2
  }

  public var kind: UInt8
  public var a: UInt64
  public var b: UInt64

  @inline(__always) public init(kind: UInt8, a: UInt64, b: UInt64) {
    self.kind = kind
    self.a = a
    self.b = b
  }

  /// Flags that stand as given (bits of `Flag.arithmetic`).
  @inline(__always) public init(_ bits: UInt64) { self.init(kind: 0, a: bits & Flag.arithmetic, b: 0) }

  /// Width in bits: 8, 16, 32 or 64.
  @inline(__always) private var width: UInt64 { 8 << UInt64(kind & 3) }

  /// Sign-extends a value of the width.
  @inline(__always) private func extended(_ value: UInt64) -> UInt64 {
    let shift = 64 &- width
    return UInt64(bitPattern: Int64(bitPattern: value &<< shift) &>> Int64(bitPattern: shift))
  }

  /// The six flags in RFLAGS' places.
  public var bits: UInt64 {
    @inline(never) get {
      let top: UInt64 = 1 &<< (width &- 1)
      let mask = top | (top &- 1)
      let result: UInt64
      var carry = false
      var overflow = false
      var adjust = false
      switch kind & ~3 {
      case Operation.eager:
        return a
      case Operation.add, Operation.addCarry:
        result = extended(a &+ b &+ (kind & ~3 == Operation.addCarry ? 1 : 0))
        // A carry leaves a bit where both operands have it, or either has it and the sum has not.
        let carries = (a & b) | ((a | b) & ~result)
        carry = carries & top != 0
        overflow = (a ^ result) & (b ^ result) & top != 0
        adjust = carries & 8 != 0
      case Operation.subtract, Operation.subtractBorrow:
        result = extended(a &- b &- (kind & ~3 == Operation.subtractBorrow ? 1 : 0))
        let borrows = (~a & b) | ((~a | b) & result)
        carry = borrows & top != 0
        overflow = (a ^ b) & (a ^ result) & top != 0
        adjust = borrows & 8 != 0
      case Operation.increment:
        result = a
        carry = b != 0
        overflow = a & mask == top
        adjust = a & 0xf == 0
      case Operation.decrement:
        result = a
        carry = b != 0
        overflow = a & mask == top &- 1
        adjust = a & 0xf == 0xf
      case Operation.shiftLeft:
        result = extended(a &<< b)
        carry = (a &<< (b &- 1)) & top != 0
        overflow = (result & top != 0) != carry
      case Operation.shiftRight:
        result = extended((a & mask) &>> b)
        carry = (a & mask) &>> (b &- 1) & 1 != 0
        // OF is defined for a count of 1 only: the top bit before. Silicon gives the xor of the result's top two bits
        // for every count.
        overflow = (result ^ (result &<< 1)) & top != 0
      case Operation.shiftArithmetic:
        result = UInt64(bitPattern: Int64(bitPattern: a) &>> Int64(bitPattern: b))
        carry = UInt64(bitPattern: Int64(bitPattern: a) &>> Int64(bitPattern: b &- 1)) & 1 != 0
      case Operation.multiply:
        // CF and OF tell whether the product fits; the other flags are undefined, and here those of the result.
        let product = Int64(bitPattern: a).multipliedFullWidth(by: Int64(bitPattern: b))
        result = extended(product.low)
        carry = result != product.low || product.high != Int64(bitPattern: product.low) &>> 63
        overflow = carry
      default:
        result = a
      }
      return
        (carry ? Flag.carry : 0) | (overflow ? Flag.overflow : 0) | (adjust ? Flag.adjust : 0)
        | LazyFlags.signZeroParity(result)
    }
  }

  /// SF, ZF and PF of a result that is sign-extended to 64 bits.
  @inline(__always) static func signZeroParity(_ result: UInt64) -> UInt64 {
    (result == 0 ? Flag.zero : 0) | (Int64(bitPattern: result) < 0 ? Flag.sign : 0)
      | ((result & 0xff).nonzeroBitCount & 1 == 0 ? Flag.parity : 0)
  }

  /// CF alone.
  @inline(__always) var carry: Bool {
    switch kind & ~3 {
    case Operation.subtract: a < b
    case Operation.logic: false
    case Operation.increment, Operation.decrement: b != 0
    // A sum that has wrapped is less than what was added to; sign extension keeps the order.
    case Operation.add: extended(a &+ b) < a
    default: bits & Flag.carry != 0
    }
  }

  /// ZF alone.
  @inline(__always) var zero: Bool {
    switch kind & ~3 {
    case Operation.subtract: a == b
    case Operation.add: extended(a &+ b) == 0
    case Operation.logic, Operation.increment, Operation.decrement: a == 0
    default: bits & Flag.zero != 0
    }
  }

  /// SF alone.
  @inline(__always) var sign: Bool {
    switch kind & ~3 {
    case Operation.subtract: Int64(bitPattern: extended(a &- b)) < 0
    case Operation.add: Int64(bitPattern: extended(a &+ b)) < 0
    case Operation.logic, Operation.increment, Operation.decrement: Int64(bitPattern: a) < 0
    default: bits & Flag.sign != 0
    }
  }

  /// Whether a condition holds.
  @inline(__always) func holds(_ condition: Condition) -> Bool {
    let negated = condition.rawValue & 1 != 0
    if condition.rawValue >> 1 == 1 { return carry != negated }
    if condition.rawValue >> 1 == 2 { return zero != negated }
    if condition.rawValue >> 1 == 4 { return sign != negated }
    let flags = bits
    let value: Bool
    switch condition.rawValue >> 1 {
    case 0: value = flags & Flag.overflow != 0
    case 3: value = flags & (Flag.carry | Flag.zero) != 0
    case 5: value = flags & Flag.parity != 0
    case 6: value = (flags & Flag.sign != 0) != (flags & Flag.overflow != 0)
    default: value = flags & Flag.zero != 0 || (flags & Flag.sign != 0) != (flags & Flag.overflow != 0)
    }
    return value != negated
  }
}
