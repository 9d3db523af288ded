import Support

extension VectorInstruction {
  /// The fields of a VEX prefix of three bytes.
  struct VEX: Sendable {
    var map: UInt8
    /// 0 none, 1 66, 2 F3, 3 F2.
    var prefix: UInt8
    var isWide = false
    var isLong = false
    /// VEX.vvvv names a register.
    var hasFirst = true
    /// The immediate names one.
    var hasFourth = false
    /// log2 of the scale of a gather's indices.
    var gatherScale: UInt8?

    var bytes: [UInt8] {
      let register: UInt8 = hasFirst ? ~3 & 0xf : 0xf
      return [0xc4, 0xe0 | map, (isWide ? 0x80 : 0) | register << 3 | (isLong ? 4 : 0) | prefix]
    }
  }

  // MARK: What legacy instructions become

  private static let withoutVEX: Set = ["pblendvb", "blendvps", "blendvpd"]

  /// Without a register in VEX.vvvv, whatever their form.
  private static let ofTwo = Set(
    """
    movups movupd movups-store movupd-store movlps-store movlpd-store movhps-store movhpd-store movsldup movddup movshdup
    movaps movapd movaps-store movapd-store movntps movntpd movmskps movmskpd movd movq-general movdqa movdqu movd-store
    movq-general-store movq movdqa-store movdqu-store movq-store pmovmskb movntdq lddqu maskmovdqu movntdqa pshufd
    pshufhw pshuflw pextrw pmovsxbw pmovsxbd pmovsxbq pmovsxwd pmovsxwq pmovsxdq pmovzxbw pmovzxbd pmovzxbq pmovzxwd
    pmovzxwq pmovzxdq pextrb pextrw-sse4 pextrd pextrq extractps ptest pabsb pabsw pabsd phminposuw pcmpestrm pcmpestri
    pcmpistrm pcmpistri pcmpestri-wide ucomiss ucomisd comiss comisd sqrtps sqrtpd roundps roundpd cvttss2si
    cvttss2si-wide cvttsd2si cvttsd2si-wide cvtss2si cvtss2si-wide cvtsd2si cvtsd2si-wide cvtps2pd cvtpd2ps cvtdq2ps
    cvtps2dq cvttps2dq cvttpd2dq cvtdq2pd cvtpd2dq
    """.split(whereSeparator: \.isWhitespace).map(String.init))

  /// Of 128 bits alone, or scalars.
  private static let narrow = Set(
    """
    movlps movhlps movlpd movlps-store movlpd-store movhps movlhps movhpd movhps-store movhpd-store movd movq-general
    movd-store movq-general-store movq movq-store maskmovdqu pinsrw pextrw pextrb pextrw-sse4 pextrd pextrq extractps
    pinsrb insertps pinsrd pinsrq phminposuw pcmpestrm pcmpestri pcmpistrm pcmpistri pcmpestri-wide ucomiss ucomisd
    comiss comisd dppd cvtsi2ss cvtsi2ss-wide cvtsi2sd cvtsi2sd-wide
    """.split(whereSeparator: \.isWhitespace).map(String.init))

  /// Every instruction of the tables of legacy ones, of 128 and of 256 bits.
  static let behindVEX: [VectorInstruction] = (moves + shuffles + integers + floats + conversions)
    .filter { !withoutVEX.contains($0.name) }.flatMap(\.prefixed)

  private var prefixed: [VectorInstruction] {
    var rest = opcode[...]
    var vex = VEX(map: 1, prefix: 0)
    if let mandatory = [0x66, 0xf3, 0xf2].firstIndex(of: Int(rest.first!)) {
      vex.prefix = UInt8(mandatory) + 1
      rest.removeFirst()
    }
    if rest.first == 0x48 {
      vex.isWide = true
      rest.removeFirst()
    }
    rest.removeFirst()
    if rest.first == 0x38 || rest.first == 0x3a {
      vex.map = rest.first == 0x38 ? 2 : 3
      rest.removeFirst()
    }
    let isPacked = ["movsldup", "movshdup", "haddps", "hsubps", "addsubps", "cvttps2dq", "cvtpd2dq"].contains(name)
    let hasScalarPrefix = vex.prefix >= 2 && vex.map == 1 && (elements != .integers || name.hasPrefix("movs"))
    let isScalar = hasScalarPrefix && !isPacked || ["roundss", "roundsd"].contains(name)
    var narrow = self
    narrow.name = "v" + name
    narrow.opcode = Array(rest)
    narrow.needs = ["avx", "avx2"]
    vex.hasFirst = !Self.ofTwo.contains(name)
    narrow.vex = vex
    var results = [narrow]
    if name.hasPrefix("movss") || name.hasPrefix("movsd") {
      // Between registers they have three operands, with memory two.
      results[0].hasMemoryForm = false
      var memory = narrow
      memory.hasRegisterForm = false
      memory.vex?.hasFirst = false
      results.append(memory)
    }
    if !isScalar && !Self.narrow.contains(name) {
      var wide = narrow
      wide.name += "-256"
      wide.vex?.isLong = true
      results.append(wide)
    }
    return results
  }

  // MARK: Instructions of their own

  /// Reads a row: name, map and prefix, opcode, elements, and then besides what legacy rows have `w` for VEX.W, `0` and
  /// `1` for 128 and 256 bits alone, `2` for no register in VEX.vvvv, `4` for one in the immediate, `*n` for a gather.
  private init(vex row: Substring, needs: [String]) {
    let words = row.split(separator: " ")
    let own = words.dropFirst(4).filter { !["w", "0", "1", "2", "4"].contains($0) && !$0.hasPrefix("*") }
    self.init(Substring(([words[0], words[2], words[3]] + own).joined(separator: " ")))
    let prefix = ["none", "66", "f3", "f2"].firstIndex { words[1].dropFirst() == "-" + $0 }!
    var vex = VEX(map: UInt8(words[1].prefix(1))!, prefix: UInt8(prefix))
    vex.isWide = words.contains("w")
    vex.isLong = words.contains("1")
    vex.hasFirst = !words.contains("2")
    vex.hasFourth = words.contains("4")
    vex.gatherScale = words.first { $0.hasPrefix("*") }.map { $0 == "*4" ? 2 : 3 }
    if vex.hasFourth { hasImmediate = true }
    self.vex = vex
    self.needs = needs
  }

  private static func rows(vex table: String, needs: [String]) -> [VectorInstruction] {
    table.split(separator: "\n").flatMap { row in
      let narrow = VectorInstruction(vex: row, needs: needs)
      let lengths = row.split(separator: " ")
      guard !lengths.contains("0"), !lengths.contains("1") else { return [narrow] }
      var wide = narrow
      wide.name += "-256"
      wide.vex?.isLong = true
      return [narrow, wide]
    }
  }

  static let ofVEXAlone =
    rows(
      vex: """
        vpermilps-each 2-66 0c i
        vpermilpd-each 2-66 0d i
        vtestps 2-66 0e i 2
        vtestpd 2-66 0f i 2
        vpermps 2-66 16 i 1
        vbroadcastss 2-66 18 i 2
        vbroadcastsd 2-66 19 i 2 1
        vbroadcastf128 2-66 1a i m 2 1
        vmaskmovps 2-66 2c i m
        vmaskmovpd 2-66 2d i m
        vmaskmovps-store 2-66 2e i m
        vmaskmovpd-store 2-66 2f i m
        vpermd 2-66 36 i 1
        vpsrlvd 2-66 45 i
        vpsrlvq 2-66 45 i w
        vpsravd 2-66 46 i
        vpsllvd 2-66 47 i
        vpsllvq 2-66 47 i w
        vpbroadcastd 2-66 58 i 2
        vpbroadcastq 2-66 59 i 2
        vbroadcasti128 2-66 5a i m 2 1
        vpbroadcastb 2-66 78 i 2
        vpbroadcastw 2-66 79 i 2
        vpmaskmovd 2-66 8c i m
        vpmaskmovq 2-66 8c i m w
        vpmaskmovd-store 2-66 8e i m
        vpmaskmovq-store 2-66 8e i m w
        vpgatherdd 2-66 90 x m *4
        vpgatherdq 2-66 90 x m w *4
        vpgatherqd 2-66 91 y m *4
        vpgatherqq 2-66 91 y m w *8
        vgatherdps 2-66 92 x m *4
        vgatherdpd 2-66 92 x m w *4
        vgatherqps 2-66 93 y m *8
        vgatherqpd 2-66 93 y m w *8
        vpermq 3-66 00 i # w 2 1
        vpermpd 3-66 01 i # w 2 1
        vpblendd 3-66 02 i #
        vpermilps 3-66 04 i # 2
        vpermilpd 3-66 05 i # 2
        vperm2f128 3-66 06 i # 1
        vinsertf128 3-66 18 i # 1
        vextractf128 3-66 19 i # 2 1
        vinserti128 3-66 38 i # 1
        vextracti128 3-66 39 i # 2 1
        vperm2i128 3-66 46 i # 1
        vblendvps 3-66 4a i 4
        vblendvpd 3-66 4b i 4
        vpblendvb 3-66 4c i 4
        """, needs: ["avx", "avx2"])
    + rows(
      vex: """
        vcvtph2ps 2-66 13 h 2
        vcvtps2ph 3-66 1d s # 2
        """, needs: ["avx", "f16c"])
    + rows(
      vex: """
        vaesimc 2-66 db i 2 0
        vaesenc 2-66 dc i 0
        vaesenclast 2-66 dd i 0
        vaesdec 2-66 de i 0
        vaesdeclast 2-66 df i 0
        vaeskeygenassist 3-66 df i # 2 0
        vpclmulqdq 3-66 44 i # 0
        """, needs: ["avx", "aes", "pclmulqdq"])
    + rows(
      vex: """
        vaesenc-256 2-66 dc i 1
        vaesenclast-256 2-66 dd i 1
        vaesdec-256 2-66 de i 1
        vaesdeclast-256 2-66 df i 1
        vpclmulqdq-256 3-66 44 i # 1
        """, needs: ["avx", "vaes", "vpclmulqdq"])

  /// The three orders of operands of every operation, in single and double precision.
  static let fused: [VectorInstruction] = ["9", "a", "b"].flatMap { order in
    let names = [
      "6": "fmaddsub", "7": "fmsubadd", "8": "fmadd", "9": "fmadd-scalar", "a": "fmsub", "b": "fmsub-scalar",
      "c": "fnmadd", "d": "fnmadd-scalar", "e": "fnmsub", "f": "fnmsub-scalar",
    ]
    return names.keys.sorted().flatMap { digit in
      let name = "v\(names[digit]!)-\(order)"
      let length = names[digit]!.hasSuffix("scalar") ? " 0" : ""
      return rows(
        vex: "\(name)-s 2-66 \(order)\(digit) s\(length)\n\(name)-d 2-66 \(order)\(digit) d w\(length)",
        needs: ["avx", "fma"])
    }
  }

  static let ciphers =
    legacy(
      """
      aesimc 660f38db i
      aesenc 660f38dc i
      aesenclast 660f38dd i
      aesdec 660f38de i
      aesdeclast 660f38df i
      aeskeygenassist 660f3adf i #
      """, needs: ["aes"])
    + legacy("pclmulqdq 660f3a44 i #", needs: ["pclmulqdq"])
    + legacy(
      """
      sha1nexte 0f38c8 i
      sha1msg1 0f38c9 i
      sha1msg2 0f38ca i
      sha256rnds2 0f38cb i
      sha256msg1 0f38cc i
      sha256msg2 0f38cd i
      sha1rnds4 0f3acc i #
      """, needs: ["sha_ni"])

  private static func legacy(_ table: String, needs: [String]) -> [VectorInstruction] {
    table.split(separator: "\n").map { row in
      var instruction = VectorInstruction(row)
      instruction.needs = needs
      return instruction
    }
  }
}
