import Machine

/// One instruction of the vector unit, as its opcode and mandatory prefix tell it (SDM vol. 2, appendix A).
struct VectorRow {
  var callout: Callout
  var operation: UInt8
  var feature: VectorFeature
  /// Bytes of the memory operand.
  var width = 16
  /// Bytes of the general register, where one takes part.
  var general = 0
  var isAligned = true
  var isScalar = false
  var isDouble = false
  var cost = CostClass.simple
  /// ModRM.rm is the destination.
  var stores = false
  /// Whether ModRM.rm may be memory, and a register.
  var takesMemory = true
  var takesRegister = true
  /// How a VEX prefix's register and length count, where the instruction has one.
  var vex: VEXUse?
  var order = VectorFused.Order.first132

  var form: VectorForm {
    var form = VectorForm(
      operation, feature, scalar: isScalar, double: isDouble, aligned: isAligned && width >= 16)
    form.order = order
    return form
  }
}

/// The prefix that tells instructions of one opcode apart. F2 and F3 go before 66 (SDM vol. 2, 2.1.2).
enum MandatoryPrefix {
  case none, size, f3, f2

  init(_ encoding: InstructionEncoding) {
    switch encoding.repeatPrefix {
    case 0xf3: self = .f3
    case 0xf2: self = .f2
    default: self = encoding.hasOperandSizePrefix ? .size : .none
    }
  }
}

extension VectorRow {
  // MARK: Rows by family

  static func move(
    _ operation: VectorMove, _ feature: VectorFeature, width: Int = 16, aligned: Bool = true, stores: Bool = false,
    memory: Bool = true, register: Bool = true
  ) -> VectorRow {
    VectorRow(
      callout: .vectorMove, operation: operation.rawValue, feature: feature, width: width, isAligned: aligned,
      stores: stores, takesMemory: memory, takesRegister: register)
  }

  static func shuffle(_ operation: VectorShuffle, _ feature: VectorFeature, width: Int = 16) -> VectorRow {
    VectorRow(callout: .vectorShuffle, operation: operation.rawValue, feature: feature, width: width)
  }

  static func integer(
    _ operation: VectorInteger, _ feature: VectorFeature = .sse2, cost: CostClass = .simple
  ) -> VectorRow {
    VectorRow(callout: .vectorInteger, operation: operation.rawValue, feature: feature, cost: cost)
  }

  /// PS, PD, SS or SD, by prefix.
  static func float(
    _ operation: VectorFloat, _ prefix: MandatoryPrefix, cost: CostClass = .multiply
  ) -> VectorRow {
    let isScalar = prefix == .f3 || prefix == .f2
    let isDouble = prefix == .size || prefix == .f2
    return VectorRow(
      callout: .vectorFloat, operation: operation.rawValue, feature: isDouble ? .sse2 : .sse,
      width: isScalar ? (isDouble ? 8 : 4) : 16, isScalar: isScalar, isDouble: isDouble, cost: cost)
  }

  /// PS or PD of SSE3.
  private static func pairs(_ operation: VectorFloat, _ prefix: MandatoryPrefix) -> VectorRow? {
    guard prefix == .size || prefix == .f2 else { return nil }
    return VectorRow(
      callout: .vectorFloat, operation: operation.rawValue, feature: .sse3, isDouble: prefix == .size,
      cost: .multiply)
  }

  static func convert(
    _ operation: VectorConvert, _ feature: VectorFeature, width: Int, general: Int = 0, scalar: Bool = false,
    double: Bool
  ) -> VectorRow {
    VectorRow(
      callout: .vectorConvert, operation: operation.rawValue, feature: feature, width: width, general: general,
      isScalar: scalar, isDouble: double, cost: .multiply)
  }

  // MARK: 0F

  static func secondary(_ encoding: InstructionEncoding) -> VectorRow? {
    let prefix = MandatoryPrefix(encoding)
    switch encoding.opcode {
    case 0x10...0x17, 0x28, 0x29, 0x2b, 0x50, 0x6e, 0x6f, 0x7e, 0x7f, 0xd6, 0xd7, 0xe7, 0xf0, 0xf7:
      return moves(encoding, prefix)
    case 0x2a, 0x2c...0x2f, 0x51...0x5f, 0x7c, 0x7d, 0xc2, 0xd0, 0xe6: return arithmetic(encoding, prefix)
    case 0x60...0x6d, 0x70, 0xc4...0xc6: return shuffles(encoding, prefix)
    default: return prefix == .size ? integers(encoding) : nil
    }
  }

  private static func moves(_ encoding: InstructionEncoding, _ prefix: MandatoryPrefix) -> VectorRow? {
    let word = encoding.isWide ? 8 : 4
    switch (encoding.opcode, prefix) {
    case (0x10, .none): return move(.whole, .sse, aligned: false)
    case (0x10, .size): return move(.whole, .sse2, aligned: false)
    case (0x10, .f3): return move(.scalar, .sse, width: 4)
    case (0x10, .f2): return move(.scalar, .sse2, width: 8)
    case (0x11, .none): return move(.whole, .sse, aligned: false, stores: true)
    case (0x11, .size): return move(.whole, .sse2, aligned: false, stores: true)
    case (0x11, .f3): return move(.scalar, .sse, width: 4, stores: true)
    case (0x11, .f2): return move(.scalar, .sse2, width: 8, stores: true)
    case (0x12, .none):
      return encoding.isRegisterForm ? move(.highToLow, .sse) : move(.loadLow, .sse, width: 8)
    case (0x12, .size): return move(.loadLow, .sse2, width: 8, register: false)
    case (0x12, .f3): return move(.duplicateEven, .sse3)
    case (0x12, .f2): return move(.duplicateLow, .sse3, width: 8)
    case (0x13, .none): return move(.quadword, .sse, width: 8, stores: true, register: false)
    case (0x13, .size): return move(.quadword, .sse2, width: 8, stores: true, register: false)
    case (0x14, .none): return shuffle(.unpackLow32, .sse)
    case (0x14, .size): return shuffle(.unpackLow64, .sse2)
    case (0x15, .none): return shuffle(.unpackHigh32, .sse)
    case (0x15, .size): return shuffle(.unpackHigh64, .sse2)
    case (0x16, .none):
      return encoding.isRegisterForm ? move(.lowToHigh, .sse) : move(.loadHigh, .sse, width: 8)
    case (0x16, .size): return move(.loadHigh, .sse2, width: 8, register: false)
    case (0x16, .f3): return move(.duplicateOdd, .sse3)
    case (0x17, .none): return move(.storeHigh, .sse, width: 8, stores: true, register: false)
    case (0x17, .size): return move(.storeHigh, .sse2, width: 8, stores: true, register: false)
    case (0x28, .none): return move(.whole, .sse)
    case (0x28, .size): return move(.whole, .sse2)
    case (0x29, .none): return move(.whole, .sse, stores: true)
    case (0x29, .size): return move(.whole, .sse2, stores: true)
    case (0x2b, .none): return move(.whole, .sse, stores: true, register: false)
    case (0x2b, .size): return move(.whole, .sse2, stores: true, register: false)
    case (0x50, .none): return move(.maskOfSingles, .sse, memory: false)
    case (0x50, .size): return move(.maskOfDoubles, .sse2, memory: false)
    case (0x6e, .size): return move(.fromGeneral, .sse2, width: word)
    case (0x6f, .size): return move(.whole, .sse2)
    case (0x6f, .f3): return move(.whole, .sse2, aligned: false)
    case (0x7e, .size): return move(.toGeneral, .sse2, width: word, stores: true)
    case (0x7e, .f3): return move(.quadword, .sse2, width: 8)
    case (0x7f, .size): return move(.whole, .sse2, stores: true)
    case (0x7f, .f3): return move(.whole, .sse2, aligned: false, stores: true)
    case (0xd6, .size): return move(.quadword, .sse2, width: 8, stores: true)
    case (0xd7, .size): return move(.maskOfBytes, .sse2, memory: false)
    case (0xe7, .size): return move(.whole, .sse2, stores: true, register: false)
    case (0xf0, .f2): return move(.whole, .sse3, aligned: false, register: false)
    case (0xf7, .size): return move(.storeMasked, .sse2, memory: false)
    default: return nil
    }
  }

  private static func arithmetic(_ encoding: InstructionEncoding, _ prefix: MandatoryPrefix) -> VectorRow? {
    let word = encoding.isWide ? 8 : 4
    let isDouble = prefix == .size || prefix == .f2
    let isScalar = prefix == .f3 || prefix == .f2
    switch encoding.opcode {
    case 0x2a where isScalar:
      return convert(.fromInteger, isDouble ? .sse2 : .sse, width: word, scalar: true, double: isDouble)
    case 0x2c where isScalar, 0x2d where isScalar:
      return convert(
        encoding.opcode == 0x2c ? .toIntegerTruncated : .toInteger, isDouble ? .sse2 : .sse,
        width: isDouble ? 8 : 4, general: word, scalar: true, double: isDouble)
    case 0x2e where !isScalar, 0x2f where !isScalar:
      // Scalars, for all that they have the prefixes of packed forms.
      return float(
        encoding.opcode == 0x2e ? .compareUnordered : .compareOrdered, isDouble ? .f2 : .f3)
    case 0x51: return float(.squareRoot, prefix, cost: .divide)
    case 0x52 where !isDouble: return float(.reciprocalRoot, prefix)
    case 0x53 where !isDouble: return float(.reciprocal, prefix)
    case 0x54...0x57 where !isScalar:
      let operations: [VectorInteger] = [.and, .andNot, .or, .xor]
      return integer(operations[Int(encoding.opcode & 3)], isDouble ? .sse2 : .sse)
    case 0x58: return float(.add, prefix)
    case 0x59: return float(.multiply, prefix)
    case 0x5a:
      return convert(
        .format, .sse2, width: isScalar ? (isDouble ? 8 : 4) : isDouble ? 16 : 8, scalar: isScalar, double: isDouble)
    case 0x5b where prefix != .f2:
      return convert(
        prefix == .none ? .packedFromInteger : prefix == .size ? .packedToInteger : .packedToIntegerTruncated, .sse2,
        width: 16, double: false)
    case 0x5c: return float(.subtract, prefix)
    case 0x5d: return float(.minimum, prefix)
    case 0x5e: return float(.divide, prefix, cost: .divide)
    case 0x5f: return float(.maximum, prefix)
    case 0x7c: return pairs(.addPairs, prefix)
    case 0x7d: return pairs(.subtractPairs, prefix)
    case 0xc2: return float(.compare, prefix)
    case 0xd0: return pairs(.addSubtract, prefix)
    case 0xe6 where prefix != .none:
      return convert(
        prefix == .f3 ? .packedFromInteger : prefix == .f2 ? .packedToInteger : .packedToIntegerTruncated, .sse2,
        width: prefix == .f3 ? 8 : 16, double: true)
    default: return nil
    }
  }

  private static func shuffles(_ encoding: InstructionEncoding, _ prefix: MandatoryPrefix) -> VectorRow? {
    switch (encoding.opcode, prefix) {
    case (0x60, .size): return shuffle(.unpackLow8, .sse2)
    case (0x61, .size): return shuffle(.unpackLow16, .sse2)
    case (0x62, .size): return shuffle(.unpackLow32, .sse2)
    case (0x63, .size): return shuffle(.packSigned16, .sse2)
    case (0x64, .size): return integer(.greater8)
    case (0x65, .size): return integer(.greater16)
    case (0x66, .size): return integer(.greater32)
    case (0x67, .size): return shuffle(.packUnsigned16, .sse2)
    case (0x68, .size): return shuffle(.unpackHigh8, .sse2)
    case (0x69, .size): return shuffle(.unpackHigh16, .sse2)
    case (0x6a, .size): return shuffle(.unpackHigh32, .sse2)
    case (0x6b, .size): return shuffle(.packSigned32, .sse2)
    case (0x6c, .size): return shuffle(.unpackLow64, .sse2)
    case (0x6d, .size): return shuffle(.unpackHigh64, .sse2)
    case (0x70, .size): return shuffle(.select32, .sse2)
    case (0x70, .f3): return shuffle(.selectHigh16, .sse2)
    case (0x70, .f2): return shuffle(.selectLow16, .sse2)
    case (0xc4, .size): return shuffle(.insert16, .sse2, width: 2)
    case (0xc5, .size):
      var row = shuffle(.extract16, .sse2, width: 2)
      row.takesMemory = false
      return row
    case (0xc6, .none): return shuffle(.pairOf32, .sse)
    case (0xc6, .size): return shuffle(.pairOf64, .sse2)
    default: return nil
    }
  }

  /// Opcodes with the prefix 66 that are arithmetic alone.
  private static func integers(_ encoding: InstructionEncoding) -> VectorRow? {
    switch encoding.opcode {
    case 0x71...0x73: return shiftByImmediate(encoding)
    case 0x74: return integer(.equal8)
    case 0x75: return integer(.equal16)
    case 0x76: return integer(.equal32)
    case 0xd1: return integer(.right16)
    case 0xd2: return integer(.right32)
    case 0xd3: return integer(.right64)
    case 0xd4: return integer(.add64)
    case 0xd5: return integer(.multiplyLow16, cost: .multiply)
    case 0xd8: return integer(.subtractUnsigned8)
    case 0xd9: return integer(.subtractUnsigned16)
    case 0xda: return integer(.minUnsigned8)
    case 0xdb: return integer(.and)
    case 0xdc: return integer(.addUnsigned8)
    case 0xdd: return integer(.addUnsigned16)
    case 0xde: return integer(.maxUnsigned8)
    case 0xdf: return integer(.andNot)
    case 0xe0: return integer(.average8)
    case 0xe1: return integer(.arithmetic16)
    case 0xe2: return integer(.arithmetic32)
    case 0xe3: return integer(.average16)
    case 0xe4: return integer(.multiplyHighUnsigned16, cost: .multiply)
    case 0xe5: return integer(.multiplyHigh16, cost: .multiply)
    case 0xe8: return integer(.subtractSigned8)
    case 0xe9: return integer(.subtractSigned16)
    case 0xea: return integer(.minSigned16)
    case 0xeb: return integer(.or)
    case 0xec: return integer(.addSigned8)
    case 0xed: return integer(.addSigned16)
    case 0xee: return integer(.maxSigned16)
    case 0xef: return integer(.xor)
    case 0xf1: return integer(.left16)
    case 0xf2: return integer(.left32)
    case 0xf3: return integer(.left64)
    case 0xf4: return integer(.multiplyUnsigned32, cost: .multiply)
    case 0xf5: return integer(.multiplyAdd16, cost: .multiply)
    case 0xf6: return integer(.sumOfDifferences, cost: .multiply)
    case 0xf8: return integer(.subtract8)
    case 0xf9: return integer(.subtract16)
    case 0xfa: return integer(.subtract32)
    case 0xfb: return integer(.subtract64)
    case 0xfc: return integer(.add8)
    case 0xfd: return integer(.add16)
    case 0xfe: return integer(.add32)
    default: return nil
    }
  }

  /// Groups 12 to 14.
  private static func shiftByImmediate(_ encoding: InstructionEncoding) -> VectorRow? {
    let operation: VectorInteger
    switch (encoding.opcode, encoding.reg) {
    case (0x71, 2): operation = .right16
    case (0x71, 4): operation = .arithmetic16
    case (0x71, 6): operation = .left16
    case (0x72, 2): operation = .right32
    case (0x72, 4): operation = .arithmetic32
    case (0x72, 6): operation = .left32
    case (0x73, 2): operation = .right64
    case (0x73, 3): operation = .rightBytes
    case (0x73, 6): operation = .left64
    case (0x73, 7): operation = .leftBytes
    default: return nil
    }
    var row = integer(operation)
    row.takesMemory = false
    return row
  }
}
