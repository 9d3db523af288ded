/// Moves of MMX registers (Instructions/MMX.swift).
@frozen public enum MMXMove: UInt8, Sendable {
  /// MOVQ and MOVNTQ.
  case whole
  /// Between a general register or memory and the low 4 bytes or all 8: MOVD, MOVQ.
  case fromGeneral, toGeneral
  /// PMOVMSKB, MASKMOVQ, PINSRW, PEXTRW.
  case maskOfBytes, storeMasked, insertWord, extractWord
  /// MOVQ2DQ, MOVDQ2Q.
  case toVector, fromVector
  /// EMMS.
  case empty
}

/// Which feature brought an instruction on MMX registers.
@frozen public enum MMXFeature: UInt8, Sendable {
  case mmx
  /// SSE's additions, which AMD had before as extensions of MMX.
  case extensions
  case sse, sse2, ssse3
}

/// `OperandForm.extra` of the callouts of MMX. The operation is one of `MMXMove`, or of the vector unit's families.
@frozen public struct MMXForm: Sendable {
  public var rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - operation: the raw value within the family.
  ///   - joined: the vector unit's operation gets both registers as the halves of its first operand.
  ///   - high: the result is the upper half of the vector unit's.
  ///   - usesVectors: XMM registers take part.
  ///   - aligned: a memory operand of 16 bytes raises #GP unless its address is a multiple of them; where `VectorForm`
  ///     has it.
  @inlinable public init(
    _ operation: UInt8, _ feature: MMXFeature, joined: Bool = false, high: Bool = false, double: Bool = false,
    usesVectors: Bool = false, aligned: Bool = false
  ) {
    rawValue =
      UInt16(operation) | UInt16(feature.rawValue) << 8 | (joined ? 1 << 11 : 0) | (usesVectors ? 1 << 12 : 0)
      | (high ? 1 << 13 : 0) | (double ? 1 << 14 : 0) | (aligned ? 1 << 15 : 0)
  }

  @inlinable public var operation: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  @inlinable public var feature: MMXFeature { MMXFeature(rawValue: UInt8(rawValue >> 8 & 7)) ?? .mmx }
  @inlinable public var isJoined: Bool { rawValue & 1 << 11 != 0 }
  @inlinable public var usesVectors: Bool { rawValue & 1 << 12 != 0 }
  @inlinable public var takesHigh: Bool { rawValue & 1 << 13 != 0 }
  @inlinable public var isDouble: Bool { rawValue & 1 << 14 != 0 }
}
