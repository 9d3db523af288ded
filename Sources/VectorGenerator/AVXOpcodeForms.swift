/// The opcode maps behind a VEX prefix, BMI apart: all opcodes with all prefixes and lengths. Those that are no
/// instruction show it.
extension OpcodeForms {
  static let avx: [OpcodeForm] = [OpcodeForm.Map.vexSecondary, .vex38, .vex3A].flatMap { map in
    (0...0xff as ClosedRange<UInt8>).flatMap { opcode -> [OpcodeForm] in
      guard !isLeftOut(map, opcode) else { return [] }
      let isGroup = map == .vexSecondary && [0x71, 0x72, 0x73, 0xae].contains(opcode)
      return digits(isGroup).flatMap { digit in
        prefixes(OpcodeForm(map: map, opcode: opcode, digit: digit)).flatMap(lengths).flatMap(widths)
          .flatMap { map == .vexSecondary && opcode == 0x77 ? [$0] : operands($0) }
      }
    }
  }

  /// What hosts have and Penumbra has not.
  private static func isLeftOut(_ map: OpcodeForm.Map, _ opcode: UInt8) -> Bool {
    switch (map, opcode) {
    // AVX-512's masks.
    case (.vexSecondary, 0x41...0x4b), (.vexSecondary, 0x90...0x99), (.vex3A, 0x30...0x33): true
    // AVX-VNNI, AVX-NE-CONVERT, AVX-IFMA, SHA512, SM3, SM4, GFNI.
    case (.vex38, 0x50...0x53), (.vex38, 0x72), (.vex38, 0xb0), (.vex38, 0xb1), (.vex38, 0xb4), (.vex38, 0xb5),
      (.vex38, 0xcb...0xd3), (.vex38, 0xda), (.vex3A, 0xce...0xcf), (.vex3A, 0xde):
      true
    // AMX and CMPccXADD.
    case (.vex38, 0x48...0x4b), (.vex38, 0x5c...0x5f), (.vex38, 0x6c), (.vex38, 0xe0...0xef): true
    // BMI.
    case (.vex38, 0xf0...0xff), (.vex3A, 0xf0...0xff): true
    default: false
    }
  }

  private static func lengths(_ form: OpcodeForm) -> [OpcodeForm] {
    var long = form
    long.isLong = true
    return [form, long]
  }

  /// VEX.W in the maps where it chooses something, and in 0F with general registers.
  private static func widths(_ form: OpcodeForm) -> [OpcodeForm] {
    form.map == .vexSecondary && ![0x2a, 0x2c, 0x2d, 0x6e, 0x7e].contains(form.opcode) ? [form] : [form, form.wide]
  }
}
