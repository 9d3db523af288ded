/// How callouts read and write their operands, over any width.
extension Processor {
  /// Reads the destination and the source, lets `body` compute, and writes the destination and then the flags. A
  /// destination in memory is read as for a write, so that a page that may not be written faults as a write (SDM vol.
  /// 3, 4.7), and nothing changes unless the store has succeeded.
  @inline(__always) func update(
    _ op: UnsafePointer<Operation>,
    _ body: (_ destination: UInt64, _ source: UInt64, _ width: Int) -> (result: UInt64, flags: LazyFlags)
  ) throws(Stopped) {
    let form = OperandForm(op)
    let width = form.width
    let source = try sourceOperand(op, form)
    if form.shape.writesMemory {
      let address = effectiveAddress(op)
      let value = try loadForUpdate(address, width: width, stack: form.usesStack)
      let (result, flags) = body(value, source, width)
      try store(address, width: width, value: result.truncated(to: width), stack: form.usesStack)
      s.pointee.flags = flags
    } else {
      let (result, flags) = body(register(op.pointee.dst, width: width), source, width)
      setRegister(op.pointee.dst, width: width, result)
      s.pointee.flags = flags
    }
  }

  /// Reads both operands of an instruction that only compares them.
  @inline(__always) func operands(
    _ op: UnsafePointer<Operation>, _ form: OperandForm
  ) throws(Stopped) -> (destination: UInt64, source: UInt64) {
    let source = try sourceOperand(op, form)
    guard form.shape.writesMemory else { return (register(op.pointee.dst, width: form.width), source) }
    return (try load(effectiveAddress(op), width: form.width, stack: form.usesStack), source)
  }

  /// The second operand, zero-extended from the operand size; 0 for a form that has only one.
  @inline(__always) func sourceOperand(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt64 {
    switch form.shape {
    case .rr, .mr, .rri, .mri: register(op.pointee.src, width: form.width)
    case .ri, .mi, .i: UInt64(bitPattern: op.pointee.imm).truncated(to: form.width)
    case .rm, .rmi: try load(effectiveAddress(op), width: form.width, stack: form.usesStack)
    case .none, .r, .m: 0
    }
  }

  /// The only operand, `r` or `m`, that is read and not written.
  @inline(__always) func operand(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt64 {
    guard form.shape == .m else { return register(op.pointee.dst, width: form.width) }
    return try load(effectiveAddress(op), width: form.width, stack: form.usesStack)
  }

  /// Writes the only operand, or the first of two, that is written and not read.
  @inline(__always) func setOperand(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ value: UInt64
  ) throws(Stopped) {
    guard form.shape.writesMemory else { return setRegister(op.pointee.dst, width: form.width, value) }
    try store(
      effectiveAddress(op), width: form.width, value: value.truncated(to: form.width), stack: form.usesStack)
  }

  /// Replaces those arithmetic flags that `mask` names.
  @inline(__always) func setFlags(_ bits: UInt64, of mask: UInt64) {
    s.pointee.flags = LazyFlags(s.pointee.flags.bits & ~mask | bits & mask)
  }
}

extension OperandForm {
  @inline(__always) init(_ op: UnsafePointer<Operation>) { self.init(rawValue: op.pointee.link) }

  /// Whether the memory operand lies in the stack segment, so that a bad address raises #SS and not #GP.
  @inline(__always) var usesStack: Bool { segment == .ss }
}

extension OperandShape {
  /// Whether the destination, or the only operand, is memory.
  @inline(__always) var writesMemory: Bool { self == .m || self == .mr || self == .mi || self == .mri }
}

extension UInt64 {
  /// The low `width` bytes; `width` is 1 ... 8.
  @inline(__always) func truncated(to width: Int) -> UInt64 {
    self & (UInt64.max &>> (64 &- 8 &* UInt64(truncatingIfNeeded: width)))
  }

  /// Sign-extended from the low `width` bytes; `width` is 1 ... 8.
  @inline(__always) func signExtended(from width: Int) -> UInt64 {
    let shift = 64 &- 8 &* Int64(truncatingIfNeeded: width)
    return UInt64(bitPattern: (Int64(bitPattern: self) &<< shift) &>> shift)
  }

  /// The sign bit of a value of `width` bytes.
  @inline(__always) func sign(_ width: Int) -> Bool { signExtended(from: width) >> 63 != 0 }
}

/// Flags by what made them. Operands need not be extended; widths are in bytes.
extension LazyFlags {
  @inline(__always) private init(_ operation: UInt8, width: Int, _ a: UInt64, _ b: UInt64) {
    self.init(
      kind: operation | UInt8(truncatingIfNeeded: width.trailingZeroBitCount), a: a.signExtended(from: width), b: b)
  }

  /// `a + b + carry`.
  @inline(__always) package static func sum(_ a: UInt64, _ b: UInt64, carry: Bool, width: Int) -> LazyFlags {
    LazyFlags(carry ? Operation.addCarry : Operation.add, width: width, a, b.signExtended(from: width))
  }

  /// `a - b - borrow`.
  @inline(__always) package static func difference(_ a: UInt64, _ b: UInt64, borrow: Bool, width: Int) -> LazyFlags {
    LazyFlags(
      borrow ? Operation.subtractBorrow : Operation.subtract, width: width, a, b.signExtended(from: width))
  }

  /// A bitwise operation's result.
  @inline(__always) package static func logic(_ result: UInt64, width: Int) -> LazyFlags {
    LazyFlags(Operation.logic, width: width, result, 0)
  }

  /// INC's result; the carry stays.
  @inline(__always) package static func incremented(_ result: UInt64, carry: Bool, width: Int) -> LazyFlags {
    LazyFlags(Operation.increment, width: width, result, carry ? 1 : 0)
  }

  /// DEC's result; the carry stays.
  @inline(__always) package static func decremented(_ result: UInt64, carry: Bool, width: Int) -> LazyFlags {
    LazyFlags(Operation.decrement, width: width, result, carry ? 1 : 0)
  }

  /// Shifts of a value by a count of 1 or more, which for 8 and 16 bits may exceed the width.
  @inline(__always) package static func shiftedLeft(_ value: UInt64, by count: UInt64, width: Int) -> LazyFlags {
    LazyFlags(Operation.shiftLeft, width: width, value, count)
  }

  @inline(__always) package static func shiftedRight(_ value: UInt64, by count: UInt64, width: Int) -> LazyFlags {
    LazyFlags(Operation.shiftRight, width: width, value, count)
  }

  @inline(__always) package static func shiftedArithmetically(
    _ value: UInt64, by count: UInt64, width: Int
  ) -> LazyFlags {
    LazyFlags(Operation.shiftArithmetic, width: width, value, count)
  }
}
