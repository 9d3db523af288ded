import Testing

@testable import Reports

@Suite struct NumberFormatTests {
  @Test(
    "digits are grouped by three",
    arguments: [
      (0, "0"), (7, "7"), (999, "999"), (1000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567"),
      (-1000, "-1,000"), (Int.max, "9,223,372,036,854,775,807"),
    ])
  func grouped(value: Int, text: String) { #expect(NumberFormat.grouped(value) == text) }

  @Test("shares and ratios are rounded half up, up to the greatest counts")
  func fractions() {
    #expect(NumberFormat.share(1, of: 3) == "33.3%")
    #expect(NumberFormat.share(1, of: 2000) == "0.1%")
    #expect(NumberFormat.share(5, of: 0) == "-")
    #expect(NumberFormat.share(.max, of: .max) == "100.0%")
    #expect(NumberFormat.ratio(3, to: 2) == "1.50")
    #expect(NumberFormat.ratio(1005, to: 1000) == "1.01")
    #expect(NumberFormat.ratio(.max, to: 1) == "18,446,744,073,709,551,615.00")
    #expect(NumberFormat.ratio(1, to: 0) == "-")
  }

  @Test("fixed decimals keep the sign of what is between 0 and -1")
  func decimals() {
    #expect(NumberFormat.decimal(-5, decimals: 1) == "-0.5")
    #expect(NumberFormat.decimal(12345, decimals: 2) == "123.45")
    #expect(NumberFormat.decimal(1_000_007, decimals: 3) == "1,000.007")
    #expect(NumberFormat.decimal(-7, decimals: 0) == "-7")
  }

  @Test("bytes have the unit that keeps a digit before the point")
  func bytes() {
    #expect(NumberFormat.bytes(0) == "0 B")
    #expect(NumberFormat.bytes(1023) == "1023 B")
    #expect(NumberFormat.bytes(1024) == "1.0 KiB")
    #expect(NumberFormat.bytes(1536) == "1.5 KiB")
    #expect(NumberFormat.bytes(3 << 30) == "3.0 GiB")
  }
}

@Suite struct ApportionmentTests {
  @Test("rounded parts add up to the rounded total, each within one unit of its own value")
  func exhaustive() {
    let values: [Int128] = [-1001, -50, -1, 0, 1, 2, 333, 999, 5000]
    for a in values {
      for b in values {
        for c in values {
          for divisor: UInt64 in [1, 3, 7, 1000] {
            let (parts, total) = Apportionment.divide([a, b, c], by: divisor, decimals: 1)
            #expect(parts.reduce(0, +) == total)
            #expect(abs2(total * Int128(divisor) - (a + b + c) * 10) <= Int128(divisor))
            for (part, value) in zip(parts, [a, b, c]) {
              #expect((part * Int128(divisor) - value * 10).magnitude < divisor)
            }
          }
        }
      }
    }
  }

  private func abs2(_ value: Int128) -> Int128 { 2 * Int128(value.magnitude) }

  @Test("what is missing goes to the largest remainders, earlier ones first")
  func remainders() {
    let (parts, total) = Apportionment.divide([5, 5, 5, 5], by: 10, decimals: 0)
    #expect(parts == [1, 1, 0, 0])
    #expect(total == 2)
  }

  @Test("no parts make a total of nothing")
  func empty() { #expect(Apportionment.divide([], by: 3, decimals: 1) == ([], 0)) }
}
