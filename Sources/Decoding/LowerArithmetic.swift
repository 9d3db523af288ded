import CCapstone
import Machine

/// The handlers of a binary instruction by operand shape and size; nil where only the callout has it.
struct BinaryHandlers {
  /// The handlers of one operand size.
  struct Row {
    var rr: Handler?
    var ri: Handler?
    var rm: Handler?
    var mr: Handler?
    var mi: Handler?

    func handler(_ shape: OperandShape) -> Handler? {
      switch shape {
      case .rr: rr
      case .ri: ri
      case .rm: rm
      case .mr: mr
      case .mi: mi
      default: nil
      }
    }
  }

  var w8 = Row()
  var w32 = Row()
  var w64 = Row()

  func handler(_ shape: OperandShape, width: Int) -> Handler? {
    switch width {
    case 1: w8.handler(shape)
    case 4: w32.handler(shape)
    case 8: w64.handler(shape)
    default: nil
    }
  }

  static let add = BinaryHandlers(
    w32: Row(rr: .addRR32, ri: .addRI32, rm: .addRM32, mr: .addMR32, mi: .addMI32),
    w64: Row(rr: .addRR64, ri: .addRI64, rm: .addRM64, mr: .addMR64, mi: .addMI64))
  static let or = BinaryHandlers(
    w32: Row(rr: .orRR32, ri: .orRI32, rm: .orRM32, mr: .orMR32, mi: .orMI32),
    w64: Row(rr: .orRR64, ri: .orRI64, rm: .orRM64, mr: .orMR64, mi: .orMI64))
  static let and = BinaryHandlers(
    w32: Row(rr: .andRR32, ri: .andRI32, rm: .andRM32, mr: .andMR32, mi: .andMI32),
    w64: Row(rr: .andRR64, ri: .andRI64, rm: .andRM64, mr: .andMR64, mi: .andMI64))
  static let sub = BinaryHandlers(
    w32: Row(rr: .subRR32, ri: .subRI32, rm: .subRM32, mr: .subMR32, mi: .subMI32),
    w64: Row(rr: .subRR64, ri: .subRI64, rm: .subRM64, mr: .subMR64, mi: .subMI64))
  static let xor = BinaryHandlers(
    w32: Row(rr: .xorRR32, ri: .xorRI32, rm: .xorRM32, mr: .xorMR32, mi: .xorMI32),
    w64: Row(rr: .xorRR64, ri: .xorRI64, rm: .xorRM64, mr: .xorMR64, mi: .xorMI64))
  static let cmp = BinaryHandlers(
    w8: Row(rr: .cmpRR8, ri: .cmpRI8, rm: .cmpRM8, mr: .cmpMR8, mi: .cmpMI8),
    w32: Row(rr: .cmpRR32, ri: .cmpRI32, rm: .cmpRM32, mr: .cmpMR32, mi: .cmpMI32),
    w64: Row(rr: .cmpRR64, ri: .cmpRI64, rm: .cmpRM64, mr: .cmpMR64, mi: .cmpMI64))
  static let test = BinaryHandlers(
    w8: Row(rr: .testRR8, ri: .testRI8, mi: .testMI8),
    w32: Row(rr: .testRR32, ri: .testRI32, mi: .testMI32),
    w64: Row(rr: .testRR64, ri: .testRI64, mi: .testMI64))
  static let adc = BinaryHandlers(
    w32: Row(rr: .adcRR32, ri: .adcRI32), w64: Row(rr: .adcRR64, ri: .adcRI64))
  static let sbb = BinaryHandlers(
    w32: Row(rr: .sbbRR32, ri: .sbbRI32), w64: Row(rr: .sbbRR64, ri: .sbbRI64))
}

extension Lowering {
  /// ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST.
  mutating func binary(_ callout: Callout, _ handlers: BinaryHandlers) -> Outcome {
    guard let operands = gather(memoryFirst: callout == .test) else { return .unsupported }
    let width = encoding.sizeByLowBit
    if !encoding.hasLock && !operands.hasHighByte, let hot = handlers.handler(operands.shape, width: width) {
      return finish(hot, operands)
    }
    return self.callout(callout, operands, width: width, locked: encoding.hasLock)
  }

  /// INC, DEC, NEG, NOT.
  mutating func unary(_ callout: Callout, w32: Handler, w64: Handler) -> Outcome {
    guard let operands = gather() else { return .unsupported }
    // 40 to 4F outside 64-bit code have no byte form.
    let isShort = encoding.map == .primary && encoding.opcode & 0xf0 == 0x40
    let width = isShort ? encoding.operandSize : encoding.sizeByLowBit
    if operands.shape == .r && width > 2 { return finish(width == 8 ? w64 : w32, operands) }
    return self.callout(callout, operands, width: width, locked: encoding.hasLock)
  }

  /// MUL, DIV, IDIV, and IMUL with one operand.
  mutating func multiplyOrDivide(_ callout: Callout, isDivision: Bool) -> Outcome {
    guard let operands = gather(limit: 1) else { return .unsupported }
    let width = encoding.sizeByLowBit
    let cost: CostClass = isDivision ? (width == 8 ? .divide64 : .divide) : .multiply
    return self.callout(callout, operands, width: width, cost: cost)
  }

  mutating func signedMultiply() -> Outcome {
    if encoding.map == .primary && encoding.opcode & 0xf6 == 0xf6 {
      return multiplyOrDivide(.imulWide, isDivision: false)
    }
    guard var operands = gather() else { return .unsupported }
    if operands.shape == .ri {
      operands.shape = .rri
      operands.src = operands.dst
    }
    let width = encoding.operandSize
    if width > 2 {
      switch operands.shape {
      case .rr: return finish(width == 8 ? .imulRR64 : .imulRR32, operands, cost: .multiply)
      case .rm: return finish(width == 8 ? .imulRM64 : .imulRM32, operands, cost: .multiply)
      case .rri: return finish(width == 8 ? .imulRRI64 : .imulRRI32, operands, cost: .multiply)
      default: break
      }
    }
    return callout(.imul, operands, width: width, cost: .multiply)
  }

  /// XADD and CMPXCHG.
  mutating func exchanging(_ callout: Callout) -> Outcome {
    guard let operands = gather(memoryFirst: true) else { return .unsupported }
    return self.callout(
      callout, operands, width: encoding.sizeByLowBit, locked: encoding.hasLock, cost: .microcoded)
  }

  /// CMPXCHG8B and CMPXCHG16B.
  mutating func compareExchangePair() -> Outcome {
    guard let operands = gather(), operands.shape == .m else { return .invalid }
    let isWide = encoding.isWide
    return callout(
      isWide ? .cmpxchg16b : .cmpxchg8b, operands, width: isWide ? 16 : 8, locked: encoding.hasLock,
      cost: .microcoded)
  }
}
