import Machine

/// The opcode maps 0F 38 and 0F 3A: SSSE3 and SSE4.
extension VectorRow {
  static func map38(_ encoding: InstructionEncoding) -> VectorRow? {
    switch MandatoryPrefix(encoding) {
    case .size: break
    case .none: return hash(encoding)
    default: return nil
    }
    switch encoding.opcode {
    case 0x00: return shuffle(.selectBytes, .ssse3)
    case 0x01: return integer(.addPairs16, .ssse3)
    case 0x02: return integer(.addPairs32, .ssse3)
    case 0x03: return integer(.addPairsSigned16, .ssse3)
    case 0x04: return integer(.multiplyAddBytes, .ssse3, cost: .multiply)
    case 0x05: return integer(.subtractPairs16, .ssse3)
    case 0x06: return integer(.subtractPairs32, .ssse3)
    case 0x07: return integer(.subtractPairsSigned16, .ssse3)
    case 0x08: return integer(.sign8, .ssse3)
    case 0x09: return integer(.sign16, .ssse3)
    case 0x0a: return integer(.sign32, .ssse3)
    case 0x0b: return integer(.multiplyRounded16, .ssse3, cost: .multiply)
    case 0x10: return shuffle(.blendVariable8, .sse41)
    case 0x14: return shuffle(.blendVariable32, .sse41)
    case 0x15: return shuffle(.blendVariable64, .sse41)
    case 0x17: return integer(.test, .sse41)
    case 0x1c: return integer(.absolute8, .ssse3)
    case 0x1d: return integer(.absolute16, .ssse3)
    case 0x1e: return integer(.absolute32, .ssse3)
    case 0x20: return shuffle(.signExtend8to16, .sse41, width: 8)
    case 0x21: return shuffle(.signExtend8to32, .sse41, width: 4)
    case 0x22: return shuffle(.signExtend8to64, .sse41, width: 2)
    case 0x23: return shuffle(.signExtend16to32, .sse41, width: 8)
    case 0x24: return shuffle(.signExtend16to64, .sse41, width: 4)
    case 0x25: return shuffle(.signExtend32to64, .sse41, width: 8)
    case 0x28: return integer(.multiplySigned32, .sse41, cost: .multiply)
    case 0x29: return integer(.equal64, .sse41)
    case 0x2a:
      return VectorRow(
        callout: .vectorMove, operation: VectorMove.whole.rawValue, feature: .sse41, takesRegister: false)
    case 0x2b: return shuffle(.packUnsigned32, .sse41)
    case 0x30: return shuffle(.zeroExtend8to16, .sse41, width: 8)
    case 0x31: return shuffle(.zeroExtend8to32, .sse41, width: 4)
    case 0x32: return shuffle(.zeroExtend8to64, .sse41, width: 2)
    case 0x33: return shuffle(.zeroExtend16to32, .sse41, width: 8)
    case 0x34: return shuffle(.zeroExtend16to64, .sse41, width: 4)
    case 0x35: return shuffle(.zeroExtend32to64, .sse41, width: 8)
    case 0x37: return integer(.greater64, .sse42)
    case 0x38: return integer(.minSigned8, .sse41)
    case 0x39: return integer(.minSigned32, .sse41)
    case 0x3a: return integer(.minUnsigned16, .sse41)
    case 0x3b: return integer(.minUnsigned32, .sse41)
    case 0x3c: return integer(.maxSigned8, .sse41)
    case 0x3d: return integer(.maxSigned32, .sse41)
    case 0x3e: return integer(.maxUnsigned16, .sse41)
    case 0x3f: return integer(.maxUnsigned32, .sse41)
    case 0x40: return integer(.multiplyLow32, .sse41, cost: .multiply)
    case 0x41: return integer(.leastWord, .sse41)
    case 0xdb: return cipher(.invertMix, .aes)
    case 0xdc: return cipher(.encrypt, .aes)
    case 0xdd: return cipher(.encryptLast, .aes)
    case 0xde: return cipher(.decrypt, .aes)
    case 0xdf: return cipher(.decryptLast, .aes)
    default: return nil
    }
  }

  /// SHA-1 and SHA-256, which have no prefix.
  private static func hash(_ encoding: InstructionEncoding) -> VectorRow? {
    switch encoding.opcode {
    case 0xc8: return hash(.sha1NextE, encoding)
    case 0xc9: return hash(.sha1First, encoding)
    case 0xca: return hash(.sha1Second, encoding)
    case 0xcb: return hash(.sha256Rounds, encoding)
    case 0xcc: return hash(.sha256First, encoding)
    case 0xcd: return hash(.sha256Second, encoding)
    default: return nil
    }
  }

  /// SHA's memory operands have to be aligned on Intel's processors (SDM vol. 2, "Exceptions Type 4"), and may be
  /// anywhere on AMD's.
  private static func hash(_ operation: VectorCipher, _ encoding: InstructionEncoding) -> VectorRow {
    var row = cipher(operation, .sha)
    row.isAligned = encoding.vendor != .amd
    return row
  }

  private static func cipher(_ operation: VectorCipher, _ feature: VectorFeature) -> VectorRow {
    VectorRow(callout: .vectorCipher, operation: operation.rawValue, feature: feature, cost: .multiply)
  }

  static func map3A(_ encoding: InstructionEncoding) -> VectorRow? {
    switch MandatoryPrefix(encoding) {
    case .size: break
    case .none: return encoding.opcode == 0xcc ? hash(.sha1Rounds, encoding) : nil
    default: return nil
    }
    switch encoding.opcode {
    case 0x08: return float(.round, width: 16, double: false)
    case 0x09: return float(.round, width: 16, double: true)
    case 0x0a: return float(.round, width: 4, double: false)
    case 0x0b: return float(.round, width: 8, double: true)
    case 0x0c: return shuffle(.blend32, .sse41)
    case 0x0d: return shuffle(.blend64, .sse41)
    case 0x0e: return shuffle(.blend16, .sse41)
    case 0x0f: return shuffle(.alignRight, .ssse3)
    case 0x14: return element(.extract8, width: 1, stores: true)
    case 0x15: return element(.extract16, width: 2, stores: true)
    case 0x16: return element(encoding.isWide ? .extract64 : .extract32, width: encoding.isWide ? 8 : 4, stores: true)
    // EXTRACTPS has 32 bits whatever REX.W says.
    case 0x17: return element(.extract32, width: 4, stores: true)
    case 0x20: return element(.insert8, width: 1, stores: false)
    case 0x21: return shuffle(.insertSingle, .sse41, width: 4)
    case 0x22: return element(encoding.isWide ? .insert64 : .insert32, width: encoding.isWide ? 8 : 4, stores: false)
    case 0x40: return float(.dotProduct, width: 16, double: false)
    case 0x41: return float(.dotProduct, width: 16, double: true)
    case 0x42: return integer(.sumsOfDifferences, .sse41, cost: .multiply)
    case 0x44: return cipher(.multiplyCarryless, .pclmul)
    case 0x60: return string(.explicitMask, encoding)
    case 0x61: return string(.explicitIndex, encoding)
    case 0x62: return string(.implicitMask, encoding)
    case 0x63: return string(.implicitIndex, encoding)
    case 0xdf: return cipher(.assistKey, .aes)
    default: return nil
    }
  }

  private static func float(_ operation: VectorFloat, width: Int, double: Bool) -> VectorRow {
    VectorRow(
      callout: .vectorFloat, operation: operation.rawValue, feature: .sse41, width: width, isScalar: width < 16,
      isDouble: double, cost: .multiply)
  }

  private static func element(_ operation: VectorShuffle, width: Int, stores: Bool) -> VectorRow {
    VectorRow(
      callout: .vectorShuffle, operation: operation.rawValue, feature: .sse41, width: width, stores: stores)
  }

  /// Strings may lie at any address; REX.W makes the lengths RAX and RDX.
  private static func string(_ operation: VectorString, _ encoding: InstructionEncoding) -> VectorRow {
    VectorRow(
      callout: .vectorString, operation: operation.rawValue, feature: .sse42, general: encoding.isWide ? 8 : 4,
      isAligned: false, cost: .multiply)
  }
}
