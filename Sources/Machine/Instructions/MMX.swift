/// MMX with what SSE, SSE2 and SSSE3 added to it (SDM vol. 1, chapter 9; vol. 3, chapter 13). What is done to the lanes
/// is the vector unit's: an MMX register is the low half of a vector there.
extension Processor {
  // MARK: Registers

  /// #UD with EM or without the feature, #NM with TS, #MF for what the x87 has pending (SDM vol. 3, table 2-2 and
  /// 13.1; vol. 2, table 2-25 and its kin).
  private func checkMMX(_ form: MMXForm, usesRegisters: Bool = true) throws(Stopped) {
    let cr0 = s.pointee.cr0
    let isOff = form.usesVectors && s.pointee.cr4 & CR4.osFXSR == 0
    if !features.has(form.feature) || isOff || cr0 & CR0.emulation != 0 { throw raise(.invalidOpcode) }
    if cr0 & CR0.taskSwitched != 0 { throw raise(.deviceNotAvailable) }
    if usesRegisters { try checkPendingX87() }
  }

  @inline(__always) private func mmx(_ number: UInt8) -> UInt64 {
    s.pointee.vector.x87.registers[Int(number & 7)].significand
  }

  @inline(__always) private func setMMX(_ number: UInt8, _ value: UInt64) {
    s.pointee.vector.x87.registers[Int(number & 7)] = ExtendedReal(significand: value, head: 0xffff)
  }

  /// Every instruction but EMMS, which empties them, makes all registers valid; R0 is the top (SDM vol. 3, 13.2).
  @inline(__always) private func enterMMX() {
    s.pointee.vector.x87.top = 0
    s.pointee.vector.x87.tags = 0xff
  }

  /// Whether the state is MMX's already when a conversion raises #XM or MASKMOVQ's store faults. The manuals leave it
  /// open; AMD's processors have it so.
  private var entersEarly: Bool { profile.vendor == .amd }

  /// The second operand: a register, or memory zero-extended.
  private func mmxSource(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt64 {
    switch form.shape {
    case .rm, .rmi: try loadVectorPart(effectiveAddress(op), width: form.width, stack: form.usesStack)
    default: mmx(op.pointee.src)
    }
  }

  // MARK: Families

  func mmxInteger(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let mmxForm = MMXForm(rawValue: form.extra)
    try checkMMX(mmxForm)
    let source =
      form.shape == .ri ? UInt64(truncatingIfNeeded: op.pointee.imm & 0xff) : try mmxSource(op, form)
    let destination = mmx(op.pointee.dst)
    enterMMX()
    let a = Vector128(destination, mmxForm.isJoined ? source : 0)
    let b = Vector128(mmxForm.isJoined ? 0 : source, 0)
    setMMX(op.pointee.dst, VectorInteger.made(mmxForm.operation, a, b, 0).x)
  }

  func mmxShuffle(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let mmxForm = MMXForm(rawValue: form.extra)
    try checkMMX(mmxForm)
    let source = try mmxSource(op, form)
    let destination = mmx(op.pointee.dst)
    enterMMX()
    var a = Vector128(destination, mmxForm.isJoined ? source : 0)
    var b = Vector128(mmxForm.isJoined ? 0 : source, 0)
    switch VectorShuffle(rawValue: mmxForm.operation) {
    // Eight bytes to choose from, not sixteen.
    case .selectBytes: b &= 0x8787_8787_8787_8787
    // Sixteen bytes, of which eight remain.
    case .alignRight:
      a = Vector128()
      b = Vector128(source, destination)
    default: break
    }
    let result = VectorShuffle.made(mmxForm.operation, a, b, UInt8(truncatingIfNeeded: op.pointee.imm))
    setMMX(op.pointee.dst, mmxForm.takesHigh ? result.y : result.x)
  }

  func mmxMove(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let mmxForm = MMXForm(rawValue: form.extra)
    try checkMMX(mmxForm)
    let control = UInt64(op.pointee.imm & 3) &* 16
    switch MMXMove(rawValue: mmxForm.operation) {
    case .whole where form.shape == .mr, .toGeneral where form.shape == .mr:
      let value = mmx(op.pointee.src).truncated(to: form.width)
      try store(effectiveAddress(op), width: form.width, value: value, stack: form.usesStack)
      enterMMX()
    case .whole:
      let value = try mmxSource(op, form)
      enterMMX()
      setMMX(op.pointee.dst, value)
    case .fromGeneral:
      let value =
        form.shape == .rm ? try mmxSource(op, form) : register(op.pointee.src, width: form.width)
      enterMMX()
      setMMX(op.pointee.dst, value)
    case .toGeneral:
      enterMMX()
      setRegister(op.pointee.dst, width: form.width, mmx(op.pointee.src))
    case .maskOfBytes:
      enterMMX()
      setRegister(op.pointee.dst, width: 8, Vector128(mmx(op.pointee.src), 0).signs8)
    case .storeMasked:
      if entersEarly { enterMMX() }
      try storeMasked(
        form, mask: Vector128(mmx(op.pointee.src), 0), bytes: Vector128(mmx(op.pointee.dst), 0), width: 8)
      enterMMX()
    case .insertWord:
      let value =
        form.shape == .rmi ? try mmxSource(op, form) : register(op.pointee.src, width: 2)
      let old = mmx(op.pointee.dst)
      enterMMX()
      setMMX(op.pointee.dst, old & ~(0xffff &<< control) | value &<< control)
    case .extractWord:
      enterMMX()
      setRegister(op.pointee.dst, width: 8, mmx(op.pointee.src) &>> control & 0xffff)
    case .toVector:
      enterMMX()
      setXMM(op.pointee.dst, Vector128(mmx(op.pointee.src), 0))
    case .fromVector:
      enterMMX()
      setMMX(op.pointee.dst, xmm(op.pointee.src).x)
    case .empty:
      enterMMX()
      s.pointee.vector.x87.tags = 0
    case nil: return
    }
  }

  /// CVTPI2PS, CVTPI2PD, CVTPS2PI, CVTPD2PI and those that truncate.
  func mmxConvert(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let mmxForm = MMXForm(rawValue: form.extra)
    let operation = VectorConvert(rawValue: mmxForm.operation)
    // From memory no MMX register takes part. Intel's manual lets CVTPI2PS enter MMX's state all the same.
    let usesRegisters = form.shape != .rm || operation != .packedFromInteger
    try checkMMX(mmxForm, usesRegisters: usesRegisters)
    var unit = FloatUnit(s.pointee.vector.mxcsr)
    let format = mmxForm.isDouble ? FloatFormat.double : .single
    guard operation != .packedFromInteger else {
      let source = try mmxSource(op, form)
      let low = unit.fromInteger(Int64(Int32(truncatingIfNeeded: source)), format)
      let high = unit.fromInteger(Int64(Int32(truncatingIfNeeded: source >> 32)), format)
      if usesRegisters && entersEarly { enterMMX() }
      try finish(unit)
      if usesRegisters { enterMMX() }
      let result = mmxForm.isDouble ? Vector128(low, high) : Vector128(low | high << 32, xmm(op.pointee.dst).y)
      return setXMM(op.pointee.dst, result)
    }
    let source = try vectorSource(op, form).low
    let truncates = operation == .packedToIntegerTruncated
    let first = mmxForm.isDouble ? source.x : source.x & 0xffff_ffff
    let second = mmxForm.isDouble ? source.y : source.x >> 32
    let low = unit.toInteger(first, format, bits: 32, truncates: truncates)
    let high = unit.toInteger(second, format, bits: 32, truncates: truncates)
    if entersEarly { enterMMX() }
    try finish(unit)
    enterMMX()
    setMMX(op.pointee.dst, low | high << 32)
  }
}

extension FeatureSet {
  fileprivate func has(_ feature: MMXFeature) -> Bool {
    switch feature {
    case .mmx: contains(.mmx)
    case .extensions: contains(.mmx) && (contains(.sse) || contains(.mmxExtensions))
    case .sse: contains(.mmx) && contains(.sse)
    case .sse2: contains(.mmx) && contains(.sse2)
    case .ssse3: contains(.mmx) && contains(.ssse3)
    }
  }
}
