import CCapstone
import Machine

/// Operands read from the bytes, for instructions about which Capstone cannot be asked: it knows no mandatory F2 or F3
/// in 16-bit code, none in front of a 66, and not every VEX form.
extension Lowering {
  /// What extends the register numbers of ModRM and SIB: bits 2, 1 and 0 are R, X and B, as in REX.
  typealias Extension = UInt8

  /// ModRM.reg in `dst` and ModRM.rm in `src` or memory: `rr` or `rm`.
  mutating func modRMOperands(extension bits: Extension? = nil) -> Operands? {
    let bits = bits ?? encoding.rex & 7
    var operands = Operands(dst: encoding.reg | (bits & 4) << 1)
    if encoding.isRegisterForm {
      operands.shape = .rr
      operands.src = encoding.modRM & 7 | (bits & 1) << 3
    } else {
      operands.shape = .rm
      guard let memory = memory(addressOperand(bits)) else { return nil }
      operands.memory = memory
    }
    if encoding.immediateSize > 0 { operands.imm = immediate }
    return operands
  }

  /// The memory operand as Capstone would describe it (SDM vol. 2, tables 2-1 to 2-3).
  private func addressOperand(_ bits: Extension) -> DecodedOperand {
    let mode = encoding.modRM >> 6
    let rm = encoding.modRM & 7
    var operand = DecodedOperand()
    operand.kind = DecodedOperandMemory
    operand.value = encoding.displacement(bytes)
    if encoding.addressSize == .bits16 {
      let pairs: [(base: UInt8?, index: UInt8?)] = [
        (Slot.rbx, Slot.rsi), (Slot.rbx, Slot.rdi), (Slot.rbp, Slot.rsi), (Slot.rbp, Slot.rdi), (Slot.rsi, nil),
        (Slot.rdi, nil), (Slot.rbp, nil), (Slot.rbx, nil),
      ]
      if mode == 0 && rm == 6 { return operand }
      operand.base = register(pairs[Int(rm)].base)
      operand.index = register(pairs[Int(rm)].index)
      return operand
    }
    guard rm == 4 else {
      if mode == 0 && rm == 5 {
        if is64 { operand.base.kind = DecodedRegisterInstructionPointer }
      } else {
        operand.base = register(rm | (bits & 1) << 3)
      }
      return operand
    }
    let base = encoding.sib & 7
    let index = (encoding.sib >> 3) & 7 | (bits & 2) << 2
    if mode != 0 || base != 5 { operand.base = register(base | (bits & 1) << 3) }
    if index != Slot.rsp {
      operand.index = register(index)
      operand.scale = encoding.sib >> 6
    }
    return operand
  }

  /// A general register of the address size.
  private func register(_ number: UInt8?) -> DecodedRegister {
    guard let number else { return DecodedRegister() }
    let kind =
      switch encoding.addressSize {
      case .bits16: DecodedRegister16
      case .bits32: DecodedRegister32
      case .bits64: DecodedRegister64
      }
    return DecodedRegister(kind: kind, number: number)
  }
}
