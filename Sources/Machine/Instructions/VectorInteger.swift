/// Integer arithmetic, comparison and logic on vectors (SDM vol. 2: PADDB, PCMPEQB, PMULLW, PAND, PTEST and their kin).
extension Processor {
  func vectorInteger(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorInteger(rawValue: vector.operation) else { return }
    let a = self.vector(vector.first)
    var b =
      form.shape == .ri
      ? Vector256(Vector128(UInt64(truncatingIfNeeded: op.pointee.imm), 0)) : try vectorSource(op, form)
    // One count for all elements.
    if operation.isShift { b.high = b.low }
    switch operation {
    case .test: setTestFlags(self.vector(op.pointee.dst), b, vector, of: .max)
    case .testSigns32: setTestFlags(self.vector(op.pointee.dst), b, vector, of: 0x8000_0000_8000_0000)
    case .testSigns64: setTestFlags(self.vector(op.pointee.dst), b, vector, of: 1 << 63)
    default:
      let control = UInt8(truncatingIfNeeded: op.pointee.imm)
      var result = Vector256(VectorInteger.made(vector.operation, a.low, b.low, control))
      if vector.isWide { result.high = VectorInteger.made(vector.operation, a.high, b.high, control >> 3) }
      setResult(op, vector, result)
    }
  }

  /// PTEST. ZF: nothing in common; CF: nothing of the source lacks. The other flags are cleared.
  private func setTestFlags(_ a: Vector256, _ b: Vector256, _ form: VectorForm, of mask: UInt64) {
    var common = a.low & b.low
    var lacking = ~a.low & b.low
    if form.isWide {
      common |= a.high & b.high
      lacking |= ~a.high & b.high
    }
    s.pointee.flags = LazyFlags(
      ((common.x | common.y) & mask == 0 ? Flag.zero : 0) | ((lacking.x | lacking.y) & mask == 0 ? Flag.carry : 0))
  }
}

extension VectorInteger {
  /// A shift by one count, or by an immediate.
  @inline(__always) var isShift: Bool { rawValue >= VectorInteger.left16.rawValue }

  /// PTEST and its kin have no result but flags.
  var makesFlags: Bool { self == .test || self == .testSigns32 || self == .testSigns64 }

  /// What an operation makes of two vectors; of a shift the second one's low half is the count. The control of MPSADBW
  /// is the only one, and its three bits for the upper half of a register stand above those for the lower.
  @inline(never)
  static func made(_ operation: UInt8, _ a: Vector128, _ b: Vector128, _ control: UInt8) -> Vector128 {
    VectorInteger(rawValue: operation).map { $0.made(a, b, control) } ?? a
  }

  @inline(__always) private func made(_ a: Vector128, _ b: Vector128, _ control: UInt8) -> Vector128 {
    switch self {
    case .and: a & b
    case .andNot: ~a & b
    case .or: a | b
    case .xor: a ^ b
    case .sumsOfDifferences: a.sumsOfDifferences(b, control)
    default: isShift ? Self.shift(self, a, b.x) : Self.combine(self, a, b)
    }
  }

  @inline(__always)
  private static func combine(_ operation: VectorInteger, _ a: Vector128, _ b: Vector128) -> Vector128 {
    switch operation {
    case .add8: Vector128(lanes: a.lanes(Bytes.self) &+ b.lanes(Bytes.self))
    case .add16: Vector128(lanes: a.lanes(Words.self) &+ b.lanes(Words.self))
    case .add32: a.adding32(b)
    case .add64: a &+ b
    case .subtract8: a.subtracting8(b)
    case .subtract16: Vector128(lanes: a.lanes(Words.self) &- b.lanes(Words.self))
    case .subtract32: Vector128(lanes: a.lanes(Doublewords.self) &- b.lanes(Doublewords.self))
    case .subtract64: a &- b
    case .addSigned8: a.combined(with: b, as: SignedBytes.self) { $0.addingSaturated($1) }
    case .addSigned16: a.combined(with: b, as: SignedWords.self) { $0.addingSaturated($1) }
    case .addUnsigned8: a.combined(with: b, as: Bytes.self) { $0.addingSaturated($1) }
    case .addUnsigned16: a.combined(with: b, as: Words.self) { $0.addingSaturated($1) }
    case .subtractSigned8: a.combined(with: b, as: SignedBytes.self) { $0.subtractingSaturated($1) }
    case .subtractSigned16: a.combined(with: b, as: SignedWords.self) { $0.subtractingSaturated($1) }
    case .subtractUnsigned8: a.combined(with: b, as: Bytes.self) { $0.subtractingSaturated($1) }
    case .subtractUnsigned16: a.combined(with: b, as: Words.self) { $0.subtractingSaturated($1) }
    case .equal8: a.equal8(b)
    case .equal16: Vector128(lanes: a.lanes(Words.self) .== b.lanes(Words.self))
    case .equal32: Vector128(lanes: a.lanes(Doublewords.self) .== b.lanes(Doublewords.self))
    case .equal64: Vector128(lanes: a .== b)
    case .greater8: Vector128(lanes: a.lanes(SignedBytes.self) .> b.lanes(SignedBytes.self))
    case .greater16: Vector128(lanes: a.lanes(SignedWords.self) .> b.lanes(SignedWords.self))
    case .greater32: Vector128(lanes: a.lanes(SignedDoublewords.self) .> b.lanes(SignedDoublewords.self))
    case .greater64: Vector128(lanes: a.lanes(SignedQuadwords.self) .> b.lanes(SignedQuadwords.self))
    case .minSigned8: a.least(b, SignedBytes.self)
    case .minSigned16: a.least(b, SignedWords.self)
    case .minSigned32: a.least(b, SignedDoublewords.self)
    case .minUnsigned8: a.least(b, Bytes.self)
    case .minUnsigned16: a.least(b, Words.self)
    case .minUnsigned32: a.least(b, Doublewords.self)
    case .maxSigned8: a.greatest(b, SignedBytes.self)
    case .maxSigned16: a.greatest(b, SignedWords.self)
    case .maxSigned32: a.greatest(b, SignedDoublewords.self)
    case .maxUnsigned8: a.greatest(b, Bytes.self)
    case .maxUnsigned16: a.greatest(b, Words.self)
    case .maxUnsigned32: a.greatest(b, Doublewords.self)
    default: multiply(operation, a, b)
    }
  }

  @inline(__always)
  private static func multiply(_ operation: VectorInteger, _ a: Vector128, _ b: Vector128) -> Vector128 {
    switch operation {
    case .average8: a.combined(with: b, as: Bytes.self) { UInt8((UInt16($0) &+ UInt16($1) &+ 1) >> 1) }
    case .average16: a.combined(with: b, as: Words.self) { UInt16((UInt32($0) &+ UInt32($1) &+ 1) >> 1) }
    case .absolute8: b.mapped(as: SignedBytes.self) { Int8(bitPattern: $0.magnitude) }
    case .absolute16: b.mapped(as: SignedWords.self) { Int16(bitPattern: $0.magnitude) }
    case .absolute32: b.mapped(as: SignedDoublewords.self) { Int32(bitPattern: $0.magnitude) }
    case .sign8: a.combined(with: b, as: SignedBytes.self) { $0 &* $1.signum() }
    case .sign16: a.combined(with: b, as: SignedWords.self) { $0 &* $1.signum() }
    case .sign32: a.combined(with: b, as: SignedDoublewords.self) { $0 &* $1.signum() }
    case .multiplyLow16: Vector128(lanes: a.lanes(Words.self) &* b.lanes(Words.self))
    case .multiplyLow32: Vector128(lanes: a.lanes(Doublewords.self) &* b.lanes(Doublewords.self))
    case .multiplyHigh16: a.combined(with: b, as: SignedWords.self) { Int16((Int32($0) &* Int32($1)) >> 16) }
    case .multiplyHighUnsigned16: a.combined(with: b, as: Words.self) { UInt16((UInt32($0) &* UInt32($1)) >> 16) }
    case .multiplyRounded16:
      a.combined(with: b, as: SignedWords.self) {
        Int16(truncatingIfNeeded: ((Int32($0) &* Int32($1)) >> 14 &+ 1) >> 1)
      }
    case .multiplySigned32:
      a.combined(with: b, as: SIMD2<Int64>.self) {
        Int64(Int32(truncatingIfNeeded: $0)) &* Int64(Int32(truncatingIfNeeded: $1))
      }
    case .multiplyUnsigned32:
      a.combined(with: b, as: Vector128.self) { ($0 & 0xffff_ffff) &* ($1 & 0xffff_ffff) }
    case .multiplyAdd16: a.multipliedAndAdded(b)
    case .multiplyAddBytes: a.bytesMultipliedAndAdded(b)
    case .sumOfDifferences: a.sumOfDifferences(b)
    case .leastWord: b.leastWord
    case .addPairs16: a.pairwise(b, SignedWords.self) { $0 &+ $1 }
    case .addPairs32: a.pairwise(b, SignedDoublewords.self) { $0 &+ $1 }
    case .addPairsSigned16: a.pairwise(b, SignedWords.self) { $0.addingSaturated($1) }
    case .subtractPairs16: a.pairwise(b, SignedWords.self) { $0 &- $1 }
    case .subtractPairs32: a.pairwise(b, SignedDoublewords.self) { $0 &- $1 }
    case .subtractPairsSigned16: a.pairwise(b, SignedWords.self) { $0.subtractingSaturated($1) }
    // Swift's shifts give 0, or signs, beyond the width, as the instructions want.
    case .leftEach32: a.combined(with: b, as: Doublewords.self) { $0 << $1 }
    case .leftEach64: a.combined(with: b, as: Vector128.self) { $0 << $1 }
    case .rightEach32: a.combined(with: b, as: Doublewords.self) { $0 >> $1 }
    case .rightEach64: a.combined(with: b, as: Vector128.self) { $0 >> $1 }
    case .arithmeticEach32:
      a.combined(with: b, as: Doublewords.self) { UInt32(bitPattern: Int32(bitPattern: $0) >> min($1, 31)) }
    default: a
    }
  }

  // MARK: Shifts

  @inline(__always)
  private static func shift(_ operation: VectorInteger, _ a: Vector128, _ count: UInt64) -> Vector128 {
    // Counts beyond the width give zeros, or signs.
    switch operation {
    case .left16: count > 15 ? Vector128() : Vector128(lanes: a.lanes(Words.self) &<< UInt16(count))
    case .left32: count > 31 ? Vector128() : Vector128(lanes: a.lanes(Doublewords.self) &<< UInt32(count))
    case .left64: count > 63 ? Vector128() : a &<< count
    case .right16: count > 15 ? Vector128() : Vector128(lanes: a.lanes(Words.self) &>> UInt16(count))
    case .right32: count > 31 ? Vector128() : Vector128(lanes: a.lanes(Doublewords.self) &>> UInt32(count))
    case .right64: count > 63 ? Vector128() : a &>> count
    case .arithmetic16: Vector128(lanes: a.lanes(SignedWords.self) &>> Int16(min(count, 15)))
    case .arithmetic32: Vector128(lanes: a.lanes(SignedDoublewords.self) &>> Int32(min(count, 31)))
    case .leftBytes: a.shiftedLeft(bytes: count)
    case .rightBytes: a.shiftedRight(bytes: count)
    default: a
    }
  }
}

private typealias Bytes = SIMD16<UInt8>
private typealias Words = SIMD8<UInt16>
private typealias Doublewords = SIMD4<UInt32>
private typealias SignedBytes = SIMD16<Int8>
private typealias SignedWords = SIMD8<Int16>
private typealias SignedDoublewords = SIMD4<Int32>
private typealias SignedQuadwords = SIMD2<Int64>

// What the dispatch loop does by itself.
extension SIMD2<UInt64> {
  @inline(__always) func adding32(_ other: Vector128) -> Vector128 {
    Vector128(lanes: lanes(Doublewords.self) &+ other.lanes(Doublewords.self))
  }

  @inline(__always) func subtracting8(_ other: Vector128) -> Vector128 {
    Vector128(lanes: lanes(Bytes.self) &- other.lanes(Bytes.self))
  }

  @inline(__always) func equal8(_ other: Vector128) -> Vector128 {
    Vector128(lanes: lanes(Bytes.self) .== other.lanes(Bytes.self))
  }

  @inline(__always) fileprivate func least<Lanes: SIMD>(_ other: Vector128, _ type: Lanes.Type) -> Vector128
  where Lanes.Scalar: Comparable {
    let a = lanes(type)
    let b = other.lanes(type)
    return Vector128(lanes: a.replacing(with: b, where: b .< a))
  }

  @inline(__always) fileprivate func greatest<Lanes: SIMD>(_ other: Vector128, _ type: Lanes.Type) -> Vector128
  where Lanes.Scalar: Comparable {
    let a = lanes(type)
    let b = other.lanes(type)
    return Vector128(lanes: a.replacing(with: b, where: b .> a))
  }
}

extension FixedWidthInteger {
  @inline(__always) fileprivate func addingSaturated(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  @inline(__always) fileprivate func subtractingSaturated(_ other: Self) -> Self {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
}

extension SIMD2<UInt64> {
  /// Neighbours of this vector, then those of the other.
  @inline(__always) fileprivate func pairwise<Lanes: SIMD>(
    _ other: Vector128, _ type: Lanes.Type, _ body: (Lanes.Scalar, Lanes.Scalar) -> Lanes.Scalar
  ) -> Vector128 {
    let a = lanes(type)
    let b = other.lanes(type)
    let half = Lanes.scalarCount / 2
    var result = Lanes()
    for lane in 0..<half {
      result[lane] = body(a[2 &* lane], a[2 &* lane &+ 1])
      result[half &+ lane] = body(b[2 &* lane], b[2 &* lane &+ 1])
    }
    return Vector128(lanes: result)
  }

  /// PMADDWD.
  fileprivate func multipliedAndAdded(_ other: Vector128) -> Vector128 {
    let a = lanes(SIMD8<Int16>.self)
    let b = other.lanes(SIMD8<Int16>.self)
    var result = SIMD4<Int32>()
    for lane in 0..<4 {
      result[lane] =
        Int32(a[2 &* lane]) &* Int32(b[2 &* lane]) &+ Int32(a[2 &* lane &+ 1]) &* Int32(b[2 &* lane &+ 1])
    }
    return Vector128(lanes: result)
  }

  /// PMADDUBSW: unsigned bytes by signed ones, saturated.
  fileprivate func bytesMultipliedAndAdded(_ other: Vector128) -> Vector128 {
    let a = lanes(SIMD16<UInt8>.self)
    let b = other.lanes(SIMD16<Int8>.self)
    var result = SIMD8<Int16>()
    for lane in 0..<8 {
      result[lane] = Int16(
        clamping: Int32(a[2 &* lane]) &* Int32(b[2 &* lane]) &+ Int32(a[2 &* lane &+ 1]) &* Int32(b[2 &* lane &+ 1]))
    }
    return Vector128(lanes: result)
  }

  /// PSADBW.
  fileprivate func sumOfDifferences(_ other: Vector128) -> Vector128 {
    let a = lanes(SIMD16<UInt8>.self)
    let b = other.lanes(SIMD16<UInt8>.self)
    var result = Vector128()
    for lane in 0..<16 { result[lane >> 3] &+= UInt64(a[lane] > b[lane] ? a[lane] &- b[lane] : b[lane] &- a[lane]) }
    return result
  }

  /// MPSADBW.
  fileprivate func sumsOfDifferences(_ other: Vector128, _ control: UInt8) -> Vector128 {
    let a = lanes(SIMD16<UInt8>.self)
    let b = other.lanes(SIMD16<UInt8>.self)
    let first = Int(control & 4)
    let block = Int(control & 3) &* 4
    var result = SIMD8<UInt16>()
    for lane in 0..<8 {
      for byte in 0..<4 {
        let x = a[first &+ lane &+ byte]
        let y = b[block &+ byte]
        result[lane] &+= UInt16(x > y ? x &- y : y &- x)
      }
    }
    return Vector128(lanes: result)
  }

  /// PHMINPOSUW: the least word and where it is.
  fileprivate var leastWord: Vector128 {
    let words = lanes(SIMD8<UInt16>.self)
    var place = 0
    for lane in 1..<8 where words[lane] < words[place] { place = lane }
    return Vector128(UInt64(words[place]) | UInt64(place) << 16, 0)
  }

  /// PSLLDQ.
  @inline(__always) fileprivate func shiftedLeft(bytes count: UInt64) -> Vector128 {
    let bits = 8 &* count
    if count > 15 { return Vector128() }
    if count > 7 { return Vector128(0, x &<< (bits &- 64)) }
    return count == 0 ? self : Vector128(x &<< bits, y &<< bits | x &>> (64 &- bits))
  }

  /// PSRLDQ.
  @inline(__always) func shiftedRight(bytes count: UInt64) -> Vector128 {
    let bits = 8 &* count
    if count > 15 { return Vector128() }
    if count > 7 { return Vector128(y &>> (bits &- 64), 0) }
    return count == 0 ? self : Vector128(x &>> bits | y &<< (64 &- bits), y &>> bits)
  }
}
