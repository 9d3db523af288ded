import Machine

/// What follows an opcode: a ModRM byte or none, and how large an immediate (SDM vol. 2, appendix A).
struct OpcodeLayout {
  /// How the size of an immediate comes about.
  enum Immediate {
    case none, byte, word
    /// 16 or 32 bits by operand size.
    case operand
    /// The same, or 64 bits with REX.W: MOV r, imm.
    case full
    /// The displacement of a near branch.
    case branch
    /// Offset and selector.
    case farPointer
    /// The offset of MOV between memory and AL/rAX, by address size.
    case offset
    /// 16 bits and 8 bits: ENTER.
    case wordAndByte
    /// Group 3 (F6, F7): only TEST has one.
    case group3Byte, group3Operand
  }

  var hasModRM: Bool
  var immediate: Immediate

  private init(_ hasModRM: Bool, _ immediate: Immediate = .none) {
    self.hasModRM = hasModRM
    self.immediate = immediate
  }

  init(_ map: InstructionEncoding.Map, _ opcode: UInt8) {
    switch map {
    case .primary: self = Self.primary(opcode)
    case .secondary: self = Self.secondary(opcode)
    case .map38, .vector: self = OpcodeLayout(true)
    case .map3A: self = OpcodeLayout(true, .byte)
    }
  }

  /// VEX and EVEX share the opcode maps of the 0F escapes; XOP has its own, numbered from 8.
  init(vectorMap: UInt8, opcode: UInt8) {
    switch vectorMap {
    case 1: self = opcode == 0x77 ? OpcodeLayout(false) : Self.secondary(opcode)
    case 3, 8: self = OpcodeLayout(true, .byte)
    case 10: self = OpcodeLayout(true, .operand)
    default: self = OpcodeLayout(true)
    }
  }

  private static func primary(_ opcode: UInt8) -> OpcodeLayout {
    switch opcode {
    case 0x00...0x3f:
      switch opcode & 7 {
      case 0...3: return OpcodeLayout(true)
      case 4: return OpcodeLayout(false, .byte)
      case 5: return OpcodeLayout(false, .operand)
      default: return OpcodeLayout(false)
      }
    case 0x62, 0x63, 0x84...0x8f, 0xc4, 0xc5, 0xd0...0xd3, 0xd8...0xdf, 0xfe, 0xff: return OpcodeLayout(true)
    case 0x69, 0x81, 0xc7: return OpcodeLayout(true, .operand)
    case 0x6b, 0x80, 0x82, 0x83, 0xc0, 0xc1, 0xc6: return OpcodeLayout(true, .byte)
    case 0xf6: return OpcodeLayout(true, .group3Byte)
    case 0xf7: return OpcodeLayout(true, .group3Operand)
    case 0x68, 0xa9: return OpcodeLayout(false, .operand)
    case 0x6a, 0x70...0x7f, 0xa8, 0xb0...0xb7, 0xcd, 0xd4, 0xd5, 0xe0...0xe7, 0xeb: return OpcodeLayout(false, .byte)
    case 0x9a, 0xea: return OpcodeLayout(false, .farPointer)
    case 0xa0...0xa3: return OpcodeLayout(false, .offset)
    case 0xb8...0xbf: return OpcodeLayout(false, .full)
    case 0xc2, 0xca: return OpcodeLayout(false, .word)
    case 0xc8: return OpcodeLayout(false, .wordAndByte)
    case 0xe8, 0xe9: return OpcodeLayout(false, .branch)
    default: return OpcodeLayout(false)
    }
  }

  private static func secondary(_ opcode: UInt8) -> OpcodeLayout {
    switch opcode {
    case 0x04...0x0c, 0x0e, 0x25, 0x27, 0x30...0x37, 0x39, 0x3b...0x3f, 0x77, 0xa0...0xa2, 0xa6...0xaa, 0xc8...0xcf:
      return OpcodeLayout(false)
    case 0x0f, 0x70...0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4...0xc6: return OpcodeLayout(true, .byte)
    case 0x80...0x8f: return OpcodeLayout(false, .branch)
    default: return OpcodeLayout(true)
    }
  }
}

extension OpcodeLayout.Immediate {
  /// Bytes of the immediate in an instruction whose prefixes and ModRM are known.
  func size(in encoding: InstructionEncoding) -> Int {
    switch self {
    case .none: return 0
    case .byte: return 1
    case .word: return 2
    case .operand: return min(encoding.operandSize, 4)
    case .full: return encoding.operandSize
    case .branch: return min(encoding.branchOperandSize, 4)
    case .farPointer: return encoding.operandSize + 2
    case .wordAndByte: return 3
    case .offset:
      switch encoding.addressSize {
      case .bits16: return 2
      case .bits32: return 4
      case .bits64: return 8
      }
    case .group3Byte: return encoding.reg < 2 ? 1 : 0
    case .group3Operand: return encoding.reg < 2 ? min(encoding.operandSize, 4) : 0
    }
  }
}
