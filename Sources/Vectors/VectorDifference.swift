import Machine

/// One thing that is not as a vector wants it, as text.
public struct VectorDifference: Equatable, Sendable {
  /// A register, `exception`, or an address in brackets.
  public let field: String
  public let expected: String
  public let found: String
  /// What makes the difference, where the values do not show it.
  public let note: String

  init(_ field: String, _ expected: String, _ found: String, note: String = "") {
    self.field = field
    self.expected = expected
    self.found = found
    self.note = note
  }

  init(_ register: VectorRegister, _ expected: UInt64, _ found: UInt64) {
    let digits = register.width / 4
    self.init(register.name, VectorDifference.hex(expected, digits), VectorDifference.hex(found, digits))
  }

  init(xmm number: Int, _ expected: Vector128, _ found: Vector128) {
    self.init("xmm\(number)", VectorDifference.hex(expected), VectorDifference.hex(found))
  }

  /// The upper half of a YMM register.
  init(upper number: Int, _ expected: Vector128, _ found: Vector128) {
    self.init("ymm\(number)[255:128]", VectorDifference.hex(expected), VectorDifference.hex(found))
  }

  /// A register of the x87 by its own number.
  init(real number: Int, _ expected: ExtendedReal, _ found: ExtendedReal) {
    self.init("fpr\(number)", VectorDifference.hex(expected), VectorDifference.hex(found))
  }

  private static func hex(_ value: Vector128) -> String { hex(value.y, 16) + hex(value.x, 16).dropFirst(2) }
  private static func hex(_ value: ExtendedReal) -> String {
    hex(UInt64(value.head), 4) + hex(value.significand, 16).dropFirst(2)
  }

  init(flags expected: UInt64, _ found: UInt64, mask: UInt64) {
    let names = VectorDifference.flagNames.filter { (expected ^ found) & mask & $0.bit != 0 }.map(\.name)
    self.init(
      "rflags", VectorDifference.hex(expected & mask, 5), VectorDifference.hex(found & mask, 5),
      note: names.joined(separator: " "))
  }

  init(_ byte: ProgramSpace.Difference) {
    self.init(
      "[0x\(String(byte.address, radix: 16))]", VectorDifference.hex(UInt64(byte.expected), 2),
      VectorDifference.hex(UInt64(byte.found), 2))
  }

  static func hex(_ value: UInt64, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(digits - text.count, 0)) + text
  }

  private static let flagNames: [(name: String, bit: UInt64)] = [
    ("CF", Flag.carry), ("PF", Flag.parity), ("AF", Flag.adjust), ("ZF", Flag.zero), ("SF", Flag.sign),
    ("TF", Flag.trap), ("IF", Flag.interrupt), ("DF", Flag.direction), ("OF", Flag.overflow),
    ("IOPL", Flag.ioPrivilege), ("NT", Flag.nestedTask), ("RF", Flag.resume), ("VM", Flag.virtual8086),
    ("AC", Flag.alignmentCheck), ("VIF", Flag.virtualInterrupt), ("VIP", Flag.virtualInterruptPending),
    ("ID", Flag.identification),
  ]
}
