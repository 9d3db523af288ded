import Machine
import Support
import Testing
import Vectors

/// An x87 instruction to compare with the host's.
struct X87Instruction: CustomTestStringConvertible, Sendable {
  /// What the memory operand is, if there is one.
  enum Operand: Character, Sendable {
    case none = "-"
    case single = "s"
    case double = "d"
    case extended = "e"
    case decimal = "b"
    case integer = "i"
    /// A control word, an environment or a state.
    case control = "c"
  }

  var name: String
  var bytes: [UInt8]
  var operand: Operand
  var testDescription: String { name }

  /// Reads a row: name, bytes up to ModRM, operand. Memory is what RDI points to with a displacement of 0x400.
  private init(_ row: Substring) {
    let words = row.split(separator: " ")
    name = String(words[0])
    let digits = Array(words[1])
    bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    operand = Operand(rawValue: words[2].first!)!
    if operand != .none { bytes[bytes.count - 1] = bytes[bytes.count - 1] & 0x38 | 0x87 }
    if operand != .none { bytes += [0, 4, 0, 0] }
  }

  private static func rows(_ table: String) -> [X87Instruction] {
    table.split(separator: "\n").map { X87Instruction($0) }
  }

  static let arithmetic = rows(
    """
    fadd d8c1 -
    fadd-self d8c0 -
    fadd-m32 d800 s
    fadd-m64 dc00 d
    fiadd-m16 de00 i
    fiadd-m32 da00 i
    fadd-to dcc2 -
    faddp dec1 -
    fmul d8c9 -
    fmul-m32 d808 s
    fmul-m64 dc08 d
    fimul-m16 de08 i
    fimul-m32 da08 i
    fmul-to dcca -
    fmulp dec9 -
    fsub d8e1 -
    fsub-m32 d820 s
    fsub-m64 dc20 d
    fisub-m16 de20 i
    fisub-m32 da20 i
    fsub-to dcea -
    fsubp dee9 -
    fsubr d8e9 -
    fsubr-m32 d828 s
    fsubr-m64 dc28 d
    fisubr-m16 de28 i
    fisubr-m32 da28 i
    fsubr-to dce2 -
    fsubrp dee1 -
    fdiv d8f1 -
    fdiv-m32 d830 s
    fdiv-m64 dc30 d
    fidiv-m16 de30 i
    fidiv-m32 da30 i
    fdiv-to dcfa -
    fdivp def9 -
    fdivr d8f9 -
    fdivr-m32 d838 s
    fdivr-m64 dc38 d
    fidivr-m16 de38 i
    fidivr-m32 da38 i
    fdivr-to dcf2 -
    fdivrp def1 -
    fsqrt d9fa -
    frndint d9fc -
    fscale d9fd -
    fxtract d9f4 -
    fprem d9f8 -
    fprem1 d9f5 -
    fchs d9e0 -
    fabs d9e1 -
    """)

  static let comparisons = rows(
    """
    fcom d8d1 -
    fcom-m32 d810 s
    fcom-m64 dc10 d
    ficom-m16 de10 i
    ficom-m32 da10 i
    fcomp d8d9 -
    fcomp-m32 d818 s
    fcomp-m64 dc18 d
    ficomp-m16 de18 i
    ficomp-m32 da18 i
    fcompp ded9 -
    fcom-alias dcd1 -
    fcomp-alias dcd9 -
    fcomp-alias-de ded1 -
    fucom dde1 -
    fucomp dde9 -
    fucompp dae9 -
    fcomi dbf1 -
    fcomip dff1 -
    fucomi dbe9 -
    fucomip dfe9 -
    ftst d9e4 -
    fxam d9e5 -
    """)

  static let moves = rows(
    """
    fld d9c2 -
    fld-m32 d900 s
    fld-m64 dd00 d
    fld-m80 db28 e
    fild-m16 df00 i
    fild-m32 db00 i
    fild-m64 df28 i
    fbld df20 b
    fld1 d9e8 -
    fldl2t d9e9 -
    fldl2e d9ea -
    fldpi d9eb -
    fldlg2 d9ec -
    fldln2 d9ed -
    fldz d9ee -
    fst ddd2 -
    fst-m32 d910 i
    fst-m64 dd10 i
    fstp ddda -
    fstp-m32 d918 i
    fstp-m64 dd18 i
    fstp-m80 db38 i
    fstp-alias d9da -
    fstp-alias-d0 dfd2 -
    fstp-alias-d8 dfda -
    fist-m16 df10 i
    fist-m32 db10 i
    fistp-m16 df18 i
    fistp-m32 db18 i
    fistp-m64 df38 i
    fisttp-m16 df08 i
    fisttp-m32 db08 i
    fisttp-m64 dd08 i
    fbstp df30 i
    fxch d9c9 -
    fxch-alias ddc9 -
    fxch-alias-df dfc9 -
    fcmovb dac1 -
    fcmove dac9 -
    fcmovbe dad1 -
    fcmovu dad9 -
    fcmovnb dbc1 -
    fcmovne dbc9 -
    fcmovnbe dbd1 -
    fcmovnu dbd9 -
    fincstp d9f7 -
    fdecstp d9f6 -
    ffree ddc1 -
    ffreep dfc1 -
    fnop d9d0 -
    """)

  static let control = rows(
    """
    fninit dbe3 -
    fnclex dbe2 -
    feni dbe0 -
    fdisi dbe1 -
    fsetpm dbe4 -
    fldcw d928 c
    fnstcw d938 c
    fnstsw-m16 dd38 c
    fnstsw-ax dfe0 -
    fldenv d920 c
    fldenv-16 66d920 c
    fnstenv d930 c
    fnstenv-16 66d930 c
    frstor dd20 c
    frstor-16 66dd20 c
    fnsave dd30 c
    fnsave-16 66dd30 c
    """)

  static let transcendental = rows(
    """
    f2xm1 d9f0 -
    fyl2x d9f1 -
    fyl2xp1 d9f9 -
    fpatan d9f3 -
    fsin d9fe -
    fcos d9ff -
    fsincos d9fb -
    fptan d9f2 -
    """)
}

/// Operands at random, with a preference for the numbers at which something changes.
struct X87Operands {
  typealias Mode = FloatingOperands<RepeatableRandom>.Mode
  var floating: FloatingOperands<RepeatableRandom>

  init(seed: UInt64) { floating = FloatingOperands(RepeatableRandom(seed: seed)) }

  mutating func record(_ instruction: X87Instruction, _ mode: Mode) -> FloatingRecord {
    var record = FloatingRecord()
    record.x87 = floating.x87(mode)
    record.flags = floating.random.next() & 0x8d5
    record.rax = floating.random.next()
    record.memory = memory(instruction.operand)
    return record
  }

  private mutating func memory(_ operand: X87Instruction.Operand) -> [UInt64] {
    var words = (0..<16).map { _ in floating.random.next() }
    switch operand {
    case .single: words[0] = words[0] << 32 | UInt64(floating.single())
    case .double: words[0] = floating.double()
    case .extended:
      let value = floating.real()
      words[0] = value.significand
      words[1] = words[1] & ~0xffff | UInt64(value.head)
    case .decimal:
      let value = floating.decimal()
      words[0] = value.low
      words[1] = words[1] & ~0xffff | UInt64(value.high)
    case .integer: words[0] = floating.integer()
    case .control, .none: break
    }
    return words
  }
}
