import Debugger
import Emulator
import Support
import Testing

@testable import GDBStub

@Suite struct SymbolFileTests {
  @Test func `a Multiboot kernel's file becomes one of 64 bits with the same symbols`() throws {
    let narrow = try Transcript.questions
    let wide = try #require(WideELF.widened(narrow))
    #expect(wide[4] == 2 && wide[18] == 62)
    func number(_ offset: Int, _ count: Int) -> Int { Int(UInt64(littleEndianBytes: wide[offset..<offset + count])) }
    let headers = (0..<number(60, 2)).map { number(40, 8) + 64 * $0 }
    let table = try #require(headers.first { number($0 + 4, 4) == 2 })
    let names = number(headers[number(table + 40, 4)] + 24, 8)
    let start = number(table + 24, 8)
    var found: [String: UInt64] = [:]
    for at in stride(from: start, to: start + number(table + 32, 8), by: 24) {
      let name = wide[(names + number(at, 4))...].prefix { $0 != 0 }
      found[String(decoding: name, as: UTF8.self)] = UInt64(number(at + 8, 8))
    }
    let symbols = try #require(Symbols(elf: narrow)).all
    #expect(symbols.count > 50)
    for symbol in symbols { #expect(found[symbol.name] == symbol.address.rawValue, "\(symbol.name)") }
  }

  @Test func `a broken file is not served, and does no harm`() throws {
    let whole = try Transcript.questions
    #expect(SymbolFile([], name: "x") == nil)
    #expect(SymbolFile(Array("no ELF file".utf8), name: "x") == nil)
    var random: UInt64 = 11
    for _ in 0..<3000 {
      random = random &* 6_364_136_223_846_793_005 &+ 1
      var file = whole
      // The headers are at the beginning and at the end.
      let place = Int(random >> 40) % 2 == 0 ? Int(random >> 33) % 64 : file.count - 1 - Int(random >> 33) % 700
      file[place] = UInt8(truncatingIfNeeded: random >> 24)
      if random >> 20 & 7 == 0 { file.removeLast(Int(random >> 33) % file.count) }
      _ = WideELF.widened(file)
    }
  }

  @Test func `files are served as vFile asks`() throws {
    let bytes = try Transcript.questions
    let file = try #require(SymbolFile(bytes, name: "folder/questions.image"))
    #expect(file.path == "/questions.image")
    #expect(file.answer(.open(path: "/questions.image")) == Array("F3".utf8))
    #expect(file.answer(.open(path: "/etc/passwd")) == Array("F-1,2".utf8))
    let status = file.answer(.status(3))
    #expect(status.starts(with: Array("F40;".utf8)) && status.count == 68)
    var whole: [UInt8] = []
    while true {
      let piece = file.answer(.read(3, count: 1000, offset: whole.count))
      let end = try #require(piece.firstIndex(of: UInt8(ascii: ";")))
      guard end + 1 < piece.count else { break }
      whole += piece[(end + 1)...]
    }
    #expect(whole == WideELF.widened(bytes))
    #expect(file.answer(.read(9, count: 1, offset: 0)) == Array("F-1,9".utf8))
    #expect(file.answer(.other).starts(with: Array("F-1".utf8)))
  }
}
