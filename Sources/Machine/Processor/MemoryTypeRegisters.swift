/// The memory-type range registers (SDM vol. 3, 12.11; APM vol. 2, 7.7).
///
/// The model's caches treat all memory alike, so these registers are kept and checked, and decide nothing.
@frozen public struct MemoryTypeRegisters: Equatable, Sendable {
  /// IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn in turn.
  var variable = InlineArray<16, UInt64>(repeating: 0)
  /// Eight types a register, of stretches of 64K, 16K and 4K below 1 MiB.
  var fixed = InlineArray<11, UInt64>(repeating: 0)
  /// IA32_MTRR_DEF_TYPE.
  var defaultType: UInt64 = 0

  init() {}

  /// What firmware leaves: write-back by default, uncacheable where the display and, from 3 to 4 GiB, devices are,
  /// write-protected where the firmware itself is.
  public static func firmware(physicalBits: UInt64) -> MemoryTypeRegisters {
    var registers = MemoryTypeRegisters()
    registers.defaultType = 0xc06
    registers.variable[0] = 3 << 30
    registers.variable[1] = ((1 << physicalBits) &- 1) & ~((1 << 30) &- 1) | 1 << 11
    let writeBack: UInt64 = 0x0606_0606_0606_0606
    let writeProtected: UInt64 = 0x0505_0505_0505_0505
    registers.fixed[0] = writeBack
    registers.fixed[1] = writeBack
    for index in 3..<11 { registers.fixed[index] = writeProtected }
    return registers
  }

  /// IA32_MTRRCAP: eight variable ranges, fixed ranges, write-combining.
  static let capabilities: UInt64 = 0x508

  /// The register of an MSR's number; nil where it is none of these.
  subscript(number: UInt32) -> UInt64? {
    get {
      if number == MSR.mtrrCapability { return Self.capabilities }
      if number == MSR.mtrrDefault { return defaultType }
      if let index = Self.variableIndex(number) { return variable[index] }
      return Self.fixedIndex(number).map { fixed[$0] }
    }
    set {
      guard let newValue else { return }
      if number == MSR.mtrrDefault { defaultType = newValue }
      if let index = Self.variableIndex(number) { variable[index] = newValue }
      if let index = Self.fixedIndex(number) { fixed[index] = newValue }
    }
  }

  /// Whether a value may be written to one of the registers; reserved bits and types raise #GP.
  static func allows(_ value: UInt64, in number: UInt32, physicalBits: UInt64) -> Bool {
    if number == MSR.mtrrCapability { return false }
    if number == MSR.mtrrDefault { return value & ~0xcff == 0 && isType(value & 0xff) }
    if let index = variableIndex(number) {
      let reserved: UInt64 = .max << physicalBits
      // The base has a type, the mask a valid bit.
      if index & 1 == 0 { return value & (reserved | 0xf00) == 0 && isType(value & 0xff) }
      return value & (reserved | 0x7ff) == 0
    }
    return (0..<8).allSatisfy { isType((value >> (8 * $0)) & 0xff) }
  }

  /// Uncacheable, write-combining, write-through, write-protected, write-back.
  private static func isType(_ type: UInt64) -> Bool { [0, 1, 4, 5, 6].contains(type) }

  private static func variableIndex(_ number: UInt32) -> Int? {
    0x200...0x20f ~= number ? Int(number &- 0x200) : nil
  }

  private static func fixedIndex(_ number: UInt32) -> Int? {
    switch number {
    case 0x250: 0
    case 0x258...0x259: Int(number &- 0x257)
    case 0x268...0x26f: Int(number &- 0x265)
    default: nil
    }
  }

  public static func == (left: MemoryTypeRegisters, right: MemoryTypeRegisters) -> Bool {
    left.defaultType == right.defaultType
      && left.variable.indices.allSatisfy { left.variable[$0] == right.variable[$0] }
      && left.fixed.indices.allSatisfy { left.fixed[$0] == right.fixed[$0] }
  }
}
