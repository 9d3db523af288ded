import Foundation
import Guests
import Testing

@testable import Boot
@testable import Debugger

@Suite struct LineTableTests {
  private static let guests = BuiltInGuest.all.filter { $0.name.hasPrefix("bug-") }

  @Test(arguments: guests.map(\.name))
  func `a function begins where its source has it`(name: String) throws {
    let guest = try #require(BuiltInGuest.named(name))
    let table = try #require(LineTable(elf: guest.image))
    let symbols = try #require(Symbols(elf: guest.image))
    let file = Dialogue.folder.appending(path: "../../Sources/Guests/\(name)/main.c").standardizedFileURL
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    var found = 0
    for (index, line) in lines.enumerated() where line.hasPrefix("NOINLINE ") && line.hasSuffix(") {") {
      let function = String(try #require(line.split(separator: "(").first?.split { " *".contains($0) }.last))
      let address = try #require(symbols[function]).address.rawValue
      let place = try #require(table.place(of: address))
      #expect(place.file.hasSuffix("\(name)/main.c"))
      // Where there is nothing to save, the first instruction is the body's.
      #expect(index + 1...index + 3 ~= place.line, "\(function): \(place)")
      #expect(table.address(ofLine: index + 1, in: "main.c") == address)
      found += 1
    }
    #expect(found >= 3)
    #expect(table.place(of: 0) == nil && table.place(of: .max) == nil)
    #expect(table.address(ofLine: 100_000, in: "main.c") == nil && table.address(ofLine: 1, in: "other.c") == nil)
  }

  @Test func `a file without lines has no table`() throws {
    #expect(LineTable(elf: try #require(BuiltInGuest.named("hello")).image) == nil)
    #expect(LineTable(elf: []) == nil)
  }

  /// A unit of version 3, byte by byte (DWARF 4, 6.2.4): one folder, one file, four rows.
  @Test func `an older version is read as well`() {
    let header: [UInt8] =
      [1, 1, 0xfb, 14, 10, 0, 1, 1, 1, 1, 0, 0, 0, 1] + Array("src".utf8) + [0, 0] + Array("a.c".utf8) + [
        0, 1, 0, 0, 0,
      ]
    let program: [UInt8] = [
      0, 9, 2, 0x00, 0x10, 0, 0, 0, 0, 0, 0,  // set_address 0x1000
      3, 9, 1,  // advance_line 9; copy: line 10
      10 + 14 + 5 + 1,  // special: address 1, line 1
      2, 0x10, 3, 0x7f, 1,  // advance_pc 16, advance_line -1, copy
      8, 9, 2, 0, 0, 1, 1,  // const_add_pc, fixed_advance_pc, end_sequence
    ]
    let rest: [UInt8] = [3, 0] + le(header.count) + header + program
    var units = LineProgram.Units(strings: [], lineStrings: [])
    units.read((le(rest.count) + rest)[...])
    #expect(units.files.last == "src/a.c")
    #expect(units.rows.map(\.address) == [0x1000, 0x1001, 0x1011, 0x1011 + 17 + 2])
    #expect(units.rows.map(\.line) == [10, 11, 10, 10])
    #expect(units.rows.map(\.isEnd) == [false, false, false, true])
  }

  private func le(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

  @Test func `no bytes do harm`() throws {
    let image = try #require(Self.guests.first).image
    var random: UInt64 = 5
    for _ in 0..<300 {
      var broken = image
      for _ in 0..<8 {
        random = random &* 6_364_136_223_846_793_005 &+ 1
        // Behind the code stand the tables.
        let place = image.count / 2 + Int(random >> 33) % (image.count / 2)
        broken[place] = UInt8(truncatingIfNeeded: random >> 24)
      }
      _ = LineTable(elf: broken)?.place(of: 0x101b80)
    }
  }
}
