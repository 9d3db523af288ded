import Support
import Testing

/// An instruction of the vector unit to compare with the host's: its opcode, what its operands are, which forms it has.
struct VectorInstruction: CustomTestStringConvertible, Sendable {
  enum Elements: Character, Sendable {
    case singles = "s"
    case doubles = "d"
    case integers = "i"
    case halves = "h"
    /// Indices of a gather, of 32 and of 64 bits.
    case indices32 = "x"
    case indices64 = "y"
  }

  var name: String
  /// Prefixes and opcode.
  var opcode: [UInt8]
  var elements: Elements
  var hasRegisterForm = true
  var hasMemoryForm = true
  var hasImmediate = false
  /// The opcode's extension, where ModRM.reg is none.
  var digit: UInt8?
  /// The prefix, behind which the opcode is a single byte.
  var vex: VEX?
  /// What the host has to have.
  var needs: [String] = []
  var testDescription: String { name }

  var isOnHost: Bool { HostInstruction.has(needs) }

  /// The fourth operand of a blend is one of four registers.
  var greatestImmediate: UInt8 { vex?.hasFourth == true ? 0x3f : 0xff }

  /// Reads a row: name, opcode, elements, and then `r` or `m` for forms with a register or memory alone, `#` for an
  /// immediate, `/n` for an opcode's extension.
  init(_ row: Substring) {
    let words = row.split(separator: " ")
    name = String(words[0])
    let digits = Array(words[1])
    opcode = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    elements = Elements(rawValue: words[2].first!)!
    for option in words.dropFirst(3) {
      switch option {
      case "r": hasMemoryForm = false
      case "m": hasRegisterForm = false
      case "#": hasImmediate = true
      default: digit = UInt8(option.dropFirst())
      }
    }
  }

  /// The instruction's bytes, its operands registers 1 and 2, or register 1 and what RDI points to; VEX.vvvv names
  /// register 3.
  func bytes(memory: Bool, immediate: UInt8) -> [UInt8] {
    let reg = (digit ?? 1) << 3
    var operands: [UInt8] = memory ? [0x87 | reg, 0, 0, 0, 0] : [0xc2 | reg]
    // Registers 1, 2 and 3, and the middle of the memory.
    if let scale = vex?.gatherScale { operands = [0x44 | reg, scale << 6 | 0x17, 16] }
    return (vex?.bytes ?? []) + opcode + operands + (hasImmediate ? [immediate] : [])
  }

  private static func rows(_ table: String) -> [VectorInstruction] {
    table.split(separator: "\n").map { VectorInstruction($0) }
  }

  static let moves = rows(
    """
    movups 0f10 i
    movupd 660f10 i
    movss f30f10 i
    movsd f20f10 i
    movups-store 0f11 i
    movupd-store 660f11 i
    movss-store f30f11 i
    movsd-store f20f11 i
    movlps 0f12 i m
    movhlps 0f12 i r
    movlpd 660f12 i m
    movsldup f30f12 i
    movddup f20f12 i
    movlps-store 0f13 i m
    movlpd-store 660f13 i m
    unpcklps 0f14 i
    unpcklpd 660f14 i
    unpckhps 0f15 i
    unpckhpd 660f15 i
    movhps 0f16 i m
    movlhps 0f16 i r
    movhpd 660f16 i m
    movshdup f30f16 i
    movhps-store 0f17 i m
    movhpd-store 660f17 i m
    movaps 0f28 i
    movapd 660f28 i
    movaps-store 0f29 i
    movapd-store 660f29 i
    movntps 0f2b i m
    movntpd 660f2b i m
    movmskps 0f50 i r
    movmskpd 660f50 i r
    movd 660f6e i
    movq-general 66480f6e i
    movdqa 660f6f i
    movdqu f30f6f i
    movd-store 660f7e i
    movq-general-store 66480f7e i
    movq f30f7e i
    movdqa-store 660f7f i
    movdqu-store f30f7f i
    movq-store 660fd6 i
    pmovmskb 660fd7 i r
    movntdq 660fe7 i m
    lddqu f20ff0 i m
    maskmovdqu 660ff7 i r
    movntdqa 660f382a i m
    """)

  static let shuffles = rows(
    """
    punpcklbw 660f60 i
    punpcklwd 660f61 i
    punpckldq 660f62 i
    packsswb 660f63 i
    packuswb 660f67 i
    punpckhbw 660f68 i
    punpckhwd 660f69 i
    punpckhdq 660f6a i
    packssdw 660f6b i
    punpcklqdq 660f6c i
    punpckhqdq 660f6d i
    pshufd 660f70 i #
    pshufhw f30f70 i #
    pshuflw f20f70 i #
    pinsrw 660fc4 i #
    pextrw 660fc5 i r #
    shufps 0fc6 i #
    shufpd 660fc6 i #
    pshufb 660f3800 i
    pblendvb 660f3810 i
    blendvps 660f3814 i
    blendvpd 660f3815 i
    pmovsxbw 660f3820 i
    pmovsxbd 660f3821 i
    pmovsxbq 660f3822 i
    pmovsxwd 660f3823 i
    pmovsxwq 660f3824 i
    pmovsxdq 660f3825 i
    packusdw 660f382b i
    pmovzxbw 660f3830 i
    pmovzxbd 660f3831 i
    pmovzxbq 660f3832 i
    pmovzxwd 660f3833 i
    pmovzxwq 660f3834 i
    pmovzxdq 660f3835 i
    blendps 660f3a0c i #
    blendpd 660f3a0d i #
    pblendw 660f3a0e i #
    palignr 660f3a0f i #
    pextrb 660f3a14 i #
    pextrw-sse4 660f3a15 i #
    pextrd 660f3a16 i #
    pextrq 66480f3a16 i #
    extractps 660f3a17 i #
    pinsrb 660f3a20 i #
    insertps 660f3a21 i #
    pinsrd 660f3a22 i #
    pinsrq 66480f3a22 i #
    """)

  static let integers = rows(
    """
    andps 0f54 i
    andpd 660f54 i
    andnps 0f55 i
    andnpd 660f55 i
    orps 0f56 i
    orpd 660f56 i
    xorps 0f57 i
    xorpd 660f57 i
    pcmpgtb 660f64 i
    pcmpgtw 660f65 i
    pcmpgtd 660f66 i
    psrlw-imm 660f71 i r # /2
    psraw-imm 660f71 i r # /4
    psllw-imm 660f71 i r # /6
    psrld-imm 660f72 i r # /2
    psrad-imm 660f72 i r # /4
    pslld-imm 660f72 i r # /6
    psrlq-imm 660f73 i r # /2
    psrldq 660f73 i r # /3
    psllq-imm 660f73 i r # /6
    pslldq 660f73 i r # /7
    pcmpeqb 660f74 i
    pcmpeqw 660f75 i
    pcmpeqd 660f76 i
    psrlw 660fd1 i
    psrld 660fd2 i
    psrlq 660fd3 i
    paddq 660fd4 i
    pmullw 660fd5 i
    psubusb 660fd8 i
    psubusw 660fd9 i
    pminub 660fda i
    pand 660fdb i
    paddusb 660fdc i
    paddusw 660fdd i
    pmaxub 660fde i
    pandn 660fdf i
    pavgb 660fe0 i
    psraw 660fe1 i
    psrad 660fe2 i
    pavgw 660fe3 i
    pmulhuw 660fe4 i
    pmulhw 660fe5 i
    psubsb 660fe8 i
    psubsw 660fe9 i
    pminsw 660fea i
    por 660feb i
    paddsb 660fec i
    paddsw 660fed i
    pmaxsw 660fee i
    pxor 660fef i
    psllw 660ff1 i
    pslld 660ff2 i
    psllq 660ff3 i
    pmuludq 660ff4 i
    pmaddwd 660ff5 i
    psadbw 660ff6 i
    psubb 660ff8 i
    psubw 660ff9 i
    psubd 660ffa i
    psubq 660ffb i
    paddb 660ffc i
    paddw 660ffd i
    paddd 660ffe i
    phaddw 660f3801 i
    phaddd 660f3802 i
    phaddsw 660f3803 i
    pmaddubsw 660f3804 i
    phsubw 660f3805 i
    phsubd 660f3806 i
    phsubsw 660f3807 i
    psignb 660f3808 i
    psignw 660f3809 i
    psignd 660f380a i
    pmulhrsw 660f380b i
    ptest 660f3817 i
    pabsb 660f381c i
    pabsw 660f381d i
    pabsd 660f381e i
    pmuldq 660f3828 i
    pcmpeqq 660f3829 i
    pcmpgtq 660f3837 i
    pminsb 660f3838 i
    pminsd 660f3839 i
    pminuw 660f383a i
    pminud 660f383b i
    pmaxsb 660f383c i
    pmaxsd 660f383d i
    pmaxuw 660f383e i
    pmaxud 660f383f i
    pmulld 660f3840 i
    phminposuw 660f3841 i
    mpsadbw 660f3a42 i #
    pcmpestrm 660f3a60 i #
    pcmpestri 660f3a61 i #
    pcmpistrm 660f3a62 i #
    pcmpistri 660f3a63 i #
    pcmpestri-wide 66480f3a61 i #
    """)

  static let floats = rows(
    """
    ucomiss 0f2e s
    ucomisd 660f2e d
    comiss 0f2f s
    comisd 660f2f d
    sqrtps 0f51 s
    sqrtpd 660f51 d
    sqrtss f30f51 s
    sqrtsd f20f51 d
    addps 0f58 s
    addpd 660f58 d
    addss f30f58 s
    addsd f20f58 d
    mulps 0f59 s
    mulpd 660f59 d
    mulss f30f59 s
    mulsd f20f59 d
    subps 0f5c s
    subpd 660f5c d
    subss f30f5c s
    subsd f20f5c d
    minps 0f5d s
    minpd 660f5d d
    minss f30f5d s
    minsd f20f5d d
    divps 0f5e s
    divpd 660f5e d
    divss f30f5e s
    divsd f20f5e d
    maxps 0f5f s
    maxpd 660f5f d
    maxss f30f5f s
    maxsd f20f5f d
    haddpd 660f7c d
    haddps f20f7c s
    hsubpd 660f7d d
    hsubps f20f7d s
    cmpps 0fc2 s #
    cmppd 660fc2 d #
    cmpss f30fc2 s #
    cmpsd f20fc2 d #
    addsubpd 660fd0 d
    addsubps f20fd0 s
    roundps 660f3a08 s #
    roundpd 660f3a09 d #
    roundss 660f3a0a s #
    roundsd 660f3a0b d #
    dpps 660f3a40 s #
    dppd 660f3a41 d #
    """)

  static let conversions = rows(
    """
    cvtsi2ss f30f2a i
    cvtsi2ss-wide f3480f2a i
    cvtsi2sd f20f2a i
    cvtsi2sd-wide f2480f2a i
    cvttss2si f30f2c s
    cvttss2si-wide f3480f2c s
    cvttsd2si f20f2c d
    cvttsd2si-wide f2480f2c d
    cvtss2si f30f2d s
    cvtss2si-wide f3480f2d s
    cvtsd2si f20f2d d
    cvtsd2si-wide f2480f2d d
    cvtps2pd 0f5a s
    cvtpd2ps 660f5a d
    cvtss2sd f30f5a s
    cvtsd2ss f20f5a d
    cvtdq2ps 0f5b i
    cvtps2dq 660f5b s
    cvttps2dq f30f5b s
    cvttpd2dq 660fe6 d
    cvtdq2pd f30fe6 i
    cvtpd2dq f20fe6 d
    """)
}
