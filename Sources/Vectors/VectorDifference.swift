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
    self.init(register.name, VectorDifference.hex(expected, 16), VectorDifference.hex(found, 16))
  }

  init(xmm number: Int, _ expected: Vector128, _ found: Vector128) {
    func text(_ value: Vector128) -> String {
      VectorDifference.hex(value.y, 16) + VectorDifference.hex(value.x, 16).dropFirst(2)
    }
    self.init("xmm\(number)", text(expected), text(found))
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
