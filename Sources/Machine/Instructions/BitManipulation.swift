/// BMI1 and BMI2 (SDM vol. 2). The operands are VEX-encoded: ModRM.reg in `dst`, ModRM.rm in `src` or memory, and the
/// register of VEX.vvvv in `extra`.
///
/// Flags that the manual leaves undefined are as AMD's processors have them: PF is the result's, AF is cleared, but
/// BEXTR sets AF and clears SF.
extension Processor {
  /// A VEX prefix is #UD in real and virtual-8086 mode, whatever CPUID shows (SDM vol. 2, 2.8, exceptions type 13).
  private func require(_ feature: FeatureSet) throws(Stopped) {
    guard features.contains(feature), isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else {
      throw raise(.invalidOpcode)
    }
  }

  /// The register that VEX.vvvv names.
  @inline(__always) private func third(_ form: OperandForm) -> UInt64 {
    register(UInt8(truncatingIfNeeded: form.extra), width: form.width)
  }

  /// The register or memory operand, behind the check of CPUID.
  private func vexSource(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ feature: FeatureSet
  ) throws(Stopped) -> UInt64 {
    try require(feature)
    return try sourceOperand(op, form)
  }

  /// ZF, SF and PF of a result, and CF; the other flags are cleared.
  private func setResultFlags(_ result: UInt64, _ form: OperandForm, carry: Bool = false) {
    s.pointee.flags = LazyFlags(
      LazyFlags.signZeroParity(result.signExtended(from: form.width)) | (carry ? Flag.carry : 0))
  }

  // MARK: BMI1

  func andn(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try vexSource(op, form, .bmi1)
    let result = ~third(form) & source
    setRegister(op.pointee.dst, width: form.width, result)
    setResultFlags(result, form)
  }

  /// The field begins at the bit that the low byte of the control names, and has as many bits as the next byte says.
  func bextr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try vexSource(op, form, .bmi1)
    let control = third(form)
    let start = control & 0xff
    let length = (control >> 8) & 0xff
    // Swift's shifts give 0 beyond the width, as the instruction wants.
    let result = (source >> start) & ~(UInt64.max << length)
    setRegister(op.pointee.dst, width: form.width, result)
    s.pointee.flags = LazyFlags(LazyFlags.signZeroParity(result) & ~Flag.sign | Flag.adjust)
  }

  /// CF tells that the source was not 0: the opposite of BLSMSK and BLSR.
  func blsi(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try lowestBit(op, carryForZero: false) { $0 & (0 &- $0) }
  }

  func blsmsk(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try lowestBit(op, carryForZero: true) { $0 ^ ($0 &- 1) }
  }

  func blsr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try lowestBit(op, carryForZero: true) { $0 & ($0 &- 1) }
  }

  /// The destination is the register of VEX.vvvv, which the decoder has put into `dst`.
  @inline(__always) private func lowestBit(
    _ op: UnsafePointer<Operation>, carryForZero: Bool, _ body: (UInt64) -> UInt64
  ) throws(Stopped) {
    let form = OperandForm(op)
    let source = try vexSource(op, form, .bmi1)
    let result = body(source).truncated(to: form.width)
    setRegister(op.pointee.dst, width: form.width, result)
    setResultFlags(result, form, carry: (source == 0) == carryForZero)
  }

  // MARK: BMI2

  /// An index beyond the operand keeps all of it and sets CF.
  func bzhi(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try vexSource(op, form, .bmi2)
    let index = third(form) & 0xff
    let isBeyond = index >= 8 &* UInt64(truncatingIfNeeded: form.width)
    let result = isBeyond ? source : source & ~(UInt64.max << index)
    setRegister(op.pointee.dst, width: form.width, result)
    setResultFlags(result, form, carry: isBeyond)
  }

  /// No flag changes. The lower half is written first: where both destinations are one register it has the upper.
  func mulx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let source = try vexSource(op, form, .bmi2)
    let product = register(Slot.rdx, width: form.width).multipliedFullWidth(by: source)
    let high = form.width == 8 ? product.high : product.low >> 32
    setRegister(UInt8(truncatingIfNeeded: form.extra), width: form.width, product.low)
    setRegister(op.pointee.dst, width: form.width, high)
  }

  /// PDEP and PEXT: the mask is the register or memory operand, and no flag changes.
  func pdep(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    var mask = try vexSource(op, form, .bmi2)
    var bits = third(form)
    var result: UInt64 = 0
    while mask != 0 {
      if bits & 1 != 0 { result |= mask & (0 &- mask) }
      bits >>= 1
      mask &= mask &- 1
    }
    setRegister(op.pointee.dst, width: form.width, result)
  }

  func pext(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    var mask = try vexSource(op, form, .bmi2)
    let bits = third(form)
    var result: UInt64 = 0
    var place: UInt64 = 1
    while mask != 0 {
      if bits & mask & (0 &- mask) != 0 { result |= place }
      place <<= 1
      mask &= mask &- 1
    }
    setRegister(op.pointee.dst, width: form.width, result)
  }

  /// RORX, SARX, SHLX and SHRX change no flag, and mask their count as other shifts do.
  func rorx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let value = try vexSource(op, form, .bmi2)
    let bits = 8 &* UInt64(truncatingIfNeeded: form.width)
    let count = UInt64(bitPattern: op.pointee.imm) & (bits &- 1)
    setRegister(op.pointee.dst, width: form.width, value >> count | value << (bits &- count))
  }

  func sarx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let value = Int64(bitPattern: try vexSource(op, form, .bmi2).signExtended(from: form.width))
    setRegister(op.pointee.dst, width: form.width, UInt64(bitPattern: value >> count(form)))
  }

  func shlx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    setRegister(op.pointee.dst, width: form.width, try vexSource(op, form, .bmi2) << count(form))
  }

  func shrx(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    setRegister(op.pointee.dst, width: form.width, try vexSource(op, form, .bmi2) >> count(form))
  }

  private func count(_ form: OperandForm) -> UInt64 { third(form) & (form.width == 8 ? 0x3f : 0x1f) }
}
