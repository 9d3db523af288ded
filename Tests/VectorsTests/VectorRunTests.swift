import Foundation
import Testing
import Vectors

@Suite("What passes and what fails") struct VectorRunTests {
  typealias V = VectorText

  @Test func `a vector that says what the manual says passes`() throws {
    let result = try V.run(
      V.vector(
        "4801d8", from: #""rax": "1", "rbx": "0x2""#,
        to: #""regs": {"rax": "3", "rip": "10000003", "rflags": "206"}"#),
      V.vector(
        "488918", from: #""rax": "20000ffc", "rbx": "0102030405060708""#,
        to: #""regs": {"rip": "10000003"}, "ram": [[536875004, 8], [536875005, 7], [536875006, 6], [536875007, 5], "#
          + "[536875008, 4], [536875009, 3], [536875010, 2], [536875011, 1]]"),
      V.vector(
        "f30f6f07", from: #""rdi": "30001ff0", "xmm0": "1""#, ram: "[805314544, 7], [805314559, 9]",
        to: #""regs": {"rip": "10000004", "xmm0": "09000000000000000000000000000007"}"#))
    #expect(result.passed == 3)
    #expect(result.failures.isEmpty)
  }

  @Test func `registers, flags, XMM registers and RIP are compared`() throws {
    let result = try V.run(
      V.vector("4801d8", from: #""rax": "1", "rbx": "2""#, to: #""regs": {"rax": "4", "rip": "10000004", "xmm3": "1"}"#)
    )
    #expect(result.failed == 1)
    #expect(result.fields == ["rax", "rip", "rflags", "xmm3"])
    let flags = result.failures[0].differences[2]
    #expect(flags.expected == "0x00000" && flags.found == "0x00004" && flags.note == "PF")
    #expect(result.byMnemonic == ["add 1"])
    #expect(result.failures[0].name == "a name" && result.failures[0].number == 1)
  }

  @Test func `flags outside the mask are not compared`() throws {
    let wrong = #""regs": {"rax": "3", "rip": "10000003", "rflags": "202"}"#
    let registers = #""rax": "1", "rbx": "2""#
    #expect(try V.run(V.vector("4801d8", mask: "4", from: registers, to: wrong)).failed == 1)
    #expect(try V.run(V.vector("4801d8", mask: "cd1", from: registers, to: wrong)).failed == 0)
  }

  @Test func `memory that is not listed must not change`() throws {
    let result = try V.run(
      V.vector("c60001", from: #""rax": "20000010""#, to: #""regs": {"rip": "10000003"}"#),
      V.vector("c60001", from: #""rax": "20000010""#, ram: "[536870928, 1]", to: #""regs": {"rip": "10000003"}"#),
      V.vector("c60000", from: #""rax": "20000010""#, ram: "[536870928, 1]", to: #""regs": {"rip": "10000003"}"#))
    #expect(result.failures.map(\.number) == [1, 3])
    #expect(result.fields == ["[0x20000010]", "[0x20000010]"])
  }

  @Test func `what a vector leaves in memory is gone for the next`() throws {
    let result = try V.run(
      V.vector(
        "c60007", from: #""rax": "20000010""#, to: #""regs": {"rip": "10000003"}, "ram": [[536870928, 7]]"#),
      V.vector("8a00", from: #""rax": "20000010""#, to: #""regs": {"rax": "20000000", "rip": "10000002"}"#))
    #expect(result.failures.isEmpty)
  }

  @Test func `the code of one vector is not the next one's, at the same address`() throws {
    let result = try V.run(
      V.vector("ffc0", to: #""regs": {"rax": "1", "rip": "10000002"}"#),
      V.vector("ffc8", mask: "0", to: #""regs": {"rax": "ffffffff", "rip": "10000002"}"#))
    #expect(result.failures.isEmpty)
  }

  @Test func `a page that a vector lists is mapped for it alone`() throws {
    let listed = V.vector(
      "8a00", from: #""rax": "500000001000""#, ram: "[87960930226176, 9]",
      to: #""regs": {"rax": "500000001009", "rip": "10000002"}"#)
    let fault = V.vector("8a00", from: #""rax": "500000001000""#, to: #""exception": 14, "error": 4"#)
    let result = try V.run(fault, listed, fault, listed)
    #expect(result.failures.isEmpty)
  }

  @Test func `listed pages by the thousand are mapped one after the other`() throws {
    // Pages of tables of their own, and more than there is room for at once.
    let vectors = (0..<3000 as Range<UInt64>).map { number -> String in
      let address = number << 30 | 0x5000
      return V.vector(
        "8a00", from: #""rax": "\#(String(address, radix: 16))""#, ram: "[\(address), 9]",
        to: #""regs": {"rax": "\#(String(address + 9, radix: 16))", "rip": "10000002"}"#)
    }
    let result = try V.run(text: "[" + vectors.joined(separator: ",") + "]")
    #expect(result.failures.isEmpty && result.passed == 3000)
  }

  @Test func `a repeated string instruction runs until RIP leaves it`() throws {
    let result = try V.run(
      V.vector(
        "f3aa", from: #""rax": "5", "rcx": "4", "rdi": "20000ffe""#,
        to: #""regs": {"rcx": "0", "rdi": "20001002", "rip": "10000002"}, "#
          + #""ram": [[536875006, 5], [536875007, 5], [536875008, 5], [536875009, 5]]"#))
    #expect(result.failures.isEmpty)
  }
}

@Suite("Exceptions that vectors expect") struct VectorExceptionTests {
  typealias V = VectorText

  @Test(
    arguments: [
      ("48f7f3", #""rax": "1""#, #""exception": 0, "error": 0"#),
      ("cc", "", #""exception": 3, "regs": {"rip": "10000001"}"#),
      ("0f0b", "", #""exception": 6, "error": null, "regs": {}"#),
      ("f4", "", #""exception": 13, "error": 0, "ram": []"#),
      ("488b00", #""rax": "8000000000000000""#, #""exception": "0xd", "error": "0""#),
      ("488b4500", #""rbp": "8000000000000000""#, #""exception": 12, "error": 0"#),
      ("488900", #""rax": "50000000""#, #""exception": 14, "error": 6"#),
      ("ffe0", #""rax": "50000000""#, #""regs": {"rip": "50000000"}"#),
    ])
  func `an exception is an outcome like others`(bytes: String, registers: String, final: String) throws {
    #expect(try V.run(V.vector(bytes, from: registers, to: final)).failures.isEmpty)
  }

  @Test func `another exception, another error code or none at all are differences`() throws {
    let result = try V.run(
      V.vector("488900", from: #""rax": "50000000""#, to: #""exception": 14, "error": 4"#),
      V.vector("f4", to: #""exception": 14, "error": 0"#),
      V.vector("90", to: #""exception": 6"#),
      V.vector("f4", to: #""regs": {"rip": "10000001"}"#))
    #expect(result.fields == Array(repeating: "exception", count: 4))
    let texts = result.failures.map { $0.differences[0] }.map { "\($0.expected) \($0.found)" }
    #expect(texts == ["#PF(0x4) #PF(0x6)", "#PF(0x0) #GP(0x0)", "#UD none", "none #GP(0x0)"])
  }

  @Test func `state is compared with an exception that comes with some`() throws {
    // MOVS stores the first element and faults at the second.
    let registers = #""rcx": "2", "rsi": "20000000", "rdi": "30001fff""#
    let state = #""regs": {"rcx": "1", "rsi": "20000001", "rdi": "30002000"}, "ram": [[805314559, 7]]"#
    let wrong = state.replacingOccurrences(of: "805314559", with: "805314558")
    let ram = "[536870912, 7]"
    let result = try V.run(
      V.vector("f3a4", from: registers, ram: ram, to: #""exception": 14, "error": 6, "# + state),
      V.vector("f3a4", from: registers, ram: ram, to: #""exception": 14, "error": 6, "# + wrong),
      V.vector("f3a4", from: registers, ram: ram, to: #""exception": 14, "error": 6"#))
    #expect(result.failures.map(\.number) == [2])
    #expect(result.fields == ["[0x30001ffe]", "[0x30001fff]"])
  }
}

@Suite("Whose processor executes a vector") struct VectorVendorTests {
  typealias V = VectorText
  /// A near call with 66: 16 bits of displacement on AMD's processors, 32 on Intel's.
  static let amd = V.vector(
    "66e81000", from: #""rsp": "30001000""#,
    to: #""regs": {"rsp": "30000ffe", "rip": "14"}, "ram": [[805310462, 4], [805310463, 0]]"#)

  @Test func `the vendor that it names, else either, and a chosen profile for all`() throws {
    let named = Self.amd.replacingOccurrences(of: #""name""#, with: #""vendor": "amd", "name""#)
    let wrong = Self.amd.replacingOccurrences(of: #""name""#, with: #""vendor": "intel", "name""#)
    #expect(try V.run(named).failed == 0)
    #expect(try V.run(wrong).failed == 1)
    let unnamed = try V.run(Self.amd)
    #expect(unnamed.failed == 0 && unnamed.passedElsewhere == 1)
    #expect(try V.run(Self.amd, profile: "skylake").failed == 1)
    #expect(try V.run(wrong, profile: "zen4").failed == 0)
  }
}
