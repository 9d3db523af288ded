import Machine

/// One instruction on MMX registers: that of the vector unit with the prefix 66 has the same opcode, mostly, and does
/// the same to lanes.
struct MMXRow {
  var callout: Callout
  var operation: UInt8
  var feature: MMXFeature
  var width = 8
  var isJoined = false
  var takesHigh = false
  var isDouble = false
  var usesVectors = false
  var isAligned = false
  var stores = false
  var takesMemory = true
  var takesRegister = true
  var cost = CostClass.simple

  var form: UInt16 {
    MMXForm(
      operation, feature, joined: isJoined, high: takesHigh, double: isDouble, usesVectors: usesVectors,
      aligned: isAligned
    ).rawValue
  }

  static func row(_ encoding: InstructionEncoding) -> MMXRow? {
    let prefix = MandatoryPrefix(encoding)
    switch (encoding.map, encoding.opcode, prefix) {
    case (.secondary, 0x2a, .none), (.secondary, 0x2a, .size), (.secondary, 0x2c...0x2d, .none),
      (.secondary, 0x2c...0x2d, .size):
      return conversion(encoding, isDouble: prefix == .size)
    case (.secondary, 0xd6, .f3): return move(.toVector, .sse2, memory: false, usesVectors: true)
    case (.secondary, 0xd6, .f2): return move(.fromVector, .sse2, memory: false, usesVectors: true)
    case (.secondary, 0x0f...0xff, .none): return move(encoding) ?? lanes(encoding)
    case (.map38, 0x00...0x0b, .none), (.map38, 0x1c...0x1e, .none), (.map3A, 0x0f, .none): return lanes(encoding)
    default: return nil
    }
  }

  // MARK: Moves and conversions

  private static func move(
    _ operation: MMXMove, _ feature: MMXFeature, width: Int = 8, stores: Bool = false, memory: Bool = true,
    register: Bool = true, usesVectors: Bool = false
  ) -> MMXRow {
    MMXRow(
      callout: .mmxMove, operation: operation.rawValue, feature: feature, width: width, usesVectors: usesVectors,
      stores: stores, takesMemory: memory, takesRegister: register)
  }

  private static func move(_ encoding: InstructionEncoding) -> MMXRow? {
    let word = encoding.isWide ? 8 : 4
    switch encoding.opcode {
    case 0x6e: return move(.fromGeneral, .mmx, width: word)
    case 0x6f: return move(.whole, .mmx)
    case 0x77: return move(.empty, .mmx)
    case 0x7e: return move(.toGeneral, .mmx, width: word, stores: true)
    case 0x7f: return move(.whole, .mmx, stores: true)
    case 0xc4: return move(.insertWord, .extensions, width: 2)
    case 0xc5: return move(.extractWord, .extensions, memory: false)
    case 0xd7: return move(.maskOfBytes, .extensions, memory: false)
    case 0xe7: return move(.whole, .extensions, stores: true, register: false)
    case 0xf7: return move(.storeMasked, .extensions, memory: false)
    default: return nil
    }
  }

  private static func conversion(_ encoding: InstructionEncoding, isDouble: Bool) -> MMXRow {
    let toInteger = encoding.opcode != 0x2a
    let operation: VectorConvert =
      !toInteger ? .packedFromInteger : encoding.opcode == 0x2c ? .packedToIntegerTruncated : .packedToInteger
    let isWide = toInteger && isDouble
    return MMXRow(
      callout: .mmxConvert, operation: operation.rawValue, feature: isDouble ? .sse2 : .sse, width: isWide ? 16 : 8,
      isDouble: isDouble, usesVectors: true, isAligned: isWide, cost: .multiply)
  }

  // MARK: Lanes

  /// The vector unit's instruction with the prefix 66, and what is different with registers of half the width.
  private static func lanes(_ encoding: InstructionEncoding) -> MMXRow? {
    var vector = encoding
    vector.hasOperandSizePrefix = true
    let row: VectorRow?
    let feature: MMXFeature?
    switch encoding.map {
    case .secondary:
      row = .secondary(vector)
      feature = self.feature(encoding.opcode)
    case .map38:
      row = .map38(vector)
      feature = .ssse3
    default:
      row = .map3A(vector)
      feature = .ssse3
    }
    guard let row, let feature else { return nil }
    // PSRLDQ and PSLLDQ.
    if encoding.map == .secondary && encoding.opcode == 0x73 && encoding.reg & 1 != 0 { return nil }
    var result = MMXRow(
      callout: row.callout == .vectorShuffle ? .mmxShuffle : .mmxInteger, operation: row.operation, feature: feature,
      takesMemory: row.takesMemory, cost: row.cost)
    switch (encoding.map, encoding.opcode) {
    // PUNPCKL reads half a register from memory.
    case (.secondary, 0x60...0x62): result.width = 4
    // PACK; PHADD and PHSUB.
    case (.secondary, 0x63), (.secondary, 0x67), (.secondary, 0x6b), (.map38, 0x01...0x03), (.map38, 0x05...0x07):
      result.isJoined = true
    // PUNPCKH: the low halves of registers of twice the width are these whole.
    case (.secondary, 0x68...0x6a):
      let operations: [VectorShuffle] = [.unpackLow8, .unpackLow16, .unpackLow32]
      result.operation = operations[Int(encoding.opcode - 0x68)].rawValue
      result.takesHigh = true
    // PSHUFW.
    case (.secondary, 0x70): result.operation = VectorShuffle.selectLow16.rawValue
    default: break
    }
    return result
  }

  /// The feature of an opcode that is an instruction without a prefix, too.
  private static func feature(_ opcode: UInt8) -> MMXFeature? {
    switch opcode {
    case 0x60...0x6b, 0x71...0x76, 0xd1...0xd3, 0xd5, 0xd8...0xd9, 0xdb...0xdd, 0xdf, 0xe1...0xe2, 0xe5, 0xe8...0xe9,
      0xeb...0xed, 0xef, 0xf1...0xf3, 0xf5, 0xf8...0xfa, 0xfc...0xfe:
      .mmx
    case 0x70, 0xda, 0xde, 0xe0, 0xe3, 0xe4, 0xea, 0xee, 0xf6: .extensions
    case 0xd4, 0xf4, 0xfb: .sse2
    default: nil
    }
  }
}

extension Lowering {
  /// The outcome, or nil where the instruction is none of MMX's.
  mutating func mmx() -> Outcome? {
    guard let row = MMXRow.row(encoding) else { return nil }
    // EMMS has no ModRM byte.
    guard encoding.hasModRM else {
      return callout(row.callout, Operands(), width: row.width, extra: row.form, cost: .simple)
    }
    guard encoding.isRegisterForm ? row.takesRegister : row.takesMemory else { return .invalid }
    var operands = Operands()
    let hasImmediate = encoding.immediateSize > 0
    // What REX adds to the number of a general register means nothing to MMX's: `mmx` leaves it out.
    if encoding.isRegisterForm {
      let isGroup = encoding.map == .secondary && (0x71...0x73).contains(encoding.opcode)
      operands.dst = row.stores || isGroup ? registerOfRM : registerOfReg
      operands.src = row.stores ? registerOfReg : registerOfRM
      operands.shape = isGroup ? .ri : hasImmediate ? .rri : .rr
      // MASKMOVQ's memory is implied.
      operands.memory.segment = impliedSegment
    } else {
      guard let memory = memory(memoryOfRM()) else { return .invalid }
      operands.memory = memory
      operands.dst = registerOfReg
      operands.src = registerOfReg
      operands.shape = row.stores ? .mr : hasImmediate ? .rmi : .rm
    }
    return callout(row.callout, operands, width: row.width, imm: unsignedImmediate, extra: row.form, cost: row.cost)
  }
}
