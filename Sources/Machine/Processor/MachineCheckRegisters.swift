/// The machine-check architecture's registers (SDM vol. 3, 16.3). Nothing here ever breaks, so no bank reports anything.
@frozen public struct MachineCheckRegisters: Equatable, Sendable {
  static let banks: UInt32 = 4

  /// IA32_MCG_STATUS.
  var status: UInt64 = 0
  /// IA32_MCi_CTL, IA32_MCi_STATUS, IA32_MCi_ADDR, IA32_MCi_MISC of every bank in turn.
  var bank = InlineArray<16, UInt64>(repeating: 0)

  init() {}

  /// IA32_MCG_CAP: the number of banks, and nothing that is optional.
  static let capabilities = UInt64(banks)

  /// The register of an MSR's number; nil where it is none of these.
  subscript(number: UInt32) -> UInt64? {
    get {
      switch number {
      case MSR.machineCheckCapability: Self.capabilities
      case MSR.machineCheckStatus: status
      default: Self.index(number).map { bank[$0] }
      }
    }
    set {
      guard let newValue else { return }
      if number == MSR.machineCheckStatus { status = newValue }
      if let index = Self.index(number) { bank[index] = newValue }
    }
  }

  /// Whether a value may be written to one of the registers. A bank's control takes all zeros or all ones, its status
  /// only zero.
  static func allows(_ value: UInt64, in number: UInt32) -> Bool {
    switch number {
    case MSR.machineCheckCapability: false
    // RIPV, EIPV and MCIP.
    case MSR.machineCheckStatus: value >> 3 == 0
    default:
      switch number & 3 {
      case 0: value == 0 || value == .max
      case 1: value == 0
      default: true
      }
    }
  }

  private static func index(_ number: UInt32) -> Int? {
    MSR.machineCheckBanks <= number && number < MSR.machineCheckBanks &+ 4 &* banks
      ? Int(number &- MSR.machineCheckBanks) : nil
  }

  public static func == (left: MachineCheckRegisters, right: MachineCheckRegisters) -> Bool {
    left.status == right.status && left.bank.indices.allSatisfy { left.bank[$0] == right.bank[$0] }
  }
}
