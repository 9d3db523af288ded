/// D8 to DF.
extension OpcodeForms {
  static let x87: [OpcodeForm] = (0xd8...0xdf as ClosedRange<UInt8>).flatMap { opcode in
    (0..<8 as Range<UInt8>).flatMap { digit -> [OpcodeForm] in
      var memory = OpcodeForm(map: .primary, opcode: opcode, digit: digit)
      memory.operand = .memory
      var register = memory
      register.operand = .register
      return withWords(memory) + withFunctions(register)
    }
  }

  /// Environments and states have words of 32 or, behind 66, of 16 bits.
  private static func withWords(_ form: OpcodeForm) -> [OpcodeForm] {
    guard [0xd9, 0xdd].contains(form.opcode), form.digit == 4 || form.digit == 6 else { return [form] }
    var narrow = form
    narrow.prefix = 0x66
    return [form, narrow]
  }

  /// Where ModRM.rm names no register it is part of the opcode.
  private static func withFunctions(_ form: OpcodeForm) -> [OpcodeForm] {
    let isFunction =
      switch (form.opcode, form.digit ?? 0) {
      case (0xd9, 2), (0xd9, 4...7), (0xda, 4...7), (0xdb, 4), (0xdb, 7), (0xde, 3), (0xdf, 4): true
      default: false
      }
    guard isFunction else { return [form] }
    return (0..<8 as Range<UInt8>).map { rm in
      var form = form
      form.rm = rm
      return form
    }
  }
}
