/// What vector callouts do, a family each: `Callout` names the family, `VectorForm` the operation.
///
/// Operations are named for what they do and not for the mnemonic: MOVAPS, MOVDQU and MOVNTDQ are one.

/// Moves (Instructions/VectorMove.swift).
@frozen public enum VectorMove: UInt8, Sendable {
  /// All 16 bytes, whichever way the operands point.
  case whole
  /// The low 4 or 8 bytes: between registers the rest of the destination stays, a load clears it.
  case scalar
  /// The low 8 bytes, the rest of a register cleared.
  case quadword
  /// Between a general register or memory and the low 4 or 8 bytes.
  case fromGeneral, toGeneral
  /// 8 bytes of memory to one half, the other stays; the high half to memory.
  case loadLow, loadHigh, storeHigh
  /// MOVHLPS, MOVLHPS.
  case highToLow, lowToHigh
  /// MOVSLDUP, MOVSHDUP, MOVDDUP.
  case duplicateEven, duplicateOdd, duplicateLow
  /// Sign bits to a general register.
  case maskOfSingles, maskOfDoubles, maskOfBytes
  /// MASKMOVDQU.
  case storeMasked
}

/// What puts elements elsewhere (VectorShuffle.swift).
@frozen public enum VectorShuffle: UInt8, Sendable {
  case unpackLow8, unpackLow16, unpackLow32, unpackLow64
  case unpackHigh8, unpackHigh16, unpackHigh32, unpackHigh64
  case packSigned16, packSigned32, packUnsigned16, packUnsigned32
  /// PSHUFD, PSHUFLW, PSHUFHW, SHUFPS, SHUFPD, PSHUFB, PALIGNR.
  case select32, selectLow16, selectHigh16, pairOf32, pairOf64, selectBytes, alignRight
  /// VPERMILPD by an immediate, VPERMILPS and VPERMILPD by a vector.
  case select64, selectEach32, selectEach64
  /// From and to a general register or memory.
  case insert8, insert16, insert32, insert64, extract8, extract16, extract32, extract64
  case insertSingle
  case blend16, blend32, blend64, blendVariable8, blendVariable32, blendVariable64
  case signExtend8to16, signExtend8to32, signExtend8to64, signExtend16to32, signExtend16to64, signExtend32to64
  case zeroExtend8to16, zeroExtend8to32, zeroExtend8to64, zeroExtend16to32, zeroExtend16to64, zeroExtend32to64
}

/// Integer arithmetic, comparison, logic and shifts (VectorInteger.swift).
@frozen public enum VectorInteger: UInt8, Sendable {
  case and, andNot, or, xor
  case add8, add16, add32, add64, subtract8, subtract16, subtract32, subtract64
  case addSigned8, addSigned16, addUnsigned8, addUnsigned16
  case subtractSigned8, subtractSigned16, subtractUnsigned8, subtractUnsigned16
  case equal8, equal16, equal32, equal64, greater8, greater16, greater32, greater64
  case minSigned8, minSigned16, minSigned32, minUnsigned8, minUnsigned16, minUnsigned32
  case maxSigned8, maxSigned16, maxSigned32, maxUnsigned8, maxUnsigned16, maxUnsigned32
  case average8, average16
  case absolute8, absolute16, absolute32, sign8, sign16, sign32
  case multiplyLow16, multiplyLow32, multiplyHigh16, multiplyHighUnsigned16, multiplyRounded16
  case multiplySigned32, multiplyUnsigned32
  case multiplyAdd16, multiplyAddBytes, sumOfDifferences, sumsOfDifferences, leastWord
  case addPairs16, addPairs32, addPairsSigned16, subtractPairs16, subtractPairs32, subtractPairsSigned16
  /// PTEST; VTESTPS and VTESTPD, of the signs alone.
  case test, testSigns32, testSigns64
  /// Each element by a count of its own.
  case leftEach32, leftEach64, rightEach32, rightEach64, arithmeticEach32
  // Shifts, by the low 64 bits of the source or by an immediate.
  case left16, left32, left64, right16, right32, right64, arithmetic16, arithmetic32
  case leftBytes, rightBytes
}

/// Floating-point arithmetic (VectorFloat.swift).
@frozen public enum VectorFloat: UInt8, Sendable {
  case add, multiply, subtract, divide, minimum, maximum, squareRoot
  case reciprocal, reciprocalRoot
  case compare, compareOrdered, compareUnordered
  case addSubtract, addPairs, subtractPairs, dotProduct, round
}

/// Conversions (VectorConvert.swift).
@frozen public enum VectorConvert: UInt8, Sendable {
  /// Scalars, between a general register or memory and the other format.
  case fromInteger, toInteger, toIntegerTruncated
  /// The other format: CVTSS2SD and its kin; the form's format is the source's.
  case format
  /// Packed 32-bit integers.
  case packedFromInteger, packedToInteger, packedToIntegerTruncated
  /// Half precision.
  case fromHalf, toHalf
}

/// Fused multiplications and additions (VectorFused.swift).
@frozen public enum VectorFused: UInt8, Sendable {
  case multiplyAdd, multiplySubtract, negatedMultiplyAdd, negatedMultiplySubtract
  /// Odd elements are added and even ones subtracted; the other way round.
  case multiplyAddSubtract, multiplySubtractAdd

  /// Which operands are multiplied: the first by the third, the second by the first, the second by the third.
  @frozen public enum Order: UInt8, Sendable { case first132, first213, first231 }
}

/// What moves elements across the whole of a register, or reaches memory element by element (VectorPermute.swift).
@frozen public enum VectorPermute: UInt8, Sendable {
  case broadcast8, broadcast16, broadcast32, broadcast64, broadcast128
  case insert128, extract128
  /// VPERM2F128, VPERMQ, VPERMD.
  case permute128, permute64, permute32
  case loadMasked32, loadMasked64, storeMasked32, storeMasked64
  /// By indices of 32 and of 64 bits; the form's width is the element's.
  case gather32, gather64
  case zeroAll, zeroUpper
}

/// Ciphers and hashes (VectorCipher.swift).
@frozen public enum VectorCipher: UInt8, Sendable {
  case encrypt, encryptLast, decrypt, decryptLast, invertMix, assistKey
  case multiplyCarryless
  case sha1Rounds, sha1NextE, sha1First, sha1Second, sha256Rounds, sha256First, sha256Second
}

/// Comparisons of strings (VectorString.swift).
@frozen public enum VectorString: UInt8, Sendable {
  case explicitMask, explicitIndex, implicitMask, implicitIndex
}

/// State of the vector unit and the x87 as a whole (ExtendedState.swift).
@frozen public enum ExtendedStateOperation: UInt8, Sendable {
  case fxsave, fxrstor, loadMXCSR, storeMXCSR, xsave, xrstor, xsaveopt, xsavec, xsaves, xrstors
}

/// The CPU feature that an operation belongs to.
@frozen public enum VectorFeature: UInt8, Sendable, CaseIterable {
  case sse, sse2, sse3, ssse3, sse41, sse42, avx, avx2, fma, f16c, aes, pclmul, sha, vaes, vpclmul

  /// What CPUID shows for it.
  @inlinable public var features: FeatureSet {
    switch self {
    case .sse: .sse
    case .sse2: .sse2
    case .sse3: .sse3
    case .ssse3: .ssse3
    case .sse41: .sse41
    case .sse42: .sse42
    case .avx: .avx
    case .avx2: .avx2
    case .fma: .fma
    case .f16c: .f16c
    case .aes: .aes
    case .pclmul: .pclmulqdq
    case .sha: .sha
    case .vaes: .vaes
    case .vpclmul: .vpclmulqdq
    }
  }
}

/// What a vector callout does, in the upper half of its `OperandForm`, whose width is that of the memory operand, and
/// whose `sourceWidth` is that of a general register.
@frozen public struct VectorForm: Sendable {
  public var rawValue: UInt32
  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - operation: the raw value within the family.
  ///   - aligned: a memory operand raises #GP unless its address is a multiple of its width.
  @inlinable public init(
    _ operation: UInt8, _ feature: VectorFeature, scalar: Bool = false, double: Bool = false, aligned: Bool = false
  ) {
    rawValue =
      UInt32(operation) | UInt32(feature.rawValue) << 8 | (scalar ? 1 << 13 : 0) | (double ? 1 << 14 : 0)
      | (aligned ? 1 << 15 : 0)
  }

  @inlinable public var operation: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  @inlinable public var feature: VectorFeature {
    VectorFeature(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8 & 0x1f)) ?? .sse
  }
  @inlinable public var isScalar: Bool { rawValue & 1 << 13 != 0 }
  /// Double precision; otherwise single.
  @inlinable public var isDouble: Bool { rawValue & 1 << 14 != 0 }
  @inlinable public var isAligned: Bool { rawValue & 1 << 15 != 0 }

  /// The register of the first source operand: the destination, or the one that VEX.vvvv names.
  @inlinable public var first: UInt8 {
    get { UInt8(truncatingIfNeeded: rawValue >> 16 & 0xf) }
    set { rawValue = rawValue & ~(0xf << 16) | UInt32(newValue & 0xf) << 16 }
  }

  /// The register of a mask that is a fourth operand: XMM0, or the one that VEX's immediate names.
  @inlinable public var mask: UInt8 {
    get { UInt8(truncatingIfNeeded: rawValue >> 20 & 0xf) }
    set { rawValue = rawValue & ~(0xf << 20) | UInt32(newValue & 0xf) << 20 }
  }

  /// Behind a VEX prefix: a result clears the rest of its register.
  @inlinable public var isVEX: Bool {
    get { rawValue & 1 << 24 != 0 }
    set { rawValue = rawValue & ~(1 << 24) | (newValue ? 1 << 24 : 0) }
  }

  /// 256 bits.
  @inlinable public var isWide: Bool {
    get { rawValue & 1 << 25 != 0 }
    set { rawValue = rawValue & ~(1 << 25) | (newValue ? 1 << 25 : 0) }
  }

  /// The order of a fused multiplication's operands.
  @inlinable public var order: VectorFused.Order {
    get { VectorFused.Order(rawValue: UInt8(truncatingIfNeeded: rawValue >> 26 & 3)) ?? .first132 }
    set { rawValue = rawValue & ~(3 << 26) | UInt32(newValue.rawValue) << 26 }
  }
}
