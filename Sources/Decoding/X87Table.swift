import Machine

/// One instruction of the x87, as its opcode, D8 to DF, and its ModRM byte tell it (SDM vol. 2, appendix A.5).
struct X87Row {
  var operation: X87Operation
  /// Bytes of the memory operand; of an environment or state, of its words.
  var width = 0
  var pops: UInt16 = 0
  var isReversed = false
  var isToRegister = false
  var isInteger = false
  var cost = CostClass.x87

  init(
    _ operation: X87Operation, width: Int = 0, pops: UInt16 = 0, reversed: Bool = false, toRegister: Bool = false,
    integer: Bool = false, cost: CostClass? = nil
  ) {
    self.operation = operation
    self.width = width
    self.pops = pops
    isReversed = reversed
    isToRegister = toRegister
    isInteger = integer
    self.cost = cost ?? Self.cost(operation)
  }

  private static func cost(_ operation: X87Operation) -> CostClass {
    switch operation {
    case .divide, .squareRoot, .remainder, .remainderNearest: .x87Divide
    case .exponential, .logarithm, .logarithmOfSum, .tangent, .arctangent, .sine, .cosine, .sineAndCosine, .scale,
      .loadDecimal, .storeDecimal:
      .x87Transcendental
    case .initialize, .storeEnvironment, .save, .loadEnvironment, .restore: .x87State
    case .nothing, .nothingUnwaited, .wait, .incrementTop, .decrementTop, .free: .simple
    default: .x87
    }
  }

  /// The row of an instruction, nil where there is none.
  static func row(_ encoding: InstructionEncoding) -> X87Row? {
    encoding.isRegisterForm ? register(encoding) : memory(encoding)
  }

  // MARK: Memory

  private static func memory(_ encoding: InstructionEncoding) -> X87Row? {
    let reg = encoding.reg
    // D8 and DC have reals of 4 and 8 bytes, DA and DE integers of 4 and 2.
    if encoding.opcode & 1 == 0 {
      let isInteger = encoding.opcode & 2 != 0
      let width = encoding.opcode & 4 == 0 ? 4 : isInteger ? 2 : 8
      return arithmetic(reg, width: width, toRegister: false, integer: isInteger)
    }
    switch (encoding.opcode, reg) {
    case (0xd9, 0): return X87Row(.load, width: 4)
    case (0xd9, 2): return X87Row(.store, width: 4)
    case (0xd9, 3): return X87Row(.store, width: 4, pops: 1)
    case (0xd9, 4): return X87Row(.loadEnvironment, width: encoding.environmentWord)
    case (0xd9, 5): return X87Row(.loadControl, width: 2)
    case (0xd9, 6): return X87Row(.storeEnvironment, width: encoding.environmentWord)
    case (0xd9, 7): return X87Row(.storeControl, width: 2)
    case (0xdb, 0): return X87Row(.load, width: 4, integer: true)
    case (0xdb, 1): return X87Row(.storeTruncated, width: 4, pops: 1, integer: true)
    case (0xdb, 2): return X87Row(.store, width: 4, integer: true)
    case (0xdb, 3): return X87Row(.store, width: 4, pops: 1, integer: true)
    case (0xdb, 5): return X87Row(.load, width: 10)
    case (0xdb, 7): return X87Row(.store, width: 10, pops: 1)
    case (0xdd, 0): return X87Row(.load, width: 8)
    case (0xdd, 1): return X87Row(.storeTruncated, width: 8, pops: 1, integer: true)
    case (0xdd, 2): return X87Row(.store, width: 8)
    case (0xdd, 3): return X87Row(.store, width: 8, pops: 1)
    case (0xdd, 4): return X87Row(.restore, width: encoding.environmentWord)
    case (0xdd, 6): return X87Row(.save, width: encoding.environmentWord)
    case (0xdd, 7): return X87Row(.storeStatus, width: 2)
    case (0xdf, 0): return X87Row(.load, width: 2, integer: true)
    case (0xdf, 1): return X87Row(.storeTruncated, width: 2, pops: 1, integer: true)
    case (0xdf, 2): return X87Row(.store, width: 2, integer: true)
    case (0xdf, 3): return X87Row(.store, width: 2, pops: 1, integer: true)
    case (0xdf, 4): return X87Row(.loadDecimal, width: 10)
    case (0xdf, 5): return X87Row(.load, width: 8, integer: true)
    case (0xdf, 6): return X87Row(.storeDecimal, width: 10, pops: 1)
    case (0xdf, 7): return X87Row(.store, width: 8, pops: 1, integer: true)
    default: return nil
    }
  }

  /// FADD, FMUL, FCOM, FCOMP, FSUB, FSUBR, FDIV, FDIVR, in this order. Where ST(i) is the destination the reversed forms
  /// of FSUB and FDIV change places.
  private static func arithmetic(
    _ reg: UInt8, width: Int = 0, pops: UInt16 = 0, toRegister: Bool, integer: Bool = false
  ) -> X87Row {
    let isReversed = (reg & 1 != 0) != toRegister
    switch reg {
    case 0: return X87Row(.add, width: width, pops: pops, toRegister: toRegister, integer: integer)
    case 1: return X87Row(.multiply, width: width, pops: pops, toRegister: toRegister, integer: integer)
    case 2: return X87Row(.compare, width: width, pops: pops, integer: integer)
    case 3: return X87Row(.compare, width: width, pops: 1 + pops, integer: integer)
    case 4, 5:
      return X87Row(
        .subtract, width: width, pops: pops, reversed: isReversed, toRegister: toRegister, integer: integer)
    default:
      return X87Row(.divide, width: width, pops: pops, reversed: isReversed, toRegister: toRegister, integer: integer)
    }
  }

  // MARK: Registers

  /// Some encodings that the manual leaves out are executed by all processors as a neighbour's: DC D0 to DF, DE D0 to
  /// D7 (FCOM and FCOMP), DD C8 and DF C8 (FXCH), DF D0 to DF (FSTP).
  private static func register(_ encoding: InstructionEncoding) -> X87Row? {
    let reg = encoding.reg
    switch (encoding.opcode, reg) {
    case (0xd8, _): return arithmetic(reg, toRegister: false)
    case (0xd9, 0): return X87Row(.load)
    case (0xd9, 1), (0xdd, 1), (0xdf, 1): return X87Row(.exchange)
    case (0xd9, 2): return encoding.modRM == 0xd0 ? X87Row(.nothing) : nil
    // FSTPNCE, which the manual leaves out, too: an empty ST(0) is no fault of it.
    case (0xd9, 3): return X87Row(.store, pops: 1, reversed: true)
    case (0xd9, _): return functions[Int(encoding.modRM & 0x1f)].map { X87Row($0) }
    case (0xda, 0...3): return X87Row(.moveConditionally)
    case (0xda, 5): return encoding.modRM == 0xe9 ? X87Row(.compareUnordered, pops: 2) : nil
    case (0xdb, 0...3): return X87Row(.moveConditionally, reversed: true)
    case (0xdb, 4): return control(encoding.modRM)
    case (0xdb, 5): return X87Row(.compareFlagsUnordered)
    case (0xdb, 6): return X87Row(.compareFlags)
    case (0xdc, _): return arithmetic(reg, toRegister: reg & 6 != 2)
    case (0xdd, 0): return X87Row(.free)
    case (0xdd, 2): return X87Row(.store)
    case (0xdd, 3): return X87Row(.store, pops: 1)
    case (0xdd, 4): return X87Row(.compareUnordered)
    case (0xdd, 5): return X87Row(.compareUnordered, pops: 1)
    case (0xde, 2): return X87Row(.compare, pops: 1)
    case (0xde, 3): return encoding.modRM == 0xd9 ? X87Row(.compare, pops: 2) : nil
    case (0xde, _): return arithmetic(reg, pops: 1, toRegister: true)
    case (0xdf, 0): return X87Row(.free, pops: 1)
    case (0xdf, 2), (0xdf, 3): return X87Row(.store, pops: 1)
    case (0xdf, 4): return encoding.modRM == 0xe0 ? X87Row(.storeStatus, width: 2) : nil
    case (0xdf, 5): return X87Row(.compareFlagsUnordered, pops: 1)
    case (0xdf, 6): return X87Row(.compareFlags, pops: 1)
    default: return nil
    }
  }

  /// D9 E0 to FF.
  private static let functions: [X87Operation?] = [
    .changeSign, .absolute, nil, nil, .test, .examine, nil, nil,
    .loadConstant, .loadConstant, .loadConstant, .loadConstant, .loadConstant, .loadConstant, .loadConstant, nil,
    .exponential, .logarithm, .tangent, .arctangent, .extract, .remainderNearest, .decrementTop, .incrementTop,
    .remainder, .logarithmOfSum, .squareRoot, .sineAndCosine, .integral, .scale, .sine, .cosine,
  ]

  private static func control(_ modRM: UInt8) -> X87Row? {
    switch modRM {
    case 0xe0, 0xe1, 0xe4: X87Row(.nothingUnwaited)
    case 0xe2: X87Row(.clearExceptions)
    case 0xe3: X87Row(.initialize)
    default: nil
    }
  }
}

extension InstructionEncoding {
  /// Bytes of a word of the environment that FNSTENV and its kin write; REX.W makes no difference.
  fileprivate var environmentWord: Int { min(operandSize, 4) }
}

extension Lowering {
  /// D8 to DF and FWAIT.
  mutating func x87() -> Outcome? {
    if encoding.opcode == 0x9b { return lower(X87Row(.wait)) }
    guard (0xd8...0xdf).contains(encoding.opcode) else { return nil }
    guard let row = X87Row.row(encoding) else { return .invalid }
    return lower(row)
  }

  private mutating func lower(_ row: X87Row) -> Outcome {
    var operands = Operands()
    operands.src = encoding.modRM
    if encoding.hasModRM && !encoding.isRegisterForm {
      guard let memory = memory(memoryOfRM()) else { return .invalid }
      operands.memory = memory
      operands.shape = .m
    } else if row.operation == .storeStatus {
      operands.shape = .r
      operands.dst = Slot.rax
    }
    let form = X87Form(
      row.operation, opcode: encoding.opcode, pops: row.pops, reversed: row.isReversed, toRegister: row.isToRegister,
      integer: row.isInteger)
    return callout(
      .x87, operands, width: row.width, imm: Int64(bitPattern: rip), extra: form.rawValue, cost: row.cost)
  }
}
