import Foundation
import Testing
import Vectors

@Suite("What a file of vectors may look like") struct VectorReaderTests {
  typealias V = VectorText
  private static let vector =
    #"{"bytes": "90", "initial": {"regs": {"rip": "10000000"}}, "final": {"regs": {"rip": "10000001"}}}"#

  @Test func `numbers are hexadecimal in quotes or decimal without, bytes a list or digits`() throws {
    let result = try V.run(
      #"{"bytes": [72, 255, 192], "flags_mask": 0, "initial": {"regs": {"rip": 268435456, "rax": 9}}, "#
        + #""final": {"regs": {"rip": "0x10000003", "rax": "0A"}}}"#,
      #"{"bytes": "48 ff c0", "flags_mask": "0x0", "initial": {"regs": {"rip": "10000000", "rax": "9"}}, "#
        + #""final": {"regs": {"rip": "10000003", "rax": "a"}}}"#)
    #expect(result.failures.isEmpty && result.passed == 2)
  }

  @Test func `members of other projects are passed over, in any order`() throws {
    let result = try V.run(
      #"{"final": {"regs": {"rip": "10000001"}, "queue": [1, {"a": [null, true, -1.5e3]}]}, "hash": "ab\u00e9\ud83d\ude00\n", "#
        + #""idx": 7, "initial": {"queue": [], "regs": {"rip": "10000000"}}, "bytes": "90"}"#)
    #expect(result.failures.isEmpty && result.passed == 1)
  }

  @Test func `no vectors are no failure`() throws {
    #expect(try V.run(text: " [ ]\n").failed == 0)
  }

  @Test(
    "what is wrong is told with its place",
    arguments: [
      ("", "66 vectors FILE: it is empty"),
      ("{}", "66 vectors FILE: line 1, column 1: a list of vectors is expected here"),
      ("[\n {\"bytes\": \"9\"}]", "66 vectors FILE: line 2, column 15: the bytes have an odd number of digits"),
      ("[{\"bytes\": \"9g\"}]", "66 vectors FILE: line 1, column 16: the bytes are not hexadecimal digits"),
      ("[{\"bytes\": [256]}]", "66 vectors FILE: line 1, column 16: a byte is greater than 255"),
      ("[{\"bytes\": \"90\"}]", "66 vectors FILE: line 1, column 17: the vector has no initial state"),
      (
        "[{\"bytes\": \"90\", \"initial\": {}, \"final\": {}}]",
        "66 vectors FILE: line 1, column 45: the initial state has no rip"
      ),
      (
        "[{\"initial\": {\"regs\": {\"eax\": \"1\"}}}]",
        "66 vectors FILE: line 1, column 30: there is no register eax"
      ),
      (
        "[{\"initial\": {\"regs\": {\"rax\": \"12345678123456781\"}}}]",
        "66 vectors FILE: line 1, column 49: the register has more than 64 bits"
      ),
      (
        "[{\"initial\": {\"ram\": [[1, 2, 3]]}}]",
        "66 vectors FILE: line 1, column 29: [address, byte] has a third number"
      ),
      (
        "[{\"initial\": {\"ram\": [[36028797018963968, 2]]}}]",
        "66 vectors FILE: line 1, column 41: 0x80000000000000 is no address that a program can have"
      ),
      ("[{\"vendor\": \"via\"}]", "66 vectors FILE: line 1, column 18: the vendor via is neither intel nor amd"),
      ("[{\"name\": \"x", "66 vectors FILE: line 1, column 13: the text ends too early"),
      ("[{\"name\": \"\\q\"}]", "66 vectors FILE: line 1, column 14: an unknown escape in a string"),
      ("[] []", "66 vectors FILE: line 1, column 4: there is more after the list"),
    ])
  func malformed(text: String, message: String) throws {
    #expect(try V.refusal(Data(text.utf8)) == message)
  }

  @Test func `nesting without end is refused`() throws {
    let text = "[{\"x\": " + String(repeating: "[", count: 100_000)
    #expect(try V.refusal(Data(text.utf8))?.hasSuffix("lists and objects are nested too deeply") == true)
  }

  @Test func `a file is gzip if its content says so, in one member or several`() throws {
    let first = try #require(Self.gzip("[" + Self.vector + ","))
    let second = try #require(Self.gzip(Self.vector + "]"))
    let result = try V.inFile(first + second) { try V.run(file: $0) }
    #expect(result.passed == 2 && result.failed == 0)
    #expect(try V.refusal((first + second).dropLast(9)) == "66 vectors FILE: the gzip data end too early")
    var damaged = first + second
    damaged[20] ^= 0xff
    #expect(try V.refusal(damaged) != nil)
  }

  @Test func `what the writer writes, the reader reads`() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("a.json.gz").path
    var vector = InstructionVector()
    vector.name = "push rax"
    vector.bytes = [0x50]
    vector.initial.registers[.rip] = 0x1000_0000
    vector.initial.registers[.general(0)] = 0x0123_4567_89ab_cdef
    vector.initial.registers[.general(4)] = 0x3000_1000
    vector.initial.registers[xmm: 15] = .init(1, 2)
    vector.initial.memory = [ListedByte(0x3000_0ff8, 1)]
    vector.final.registers[.rip] = 0x1000_0001
    vector.final.registers[.general(4)] = 0x3000_0ff8
    vector.final.memory = (0..<8 as Range<UInt64>).map { offset in
      ListedByte(0x3000_0ff8 + offset, UInt8(truncatingIfNeeded: 0x0123_4567_89ab_cdef >> (8 * offset)))
    }
    let writer = try VectorWriter(path)
    for _ in 0..<3 { try writer.write(vector) }
    try writer.finish()
    let result = try V.run(file: path)
    #expect(result.passed == 3 && result.failures.isEmpty)
  }

  /// gzip without compression.
  private static func gzip(_ text: String) -> Data? {
    let bytes = [UInt8](text.utf8)
    guard let count = UInt16(exactly: bytes.count) else { return nil }
    var checksum: UInt32 = .max
    for byte in bytes {
      checksum ^= UInt32(byte)
      for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 0 ? 0 : 0xedb8_8320) }
    }
    var data = Data([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1])
    for value in [count, ~count] { data.append(contentsOf: [UInt8(value & 0xff), UInt8(value >> 8)]) }
    data.append(contentsOf: bytes)
    for value in [~checksum, UInt32(bytes.count)] {
      for shift in stride(from: 0, to: 32, by: 8) { data.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
    return data
  }
}
