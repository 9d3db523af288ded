/// Integer instructions that came one by one, each with a CPUID bit of its own (SDM vol. 2).
extension Processor {
  private func require(_ feature: FeatureSet) throws(Stopped) {
    guard features.contains(feature) else { throw raise(.invalidOpcode) }
  }

  // MARK: Two chains of carries

  /// Adds with CF, and writes CF alone.
  func adcx(_ op: UnsafePointer<Operation>) throws(Stopped) { try addThrough(Flag.carry, op) }

  /// The same with OF.
  func adox(_ op: UnsafePointer<Operation>) throws(Stopped) { try addThrough(Flag.overflow, op) }

  private func addThrough(_ flag: UInt64, _ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.adx)
    let form = OperandForm(op)
    let source = try sourceOperand(op, form)
    let carryIn: UInt64 = s.pointee.flags.bits & flag != 0 ? 1 : 0
    let (partial, first) = register(op.pointee.dst, width: form.width).addingReportingOverflow(source)
    let (sum, second) = partial.addingReportingOverflow(carryIn)
    let carry = form.width == 8 ? first || second : sum >> 32 != 0
    setRegister(op.pointee.dst, width: form.width, sum)
    setFlags(carry ? flag : 0, of: flag)
  }

  // MARK: CRC32

  /// Accumulates a CRC with the Castagnoli polynomial 11EDC6F41, bits reflected. The destination's upper half becomes 0
  /// for every operand size. No flag changes.
  func crc32(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.sse42)
    let form = OperandForm(op)
    let source: UInt64 =
      form.shape == .rm
      ? try load(effectiveAddress(op), width: form.sourceWidth, stack: form.usesStack)
      : register(op.pointee.src, width: form.sourceWidth)
    var remainder = register(op.pointee.dst, width: 4) ^ source
    for _ in 0..<8 &* form.sourceWidth {
      remainder = remainder & 1 != 0 ? remainder >> 1 ^ 0x82f6_3b78 : remainder >> 1
    }
    setRegister(op.pointee.dst, width: 4, remainder)
  }

  // MARK: Moves

  func movbe(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.movbe)
    let form = OperandForm(op)
    let swapped = try sourceOperand(op, form).byteSwapped >> (64 &- 8 &* UInt64(truncatingIfNeeded: form.width))
    try setOperand(op, form, swapped)
  }

  /// MOVDIRI is a store: the model has no write combining.
  func moveDirect(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.movdiri)
    let form = OperandForm(op)
    try setOperand(op, form, try sourceOperand(op, form))
  }

  // MARK: Random numbers

  func readRandom(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.rdrand)
    drawRandom(op)
  }

  func readSeed(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try require(.rdseed)
    drawRandom(op)
  }

  /// The next number of the one sequence that RDRAND and RDSEED share: splitmix64 of the seed of `ProcessorOptions` and
  /// of how many were drawn before, so that runs repeat. There always is one: CF is set, the other flags are cleared.
  private func drawRandom(_ op: UnsafePointer<Operation>) {
    s.pointee.randomDraws &+= 1
    var mixed = options.randomSeed &+ s.pointee.randomDraws &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    setRegister(op.pointee.dst, width: OperandForm(op).width, mixed ^ mixed >> 31)
    s.pointee.flags = LazyFlags(Flag.carry)
  }
}
