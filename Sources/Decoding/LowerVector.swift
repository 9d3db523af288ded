import CCapstone
import Machine

/// Vector instructions, from their bytes alone: a table row by opcode and prefix, and the operands that ModRM names.
extension Lowering {
  /// The outcome, or nil where the instruction is none of the vector unit's.
  mutating func vectorInstruction() -> Outcome? {
    let row: VectorRow?
    switch encoding.map {
    case .primary: return x87()
    case .secondary:
      if encoding.opcode == 0xae || encoding.opcode == 0xc7 { return extendedState() }
      row = .secondary(encoding)
    case .map38: row = .map38(encoding)
    case .map3A: row = .map3A(encoding)
    case .vector: return behindVEX()
    }
    guard let row else {
      if let outcome = mmx() { return outcome }
      return isVectorOpcode ? .invalid : nil
    }
    return lower(row)
  }

  /// Behind VEX everything is the vector unit's, but for bit manipulation, which has been looked at.
  private mutating func behindVEX() -> Outcome? {
    guard let vex = VEXPrefix(bytes, encoding) else { return nil }
    guard let legacy = vex.legacy(encoding) else { return .invalid }
    encoding = legacy
    if legacy.map == .secondary && legacy.opcode == 0xae { return controlBehindVEX(vex) }
    guard let row = VectorRow.vex(legacy, vex) else { return .invalid }
    return lower(row, vex)
  }

  /// VLDMXCSR and VSTMXCSR.
  private mutating func controlBehindVEX(_ vex: VEXPrefix) -> Outcome {
    guard vex.prefix == 0, !vex.isLong, vex.hasNoRegister, !encoding.isRegisterForm,
      encoding.reg == 2 || encoding.reg == 3
    else { return .invalid }
    return state(encoding.reg == 2 ? .loadMXCSR : .storeMXCSR, isVEX: true)
  }

  /// Whether an opcode is a vector instruction with another prefix, and nothing with this one.
  private var isVectorOpcode: Bool {
    let prefix = MandatoryPrefix(encoding)
    guard encoding.map == .secondary, prefix != .none else { return false }
    switch encoding.opcode {
    case 0x10...0x17, 0x28...0x2f, 0x50...0x77, 0x7c...0x7f, 0xc2, 0xc4...0xc6, 0xd0...0xfe: return true
    default: return false
    }
  }

  private mutating func lower(_ row: VectorRow, _ vex: VEXPrefix? = nil) -> Outcome {
    guard !encoding.hasModRM || (encoding.isRegisterForm ? row.takesRegister : row.takesMemory) else { return .invalid }
    var operands = Operands()
    let hasImmediate = encoding.immediateSize > 0
    var imm = unsignedImmediate
    if !encoding.hasModRM {
      operands.shape = .none
    } else if encoding.isRegisterForm {
      let isGroup = encoding.isVectorShiftGroup
      operands.dst = row.stores || isGroup ? registerOfRM : registerOfReg
      operands.src = row.stores ? registerOfReg : registerOfRM
      operands.shape = isGroup ? .ri : hasImmediate ? .rri : .rr
      // MASKMOVDQU's memory is implied.
      operands.memory.segment = impliedSegment
    } else {
      operands.dst = registerOfReg
      operands.src = registerOfReg
      operands.shape = row.stores ? (hasImmediate ? .mri : .mr) : hasImmediate ? .rmi : .rm
      if row.isGather {
        guard let vex, gatherOperands(&operands, vex) else { return .invalid }
      } else {
        guard let memory = memory(memoryOfRM()) else { return .invalid }
        operands.memory = memory
      }
      // INSERTPS from memory has one element to choose from.
      if row.callout == .vectorShuffle && row.operation == VectorShuffle.insertSingle.rawValue { imm &= 0x3f }
    }
    var form = row.form
    form.first = operands.dst
    if let vex, let use = row.vex {
      form.isVEX = true
      form.isWide = vex.isLong && use.length != .ignored
      switch use.register {
      case .first: form.first = vex.register
      case .destination:
        form.first = operands.dst
        operands.dst = vex.register
      case .none: break
      }
      // A fourth register; the other bits of the immediate are not looked at.
      form.mask = UInt8(truncatingIfNeeded: imm >> 4) & (is64 ? 0xf : 7)
    }
    return callout(
      row.callout, operands, width: row.width, sourceWidth: row.general, imm: imm, vector: form, cost: row.cost)
  }

  /// A base and a vector of indices, which SIB has to name; no two of the three registers may be the same (SDM vol. 2,
  /// VPGATHERDD). The address is formed element by element, its segment's base and the address size with it.
  private func gatherOperands(_ operands: inout Operands, _ vex: VEXPrefix) -> Bool {
    guard encoding.modRM & 7 == 4, encoding.addressSize != .bits16 else { return false }
    let index = encoding.sib >> 3 & 7 | (encoding.rex & 2) << 2
    guard operands.dst != index, operands.dst != vex.register, index != vex.register else { return false }
    let base = encoding.sib & 7
    let hasBase = base != 5 || encoding.modRM >> 6 != 0
    operands.src = index
    operands.memory.base = hasBase ? base | (encoding.rex & 1) << 3 : Slot.zero
    operands.memory.index = Slot.zero
    operands.memory.scale = encoding.sib >> 6
    operands.memory.disp = Int32(truncatingIfNeeded: encoding.displacement(bytes))
    operands.memory.segment = segment(base: operands.memory.base)
    return true
  }

  /// The register that ModRM.reg names.
  var registerOfReg: UInt8 { encoding.reg | (encoding.rex & 4) << 1 }
  /// The register that ModRM.rm names.
  var registerOfRM: UInt8 { encoding.modRM & 7 | (encoding.rex & 1) << 3 }

  /// The memory operand that ModRM and SIB name (SDM vol. 2, tables 2-1 to 2-3).
  func memoryOfRM() -> DecodedOperand {
    var operand = DecodedOperand()
    operand.kind = DecodedOperandMemory
    operand.value = encoding.displacement(bytes)
    operand.base = DecodedRegister(kind: DecodedRegisterNone, number: 0)
    operand.index = operand.base
    let mod = encoding.modRM >> 6
    let rm = encoding.modRM & 7
    func general(_ number: UInt8) -> DecodedRegister { DecodedRegister(kind: DecodedRegister64, number: number) }
    if encoding.addressSize == .bits16 {
      let bases: [UInt8] = [Slot.rbx, Slot.rbx, Slot.rbp, Slot.rbp, Slot.rsi, Slot.rdi, Slot.rbp, Slot.rbx]
      if rm != 6 || mod != 0 { operand.base = general(bases[Int(rm)]) }
      if rm < 4 { operand.index = general(rm & 1 == 0 ? Slot.rsi : Slot.rdi) }
    } else if rm == 4 {
      let base = encoding.sib & 7
      let index = encoding.sib >> 3 & 7 | (encoding.rex & 2) << 2
      if base != 5 || mod != 0 { operand.base = general(base | (encoding.rex & 1) << 3) }
      if index != 4 { operand.index = general(index) }
      operand.scale = encoding.sib >> 6
    } else if rm != 5 || mod != 0 {
      operand.base = general(registerOfRM)
    } else if is64 {
      operand.base = DecodedRegister(kind: DecodedRegisterInstructionPointer, number: 0)
    }
    return operand
  }

  // MARK: State

  /// 0F AE and 0F C7 with memory: the FXSAVE and XSAVE families and MXCSR.
  private mutating func extendedState() -> Outcome? {
    guard !encoding.isRegisterForm else { return nil }
    let isPlain = MandatoryPrefix(encoding) == .none
    if encoding.opcode == 0xc7 {
      switch encoding.reg {
      // What restores PKRU changes what may be accessed.
      case 3 where isPlain: return state(.xrstors, terminal: true)
      case 4 where isPlain: return state(.xsavec)
      case 5 where isPlain: return state(.xsaves)
      case 3...5: return .invalid
      default: return nil
      }
    }
    switch encoding.reg {
    case 0 where isPlain: return state(.fxsave)
    case 1 where isPlain: return state(.fxrstor)
    case 2 where isPlain: return state(.loadMXCSR)
    case 3 where isPlain: return state(.storeMXCSR)
    case 4 where isPlain: return state(.xsave)
    case 5 where isPlain: return state(.xrstor, terminal: true)
    case 6 where isPlain: return state(.xsaveopt)
    case 0...5: return .invalid
    default: return nil
    }
  }

  private mutating func state(
    _ operation: ExtendedStateOperation, isVEX: Bool = false, terminal: Bool = false
  ) -> Outcome {
    guard let memory = memory(memoryOfRM()) else { return .invalid }
    var form = VectorForm(operation.rawValue, .sse)
    form.isVEX = isVEX
    return callout(
      .extendedState, terminal: terminal, Operands(shape: .m, memory: memory), width: 1,
      sourceWidth: encoding.isWide ? 8 : 4, vector: form,
      cost: .microcoded)
  }
}

extension VectorRow {
  fileprivate var isGather: Bool {
    callout == .vectorPermute
      && (operation == VectorPermute.gather32.rawValue || operation == VectorPermute.gather64.rawValue)
  }
}
