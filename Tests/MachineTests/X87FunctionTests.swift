import Machine
import Support
import Testing

/// The x87's functions against numbers that were computed with hundreds of bits and rounded once, on every host.
struct X87FunctionTests {
  @Test(arguments: X87FunctionTests.rows) func `a function's result is the correctly rounded one`(row: String) throws {
    let words = row.split(separator: " ")
    let modRM = try #require(Self.opcodes[String(words[0])])
    let numbers = words.dropFirst().map(Self.real)
    var record = FloatingRecord()
    record.x87[0] = numbers[0]
    record.x87[1] = numbers[1]
    let machine = FloatingMachine(
      [0xd9, modRM], features: FeatureSet(names: FeatureSet.known.map(\.name)), vendor: .intel)
    let after = machine.run(record).x87
    // FPTAN pushes a 1.
    #expect(after[modRM == 0xf2 ? 1 : 0] == numbers[2])
    #expect(after.statusWord & X87Status.exceptions == X87Status.precision)
  }

  @Test func `large angles lose multiples of the x87's own pi, and 2 to the 63rd is too large`() {
    let machine = FloatingMachine([0xd9, 0xfb], features: .fpu, vendor: .intel)
    var record = FloatingRecord()
    // The number of 64 bits next to pi: what is left is the rest of a pi with 66 bits of fraction.
    record.x87[0] = ExtendedReal(significand: 0xc90f_daa2_2168_c235, head: 0x4000)
    let after = machine.run(record).x87
    #expect(after[1] == ExtendedReal(significand: 1 << 63, head: 0xbfbf))
    #expect(after[0] == ExtendedReal(significand: 1 << 63, head: 0xbfff))
    record.x87[0] = ExtendedReal(significand: 1 << 63, head: 0x403e)
    let large = machine.run(record).x87
    #expect(large[0] == record.x87[0] && large.top == 0 && large.statusWord == X87Status.c2)
  }

  private static let opcodes: [String: UInt8] = [
    "f2xm1": 0xf0, "fyl2x": 0xf1, "fyl2xp1": 0xf9, "fpatan": 0xf3, "fsin": 0xfe, "fcos": 0xff, "fptan": 0xf2,
  ]

  private static func real(_ text: Substring) -> ExtendedReal {
    let halves = text.split(separator: ":").map { UInt64($0, radix: 16) ?? 0 }
    return ExtendedReal(significand: halves[1], head: UInt16(halves[0]))
  }

  /// The function, ST(0), ST(1), the result.
  static let rows = """
    f2xm1 3fba:f088256e71b67944 3fff:9adf073ca7e24f12 3fba:a6b955071ba8edd8
    f2xm1 3fea:bb9b53b2a05da5c1 4001:b7e27212af0e4d0e 3fea:820a03aac8e690d0
    f2xm1 3fbd:c538162b8a3cbcb3 3fec:c8513b653d121599 3fbd:88b3acc4eeb57b21
    f2xm1 3fea:d5c539e51f504bcf c013:9fd549e76a7e3e43 3fea:942ca58cf88942f6
    f2xm1 3fcb:8f1eacc61a51bd24 bffd:a946ea5d6e5c8cba 3fca:c667fd086ba98dea
    f2xm1 3fc1:e9682ec0247641b5 3ffd:d74252bb3bd9001c 3fc1:a1c90e91f9c9971a
    fyl2x 3fff:800000000000b34d 4000:9f07b27a78869b5a 3fd1:a0b151252934330e
    fyl2x 4039:e12aaca1253e8564 bff9:cf024387c1e23473 bfff:be3cc6a0ef1dabb6
    fyl2x 3fff:80000000000007fe 4012:e2a07295990eb550 3fdf:a35126c5e32ea0f4
    fyl2x 4024:ad0623bbc02df433 bff8:8138a41dce2845f0 bffd:972b00ed88f39105
    fyl2x 3fff:80039e8aee3c2071 c010:bf67da12e1e39f3d c003:f9d8588ac00cfbef
    fyl2x 3ff2:a5d5f1aa11acc05a bff2:bd2a7c22cfa09c55 3ff6:9547ba34f50bfc1b
    fyl2xp1 3fdc:f614dc4037d1ccf7 3fff:9adf073ca7e24f12 3fdd:d6c6755a19ac6f32
    fyl2xp1 3fba:d22732001b56bad5 4001:b7e27212af0e4d0e 3fbd:d9c760a2578df3c9
    fyl2xp1 bfc0:dce3fc9c89158021 3fec:c8513b653d121599 bfae:f95caad968ebbd7f
    fyl2xp1 3fb9:f6fa92148f0f7cc9 c013:9fd549e76a7e3e43 bfce:de76f6e603f5988b
    fyl2xp1 3fcc:a25e9231a434407c bffd:a946ea5d6e5c8cba bfcb:9ae510a59ebc0920
    fyl2xp1 3fde:c6d1549ec3b31b26 3ffd:d74252bb3bd9001c 3fdd:f12f78dcfebb0716
    fpatan 4001:c6217f104eb30026 3ffd:f3b363e938295a26 3ffb:9d217db8b49223f2
    fpatan bfdf:818d13f5da4fa1b2 3fe3:e3ac67897f2a72f7 3fff:cd9cb81619e74450
    fpatan bfff:bb2d090c26c48b86 3ffe:f7104f5c9cd13f7a 4000:a3ba21416127c1d2
    fpatan bfda:dab9c11c97c6c30f 3fe8:b0e67bcca467b64e 3fff:c91253b00690f688
    fpatan bfff:ab90e011c7df9fce c001:8d79e5179db49d82 bfff:eebd8eba4f00b1af
    fpatan 3ffa:cf94e06ff64700f7 3fdf:e1698a4e1614f5bf 3fe4:8afeafae2d1d1936
    fsin bff7:a7e591e85a840907 3fff:9adf073ca7e24f12 bff7:a7e561c31ee70cd8
    fsin c016:bfc81f92c4fbff80 4001:b7e27212af0e4d0e bffc:93f327c7137791ab
    fsin 400c:f38c5038f91e1997 3fec:c8513b653d121599 bffe:ff6f9df4c67fe947
    fsin 4016:a0476a33c0c18695 c013:9fd549e76a7e3e43 3ffe:ff613d56314c053d
    fsin c019:ed4fa9bbb21092ac bffd:a946ea5d6e5c8cba bffc:fe5a83bebb8f7ce2
    fsin c007:bbac5a60dc88f641 3ffd:d74252bb3bd9001c 3ffe:ff4d8b64a3582679
    fcos bff7:a7e591e85a840907 3fff:9adf073ca7e24f12 3ffe:ffff23c57b1c71a4
    fcos c016:bfc81f92c4fbff80 4001:b7e27212af0e4d0e 3ffe:fd505b40129aed74
    fcos 400c:f38c5038f91e1997 3fec:c8513b653d121599 3ffb:87deba0c5390764a
    fcos 4016:a0476a33c0c18695 c013:9fd549e76a7e3e43 3ffb:8e776fbe141169ee
    fcos c019:ed4fa9bbb21092ac bffd:a946ea5d6e5c8cba bffe:f7fa1297b15b60cb
    fcos c007:bbac5a60dc88f641 3ffd:d74252bb3bd9001c bffb:9708a5f96cb1a7f7
    fptan bff7:a7e591e85a840907 3fff:9adf073ca7e24f12 bff7:a7e5f2331c4ba7e4
    fptan c016:bfc81f92c4fbff80 4001:b7e27212af0e4d0e bffc:9584c75323fe1762
    fptan 400c:f38c5038f91e1997 3fec:c8513b653d121599 c002:f0a3eceb9aabccd6
    fptan 4016:a0476a33c0c18695 c013:9fd549e76a7e3e43 4002:e5729b7a2bfbbd92
    fptan c019:ed4fa9bbb21092ac bffd:a946ea5d6e5c8cba 3ffd:834aa11f11c18606
    fptan c007:bbac5a60dc88f641 3ffd:d74252bb3bd9001c c002:d85e07980494c248
    """.split(separator: "\n").map(String.init)
}
