import Machine
import Testing

@testable import Emulator

@Suite struct ProfileFileTests {
  private func profile(_ text: String) throws(SetupError) -> CostProfile {
    try ProfileFile(Array(text.utf8), name: "p.yaml").profile()
  }

  @Test("a file with a base changes only what it names")
  func base() throws {
    let profile = try profile(
      """
      name: mine
      base: skylake
      figures:
        tlb.l2.hit: {value: 12, flag: S, source: "Haswell, measured"}
        switch.cr3: 186
        cache.l2.bytes: {value: 512K, flag: D, source: half}
        frequency: 2_000_000_000
      """)
    #expect(profile.name == "mine")
    #expect(profile.figures[.tlbL2Hit] == Figure(12, source: "Haswell, measured", flag: .secondary))
    #expect(profile.figures[.loadCR3] == Figure(186, source: "no source given", flag: .unverified))
    #expect(profile[.cacheL2Bytes] == 524288)
    #expect(profile[.frequency] == 2_000_000_000)
    #expect(profile.vendor == .intel)
    #expect(profile[.tlbL2Entries] == 1536)
  }

  /// A file that is wrong in one place, and the one line that says so.
  static let refused: [(text: String, error: String)] = [
    ("", "profile p.yaml: it is empty"),
    ("# nothing\n", "profile p.yaml: it is empty"),
    ("skylake", "profile p.yaml:1: the file is not a mapping of keys to values"),
    ("- a\n- b\n", "profile p.yaml:1: the file is not a mapping of keys to values"),
    ("name: x\nname: y\n", "profile p.yaml:1: given twice: name"),
    ("name: x\nvendor: intel\n", "profile p.yaml: missing key summary"),
    ("base: skylak\n", "profile p.yaml:1: base: skylak is not a built-in profile"),
    ("base: skylake\nvendor: via\n", "profile p.yaml:2: vendor: via is neither intel nor amd"),
    ("base: skylake\ncolour: red\n", "profile p.yaml:2: colour: no such key"),
    ("base: skylake\nname: ''\n", "profile p.yaml:2: name: it is empty"),
    ("base: skylake\nname: \"a\\eb\"\n", "profile p.yaml:2: name: it contains control characters"),
    ("base: skylake\nname: [a]\n", "profile p.yaml:2: name: a single value is expected"),
    ("base: skylake\nfigures: 3\n", "profile p.yaml:2: figures is not a mapping of keys to values"),
    (
      "base: skylake\nfeatures: fpu pcdi\n",
      "profile p.yaml:2: features: no such feature pcdi; did you mean pcid?"
    ),
    ("base: skylake\nfeatures: fpu fpu\n", "profile p.yaml:2: features: fpu is given twice"),
    (
      "base: skylake\nfeatures: all pcid\n",
      "profile p.yaml:2: features: no such feature all"
    ),
    (figure("tlb.l2.hits: 3"), "profile p.yaml:3: tlb.l2.hits: no such figure; did you mean tlb.l2.hit?"),
    (figure("nonsense: 3"), "profile p.yaml:3: nonsense: no such figure"),
    (figure("tlb.l2.hit: -3"), "profile p.yaml:3: tlb.l2.hit: -3 is negative"),
    (figure("tlb.l2.hit: fast"), "profile p.yaml:3: tlb.l2.hit: fast is not a whole number of up to 64 bits"),
    (figure("tlb.l2.hit: 1.5"), "profile p.yaml:3: tlb.l2.hit: 1.5 is not a whole number of up to 64 bits"),
    (figure("tlb.l2.hit: 1e3"), "profile p.yaml:3: tlb.l2.hit: 1e3 is not a whole number of up to 64 bits"),
    (figure("tlb.l2.hit: "), "profile p.yaml:3: tlb.l2.hit:  is not a whole number of up to 64 bits"),
    (figure("tlb.l2.hit: [9]"), "profile p.yaml:3: tlb.l2.hit: a single value is expected"),
    (
      figure("tlb.l2.hit: 18446744073709551616"),
      "profile p.yaml:3: tlb.l2.hit: 18446744073709551616 is not a whole number of up to 64 bits"
    ),
    (figure("tlb.l2.hit: 1000001"), "profile p.yaml:3: tlb.l2.hit: 1000001 is not between 0 and 1000000"),
    (figure("execute.simple: 0"), "profile p.yaml:3: execute.simple: 0 is not between 1 and 10000"),
    (figure("execute.divide: 70000"), "profile p.yaml:3: execute.divide: 70000 is not between 0 and 10000"),
    (figure("frequency: 0"), "profile p.yaml:3: frequency: 0 is not between 1000000 and 100000000000"),
    (figure("physical-bits: 64"), "profile p.yaml:3: physical-bits: 64 is not between 36 and 52"),
    (figure("virtualization.tagged-tlb: 2"), "profile p.yaml:3: virtualization.tagged-tlb: 2 is not between 0 and 1"),
    (figure("tlb.data.4K.entries: 0"), "profile p.yaml:3: tlb.data.4K.entries: 0 is not between 1 and 65536"),
    (figure("tlb.l2.ways: 0"), "profile p.yaml:3: tlb.l2.ways: 0 ways for 1536 entries"),
    (figure("tlb.l2.ways: 2000"), "profile p.yaml:3: tlb.l2.ways: 2000 ways are more than 1536 entries"),
    (figure("tlb.l2.ways: 7"), "profile p.yaml:3: tlb.l2.ways: 1536 entries are not a multiple of 7 ways"),
    (
      figure("tlb.l2.ways: 8"),
      "profile p.yaml:3: tlb.l2.ways: 1536 entries in 8 ways make 192 sets, not a power of two"
    ),
    (figure("tlb.l2.entries: 100000"), "profile p.yaml:3: tlb.l2.entries: 100000 is not between 0 and 65536"),
    (figure("psc.pde.entries: 5000"), "profile p.yaml:3: psc.pde.entries: 5000 is not between 0 and 4096"),
    (figure("cache.l2.bytes: 2G"), "profile p.yaml:3: cache.l2.bytes: 2147483648 is not between 0 and 1073741824"),
    (
      figure("cache.l2.bytes: 1000"), "profile p.yaml:3: cache.l2.bytes: 1000 is not a multiple of the 64-byte line"
    ),
    (
      figure("cache.l3.ways: 16"),
      "profile p.yaml:3: cache.l3.ways: 360448 lines in 16 ways make 22528 sets, not a power of two"
    ),
    (
      figure("tlb.data.unified: 1"),
      "profile p.yaml: tlb.data.2M.entries: tlb.data.unified is 1, so there is no array for one size alone"
    ),
    (
      figure("tlb.l2.2M.entries: 128") + "  tlb.l2.2M.ways: 1\n",
      "profile p.yaml:3: tlb.l2.2M.entries: tlb.l2.holds-2M is 1, so there is no array for 2M pages alone"
    ),
    (figure("tlb.l2.hit: {flag: U, source: x}"), "profile p.yaml:3: tlb.l2.hit: missing value"),
    (figure("tlb.l2.hit: {value: 1, source: x}"), "profile p.yaml:3: tlb.l2.hit: missing flag"),
    (figure("tlb.l2.hit: {value: 1, flag: U}"), "profile p.yaml:3: tlb.l2.hit: missing source"),
    (
      figure("tlb.l2.hit: {value: 1, flag: Q, source: x}"),
      "profile p.yaml:3: tlb.l2.hit: flag Q is none of P, S, U, D"
    ),
    (
      figure("tlb.l2.hit: {value: 1, flag: U, source: x, note: y}"),
      "profile p.yaml:3: tlb.l2.hit: no such key note"
    ),
    ("name: \"open\nvendor", "profile p.yaml:2: found unexpected end of stream"),
    ("a: b: c\n", "profile p.yaml:1: mapping values are not allowed in this context"),
    (String(repeating: "[", count: 100_000), "profile p.yaml: it is nested deeper than 32 levels"),
    (String(repeating: "- ", count: 100_000), "profile p.yaml: it is nested deeper than 32 levels"),
    (
      String(repeating: "#", count: 300_000),
      "profile p.yaml: 300000 bytes are more than the 262144 that are read"
    ),
  ]

  private static func figure(_ line: String) -> String { "base: skylake\nfigures:\n  \(line)\n" }

  @Test("a wrong file is refused in one line that names file, key and reason", arguments: refused)
  func refuses(text: String, message: String) {
    let error = #expect(throws: SetupError.self) { try profile(text) }
    #expect(error?.description == message)
    #expect(error?.exitStatus == 66)
    #expect(error?.description.contains("\n") == false)
  }

  @Test("a file without a base must have every figure")
  func missingFigures() {
    let error = #expect(throws: SetupError.self) {
      try profile("name: x\nvendor: amd\nsummary: y\nfeatures: fpu\nfigures:\n  frequency: 3G\n")
    }
    #expect(error?.description.hasPrefix("profile p.yaml: missing figures physical-bits, tlb.data.4K.entries") == true)
    #expect(error?.description.hasSuffix("and \(CostKey.allCases.count - 6) more") == true)
  }

  @Test("bytes that are no UTF-8 are refused")
  func notText() {
    let error = #expect(throws: SetupError.self) { try ProfileFile([0x6e, 0xff, 0xfe], name: "p.yaml").profile() }
    #expect(error?.description == "profile p.yaml: it is not UTF-8 text")
  }

  @Test("deep indentation does not exhaust the parser's stack")
  func deepIndentation() {
    var text = ""
    for depth in 0..<600 { text += String(repeating: " ", count: depth) + "a:\n" }
    #expect(throws: SetupError.self) { try profile(text) }
  }
}
