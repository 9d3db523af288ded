import CCapstone
import Machine

extension Lowering {
  /// MOV of general registers, immediates and memory; the forms with segment, control and debug registers are the
  /// system's.
  mutating func move() -> Outcome {
    if encoding.map == .secondary { return moveSystemRegister() }
    if encoding.map == .primary && (encoding.opcode == 0x8c || encoding.opcode == 0x8e) { return moveSegment() }
    if encoding.map == .primary && (0xa0...0xa3).contains(encoding.opcode) { return moveOffset() }
    guard let operands = gather() else { return .unsupported }
    // B0 to BF have the width in bit 3, all others in bit 0.
    let isShortImmediate = encoding.opcode & 0xf0 == 0xb0
    let width = isShortImmediate ? (encoding.opcode < 0xb8 ? 1 : encoding.operandSize) : encoding.sizeByLowBit
    return move(operands, width: width)
  }

  private mutating func move(_ operands: Operands, width: Int) -> Outcome {
    if width == 1 && operands.hasHighByte { return callout(.mov, operands, width: 1) }
    switch operands.shape {
    case .rr: return finish(Self.select(width, .mergeRR8, .mergeRR16, .movRR32, .movRR64), operands)
    case .rm: return finish(Self.select(width, .loadMerge8, .loadMerge16, .load32, .load64), operands)
    case .mr: return finish(Self.select(width, .store8, .store16, .store32, .store64), operands)
    case .mi: return finish(Self.select(width, .storeI8, .storeI16, .storeI32, .storeI64), operands)
    case .ri:
      // `movRI` has the whole register's value: a 32-bit MOV clears the upper half.
      let imm = width == 4 ? operands.imm & 0xffff_ffff : operands.imm
      return finish(Self.select(width, .mergeRI8, .mergeRI16, .movRI, .movRI), operands, imm: imm)
    default: return .unsupported
    }
  }

  /// MOV between AL/rAX and an absolute offset.
  private mutating func moveOffset() -> Outcome {
    let isLoad = encoding.opcode < 0xa2
    var operands = Operands(shape: isLoad ? .rm : .mr)
    operands.memory = offsetOperand()
    if isLoad { operands.dst = Slot.rax } else { operands.src = Slot.rax }
    return move(operands, width: encoding.sizeByLowBit)
  }

  /// The handler of an operand size of 1, 2, 4 or 8 bytes.
  static func select(_ width: Int, _ w1: Handler, _ w2: Handler, _ w4: Handler, _ w8: Handler) -> Handler {
    switch width {
    case 1: w1
    case 2: w2
    case 4: w4
    default: w8
    }
  }

  /// MOVZX, MOVSX and MOVSXD.
  mutating func extend(signed: Bool) -> Outcome {
    guard let operands = gather() else { return .unsupported }
    let width = encoding.operandSize
    // 63 is MOVSXD, 0F B6, B7, BE and BF have the source's size in bit 0.
    let isDoubleword = encoding.map == .primary
    let sourceWidth = isDoubleword ? min(width, 4) : encoding.opcode & 1 == 0 ? 1 : 2
    // MOVSXD without REX.W extends nothing; with an operand size of 16 its source has 16 bits too (SDM vol. 2,
    // MOVSX/MOVSXD), but AMD's processors read 32 (AMD64 manual vol. 3, MOVSXD).
    if isDoubleword && width == 2 && operands.shape == .rm && encoding.vendor == .amd {
      return callout(.movsx, operands, width: 2, sourceWidth: 4)
    }
    if sourceWidth == width { return move(operands, width: width) }
    let hot: Handler?
    if width == 2 || operands.src & Slot.highByte != 0 {
      hot = nil
    } else if operands.shape == .rr {
      hot =
        signed
        ? Self.signExtension(from: sourceWidth, to: width, .signRR8to32, .signRR8to64, .signRR16to32, .signRR16to64)
          ?? .signRR32to64 : sourceWidth == 1 ? .zeroRR8 : .zeroRR16
    } else {
      hot =
        signed
        ? Self.signExtension(
          from: sourceWidth, to: width, .loadSign8to32, .loadSign8to64, .loadSign16to32, .loadSign16to64)
          ?? .loadSign32to64 : sourceWidth == 1 ? .load8 : .load16
    }
    if let hot { return finish(hot, operands) }
    return callout(signed ? .movsx : .movzx, operands, width: width, sourceWidth: sourceWidth)
  }

  private static func signExtension(
    from source: Int, to width: Int, _ h8to32: Handler, _ h8to64: Handler, _ h16to32: Handler, _ h16to64: Handler
  ) -> Handler? {
    switch source {
    case 1: width == 8 ? h8to64 : h8to32
    case 2: width == 8 ? h16to64 : h16to32
    default: nil
    }
  }

  mutating func conditionalMove() -> Outcome {
    guard let operands = gather() else { return .unsupported }
    let width = encoding.operandSize
    if operands.shape == .rr && width > 2 {
      return finish(width == 8 ? .cmov64 : .cmov32, operands, n: encoding.condition)
    }
    return callout(.cmovcc, operands, width: width, extra: UInt16(encoding.condition))
  }

  mutating func setCondition() -> Outcome {
    guard let operands = gather() else { return .unsupported }
    if operands.shape == .r && !operands.hasHighByte { return finish(.setcc, operands, n: encoding.condition) }
    return callout(.setcc, operands, width: 1, extra: UInt16(encoding.condition))
  }

  mutating func exchange() -> Outcome {
    guard let operands = gather(memoryFirst: true) else { return .unsupported }
    let isShort = encoding.opcode & 0xf0 == 0x90
    return callout(
      .xchg, operands, width: isShort ? encoding.operandSize : encoding.sizeByLowBit, locked: operands.shape == .mr)
  }

  mutating func swapBytes() -> Outcome {
    guard let operands = gather() else { return .unsupported }
    return callout(.bswap, operands, width: encoding.operandSize)
  }

  /// LEA computes an offset: no segment is added.
  mutating func loadAddress() -> Outcome {
    guard operand(1).kind == DecodedOperandMemory, let dst = slot(operand(0).base) else { return .invalid }
    let width = encoding.operandSize
    var operands = Operands(shape: .rm, dst: dst)
    if width == 4 && encoding.addressSize == .bits32, let direct = truncatedAddress(operand(1)) {
      operands.memory = direct
      return finish(.lea32, operands)
    }
    guard let memory = memory(operand(1), hasSegment: false) else { return .unsupported }
    operands.memory = memory
    if width == 2 { return callout(.lea, operands, width: 2) }
    return finish(width == 8 ? .lea64 : .lea32, operands)
  }

  /// An address of which 32 bits are wanted needs no mask: the upper halves of base and index don't reach it.
  private func truncatedAddress(_ operand: DecodedOperand) -> MemoryOperand? {
    if operand.base.kind == DecodedRegisterInstructionPointer { return nil }
    var memory = MemoryOperand(scale: operand.scale, disp: Int32(truncatingIfNeeded: operand.value))
    if operand.base.kind != DecodedRegisterNone { memory.base = operand.base.number }
    if operand.index.kind != DecodedRegisterNone { memory.index = operand.index.number }
    return memory
  }

  /// XLAT reads DS:[rBX + AL].
  mutating func translateByte() -> Outcome {
    callout(.xlat, Operands(memory: MemoryOperand(segment: impliedSegment)), width: 1)
  }

  /// MOVNTI is a store: the model has no write combining.
  mutating func storeNonTemporal() -> Outcome {
    guard let operands = gather(), operands.shape == .mr else { return .invalid }
    return finish(encoding.operandSize == 8 ? .store64 : .store32, operands)
  }

  /// CBW, CWDE, CDQE.
  mutating func convertInAccumulator() -> Outcome {
    let accumulator = Operands(dst: Slot.rax, src: Slot.rax)
    switch encoding.operandSize {
    case 2: return callout(.convertInAX, width: 1)
    case 4: return finish(.signRR16to32, accumulator)
    default: return finish(.signRR32to64, accumulator)
    }
  }
}
