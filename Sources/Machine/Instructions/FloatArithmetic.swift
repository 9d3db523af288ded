/// The operations of arithmetic on the bits of floating-point numbers, exact and then rounded once.
extension FloatUnit {
  /// `a + b`, or `a - b`: a NaN keeps its sign.
  mutating func sum(_ a: UInt64, _ b: UInt64, subtracts: Bool, _ format: FloatFormat) -> UInt64 {
    if let nan = propagated(a, b, format) { return nan }
    let x = flushed(a, format)
    let y = flushed(b, format) ^ (subtracts ? format.signBit : 0)
    if format.isInfinite(x) || format.isInfinite(y) {
      if format.isInfinite(x) && format.isInfinite(y) && x != y { return invalid(format) }
      noteDenormal(x, format)
      noteDenormal(y, format)
      return format.isInfinite(x) ? x : y
    }
    noteDenormal(x, format)
    noteDenormal(y, format)
    if format.isZero(x) && format.isZero(y) { return x == y ? x : exactZero(format) }
    if format.isZero(x) { return rounded(Unpacked(y, format), sticky: false, format) }
    if format.isZero(y) { return rounded(Unpacked(x, format), sticky: false, format) }
    return sum(Unpacked(x, format), Unpacked(y, format), format)
  }

  private mutating func sum(_ a: Unpacked, _ b: Unpacked, _ format: FloatFormat) -> UInt64 {
    let aIsLarger = a.exponent != b.exponent ? a.exponent > b.exponent : a.significand >= b.significand
    let (large, small) = aIsLarger ? (a, b) : (b, a)
    let distance = large.exponent &- small.exponent
    // Two bits of room at the top make sums fit; significands have 53 bits, so that nothing is lost at the bottom, and
    // what the smaller one loses is remembered in its lowest bit.
    let room = large.significand >> 2
    let whole = small.significand >> 2
    let shifted =
      distance > 61
      ? 1 : whole &>> UInt64(distance) | (whole & (1 &<< UInt64(distance) &- 1) != 0 ? 1 : 0)
    let total = large.isNegative == small.isNegative ? room &+ shifted : room &- shifted
    guard total != 0 else { return exactZero(format) }
    let shift = total.leadingZeroBitCount
    return rounded(
      Unpacked(
        isNegative: large.isNegative, exponent: large.exponent &+ 2 &- shift, significand: total &<< UInt64(shift)),
      sticky: false, format)
  }

  /// The zero of a sum that cancels.
  private func exactZero(_ format: FloatFormat) -> UInt64 { rounding == .down ? format.signBit : 0 }

  mutating func product(_ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> UInt64 {
    if let nan = propagated(a, b, format) { return nan }
    let x = flushed(a, format)
    let y = flushed(b, format)
    let sign = (x ^ y) & format.signBit
    if format.isInfinite(x) || format.isInfinite(y) {
      if format.isZero(x) || format.isZero(y) { return invalid(format) }
      noteDenormal(x, format)
      noteDenormal(y, format)
      return sign | format.infinity
    }
    noteDenormal(x, format)
    noteDenormal(y, format)
    if format.isZero(x) || format.isZero(y) { return sign }
    let p = Unpacked(x, format)
    let q = Unpacked(y, format)
    var (high, low) = p.significand.multipliedFullWidth(by: q.significand)
    var exponent = p.exponent &+ q.exponent &+ 1
    if high >> 63 == 0 {
      high = high &<< 1 | low >> 63
      low &<<= 1
      exponent &-= 1
    }
    return rounded(Unpacked(isNegative: sign != 0, exponent: exponent, significand: high), sticky: low != 0, format)
  }

  mutating func quotient(_ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> UInt64 {
    if let nan = propagated(a, b, format) { return nan }
    let x = flushed(a, format)
    let y = flushed(b, format)
    let sign = (x ^ y) & format.signBit
    if format.isInfinite(x) {
      if format.isInfinite(y) { return invalid(format) }
      noteDenormal(y, format)
      return sign | format.infinity
    }
    if format.isInfinite(y) {
      noteDenormal(x, format)
      return sign
    }
    if format.isZero(y) {
      if format.isZero(x) { return invalid(format) }
      // Which goes before a denormal dividend.
      raised |= MXCSR.zeroDivide
      return sign | format.infinity
    }
    noteDenormal(x, format)
    noteDenormal(y, format)
    if format.isZero(x) { return sign }
    let p = Unpacked(x, format)
    let q = Unpacked(y, format)
    // The dividend is halved so that the quotient fits; its lowest bit is 0.
    let (ratio, remainder) = q.significand.dividingFullWidth((p.significand >> 1, 0))
    let shift = ratio.leadingZeroBitCount
    return rounded(
      Unpacked(
        isNegative: sign != 0, exponent: p.exponent &- q.exponent &- shift, significand: ratio &<< UInt64(shift)),
      sticky: remainder != 0, format)
  }

  mutating func root(_ a: UInt64, _ format: FloatFormat) -> UInt64 {
    if let nan = propagated(a, a, format) { return nan }
    let x = flushed(a, format)
    if format.isZero(x) { return x }
    if format.isNegative(x) { return invalid(format) }
    if format.isInfinite(x) { return x }
    noteDenormal(x, format)
    let p = Unpacked(x, format)
    // The radicand as 64 bits before the point: its exponent has to be even.
    let isOdd = p.exponent & 1 != 0
    let radicand = isOdd ? p.significand : p.significand >> 1
    let (root, isExact) = Self.root(of: radicand)
    return rounded(
      Unpacked(isNegative: false, exponent: p.exponent >> 1, significand: root), sticky: !isExact, format)
  }

  /// The greatest integer whose square is at most `radicand * 2^64`; the radicand is at least 2^62, so that the root
  /// has 64 bits with the top one set.
  private static func root(of radicand: UInt64) -> (root: UInt64, isExact: Bool) {
    var root: UInt64 = 0
    var bit: UInt64 = 1 << 63
    while bit != 0 {
      let next = root | bit
      let (high, low) = next.multipliedFullWidth(by: next)
      if high < radicand || high == radicand && low == 0 { root = next }
      bit >>= 1
    }
    let (high, low) = root.multipliedFullWidth(by: root)
    return (root, high == radicand && low == 0)
  }

  /// MIN and MAX: the second operand where either is a NaN or both are zeros.
  mutating func extreme(_ a: UInt64, _ b: UInt64, isMaximum: Bool, _ format: FloatFormat) -> UInt64 {
    let x = flushed(a, format)
    let y = flushed(b, format)
    if format.isNaN(x) || format.isNaN(y) {
      raised |= MXCSR.invalid
      return y
    }
    noteDenormal(x, format)
    noteDenormal(y, format)
    if format.isZero(x) && format.isZero(y) { return y }
    let takesFirst = isMaximum ? Self.isLess(y, x, format) : Self.isLess(x, y, format)
    return takesFirst ? x : y
  }

  /// How two numbers stand to each other.
  enum Order { case less, equal, greater, unordered }

  /// - Parameter signalsQuiet: whether a quiet NaN is invalid too.
  mutating func order(_ a: UInt64, _ b: UInt64, signalsQuiet: Bool, _ format: FloatFormat) -> Order {
    if format.isNaN(a) || format.isNaN(b) {
      if signalsQuiet || format.isSignalling(a) || format.isSignalling(b) { raised |= MXCSR.invalid }
      return .unordered
    }
    let x = flushed(a, format)
    let y = flushed(b, format)
    noteDenormal(x, format)
    noteDenormal(y, format)
    if x == y || format.isZero(x) && format.isZero(y) { return .equal }
    return Self.isLess(x, y, format) ? .less : .greater
  }

  /// Numbers that are not equal, none of them a NaN.
  private static func isLess(_ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> Bool {
    if format.isZero(a) && format.isZero(b) { return false }
    switch (format.isNegative(a), format.isNegative(b)) {
    case (false, false): return a < b
    case (true, true): return a > b
    case (true, false): return true
    case (false, true): return false
    }
  }
}
