/// Floating-point arithmetic on vectors and scalars (SDM vol. 2: ADDPS, MINSD, CMPPD, UCOMISS, HADDPS, DPPS, ROUNDSD
/// and their kin). What numbers are is `FloatUnit`'s.
extension Processor {
  func vectorFloat(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    try vectorFloat(op, form, try vectorSource(op, form))
  }

  /// The same with the second operand at hand.
  func vectorFloat(_ op: UnsafePointer<Operation>, _ form: OperandForm, _ b: Vector256) throws(Stopped) {
    let vector = form.vector
    guard let operation = VectorFloat(rawValue: vector.operation) else { return }
    var unit = FloatUnit(s.pointee.vector.mxcsr)
    if operation == .compareOrdered || operation == .compareUnordered {
      let order = unit.order(
        xmm(op.pointee.dst).low(vector), b.low.low(vector), signalsQuiet: operation == .compareOrdered,
        vector.isDouble ? .double : .single)
      try finish(unit)
      s.pointee.flags = LazyFlags(order.flags)
      return
    }
    let a = self.vector(vector.first)
    let control = UInt8(truncatingIfNeeded: op.pointee.imm)
    if operation == .dotProduct && !vector.isDouble {
      let result = unit.dotSingles(a, b, control, isWide: vector.isWide)
      try finish(unit)
      return setResult(op, vector, result)
    }
    var result = Vector256()
    result.low =
      hostVector(operation, vector, a.low, b.low) ?? unit.combined(operation, vector, a.low, b.low, control)
    if vector.isWide {
      result.high =
        hostVector(operation, vector, a.high, b.high) ?? unit.combined(operation, vector, a.high, b.high, control)
    }
    try finish(unit)
    setResult(op, vector, result)
  }

  /// Enters what was raised into MXCSR; exceptions that are not masked take the place of the result. Those of the
  /// operands come before those of results (SDM vol. 1, 11.5.1).
  @inline(__always) func finish(_ unit: FloatUnit) throws(Stopped) {
    guard unit.raised & ~s.pointee.vector.mxcsr != 0 || unit.pending != 0 else { return }
    try raiseFloat(unit)
  }

  @inline(never) private func raiseFloat(_ unit: FloatUnit) throws(Stopped) {
    let ofOperands = MXCSR.invalid | MXCSR.denormal | MXCSR.zeroDivide
    let stopsBefore = unit.pending & ofOperands != 0
    s.pointee.vector.mxcsr |= stopsBefore ? unit.raised & ofOperands | unit.settled : unit.raised
    guard unit.pending != 0 else { return }
    throw raise(s.pointee.cr4 & CR4.osXMMExceptions != 0 ? .vectorFloat : .invalidOpcode)
  }
}

extension FloatUnit {
  /// What an operation makes of two vectors.
  @inline(never)
  fileprivate mutating func combined(
    _ operation: VectorFloat, _ form: VectorForm, _ a: Vector128, _ b: Vector128, _ control: UInt8
  ) -> Vector128 {
    let format = form.isDouble ? FloatFormat.double : .single
    switch operation {
    case .add, .multiply, .subtract, .divide:
      return a.each(b, form) { arithmetic(operation, $0, $1, isDouble: form.isDouble) }
    case .squareRoot: return a.each(b, form) { squareRoot($1, isDouble: form.isDouble) }
    case .minimum: return a.each(b, form) { extreme($0, $1, isMaximum: false, format) }
    case .maximum: return a.each(b, form) { extreme($0, $1, isMaximum: true, format) }
    // Legacy predicates have three bits.
    case .compare:
      let predicate = control & (form.isVEX ? 0x1f : 7)
      return a.each(b, form) { matches(predicate, $0, $1, format) ? .max : 0 }
    case .reciprocal: return a.each(b, form) { approximated($1, isRoot: false) }
    case .reciprocalRoot: return a.each(b, form) { approximated($1, isRoot: true) }
    case .round: return a.each(b, form) { toIntegral($1, format, control: control) }
    case .addSubtract:
      // Even lanes are subtracted.
      var isOdd = true
      return a.each(b, form) {
        isOdd.toggle()
        return sum($0, $1, subtracts: !isOdd, format)
      }
    case .addPairs: return a.pairs(b, form) { sum($0, $1, subtracts: false, format) }
    case .subtractPairs: return a.pairs(b, form) { sum($0, $1, subtracts: true, format) }
    case .dotProduct: return dotDouble(a, b, control)
    case .compareOrdered, .compareUnordered: return a
    }
  }

  @inline(__always)
  fileprivate mutating func arithmetic(_ operation: VectorFloat, _ a: UInt64, _ b: UInt64, isDouble: Bool) -> UInt64 {
    if isDouble {
      if let result = hosted(operation, Double(bitPattern: a), Double(bitPattern: b)) { return result.bitPattern }
    } else if let result = hosted(operation, Float(low: a), Float(low: b)) {
      return UInt64(result.bitPattern)
    }
    return exact(operation, a, b, isDouble ? .double : .single)
  }

  @inline(never)
  private mutating func exact(_ operation: VectorFloat, _ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> UInt64 {
    switch operation {
    case .add: sum(a, b, subtracts: false, format)
    case .subtract: sum(a, b, subtracts: true, format)
    case .multiply: product(a, b, format)
    default: quotient(a, b, format)
    }
  }

  @inline(__always)
  fileprivate mutating func squareRoot(_ a: UInt64, isDouble: Bool) -> UInt64 {
    if isDouble {
      if let result = hostedRoot(Double(bitPattern: a)) { return result.bitPattern }
    } else if let result = hostedRoot(Float(low: a)) {
      return UInt64(result.bitPattern)
    }
    return root(a, isDouble ? .double : .single)
  }

  /// CMPPS's predicates (SDM vol. 2, CMPPD, table 3-1). LT, LE and what goes with them signal a quiet NaN, and bit 4 turns
  /// that round.
  fileprivate mutating func matches(_ predicate: UInt8, _ a: UInt64, _ b: UInt64, _ format: FloatFormat) -> Bool {
    let isOrdering = predicate & 3 == 1 || predicate & 3 == 2
    let order = order(a, b, signalsQuiet: isOrdering != (predicate & 0x10 != 0), format)
    // For each predicate a bit an order that it holds for: less, equal, greater, unordered.
    let table: UInt64 = 0xf465_0b9a_7ced_8312
    let holds = table &>> (4 &* UInt64(predicate & 0xf))
    switch order {
    case .less: return holds & 1 != 0
    case .equal: return holds & 2 != 0
    case .greater: return holds & 4 != 0
    case .unordered: return holds & 8 != 0
    }
  }

  /// RCPPS and RSQRTPS, which raise nothing. Processors differ in the result within a relative error of 1.5 * 2^-12;
  /// here it is the exact one, rounded to 12 bits.
  fileprivate func approximated(_ operand: UInt64, isRoot: Bool) -> UInt64 {
    let format = FloatFormat.single
    // Denormal operands are zeros, results that are tiny too, whatever MXCSR says.
    var unit = FloatUnit(
      MXCSR.initial | MXCSR.denormalsAreZeros | MXCSR.flushToZero)
    let a = unit.flushed(operand, format)
    if format.isNaN(a) { return a | format.quietBit }
    let sign = a & format.signBit
    if format.isZero(a) { return sign | format.infinity }
    if isRoot && sign != 0 { return format.indefinite }
    if format.isInfinite(a) { return sign }
    let wide = unit.converted(a, from: .single, to: .double)
    let exact = unit.quotient(FloatFormat.double.one, isRoot ? unit.root(wide, .double) : wide, .double)
    let rounded = exact &+ (1 << 40) & ~(1 << 41 - 1)
    return unit.converted(rounded, from: .double, to: .single)
  }

  /// A step of an instruction that has several: exceptions are determined for each of them (SDM vol. 2, DPPS).
  private mutating func settle<Result>(_ step: (inout FloatUnit) -> Result) -> Result {
    let before = raised
    raised = 0
    let result = step(&self)
    if pending == 0 { settled |= raised }
    raised |= before
    return result
  }

  /// DPPS, of both halves step by step.
  fileprivate mutating func dotSingles(
    _ a: Vector256, _ b: Vector256, _ control: UInt8, isWide: Bool
  ) -> Vector256 {
    let products = settle { unit in
      (unit.products(a.low, b.low, control), isWide ? unit.products(a.high, b.high, control) : SIMD4<UInt64>())
    }
    guard pending == 0 else { return a }
    let sums = settle { unit in (unit.pairSums(products.0), isWide ? unit.pairSums(products.1) : SIMD2<UInt64>()) }
    guard pending == 0 else { return a }
    let low = sum(sums.0.x, sums.0.y, subtracts: false, .single)
    let high = isWide ? sum(sums.1.x, sums.1.y, subtracts: false, .single) : 0
    return Vector256(FloatUnit.spread(low, control), isWide ? FloatUnit.spread(high, control) : Vector128())
  }

  private mutating func products(_ a: Vector128, _ b: Vector128, _ control: UInt8) -> SIMD4<UInt64> {
    let x = a.lanes(SIMD4<UInt32>.self)
    let y = b.lanes(SIMD4<UInt32>.self)
    var products = SIMD4<UInt64>()
    for lane in 0..<4 where control >> UInt8(4 &+ lane) & 1 != 0 {
      products[lane] = product(UInt64(x[lane]), UInt64(y[lane]), .single)
    }
    return products
  }

  private mutating func pairSums(_ products: SIMD4<UInt64>) -> SIMD2<UInt64> {
    SIMD2(
      sum(products[0], products[1], subtracts: false, .single), sum(products[2], products[3], subtracts: false, .single)
    )
  }

  /// A single in the lanes that the control has.
  private static func spread(_ value: UInt64, _ control: UInt8) -> Vector128 {
    var result = SIMD4<UInt32>()
    for lane in 0..<4 where control >> UInt8(lane) & 1 != 0 { result[lane] = UInt32(truncatingIfNeeded: value) }
    return Vector128(lanes: result)
  }

  fileprivate mutating func dotDouble(_ a: Vector128, _ b: Vector128, _ control: UInt8) -> Vector128 {
    let (low, high) = settle { unit in
      (
        control & 0x10 != 0 ? unit.product(a.x, b.x, .double) : 0,
        control & 0x20 != 0 ? unit.product(a.y, b.y, .double) : 0
      )
    }
    guard pending == 0 else { return a }
    let total = sum(low, high, subtracts: false, .double)
    return Vector128(control & 1 != 0 ? total : 0, control & 2 != 0 ? total : 0)
  }
}

extension FloatUnit.Order {
  /// What COMISS makes of it (SDM vol. 2); OF, SF and AF are cleared.
  fileprivate var flags: UInt64 {
    switch self {
    case .greater: 0
    case .less: Flag.carry
    case .equal: Flag.zero
    case .unordered: Flag.zero | Flag.parity | Flag.carry
    }
  }
}

extension SIMD2<UInt64> {
  /// The scalar of a form.
  @inline(__always) func low(_ form: VectorForm) -> UInt64 { form.isDouble ? x : x & 0xffff_ffff }

  /// Element by element with another, the elements as a form has them; of a scalar form the rest stays.
  @inline(__always) func each(
    _ other: Vector128, _ form: VectorForm, _ body: (UInt64, UInt64) -> UInt64
  ) -> Vector128 {
    if form.isScalar { return replacing(low: form.isDouble ? 8 : 4, by: body(low(form), other.low(form))) }
    if form.isDouble { return Vector128(body(x, other.x), body(y, other.y)) }
    return combined(with: other, as: SIMD4<UInt32>.self) {
      UInt32(truncatingIfNeeded: body(UInt64($0), UInt64($1)))
    }
  }

  /// Neighbours of this vector, then those of the other.
  @inline(__always) fileprivate func pairs(
    _ other: Vector128, _ form: VectorForm, _ body: (UInt64, UInt64) -> UInt64
  ) -> Vector128 {
    if form.isDouble { return Vector128(body(x, y), body(other.x, other.y)) }
    func single(_ word: UInt64) -> UInt64 { body(word & 0xffff_ffff, word >> 32) & 0xffff_ffff }
    return Vector128(single(x) | single(y) << 32, single(other.x) | single(other.y) << 32)
  }
}
