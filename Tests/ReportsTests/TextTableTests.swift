import Testing

@testable import Reports

@Suite struct TextTableTests {
  @Test("columns are aligned and lines end with their last character")
  func alignment() {
    var table = TextTable([("name", .left), ("n", .right), ("note", .left)])
    table.add(["a", "1,000", "x"])
    table.add(["longer", "2"])
    let text = table.text(TextStyle(coloured: false))
    #expect(
      text == """
        name        n  note
        -------------------
        a       1,000  x
        longer      2

        """)
  }

  @Test("colour only where it is allowed, and never within the widths")
  func colour() {
    var table = TextTable([("a", .left), ("b", .right)])
    table.add(["x", "1"], .strong)
    #expect(!table.text(TextStyle(coloured: false)).contains("\u{1b}"))
    #expect(table.text(TextStyle(coloured: true)).contains("\u{1b}[1mx  1\u{1b}[0m\n"))
  }
}

@Suite struct CommaSeparatedValuesTests {
  @Test("cells with commas, quotes and newlines are quoted")
  func quoting() {
    var csv = CommaSeparatedValues()
    csv.add(["plain", "a,b", "say \"x\"", "two\nlines", ""])
    #expect(csv.text == "plain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\n")
  }
}
