import Machine

/// Which flags the manual leaves undefined after an instruction (SDM vol. 2, "Flags Affected" of each; vol. 1, appendix
/// A). Comparisons with a real processor leave these out: its model decides about them.
public enum UndefinedFlags {
  private static let c = Flag.carry, p = Flag.parity, a = Flag.adjust, z = Flag.zero, s = Flag.sign, o = Flag.overflow

  /// Whatever the operands are.
  private static let always: [String: UInt64] = [
    // AAA, AAS: "The AF and CF flags are set …; the OF, SF, ZF, and PF flags are undefined."
    "aaa": o | s | z | p, "aas": o | s | z | p,
    // AAD, AAM: "The OF, AF, and CF flags are undefined."
    "aad": o | a | c, "aam": o | a | c,
    // DAA, DAS: "The OF flag is undefined."
    "daa": o, "das": o,
    // AND, OR, XOR, TEST: "The state of the AF flag is undefined."
    "and": a, "or": a, "xor": a, "test": a,
    // ANDN, BLSI, BLSMSK, BLSR, BZHI: "AF and PF flags are undefined." BEXTR: "The AF, SF, and PF flags are undefined."
    "andn": a | p, "blsi": a | p, "blsmsk": a | p, "blsr": a | p, "bzhi": a | p, "bextr": a | s | p,
    // BSF, BSR: "The CF, OF, SF, AF, and PF flags are undefined."
    "bsf": c | o | s | a | p, "bsr": c | o | s | a | p,
    // BT and its kin: "The OF, SF, AF, and PF flags are undefined. The ZF flag is unaffected."
    "bt": o | s | a | p, "bts": o | s | a | p, "btr": o | s | a | p, "btc": o | s | a | p,
    // LZCNT, TZCNT: "OF, SF, PF, and AF flags are undefined."
    "lzcnt": o | s | p | a, "tzcnt": o | s | p | a,
    // MUL, IMUL: "The SF, ZF, AF, and PF flags are undefined." DIV, IDIV: all six.
    "mul": s | z | a | p, "imul": s | z | a | p, "div": c | o | s | z | a | p, "idiv": c | o | s | z | a | p,
  ]

  /// The undefined flags of an instruction with operands of `width` bytes; of shifts, with a count as it is encoded.
  public static func of(_ mnemonic: String, width: Int = 4, count: UInt64 = 1) -> UInt64 {
    let masked = count & (width == 8 ? 0x3f : 0x1f)
    let bits = UInt64(8 * width)
    switch mnemonic {
    // RCL, RCR, ROL, ROR: "The OF flag is defined only for the 1-bit rotates."
    case "rol", "ror", "rcl", "rcr": return masked <= 1 ? 0 : o
    // SAL, SAR, SHL, SHR: "The CF flag … is undefined for SHL and SHR instructions where the count is greater than or
    // equal to the size (in bits) of the destination operand. The OF flag is affected only for 1-bit shifts; otherwise,
    // it is undefined … For a non-zero count, the AF flag is undefined."
    case "shl", "sal", "shr", "sar":
      if masked == 0 { return 0 }
      return a | (masked == 1 ? 0 : o) | (masked >= bits && mnemonic != "sar" ? c : 0)
    // SHLD, SHRD: "If the count is greater than the operand size, the flags are undefined … For a 1-bit shift, the OF
    // flag is set if a sign change occurred … For shifts greater than 1 bit, the OF flag is undefined … the AF flag is
    // undefined."
    case "shld", "shrd":
      if masked == 0 { return 0 }
      return masked > bits ? Flag.arithmetic : a | (masked == 1 ? 0 : o)
    default: return always[mnemonic] ?? 0
    }
  }
}
