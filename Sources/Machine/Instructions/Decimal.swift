/// Decimal adjustment of AL and AX (SDM vol. 2: AAA, AAD, AAM, AAS, DAA, DAS). The decoder lets none of it into 64-bit
/// code.
extension Processor {
  private var al: UInt64 { register(Slot.rax, width: 1) }
  private var ah: UInt64 { register(Slot.highByte | Slot.rax, width: 1) }

  private func setAX(high: UInt64, low: UInt64) {
    setRegister(Slot.rax, width: 2, (high & 0xff) << 8 | low & 0xff)
  }

  /// Whether the low digit needs an adjustment.
  private var adjustsLowDigit: Bool { al & 0xf > 9 || s.pointee.flags.bits & Flag.adjust != 0 }

  /// SF, ZF and PF of AL, with CF and AF.
  private func setDecimalFlags(carry: Bool = false, adjust: Bool = false) {
    s.pointee.flags = LazyFlags(
      LazyFlags.signZeroParity(al.signExtended(from: 1)) | (carry ? Flag.carry : 0) | (adjust ? Flag.adjust : 0))
  }

  // MARK: Unpacked

  /// The sum goes through all of AX: a carry out of AL reaches AH.
  func aaa(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try adjustUnpacked { $0 &+ 0x106 }
  }

  func aas(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try adjustUnpacked { $0 &- 0x106 }
  }

  /// OF, SF, ZF and PF are undefined.
  private func adjustUnpacked(_ body: (UInt64) -> UInt64) throws(Stopped) {
    let adjusts = adjustsLowDigit
    let ax = register(Slot.rax, width: 2)
    setRegister(Slot.rax, width: 2, (adjusts ? body(ax) : ax) & 0xff0f)
    setDecimalFlags(carry: adjusts, adjust: adjusts)
  }

  /// The base is the immediate, which is 10 in the form that assemblers write. OF, AF and CF are undefined.
  func aam(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let base = UInt64(bitPattern: op.pointee.imm) & 0xff
    guard base != 0 else { throw raise(.divide) }
    setAX(high: al / base, low: al % base)
    setDecimalFlags()
  }

  func aad(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let base = UInt64(bitPattern: op.pointee.imm) & 0xff
    setAX(high: 0, low: al &+ ah &* base)
    setDecimalFlags()
  }

  // MARK: Packed

  /// OF is undefined.
  func daa(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let old = al
    let adjustsLow = adjustsLowDigit
    let adjustsHigh = old > 0x99 || s.pointee.flags.carry
    setRegister(Slot.rax, width: 1, old &+ (adjustsLow ? 6 : 0) &+ (adjustsHigh ? 0x60 : 0))
    setDecimalFlags(carry: adjustsHigh, adjust: adjustsLow)
  }

  /// A borrow of the low digit's adjustment sets CF even where the high digit needs none.
  func das(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let old = al
    let adjustsLow = adjustsLowDigit
    let adjustsHigh = old > 0x99 || s.pointee.flags.carry
    setRegister(Slot.rax, width: 1, old &- (adjustsLow ? 6 : 0) &- (adjustsHigh ? 0x60 : 0))
    setDecimalFlags(carry: adjustsHigh || adjustsLow && old < 6, adjust: adjustsLow)
  }
}
