/// One opcode with what chooses among its instructions: prefix, REX.W, VEX.L, the digit in ModRM.reg, register or
/// memory.
struct OpcodeForm: Hashable, CustomStringConvertible {
  /// The opcode maps: one byte, 0F, 0F 38, 0F 3A, and these three behind a VEX prefix.
  enum Map: UInt8, CaseIterable {
    case primary, secondary, map38, map3A, vexSecondary, vex38, vex3A
  }

  /// What stands in ModRM.
  enum Operand: Hashable {
    /// There is none.
    case none
    case register, memory
  }

  /// Whose registers the operands are.
  enum Unit {
    case general, vector, mmx, x87
  }

  var map: Map
  var opcode: UInt8
  /// 66, F2, F3, LOCK, or 0.
  var prefix: UInt8 = 0
  var isWide = false
  /// VEX.L: 256 bits.
  var isLong = false
  /// ModRM.reg where it belongs to the opcode.
  var digit: UInt8?
  /// ModRM.rm where that belongs to it, too.
  var rm: UInt8?
  var operand = Operand.none

  var description: String {
    func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    let escape =
      switch map {
      case .primary: ""
      case .secondary: "0f "
      case .map38: "0f 38 "
      case .map3A: "0f 3a "
      case .vexSecondary: "vex 0f "
      case .vex38: "vex 38 "
      case .vex3A: "vex 3a "
      }
    return (prefix == 0 ? "" : hex(prefix) + " ") + (isWide ? "w " : "") + (isLong ? "l " : "") + escape
      + hex(opcode) + (digit.map { "/\($0)" } ?? "") + (rm.map { "/\($0)" } ?? "")
      + (operand == .register ? " r" : operand == .memory ? " m" : "")
  }

  var isVEX: Bool { map == .vexSecondary || map == .vex38 || map == .vex3A }

  var unit: Unit {
    switch map {
    case .primary: return opcode == 0x9b || (0xd8...0xdf).contains(opcode) ? .x87 : .general
    case .secondary:
      if isExtendedState { return digit == 1 ? .x87 : .vector }
      return OpcodeForm.isVectorOpcode(opcode) ? isMMXOpcode ? .mmx : .vector : .general
    case .map38: return opcode >= 0xf0 ? .general : prefix == 0 && opcode < 0x20 ? .mmx : .vector
    case .map3A: return prefix == 0 && opcode == 0x0f ? .mmx : .vector
    case .vexSecondary: return .vector
    case .vex38, .vex3A: return opcode >= 0xf0 ? .general : .vector
    }
  }

  /// Whether XMM registers may take part.
  var usesVectors: Bool { unit == .vector || unit == .mmx || isExtendedState }

  /// Whether the x87's state may.
  var usesX87: Bool { unit == .x87 || unit == .mmx || isExtendedState && digit == 1 }

  /// FXSAVE and its kin.
  private var isExtendedState: Bool {
    map == .secondary && opcode == 0xae && operand == .memory && digit ?? 0 < 4
  }

  static func isVectorOpcode(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0x10...0x17, 0x28...0x2f, 0x50...0x7f, 0xc2, 0xc4...0xc6, 0xd0...0xfe: true
    default: false
    }
  }

  /// Of the opcodes behind 0F those whose registers are MMX's.
  private var isMMXOpcode: Bool {
    switch opcode {
    case 0x60...0x6b, 0x6e...0x77, 0x7e, 0x7f, 0xc4, 0xc5, 0xd1...0xd5, 0xd7...0xef, 0xf1...0xfe: prefix == 0
    case 0x2a, 0x2c, 0x2d: prefix == 0 || prefix == 0x66
    case 0xd6: prefix == 0xf2 || prefix == 0xf3
    default: false
    }
  }
}

/// Every form of the instruction set of ring 3 that a vector can show.
enum OpcodeForms {
  static let all: [OpcodeForm] = primary + secondary + map38 + map3A + vex + x87 + avx

  // MARK: One byte

  private static let groups: Set<UInt8> = [
    0x80, 0x81, 0x83, 0x8f, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff,
  ]

  /// What is left out of the one-byte map.
  private static func isLeftOut(_ opcode: UInt8, _ digit: UInt8?) -> Bool {
    switch opcode {
    // Prefixes, escapes, VEX and EVEX.
    case 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x40...0x4f, 0x62, 0x64...0x67, 0xc4, 0xc5, 0xf0, 0xf2, 0xf3: true
    // The x87's escapes have forms of their own.
    case 0xd8...0xdf: true
    // MOV to segment registers and far transfers hang on descriptor tables.
    case 0x8e, 0xca, 0xcb, 0xcf: true
    // INT1, which hypervisors intercept and some give a wrong RIP.
    case 0xf1: true
    case 0xff where digit == 3 || digit == 5: true
    // XOP.
    case 0x8f where digit != 0: true
    default: false
    }
  }

  private static func hasModRM(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0x00...0x3f: opcode & 7 < 4
    case 0x63, 0x69, 0x6b, 0x80...0x8f, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0...0xd3, 0xf6, 0xf7, 0xfe, 0xff: true
    default: false
    }
  }

  private static func isString(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0xa4...0xa7, 0xaa...0xaf: true
    default: false
    }
  }

  /// Read-modify-write instructions, which LOCK may precede when they go to memory.
  private static func isLockable(_ opcode: UInt8, _ digit: UInt8?) -> Bool {
    switch opcode {
    case 0x00...0x37: opcode & 7 < 2
    case 0x80, 0x81, 0x83: digit != 7
    case 0x86, 0x87: true
    case 0xf6, 0xf7: digit == 2 || digit == 3
    case 0xfe, 0xff: digit == 0 || digit == 1
    default: false
    }
  }

  private static let primary: [OpcodeForm] = (0...0xff as ClosedRange<UInt8>).flatMap { opcode in
    digits(groups.contains(opcode)).flatMap { digit -> [OpcodeForm] in
      guard !isLeftOut(opcode, digit) else { return [] }
      var forms = sizes(OpcodeForm(map: .primary, opcode: opcode, digit: digit))
      if isString(opcode) {
        forms += [0xf2, 0xf3].flatMap { prefix -> [OpcodeForm] in
          sizes(OpcodeForm(map: .primary, opcode: opcode, prefix: prefix)).filter { $0.prefix == prefix }
        }
      }
      if opcode == 0x90 { forms.append(OpcodeForm(map: .primary, opcode: opcode, prefix: 0xf3)) }
      guard hasModRM(opcode) else { return forms }
      let locked = OpcodeForm(map: .primary, opcode: opcode, prefix: 0xf0, digit: digit)
      return forms.flatMap(operands)
        + (isLockable(opcode, digit)
          ? [locked, locked.wide].map { form in
            var form = form
            form.operand = .memory
            return form
          } : [])
    }
  }

  // MARK: Two bytes

  private static let secondaryGroups: Set<UInt8> = [0x71, 0x72, 0x73, 0xae, 0xba, 0xc7]

  private static func isLeftOut(_ form: OpcodeForm) -> Bool {
    switch form.opcode {
    // Descriptor tables and what is not the same on every machine: SLDT, SGDT and their groups, LAR, LSL, RDTSC,
    // RDPMC, CPUID, MSRs.
    case 0x00...0x03, 0x30...0x33, 0xa2: true
    // SYSCALL, SYSRET, SYSENTER, SYSEXIT; the escapes.
    case 0x05, 0x07, 0x34, 0x35, 0x38, 0x3a: true
    // POP FS, POP GS, LSS, LFS, LGS.
    case 0xa1, 0xa9, 0xb2, 0xb4, 0xb5: true
    // FEMMS, 3DNow!; SSE4A.
    case 0x0e, 0x0f, 0x78, 0x79: true
    case 0x2b where form.prefix == 0xf2 || form.prefix == 0xf3: true
    // FXSAVE writes which bits MXCSR has; XSAVE and XRSTOR what components the processor has and takes for initial.
    // The FS and GS bases.
    case 0xae:
      form.operand == .memory && [0, 4, 5].contains(form.digit)
        || form.operand == .memory && form.digit == 6 && form.prefix == 0
        || form.operand == .register && form.prefix == 0xf3
    // RDRAND, RDSEED, RDPID, XSAVEC, XSAVES, XRSTORS.
    case 0xc7: form.digit != 1
    default: false
    }
  }

  private static func secondaryHasModRM(_ opcode: UInt8) -> Bool {
    switch opcode {
    case 0x06, 0x08, 0x09, 0x0b, 0x37, 0x77, 0x80...0x8f, 0xa0, 0xa8, 0xaa, 0xc8...0xcf: false
    default: true
    }
  }

  private static let secondary: [OpcodeForm] = (0...0xff as ClosedRange<UInt8>).flatMap { opcode in
    digits(secondaryGroups.contains(opcode)).flatMap { digit -> [OpcodeForm] in
      let form = OpcodeForm(map: .secondary, opcode: opcode, digit: digit)
      var forms: [OpcodeForm]
      if OpcodeForm.isVectorOpcode(opcode) {
        forms = prefixes(form)
        if [0x2a, 0x2c, 0x2d, 0x6e, 0x7e].contains(opcode) { forms += forms.map(\.wide) }
      } else {
        forms = sizes(form)
        // POPCNT, TZCNT, LZCNT and what else F3 makes of an opcode.
        if [0x0b, 0x1e, 0x1f, 0xae, 0xb8, 0xbc, 0xbd, 0xc7].contains(opcode) {
          var repeated = form
          repeated.prefix = 0xf3
          forms += [repeated, repeated.wide]
        }
        let isLocked =
          [0xab, 0xb0, 0xb1, 0xb3, 0xbb, 0xc0, 0xc1, 0xc7].contains(opcode) || opcode == 0xba && digit ?? 0 > 4
        if isLocked {
          var locked = form
          locked.prefix = 0xf0
          forms += [locked, locked.wide]
        }
      }
      let withOperands = secondaryHasModRM(opcode) ? forms.flatMap(operands) : forms
      return withOperands.filter { !isLeftOut($0) && !($0.prefix == 0xf0 && $0.operand == .register) }
    }
  }

  // MARK: Three bytes

  private static let map38: [OpcodeForm] = (0...0xff as ClosedRange<UInt8>).flatMap { opcode -> [OpcodeForm] in
    let form = OpcodeForm(map: .map38, opcode: opcode)
    switch opcode {
    // GF2P8MULB, which Penumbra does not have.
    case 0xcf: return []
    // MOVDIR64B, MOVDIRI, AVX10 and the rest of what lies there.
    case 0xf0, 0xf1: return (sizes(form) + [0xf2].flatMap { prefixed(form, $0) }).flatMap(operands)
    case 0xf6: return [0x66, 0xf3].flatMap { prefixed(form, $0) }.flatMap(operands)
    case 0xf2...0xff: return []
    default: return prefixes(form).flatMap(operands)
    }
  }

  private static let map3A: [OpcodeForm] = (0...0xff as ClosedRange<UInt8>).flatMap { opcode -> [OpcodeForm] in
    let form = OpcodeForm(map: .map3A, opcode: opcode)
    switch opcode {
    // GF2P8AFFINEQB and GF2P8AFFINEINVQB.
    case 0xce, 0xcf: return []
    // PEXTRx, PINSRx, and PCMPESTRx, whose lengths REX.W makes 64 bits.
    case 0x14...0x17, 0x20, 0x22, 0x60...0x61: return (prefixes(form) + prefixes(form).map(\.wide)).flatMap(operands)
    default: return prefixes(form).flatMap(operands)
    }
  }

  /// BMI1 and BMI2.
  private static let vex: [OpcodeForm] = {
    let rows: [(OpcodeForm.Map, UInt8, [UInt8], [UInt8?])] = [
      (.vex38, 0xf2, [0], [nil]), (.vex38, 0xf3, [0], [0, 1, 2, 3, 4]), (.vex38, 0xf5, [0, 0xf2, 0xf3], [nil]),
      (.vex38, 0xf6, [0xf2], [nil]), (.vex38, 0xf7, [0, 0x66, 0xf2, 0xf3], [nil]), (.vex3A, 0xf0, [0xf2], [nil]),
    ]
    return rows.flatMap { map, opcode, prefixes, digits in
      prefixes.flatMap { prefix in
        digits.flatMap { digit -> [OpcodeForm] in
          let form = OpcodeForm(map: map, opcode: opcode, prefix: prefix, digit: digit)
          return [form, form.wide].flatMap(operands)
        }
      }
    }
  }()

  // MARK: Variations

  static func digits(_ isGroup: Bool) -> [UInt8?] { isGroup ? (0...7).map { $0 } : [nil] }

  private static func prefixed(_ form: OpcodeForm, _ prefix: UInt8) -> [OpcodeForm] {
    var form = form
    form.prefix = prefix
    return [form, form.wide]
  }

  /// Operand sizes of 32, 16 and 64 bits; behind F2 and F3 of 32 and 64.
  private static func sizes(_ form: OpcodeForm) -> [OpcodeForm] {
    var narrow = form
    narrow.prefix = 0x66
    return form.prefix == 0 ? [form, narrow, form.wide] : [form, form.wide]
  }

  /// The mandatory prefixes.
  static func prefixes(_ form: OpcodeForm) -> [OpcodeForm] {
    ([0, 0x66, 0xf3, 0xf2] as [UInt8]).map { prefix in
      var form = form
      form.prefix = prefix
      return form
    }
  }

  static func operands(_ form: OpcodeForm) -> [OpcodeForm] {
    [OpcodeForm.Operand.register, .memory].map { operand in
      var form = form
      form.operand = operand
      return form
    }
  }
}

extension OpcodeForm {
  /// The same with REX.W.
  var wide: OpcodeForm {
    var form = self
    form.isWide = true
    return form
  }
}
