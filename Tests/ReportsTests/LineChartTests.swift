import Testing

@testable import Reports

@Suite struct LineChartTests {
  @Test(arguments: [(1, 0), (2, 4096), (3, 6492), (1 << 40, 40 << 12), (UInt64.max, 64 << 12)])
  func `logarithms are exact to a four-thousandth`(value: UInt64, expected: Int64) {
    #expect(abs(LineChart.log2(value) - expected) <= 1)
  }

  private func chart(_ values: [UInt64], decimals: Int = 0) -> String {
    LineChart(
      "title", x: "x", y: "y", decimals: decimals,
      [LineChart.Series("a & b", values.enumerated().map { LineChart.Point(UInt64($0.offset + 1), $0.element) })]
    ).svg
  }

  @Test func `narrow spans have a linear scale from 0, wide ones powers of two`() {
    let narrow = chart([3, 7, 5])
    for tick in ["0", "1", "7"] { #expect(narrow.contains(">\(tick)</text>")) }
    let wide = chart([3, 900])
    for tick in ["2", "512", "1,024"] { #expect(wide.contains(">\(tick)</text>")) }
    #expect(!wide.contains("text-anchor=\"end\" font-size=\"12\">0</text>"))
  }

  @Test func `the greatest value stands at the top, and the least at the bottom of its scale`() {
    let svg = chart([0, 8])
    #expect(svg.contains("cx=\"96\" cy=\"340\"") || svg.contains("cy=\"340\""))
    #expect(svg.contains("cy=\"60\""))
  }

  @Test func `decimals shift the point, and names are escaped`() {
    let svg = chart([50, 6400], decimals: 2)
    #expect(svg.contains(">0.50</text>"))
    #expect(svg.contains(">64</text>"))
    #expect(svg.contains(">a &amp; b</text>"))
  }
}

@Suite struct FindingTests {
  @Test func `a ratio is rounded to hundredths and compared with its bounds`() {
    let ratio = Finding.Ratio("r", 5, to: 3, within: 150...160)
    #expect(ratio.value == 167)
    #expect(!ratio.holds)
    #expect(Finding.Ratio("r", 8, to: 5, within: 150...160).holds)
  }

  @Test func `a section has its table, its ratios and its picture`() {
    let finding = Finding(
      "name", "Title", "Text.", headings: ["what", "one"], rows: [["a", "1"]],
      ratios: [Finding.Ratio("r", 1, to: 2, within: 100...UInt64.max)],
      chart: LineChart("t", x: "x", y: "y", []))
    #expect(
      finding.markdown(pictures: "folder") == """
        ## Title
        Text.

        | what | one |
        |---|--:|
        | a | 1 |

        - r: **0.50**, claimed: at least 1.00: does not hold

        ![Title](folder/name.svg)

        """)
  }
}
