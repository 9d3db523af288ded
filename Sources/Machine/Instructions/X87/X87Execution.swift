/// What an x87 instruction does to the x87's state: all of it that needs no memory, no flags and no other state of the
/// processor. An operand from memory comes with it, one for memory is its result.
struct X87Execution {
  var state: X87State
  let form: X87Form
  /// The ModRM byte: ST(i) is in its low bits.
  let modRM: UInt8
  /// Bytes of the memory operand, 0 for a form without.
  let width: Int
  let vendor: Vendor
  /// What the memory operand holds; of an 80-bit one `high` has the rest.
  var low: UInt64 = 0
  var high: UInt16 = 0
  /// RFLAGS before, for FCMOVcc, and after FCOMI and its kin.
  var flags: UInt64 = 0
  /// Whether `low` and `high` are to be stored.
  private(set) var stores = false
  private var unit: ExtendedUnit

  init(_ state: X87State, _ form: X87Form, modRM: UInt8, width: Int, vendor: Vendor) {
    self.state = state
    self.form = form
    self.modRM = modRM
    self.width = width
    self.vendor = vendor
    unit = ExtendedUnit(state.control)
  }

  private var i: Int { Int(modRM & 7) }
  private var isMemory: Bool { width != 0 }

  mutating func run() {
    switch form.operation {
    case .add, .multiply, .subtract, .divide: calculate()
    case .compare, .compareUnordered, .compareFlags, .compareFlagsUnordered, .test: compare()
    case .load, .loadDecimal, .loadConstant: load()
    case .store, .storeTruncated, .storeDecimal: store()
    case .exchange: exchange()
    case .moveConditionally: moveConditionally()
    case .changeSign: unary { a, _ in a.with(isNegative: !a.isNegative) }
    case .absolute: unary { a, _ in a.with(isNegative: false) }
    case .examine: examine()
    case .squareRoot: unary { a, unit in unit.squareRoot(a) }
    case .integral: unary { a, unit in unit.integral(a) }
    case .exponential: unary { a, unit in unit.exponential(a) }
    case .scale: binary { a, b, unit in unit.scaled(a, by: b) }
    case .logarithm: binaryToNext { a, b, unit in unit.logarithm(a, times: b) }
    case .logarithmOfSum: binaryToNext { a, b, unit in unit.logarithmOfSum(a, times: b) }
    case .arctangent: binaryToNext { a, b, unit in unit.arctangent(b, over: a) }
    case .extract: pair { a, unit in unit.parts(a) }
    case .remainder, .remainderNearest: remainder()
    case .sine, .cosine, .sineAndCosine, .tangent: trigonometric()
    case .incrementTop, .decrementTop:
      state.top = state.top &+ (form.operation == .incrementTop ? 1 : -1)
      setConditions(0, of: X87Status.c1)
    case .free:
      state.free(i)
      setConditions(0, of: X87Status.c1)
      pop()
    case .nothing, .nothingUnwaited, .wait: break
    case .initialize: state.initialize()
    case .clearExceptions: state.status &= X87Status.conditions | X87Status.top
    case .loadControl: state.control = UInt16(truncatingIfNeeded: low) & X87Control.defined | X87Control.fixed
    case .storeControl: emit(UInt64(state.control))
    case .storeStatus: emit(UInt64(state.statusWord))
    // Of several words: `X87Environment.swift`.
    case .storeEnvironment, .save, .loadEnvironment, .restore: break
    }
  }

  private mutating func emit(_ low: UInt64, _ high: UInt16 = 0) {
    self.low = low
    self.high = high
    stores = true
  }

  // MARK: Ends

  private mutating func setConditions(_ bits: UInt16, of mask: UInt16) {
    state.status = state.status & ~mask | bits
  }

  private mutating func pop() {
    for _ in 0..<form.pops { state.pop() }
  }

  /// Takes over what the unit has raised, with C1. False: the instruction has no other effect.
  private mutating func conclude() -> Bool {
    setConditions(unit.roundedUp ? X87Status.c1 : 0, of: X87Status.c1)
    state.status |= unit.raised
    return !unit.isAborted
  }

  /// A fault of the stack, which is an invalid operation: C1 tells an overflow from an underflow (SDM vol. 1, 8.5.1.1).
  private mutating func stackFault(isOverflow: Bool = false) -> Bool {
    unit.raised = X87Status.invalid | X87Status.stackFault
    unit.roundedUp = isOverflow
    return conclude()
  }

  // MARK: One operand, and two

  /// ST(0) becomes a function of itself.
  private mutating func unary(_ body: (ExtendedReal, inout ExtendedUnit) -> ExtendedReal) {
    if state.isEmpty(0) {
      if stackFault() { state[0] = .indefinite }
      return
    }
    let result = body(state[0], &unit)
    if conclude() { state[0] = result }
  }

  /// ST(0) becomes a function of itself and ST(1).
  private mutating func binary(_ body: (ExtendedReal, ExtendedReal, inout ExtendedUnit) -> ExtendedReal) {
    if state.isEmpty(0) || state.isEmpty(1) {
      if stackFault() { state[0] = .indefinite }
      return
    }
    let result = body(state[0], state[1], &unit)
    if conclude() { state[0] = result }
  }

  /// ST(1) becomes a function of ST(0) and itself, and ST(0) is popped.
  private mutating func binaryToNext(_ body: (ExtendedReal, ExtendedReal, inout ExtendedUnit) -> ExtendedReal) {
    let isUsable = !state.isEmpty(0) && !state.isEmpty(1)
    let result = isUsable ? body(state[0], state[1], &unit) : .indefinite
    if isUsable ? conclude() : stackFault() {
      state[1] = result
      state.pop()
    }
  }

  /// ST(0) is replaced and another number pushed.
  private mutating func pair(
    _ body: (ExtendedReal, inout ExtendedUnit) -> (exponent: ExtendedReal, significand: ExtendedReal)
  ) {
    if state.isEmpty(0) || !state.isEmpty(7) {
      if stackFault(isOverflow: !state.isEmpty(0)) {
        state[0] = .indefinite
        state.push(.indefinite)
      }
      return
    }
    let result = body(state[0], &unit)
    if conclude() {
      state[0] = result.exponent
      state.push(result.significand)
    }
  }

  private mutating func remainder() {
    setConditions(0, of: X87Status.c2)
    if state.isEmpty(0) || state.isEmpty(1) {
      if stackFault() { state[0] = .indefinite }
      return
    }
    let (value, conditions) = unit.remainder(
      state[0], state[1], isNearest: form.operation == .remainderNearest)
    guard conclude() else { return }
    if let conditions { setConditions(conditions, of: X87Status.conditions) }
    state[0] = value
  }

  /// FSIN and FCOS; FSINCOS and FPTAN, which push a cosine or 1.
  private mutating func trigonometric() {
    let pushes = form.operation == .sineAndCosine || form.operation == .tangent
    setConditions(0, of: X87Status.c2)
    if state.isEmpty(0) || pushes && !state.isEmpty(7) {
      if stackFault(isOverflow: !state.isEmpty(0)) {
        state[0] = .indefinite
        if pushes { state.push(.indefinite) }
      }
      return
    }
    let a = state[0]
    var first = a
    var second = ExtendedReal.one
    switch unit.angle(a) {
    case .none(let nan):
      first = nan
      second = nan
    case .zero: if form.operation == .cosine { first = .one }
    case .tooLarge:
      _ = conclude()
      return setConditions(X87Status.c2, of: X87Status.c2)
    case .reduced(let angle):
      switch form.operation {
      case .cosine: first = unit.function(angle.cosine)
      case .tangent: first = unit.function(angle.tangent)
      case .sineAndCosine:
        second = unit.function(angle.cosine)
        first = unit.function(angle.sine)
      default: first = unit.function(angle.sine)
      }
    }
    guard conclude() else { return }
    state[0] = first
    if pushes { state.push(second) }
  }

  /// FADD, FMUL, FSUB, FDIV.
  private mutating func calculate() {
    let target = form.isToRegister ? i : 0
    if state.isEmpty(0) || !isMemory && state.isEmpty(i) {
      if stackFault() {
        state[target] = .indefinite
        pop()
      }
      return
    }
    let source = isMemory ? memoryOperand() : state[form.isToRegister ? 0 : i]
    let a = form.isReversed ? source : state[target]
    let b = form.isReversed ? state[target] : source
    let result: ExtendedReal
    switch form.operation {
    case .add: result = unit.sum(a, b)
    case .multiply: result = unit.product(a, b)
    case .subtract: result = unit.difference(a, b)
    default: result = unit.quotient(a, b)
    }
    if conclude() {
      state[target] = result
      pop()
    }
  }

  /// A memory operand of arithmetic or a comparison. A denormal one is noted for when its turn comes.
  private mutating func memoryOperand() -> ExtendedReal {
    if form.isInteger { return ExtendedUnit.extended(Int64(bitPattern: low.signExtended(from: width))) }
    let format = width == 4 ? FloatFormat.single : .double
    unit.hasDenormalOperand = format.isDenormal(low)
    return ExtendedUnit.widened(low, format)
  }

  private mutating func compare() {
    let toFlags = form.operation == .compareFlags || form.operation == .compareFlagsUnordered
    let isOrdered = form.operation != .compareUnordered && form.operation != .compareFlagsUnordered
    let conditions: UInt16
    let isDone: Bool
    let c1 = state.status & X87Status.c1
    if state.isEmpty(0) || !isMemory && form.operation != .test && state.isEmpty(i) {
      conditions = X87Status.c3 | X87Status.c2 | X87Status.c0
      isDone = stackFault()
    } else {
      let b = form.operation == .test ? .zero() : isMemory ? memoryOperand() : state[i]
      conditions = unit.comparison(state[0], b, isOrdered: isOrdered)
      isDone = conclude()
    }
    // What an unmasked exception prevents is the pop alone.
    if toFlags {
      // Intel's processors clear C1 as the manual has it, AMD's leave it.
      if vendor == .amd && unit.raised & X87Status.stackFault == 0 { setConditions(c1, of: X87Status.c1) }
      flags =
        flags & ~Flag.arithmetic | (conditions & X87Status.c3 != 0 ? Flag.zero : 0)
        | (conditions & X87Status.c2 != 0 ? Flag.parity : 0) | (conditions & X87Status.c0 != 0 ? Flag.carry : 0)
    } else {
      setConditions(conditions, of: X87Status.c3 | X87Status.c2 | X87Status.c0)
    }
    if isDone { pop() }
  }

  // MARK: Moves

  private mutating func push(_ value: ExtendedReal) {
    if conclude() { state.push(value) }
  }

  private mutating func load() {
    // An empty source is found before a full stack.
    if form.operation == .load && !isMemory && state.isEmpty(i) {
      if stackFault() { state.push(.indefinite) }
      return
    }
    if !state.isEmpty(7) {
      if stackFault(isOverflow: true) { state.push(.indefinite) }
      return
    }
    switch (form.operation, width) {
    case (.loadConstant, _): push(.constant(Int(modRM & 7), state.control))
    case (.loadDecimal, _): push(ExtendedUnit.extended(decimal: low, high))
    case (_, 0): push(state[i])
    case (_, 10): push(ExtendedReal(significand: low, head: high))
    default:
      let value = form.isInteger ? memoryOperand() : unit.extended(low, width == 4 ? .single : .double)
      // Of the exceptions that a load may raise an unmasked invalid operation alone prevents it.
      if conclude() || unit.unmasked & X87Status.invalid == 0 { state.push(value) }
    }
  }

  private mutating func store() {
    let isEmpty = state.isEmpty(0)
    if !isMemory {
      if isEmpty && form.isReversed {
        setConditions(0, of: X87Status.c1)
        return pop()
      }
      let value = isEmpty ? .indefinite : state[0]
      if isEmpty ? stackFault() : conclude() {
        state[i] = value
        pop()
      }
      return
    }
    let a = isEmpty ? .indefinite : state[0]
    // Of an empty register what is stored is what an invalid operation gives; what that raises itself is not counted.
    var storing = unit
    var result: (low: UInt64, high: UInt16) = (0, 0)
    switch (form.operation, width) {
    case (.storeDecimal, _): result = storing.decimal(a)
    case (_, 10): result = (a.significand, a.head)
    case (.storeTruncated, _): result.low = storing.integer(a, bits: 8 &* UInt64(width), truncates: true)
    default:
      result.low =
        form.isInteger
        ? storing.integer(a, bits: 8 &* UInt64(width), truncates: false)
        : storing.stored(a, width == 4 ? .single : .double)
    }
    if !isEmpty { unit = storing }
    guard isEmpty ? stackFault() : conclude() else { return }
    if unit.unmasked & (X87Status.overflow | X87Status.underflow) != 0 { return }
    emit(result.low, result.high)
    pop()
  }

  private mutating func exchange() {
    if state.isEmpty(0) || state.isEmpty(i) {
      guard stackFault() else { return }
      if state.isEmpty(0) { state[0] = .indefinite }
      if state.isEmpty(i) { state[i] = .indefinite }
    } else {
      _ = conclude()
    }
    let value = state[0]
    state[0] = state[i]
    state[i] = value
  }

  /// FCMOVcc: B, E, BE, U by the ModRM byte, and with the opcode DB their opposites.
  private mutating func moveConditionally() {
    if state.isEmpty(0) || state.isEmpty(i) {
      if stackFault() { state[0] = .indefinite }
      return
    }
    let mask: UInt64 =
      switch modRM >> 3 & 3 {
      case 0: Flag.carry
      case 1: Flag.zero
      case 2: Flag.carry | Flag.zero
      default: Flag.parity
      }
    if (flags & mask != 0) != form.isReversed { state[0] = state[i] }
  }

  /// FXAM: the sign in C1, the class in C3, C2 and C0, which an empty register has too.
  private mutating func examine() {
    let a = state[0]
    let kind: UInt16
    if state.isEmpty(0) {
      kind = X87Status.c3 | X87Status.c0
    } else if a.isUnsupported {
      kind = 0
    } else if a.isNaN {
      kind = X87Status.c0
    } else if a.isInfinite {
      kind = X87Status.c2 | X87Status.c0
    } else if a.isZero {
      kind = X87Status.c3
    } else {
      kind = a.isDenormal ? X87Status.c3 | X87Status.c2 : X87Status.c2
    }
    setConditions(kind | (a.isNegative ? X87Status.c1 : 0), of: X87Status.conditions)
  }
}
