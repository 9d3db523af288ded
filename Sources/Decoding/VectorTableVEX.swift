import Machine

/// What the register and the length of a VEX prefix mean to an instruction (SDM vol. 2, 3.1.1.2: NDS, NDD, LIG, LZ).
struct VEXUse {
  /// VEX.vvvv: the first source, the destination, or nothing, and then it has to be 1111b.
  enum Register { case first, destination, none }
  /// VEX.L: any length, 128 bits alone, 256 alone, or not looked at.
  enum Length { case any, low, high, ignored }
  /// VEX.W: not looked at, or a value that it has to have.
  enum Width { case ignored, clear, set }

  var register = Register.none
  var length = Length.any
  var width = Width.ignored
  /// The feature of 256 bits; nil: the same as of 128.
  var longFeature: VectorFeature?
}

extension VectorRow {
  /// The row of an instruction behind a VEX prefix: one that has no legacy form, or one that both share.
  static func vex(_ encoding: InstructionEncoding, _ vex: VEXPrefix) -> VectorRow? {
    let row: VectorRow?
    switch encoding.map {
    case .secondary:
      if encoding.opcode == 0x77 { return state(vex) }
      row = secondary(encoding)
    case .map38:
      if let own = own38(encoding, vex) { return own.checked(vex) }
      row = map38(encoding)
    default:
      if let own = own3A(encoding, vex) { return own.checked(vex) }
      row = map3A(encoding)
    }
    return row?.shared(encoding, vex)?.checked(vex)
  }

  private static func state(_ vex: VEXPrefix) -> VectorRow? {
    guard vex.prefix == 0 else { return nil }
    return permute(vex.isLong ? .zeroAll : .zeroUpper, .avx).checked(vex)
  }

  /// Nil where the prefix's fields are not as they have to be; else the row for its length.
  private func checked(_ prefix: VEXPrefix) -> VectorRow? {
    guard let vex, vex.register != .none || prefix.hasNoRegister else { return nil }
    switch vex.length {
    case .low: if prefix.isLong { return nil }
    case .high: if !prefix.isLong { return nil }
    case .any, .ignored: break
    }
    switch vex.width {
    case .clear: if prefix.w { return nil }
    case .set: if !prefix.w { return nil }
    case .ignored: break
    }
    var row = self
    if prefix.isLong, vex.length != .ignored { row.feature = vex.longFeature ?? row.feature }
    return row
  }

  // MARK: What legacy instructions become

  private func shared(_ encoding: InstructionEncoding, _ prefix: VEXPrefix) -> VectorRow? {
    guard let use = sharedUse(encoding) else { return nil }
    var row = self
    row.vex = use
    // Only moves that say so want aligned memory (SDM vol. 1, 14.9).
    let isMove = callout == .vectorMove && operation == VectorMove.whole.rawValue
    row.isAligned = isMove && isAligned
    switch feature {
    case .aes, .pclmul: break
    default: row.feature = .avx
    }
    guard prefix.isLong, use.length == .any else { return row }
    let hasCount = callout == .vectorInteger && operation >= VectorInteger.left16.rawValue
    let isDuplicateLow = callout == .vectorMove && operation == VectorMove.duplicateLow.rawValue
    if isDuplicateLow { row.width = 32 } else if !hasCount { row.width *= 2 }
    return row
  }

  private func sharedUse(_ encoding: InstructionEncoding) -> VEXUse? {
    switch callout {
    case .vectorMove: return VectorMove(rawValue: operation)?.use(encoding)
    case .vectorShuffle: return VectorShuffle(rawValue: operation)?.use(encoding)
    case .vectorInteger:
      let isFloat = encoding.map == .secondary && (0x54...0x57).contains(encoding.opcode)
      var use = VEXUse(register: .first, longFeature: isFloat ? .avx : .avx2)
      switch VectorInteger(rawValue: operation) {
      case .absolute8, .absolute16, .absolute32: use.register = .none
      case .test: use = VEXUse()
      case .leastWord: use = VEXUse(length: .low)
      default: break
      }
      if encoding.isVectorShiftGroup { use.register = .destination }
      return use
    case .vectorFloat:
      switch VectorFloat(rawValue: operation) {
      case .compareOrdered, .compareUnordered: return VEXUse(length: .ignored)
      case .squareRoot, .reciprocal, .reciprocalRoot, .round:
        return isScalar ? VEXUse(register: .first, length: .ignored) : VEXUse()
      case .dotProduct where isDouble: return VEXUse(register: .first, length: .low)
      default: return VEXUse(register: .first, length: isScalar ? .ignored : .any)
      }
    case .vectorConvert:
      guard isScalar else { return VEXUse() }
      switch VectorConvert(rawValue: operation) {
      case .toInteger, .toIntegerTruncated: return VEXUse(length: .ignored)
      default: return VEXUse(register: .first, length: .ignored)
      }
    case .vectorString: return VEXUse(length: .low)
    case .vectorCipher:
      switch VectorCipher(rawValue: operation) {
      case .invertMix, .assistKey: return VEXUse(length: .low)
      case .multiplyCarryless: return VEXUse(register: .first, longFeature: .vpclmul)
      case .encrypt, .encryptLast, .decrypt, .decryptLast: return VEXUse(register: .first, longFeature: .vaes)
      default: return nil
      }
    default: return nil
    }
  }

  // MARK: Instructions of AVX, AVX2, FMA and F16C alone

  private static func permute(
    _ operation: VectorPermute, _ feature: VectorFeature, width: Int = 16, stores: Bool = false, memory: Bool = true,
    register: Bool = true, _ use: VEXUse = VEXUse()
  ) -> VectorRow {
    VectorRow(
      callout: .vectorPermute, operation: operation.rawValue, feature: feature, width: width, isAligned: false,
      stores: stores, takesMemory: memory, takesRegister: register, vex: use)
  }

  private static func own(_ row: VectorRow, width: Int, _ use: VEXUse) -> VectorRow {
    var row = row
    row.width = width
    row.isAligned = false
    row.vex = use
    return row
  }

  private static func own38(_ encoding: InstructionEncoding, _ vex: VEXPrefix) -> VectorRow? {
    guard vex.prefix == 1 else { return nil }
    let whole = vex.isLong ? 32 : 16
    let element = vex.w ? 8 : 4
    // A broadcast from a register came with AVX2.
    let broadcasts: VectorFeature = encoding.isRegisterForm ? .avx2 : .avx
    switch encoding.opcode {
    case 0x0c: return own(shuffle(.selectEach32, .avx), width: whole, VEXUse(register: .first, width: .clear))
    case 0x0d: return own(shuffle(.selectEach64, .avx), width: whole, VEXUse(register: .first, width: .clear))
    case 0x0e: return own(integer(.testSigns32, .avx), width: whole, VEXUse(width: .clear))
    case 0x0f: return own(integer(.testSigns64, .avx), width: whole, VEXUse(width: .clear))
    // The blends by XMM0 have no VEX form, but one with a fourth operand elsewhere.
    case 0x10, 0x14, 0x15: return unencodable
    case 0x13:
      return own(
        convert(.fromHalf, .f16c, width: 8, double: false), width: whole / 2, VEXUse(width: .clear))
    case 0x16, 0x36:
      return permute(.permute32, .avx2, width: 32, VEXUse(register: .first, length: .high, width: .clear))
    case 0x18: return permute(.broadcast32, broadcasts, width: 4, VEXUse(width: .clear))
    case 0x19: return permute(.broadcast64, broadcasts, width: 8, VEXUse(length: .high, width: .clear))
    case 0x1a: return permute(.broadcast128, .avx, register: false, VEXUse(length: .high, width: .clear))
    case 0x2c, 0x2d, 0x2e, 0x2f:
      return masked(
        encoding.opcode & 1 == 0 ? 4 : 8, .avx, whole, stores: encoding.opcode >= 0x2e, VEXUse.Width.clear)
    case 0x45: return own(integer(vex.w ? .rightEach64 : .rightEach32, .avx2), width: whole, VEXUse(register: .first))
    case 0x46: return own(integer(.arithmeticEach32, .avx2), width: whole, VEXUse(register: .first, width: .clear))
    case 0x47: return own(integer(vex.w ? .leftEach64 : .leftEach32, .avx2), width: whole, VEXUse(register: .first))
    case 0x58: return permute(.broadcast32, .avx2, width: 4, VEXUse(width: .clear))
    case 0x59: return permute(.broadcast64, .avx2, width: 8, VEXUse(width: .clear))
    case 0x5a: return permute(.broadcast128, .avx2, register: false, VEXUse(length: .high, width: .clear))
    case 0x78: return permute(.broadcast8, .avx2, width: 1, VEXUse(width: .clear))
    case 0x79: return permute(.broadcast16, .avx2, width: 2, VEXUse(width: .clear))
    case 0x8c, 0x8e:
      return masked(element, .avx2, whole, stores: encoding.opcode == 0x8e, VEXUse.Width.ignored)
    case 0x90, 0x92:
      return permute(.gather32, .avx2, width: element, register: false, VEXUse(register: .first))
    case 0x91, 0x93:
      return permute(.gather64, .avx2, width: element, register: false, VEXUse(register: .first))
    case 0x96...0x9f, 0xa6...0xaf, 0xb6...0xbf: return fused(encoding, vex)
    default: return nil
    }
  }

  private static func masked(
    _ element: Int, _ feature: VectorFeature, _ width: Int, stores: Bool, _ w: VEXUse.Width
  ) -> VectorRow {
    let operation: VectorPermute =
      stores ? (element == 4 ? .storeMasked32 : .storeMasked64) : element == 4 ? .loadMasked32 : .loadMasked64
    return permute(
      operation, feature, width: width, stores: stores, register: false, VEXUse(register: .first, width: w))
  }

  /// The opcode's upper digit tells the order of the operands, the lower one the operation.
  private static func fused(_ encoding: InstructionEncoding, _ vex: VEXPrefix) -> VectorRow {
    let operations: [VectorFused] = [
      .multiplyAddSubtract, .multiplySubtractAdd, .multiplyAdd, .multiplyAdd, .multiplySubtract, .multiplySubtract,
      .negatedMultiplyAdd, .negatedMultiplyAdd, .negatedMultiplySubtract, .negatedMultiplySubtract,
    ]
    let orders: [VectorFused.Order] = [.first132, .first213, .first231]
    let digit = encoding.opcode & 0xf
    let isScalar = digit >= 8 && digit & 1 != 0
    var row = VectorRow(
      callout: .vectorFused, operation: operations[Int(digit) - 6].rawValue, feature: .fma,
      width: isScalar ? (vex.w ? 8 : 4) : vex.isLong ? 32 : 16, isAligned: false, isScalar: isScalar,
      isDouble: vex.w, cost: .multiply, vex: VEXUse(register: .first, length: isScalar ? .ignored : .any))
    row.order = orders[Int(encoding.opcode >> 4) - 9]
    return row
  }

  private static func own3A(_ encoding: InstructionEncoding, _ vex: VEXPrefix) -> VectorRow? {
    guard vex.prefix == 1 else { return nil }
    let whole = vex.isLong ? 32 : 16
    switch encoding.opcode {
    // AMD's processors do not look at W here.
    case 0x00, 0x01:
      return permute(
        .permute64, .avx2, width: 32, VEXUse(length: .high, width: encoding.vendor == .amd ? .ignored : .set))
    case 0x02: return own(shuffle(.blend32, .avx2), width: whole, VEXUse(register: .first, width: .clear))
    case 0x04: return own(shuffle(.select32, .avx), width: whole, VEXUse(width: .clear))
    case 0x05: return own(shuffle(.select64, .avx), width: whole, VEXUse(width: .clear))
    case 0x06: return permute(.permute128, .avx, width: 32, VEXUse(register: .first, length: .high, width: .clear))
    case 0x46: return permute(.permute128, .avx2, width: 32, VEXUse(register: .first, length: .high, width: .clear))
    case 0x18, 0x38:
      return permute(
        .insert128, encoding.opcode == 0x18 ? .avx : .avx2,
        VEXUse(register: .first, length: .high, width: .clear))
    case 0x19, 0x39:
      return permute(
        .extract128, encoding.opcode == 0x19 ? .avx : .avx2, stores: true, VEXUse(length: .high, width: .clear))
    case 0x1d:
      var row = own(
        convert(.toHalf, .f16c, width: 8, double: false), width: whole / 2, VEXUse(width: .clear))
      row.stores = true
      return row
    case 0x4a: return own(shuffle(.blendVariable32, .avx), width: whole, VEXUse(register: .first, width: .clear))
    case 0x4b: return own(shuffle(.blendVariable64, .avx), width: whole, VEXUse(register: .first, width: .clear))
    case 0x4c:
      return own(
        shuffle(.blendVariable8, .avx), width: whole,
        VEXUse(register: .first, width: .clear, longFeature: .avx2))
    default: return nil
    }
  }

  /// A row that no prefix suits.
  private static let unencodable = permute(.zeroAll, .avx, VEXUse(length: .low, width: .clear)).without()

  private func without() -> VectorRow {
    var row = self
    row.vex = nil
    return row
  }
}

extension VectorMove {
  fileprivate func use(_ encoding: InstructionEncoding) -> VEXUse? {
    switch self {
    // MOVNTDQA of 256 bits alone came with AVX2.
    case .whole: return VEXUse(longFeature: encoding.map == .map38 ? .avx2 : nil)
    case .scalar: return VEXUse(register: encoding.isRegisterForm ? .first : .none, length: .ignored)
    case .loadLow, .loadHigh, .highToLow, .lowToHigh: return VEXUse(register: .first, length: .low)
    case .quadword, .fromGeneral, .toGeneral, .storeHigh, .storeMasked: return VEXUse(length: .low)
    case .maskOfBytes: return VEXUse(longFeature: .avx2)
    case .duplicateEven, .duplicateOdd, .duplicateLow, .maskOfSingles, .maskOfDoubles: return VEXUse()
    }
  }
}

extension VectorShuffle {
  fileprivate func use(_ encoding: InstructionEncoding) -> VEXUse? {
    // UNPCKLPS, SHUFPS and their kin, BLENDPS, BLENDPD.
    let isFloat =
      encoding.map == .secondary
      ? encoding.opcode == 0x14 || encoding.opcode == 0x15 || encoding.opcode == 0xc6
      : encoding.map == .map3A && (0x0c...0x0d).contains(encoding.opcode)
    let long: VectorFeature = isFloat ? .avx : .avx2
    switch self {
    case .insert8, .insert16, .insert32, .insert64, .insertSingle: return VEXUse(register: .first, length: .low)
    case .extract8, .extract16, .extract32, .extract64: return VEXUse(length: .low)
    case .select32, .selectLow16, .selectHigh16: return VEXUse(longFeature: long)
    case .signExtend8to16, .signExtend8to32, .signExtend8to64, .signExtend16to32, .signExtend16to64,
      .signExtend32to64, .zeroExtend8to16, .zeroExtend8to32, .zeroExtend8to64, .zeroExtend16to32, .zeroExtend16to64,
      .zeroExtend32to64:
      return VEXUse(longFeature: long)
    default: return VEXUse(register: .first, longFeature: long)
    }
  }
}

extension InstructionEncoding {
  /// Groups 12 to 14, whose ModRM.reg is part of the opcode.
  var isVectorShiftGroup: Bool { map == .secondary && (0x71...0x73).contains(opcode) }
}
