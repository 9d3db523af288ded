import CCapstone
import Machine

/// Bit manipulation behind VEX prefixes, and the instructions that came with a mandatory prefix or a CPUID bit of their
/// own: all from the bytes.
extension Lowering {
  /// BMI1 and BMI2; nil for other instructions behind a vector prefix.
  mutating func bitManipulation() -> Outcome? {
    guard let vex = VEXPrefix(bytes, encoding) else { return nil }
    let callout: Callout
    var cost = CostClass.simple
    switch (vex.map, encoding.opcode, vex.prefix) {
    case (2, 0xf2, 0): callout = .andn
    case (2, 0xf3, 0):
      switch encoding.reg {
      case 1: callout = .blsr
      case 2: callout = .blsmsk
      case 3: callout = .blsi
      default: return .invalid
      }
    case (2, 0xf5, 0): callout = .bzhi
    case (2, 0xf5, 2): (callout, cost) = (.pext, .multiply)
    case (2, 0xf5, 3): (callout, cost) = (.pdep, .multiply)
    case (2, 0xf6, 3): (callout, cost) = (.mulx, .multiply)
    case (2, 0xf7, 0): callout = .bextr
    case (2, 0xf7, 1): callout = .shlx
    case (2, 0xf7, 2): callout = .sarx
    case (2, 0xf7, 3): callout = .shrx
    case (3, 0xf0, 3): callout = .rorx
    default: return nil
    }
    // There is nothing of 256 bits here, and RORX has no third register (SDM vol. 2, 2.8, exceptions type 13).
    if vex.isLong || callout == .rorx && !vex.hasNoRegister { return .invalid }
    guard var operands = modRMOperands(extension: vex.extension) else { return .unsupported }
    // ModRM.reg of BLSI and its kin belongs to the opcode: their destination is the third register.
    if encoding.opcode == 0xf3 { operands.dst = vex.register }
    if callout == .rorx { operands.shape = operands.shape == .rr ? .rri : .rmi }
    return self.callout(
      callout, operands, width: vex.isWide ? 8 : 4, extra: callout == .rorx ? 0 : UInt16(vex.register), cost: cost)
  }

  /// 0F 38 F0 and F1: MOVBE, or CRC32 with F2.
  mutating func byteOrderOrChecksum() -> Outcome {
    guard let operands = modRMOperands() else { return .unsupported }
    switch encoding.repeatPrefix {
    case 0xf2: return checksum(operands)
    case 0: return moveSwapped(operands)
    default: return .invalid
    }
  }

  private mutating func moveSwapped(_ operands: Operands) -> Outcome {
    guard operands.shape == .rm else { return .invalid }
    return callout(.movbe, encoding.opcode == 0xf1 ? operands.stored : operands, width: encoding.operandSize)
  }

  private mutating func checksum(_ operands: Operands) -> Outcome {
    var operands = operands
    let sourceWidth = encoding.sizeByLowBit
    // AH, CH, DH, BH, unless there is a REX prefix.
    if sourceWidth == 1 && operands.shape == .rr && encoding.rex == 0 && operands.src >= 4 {
      operands.src = Slot.highByte | operands.src & 3
    }
    return callout(
      .crc32, operands, width: encoding.isWide ? 8 : 4, sourceWidth: sourceWidth, cost: .multiply)
  }

  /// 0F 38 F6: ADCX with 66, ADOX with F3, which goes before a 66.
  mutating func addThroughOneFlag() -> Outcome {
    let callout: Callout
    switch encoding.repeatPrefix {
    case 0xf3: callout = .adox
    case 0 where encoding.hasOperandSizePrefix: callout = .adcx
    default: return .invalid
    }
    guard let operands = modRMOperands() else { return .unsupported }
    return self.callout(callout, operands, width: encoding.isWide ? 8 : 4)
  }

  /// 0F 38 F9: MOVDIRI, to memory and without a prefix only.
  mutating func storeDirect() -> Outcome {
    guard let operands = modRMOperands(), operands.shape == .rm, encoding.repeatPrefix == 0,
      !encoding.hasOperandSizePrefix
    else { return .invalid }
    return callout(.moveDirect, operands.stored, width: encoding.isWide ? 8 : 4)
  }

  /// POPCNT, TZCNT, LZCNT: F3 with 0F B8, BC, BD.
  mutating func bitCount(_ callout: Callout) -> Outcome {
    guard let operands = modRMOperands() else { return .unsupported }
    return self.callout(callout, operands, width: encoding.operandSize)
  }

  /// RDRAND and RDSEED.
  mutating func random(_ callout: Callout) -> Outcome {
    let register = encoding.modRM & 7 | (encoding.rex & 1) << 3
    return self.callout(callout, Operands(shape: .r, dst: register), width: encoding.operandSize, cost: .microcoded)
  }

  /// AAM and AAD, whose base is an immediate.
  mutating func adjustByBase(_ callout: Callout) -> Outcome {
    self.callout(callout, Operands(shape: .i, imm: unsignedImmediate), width: 1, cost: .microcoded)
  }

  mutating func checkBounds() -> Outcome {
    guard let operands = gather(), operands.shape == .rm else { return .invalid }
    return callout(.bound, operands, width: encoding.operandSize, cost: .microcoded)
  }

  mutating func adjustPrivilege() -> Outcome {
    guard let operands = gather() else { return .unsupported }
    return callout(.adjustPrivilege, operands, width: 2, cost: .microcoded)
  }
}

extension Operands {
  /// The same with the memory operand as the destination.
  fileprivate var stored: Operands {
    var result = self
    result.shape = .mr
    (result.dst, result.src) = (src, dst)
    return result
  }
}
