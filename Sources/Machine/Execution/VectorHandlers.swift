/// Which vector instructions the control registers allow without further question. It is part of a block's mode: it
/// changes only where a block ends, by a write to a control register.
struct VectorMode: OptionSet {
  let rawValue: UInt8
  /// CR4.OSFXSR is set, CR0.EM and CR0.TS are clear.
  static let legacy = VectorMode(rawValue: 1)
  /// AVX is enabled, CR0.TS is clear.
  static let extended = VectorMode(rawValue: 2)
}

extension Processor {
  /// The mode that the control registers give now.
  var currentVectorMode: VectorMode {
    guard s.pointee.cr0 & CR0.taskSwitched == 0 else { return [] }
    var mode: VectorMode = allowsVEX ? .extended : []
    if s.pointee.cr4 & CR4.osFXSR != 0 && s.pointee.cr0 & CR0.emulation == 0 { mode.insert(.legacy) }
    return mode
  }
}

extension Operation {
  /// Gives the callout of a vector instruction that the mode and CPUID allow a handler that asks no more.
  mutating func trustVector(_ mode: VectorMode, _ features: FeatureSet) {
    guard handler == .callout, let callout = Callout(rawValue: n), callout.isVector else { return }
    let form = OperandForm(rawValue: link)
    guard mode.contains(form.vector.isVEX ? .extended : .legacy), features.contains(form.vector.requirements) else {
      return
    }
    handler = (form.vector.isVEX ? nil : fastHandler(callout, form)) ?? .vector
  }

  private func fastHandler(_ callout: Callout, _ form: OperandForm) -> Handler? {
    let operation = form.vector.operation
    switch callout {
    case .vectorMove: return VectorMove(rawValue: operation).flatMap { $0.handler(form) }
    case .vectorInteger: return VectorInteger(rawValue: operation).flatMap { $0.handler(form) }
    case .vectorShuffle: return VectorShuffle(rawValue: operation).flatMap { $0.handler(form) }
    case .vectorFloat: return VectorFloat(rawValue: operation).flatMap { $0.handler(form) }
    case .vectorConvert: return VectorConvert(rawValue: operation).flatMap { $0.handler(form) }
    default: return nil
    }
  }
}

extension Callout {
  /// Whether it is a family of the vector unit that `checkVector` stands before.
  var isVector: Bool {
    switch self {
    case .vectorMove, .vectorShuffle, .vectorInteger, .vectorFloat, .vectorConvert, .vectorString, .vectorFused,
      .vectorPermute, .vectorCipher:
      true
    default: false
    }
  }
}

// What a form's fast handler is; nil: it has none of its own.

extension VectorMove {
  fileprivate func handler(_ form: OperandForm) -> Handler? {
    let isWide = form.width == 8
    switch (self, form.shape) {
    case (.whole, .rr): return .vectorMoveRR
    case (.whole, .rm): return form.vector.isAligned ? .vectorLoadAligned : .vectorLoad
    case (.whole, .mr): return form.vector.isAligned ? .vectorStoreAligned : .vectorStore
    case (.quadword, .rr): return .vectorMoveLow64
    case (.scalar, .rr): return isWide ? .vectorMergeLow64 : .vectorMergeLow32
    case (.fromGeneral, .rr): return isWide ? .vectorFromR64 : .vectorFromR32
    case (.toGeneral, .rr): return isWide ? .vectorToR64 : .vectorToR32
    case (.quadword, .rm), (.scalar, .rm), (.fromGeneral, .rm): return isWide ? .vectorLoadLow64 : .vectorLoadLow32
    case (.quadword, .mr), (.scalar, .mr), (.toGeneral, .mr): return isWide ? .vectorStoreLow64 : .vectorStoreLow32
    case (.maskOfBytes, .rr): return .vectorMaskRR8
    default: return nil
    }
  }
}

extension VectorInteger {
  fileprivate func handler(_ form: OperandForm) -> Handler? {
    guard !makesFlags else { return nil }
    switch form.shape {
    case .ri: return .integerRI
    case .rm, .rmi: return .integerRM
    default: break
    }
    switch self {
    case .and: return .vectorAndRR
    case .andNot: return .vectorAndNotRR
    case .or: return .vectorOrRR
    case .xor: return .vectorXorRR
    case .add32: return .vectorAddRR32
    case .add64: return .vectorAddRR64
    case .subtract8: return .vectorSubtractRR8
    case .equal8: return .vectorEqualRR8
    default: return .integerRR
    }
  }
}

extension VectorShuffle {
  fileprivate func handler(_ form: OperandForm) -> Handler? {
    guard form.width == 16, !takesMask else { return nil }
    switch form.shape {
    case .rr, .rri: return self == .select32 ? .vectorSelectRR32 : .shuffleRR
    case .rm, .rmi: return .shuffleRM
    default: return nil
    }
  }
}

extension VectorFloat {
  fileprivate func handler(_ form: OperandForm) -> Handler? {
    let isMemory = form.shape == .rm || form.shape == .rmi
    if form.vector.isScalar && form.vector.isDouble {
      switch self {
      case .add: return isMemory ? .doubleAddRM : .doubleAddRR
      case .subtract: return isMemory ? .doubleSubtractRM : .doubleSubtractRR
      case .multiply: return isMemory ? .doubleMultiplyRM : .doubleMultiplyRR
      case .divide: return isMemory ? .doubleDivideRM : .doubleDivideRR
      case .compareOrdered, .compareUnordered: return isMemory ? .doubleCompareRM : .doubleCompareRR
      default: break
      }
    }
    guard isMemory else { return .floatRR }
    return form.width == 16 ? .floatRM128 : form.width == 8 ? .floatRM64 : .floatRM32
  }
}

extension VectorConvert {
  fileprivate func handler(_ form: OperandForm) -> Handler? {
    guard form.vector.isScalar, form.vector.isDouble, form.shape == .rr else { return nil }
    switch self {
    case .fromInteger: return form.width == 8 ? .doubleFromR64 : .doubleFromR32
    case .toIntegerTruncated: return form.sourceWidth == 8 ? .doubleToR64 : .doubleToR32
    default: return nil
    }
  }
}
