import Foundation
import Testing

/// Registers that only some vectors have: the upper halves of YMM registers, MXCSR, the x87.
@Suite("What a vector may say of the vector unit and the x87") struct FloatingVectorTests {
  typealias V = VectorText
  private static let rip3 = #""rip": "10000003""#

  /// Of one vector the fields that differ.
  private static func fields(_ bytes: String, from registers: String, to final: String) throws -> [String] {
    try V.run(V.vector(bytes, from: registers, to: #""regs": {\#(final)}"#)).fields
  }

  @Test func `a YMM register is its XMM register and an upper half`() throws {
    let ymm = #""ymm1": "00000000000000030000000000000000000000000000000000000000000000f0""#
    // vxorps %ymm1, %ymm0, %ymm2
    let rip = #""rip": "10000004""#
    #expect(try Self.fields("c5fc57d1", from: ymm, to: rip).count == 2)
    let result = ymm.replacingOccurrences(of: "ymm1", with: "ymm2")
    #expect(try Self.fields("c5fc57d1", from: ymm, to: "\(rip), \(result)").isEmpty)
    // Behind a legacy instruction the upper half is what it was; xorps %xmm1, %xmm1.
    let cleared = #""xmm1": "0""#
    #expect(try Self.fields("0f57c9", from: ymm, to: "\(Self.rip3), \(cleared)").isEmpty)
    #expect(try Self.fields("0f57c9", from: ymm, to: #"\#(Self.rip3), "ymm1": "0""#) == ["ymm1[255:128]"])
  }

  @Test func `MXCSR counts where a vector has it`() throws {
    // sqrtss %xmm1, %xmm2 of -1: invalid
    let from = #""xmm1": "bf800000""#
    let to = #""rip": "10000004", "xmm2": "ffc00000""#
    #expect(try Self.fields("f30f51d1", from: from, to: to).isEmpty)
    #expect(try Self.fields("f30f51d1", from: from + #", "mxcsr": "1f80""#, to: to) == ["mxcsr"])
    #expect(try Self.fields("f30f51d1", from: from + #", "mxcsr": "1f80""#, to: to + #", "mxcsr": "1f81""#).isEmpty)
  }

  @Test func `the x87 counts as a whole where a vector has any of it, by the registers' own numbers`() throws {
    // fld1; TOP goes from 0 to 7
    let to = #""rip": "10000002""#
    #expect(try Self.fields("d9e8", from: "", to: to).isEmpty)
    let one = #""fsw": "3800", "ftw": "80", "fpr7": "3fff8000000000000000""#
    #expect(try Self.fields("d9e8", from: #""fcw": "37f""#, to: to) == ["ftw", "fsw", "fpr7"])
    #expect(try Self.fields("d9e8", from: #""fcw": "37f""#, to: "\(to), \(one)").isEmpty)
  }

  @Test func `an MMX register is a register of the x87 whose sign and exponent are ones`() throws {
    // paddb %mm2, %mm1
    let from = #""mm1": "1", "mm2": "ff""#
    let to = #"\#(Self.rip3), "ftw": "ff", "mm1": "0""#
    #expect(try Self.fields("0ffcca", from: from, to: to).isEmpty)
    #expect(try Self.fields("0ffcca", from: from, to: to + #", "fpr1": "0""#) == ["fpr1"])
  }

  @Test func `pointers count where the final state has them`() throws {
    // fadd %st(1), %st with a signalling NaN and the invalid exception unmasked
    let from = #""fcw": "37e", "ftw": "3", "fpr0": "7fff8000000000000001", "fpr1": "3fff8000000000000000""#
    let to = #""rip": "10000002", "fsw": "8081""#
    #expect(try Self.fields("d8c1", from: from, to: to).isEmpty)
    #expect(try Self.fields("d8c1", from: from, to: to + #", "fip": "10000000""#).isEmpty)
    #expect(try Self.fields("d8c1", from: from, to: to + #", "fip": "10000001""#) == ["fip"])
  }

  @Test func `results that the manual gives to some precision may be as far off, and no further`() throws {
    // rcpss %xmm1, %xmm2 of 3
    func reciprocal(_ value: UInt32) throws -> [String] {
      try Self.fields(
        "f30f53d1", from: #""xmm1": "40400000""#,
        to: #""rip": "10000004", "xmm2": "\#(String(value, radix: 16))""#)
    }
    #expect(try reciprocal(0x3eaa_aaab).isEmpty)
    #expect(try reciprocal(0x3eaa_b800).isEmpty)
    #expect(try reciprocal(0x3eac_0000) == ["xmm2"])
    // fsin of 1
    func sine(_ last: UInt64) throws -> [String] {
      try Self.fields(
        "d9fe", from: #""ftw": "1", "fpr0": "3fff8000000000000000""#,
        to: #""rip": "10000002", "fsw": "20", "fpr0": "3ffe\#(String(last, radix: 16))""#)
    }
    let exact: UInt64 = 0xd76a_a478_4867_7021
    #expect(try sine(exact).isEmpty && sine(exact - 1).isEmpty && sine(exact + 1).isEmpty)
    #expect(try sine(exact + 3).contains("fpr0") && sine(exact - 3).contains("fpr0"))
    // A sum has one result: fadd %st(0), %st.
    #expect(
      try Self.fields(
        "d8c0", from: #""ftw": "1", "fpr0": "3fff8000000000000000""#,
        to: #""rip": "10000002", "fpr0": "40008000000000000001""#) == ["fpr0"])
  }

  @Test(
    arguments: [
      (#""ymm16": "0""#, "there is no register ymm16"), (#""mm8": "0""#, "there is no register mm8"),
      (#""fpr0": "123456789012345678901""#, "the register has more than 80 bits"),
      (#""mxcsr": "100000000""#, "the register is greater than 4294967295"),
    ])
  func `what does not exist or does not fit is refused`(register: String, why: String) throws {
    let text = "[" + V.vector("90", from: register, to: #""regs": {"rip": "10000001"}"#) + "]"
    let refusal = try #require(try V.refusal(Data(text.utf8)))
    #expect(refusal.contains(why), "\(refusal)")
  }
}
