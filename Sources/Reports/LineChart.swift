/// A chart of lines as SVG text, drawn with integers only, so that the same figures give the same bytes on every machine.
///
/// Scales are logarithmic to the base 2 where values span more than they could show side by side; ticks are the powers.
public struct LineChart: Sendable {
  /// One line: a name and its points, whose `x` grow.
  public struct Series: Sendable {
    public var name: String
    public var points: [Point]

    public init(_ name: String, _ points: [Point]) { (self.name, self.points) = (name, points) }
  }

  public struct Point: Sendable {
    /// What is varied, 0 or more.
    public var x: UInt64
    /// What is measured, 0 or more.
    public var y: UInt64

    public init(_ x: UInt64, _ y: UInt64) { (self.x, self.y) = (x, y) }
  }

  let title: String
  let xTitle: String
  let yTitle: String
  /// Decimals of the `y` values, which are whole numbers of so small units.
  let decimals: Int
  let series: [Series]

  public init(_ title: String, x: String, y: String, decimals: Int = 0, _ series: [Series]) {
    (self.title, xTitle, yTitle, self.decimals, self.series) = (title, x, y, decimals, series)
  }

  // MARK: Places, in pixels

  private enum Frame {
    static let width: Int64 = 720
    static let height: Int64 = 400
    static let left: Int64 = 96
    static let right: Int64 = 560
    static let top: Int64 = 60
    static let bottom: Int64 = 340
  }

  /// Colours that differ for readers who confuse red and green too (Okabe and Ito).
  private static let colours = ["#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
  /// Dashes, so that lines that lie on one another are seen.
  private static let dashes = ["none", "9 3", "3 3", "9 3 3 3", "none", "6 6", "2 5"]

  /// A logarithm to the base 2 in 1/4096, of a number that is 1 or more.
  static func log2(_ value: UInt64) -> Int64 {
    let value = max(value, 1)
    let whole = 63 - value.leadingZeroBitCount
    // The mantissa in 1 ... 2 as a fraction of 2^32, squared once for each binary digit of the logarithm.
    var mantissa = whole <= 32 ? value << UInt64(32 - whole) : value >> UInt64(whole - 32)
    var result = Int64(whole) << 12
    for bit in (0..<12).reversed() {
      let square = mantissa.multipliedFullWidth(by: mantissa)
      mantissa = square.high << 32 | square.low >> 32
      if mantissa >= 1 << 33 {
        mantissa >>= 1
        result += 1 << Int64(bit)
      }
    }
    return result
  }

  /// Where values lie between two ends, and which of them have ticks.
  private struct Scale {
    let isLogarithmic: Bool
    let low: Int64
    let high: Int64
    let ticks: [UInt64]

    /// - Parameter unit: what counts as 1; ticks of a logarithmic scale are its multiples by powers of 2.
    init(_ values: [UInt64], unit: UInt64) {
      let most = max(values.max() ?? unit, 1)
      let least = values.min() ?? 0
      isLogarithmic = least != 0 && most / least >= 16
      if isLogarithmic {
        // From the power at or below the least to the one at or above the most, the powers below 1 by division.
        var powers: [UInt64] = []
        for power in UInt64(1)...20 where unit >> power != 0 { powers.insert(unit >> power, at: 0) }
        for power in UInt64(0)...42 { powers.append(unit << power) }
        let first = powers.lastIndex { $0 <= least } ?? 0
        let last = powers.firstIndex { $0 >= most } ?? powers.count - 1
        let apart = Swift.max(1, (last - first + 9) / 10)
        ticks = stride(from: first, through: last, by: apart).map { powers[$0] }
        (low, high) = (LineChart.log2(min(powers[first], least)), LineChart.log2(max(powers[last], most)))
      } else {
        // 1, 2 or 5 times a power of ten, so that there are at most eight.
        var step: UInt64 = 1
        var factors: [(UInt64, UInt64)] = [(2, 1), (5, 2), (2, 1)]
        while most / step > 8 {
          step = step * factors[0].0 / factors[0].1
          factors = Array(factors[1...]) + [factors[0]]
        }
        let last = (most + step - 1) / step
        ticks = (0...last).map { $0 * step }
        (low, high) = (0, Int64(last * step))
      }
    }

    /// A value's place on a line from `start` to `end`.
    func place(_ value: UInt64, from start: Int64, to end: Int64) -> Int64 {
      let at = isLogarithmic ? LineChart.log2(value) : Int64(value)
      return start + (at - low) * (end - start) / (high - low)
    }
  }

  // MARK: Drawing

  public var svg: String {
    let xScale = Scale(series.flatMap { $0.points.map(\.x) }, unit: 1)
    let yScale = Scale(series.flatMap { $0.points.map(\.y) }, unit: NumberFormat.powerOfTen(decimals))
    func x(_ value: UInt64) -> Int64 { xScale.place(value, from: Frame.left, to: Frame.right) }
    func y(_ value: UInt64) -> Int64 { yScale.place(value, from: Frame.bottom, to: Frame.top) }
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Frame.width) \(Frame.height)\" width=\"\(Frame.width)\""
        + " height=\"\(Frame.height)\" font-family=\"sans-serif\" font-size=\"12\">",
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
      text(8, 24, title, size: 15),
    ]
    for tick in xScale.ticks {
      lines.append(line(x(tick), Frame.top, x(tick), Frame.bottom, "#e4e4e4"))
      lines.append(text(x(tick), Frame.bottom + 18, NumberFormat.grouped(tick), anchor: "middle"))
    }
    for tick in yScale.ticks {
      lines.append(line(Frame.left, y(tick), Frame.right, y(tick), "#e4e4e4"))
      lines.append(text(Frame.left - 8, y(tick) + 4, label(tick), anchor: "end"))
    }
    lines.append(line(Frame.left, Frame.bottom, Frame.right, Frame.bottom, "#444444"))
    lines.append(line(Frame.left, Frame.top, Frame.left, Frame.bottom, "#444444"))
    lines.append(text((Frame.left + Frame.right) / 2, Frame.bottom + 40, xTitle, anchor: "middle"))
    lines.append(text(8, Frame.top - 16, yTitle))
    for (number, one) in series.enumerated() {
      let colour = Self.colours[number % Self.colours.count]
      let dash = Self.dashes[number % Self.dashes.count]
      let points = one.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
      lines.append(
        "<polyline points=\"\(points)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\" stroke-dasharray=\"\(dash)\"/>"
      )
      for point in one.points {
        lines.append("<circle cx=\"\(x(point.x))\" cy=\"\(y(point.y))\" r=\"3\" fill=\"\(colour)\"/>")
      }
      let row = Frame.top + 20 * Int64(number)
      lines.append(line(Frame.right + 16, row, Frame.right + 40, row, colour, width: 2))
      lines.append(text(Frame.right + 46, row + 4, one.name))
    }
    return (lines + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  /// A tick of `y`, without decimals that say nothing.
  private func label(_ tick: UInt64) -> String {
    let unit = NumberFormat.powerOfTen(decimals)
    return tick % unit == 0 ? NumberFormat.grouped(tick / unit) : NumberFormat.decimal(Int128(tick), decimals: decimals)
  }

  private func line(_ x1: Int64, _ y1: Int64, _ x2: Int64, _ y2: Int64, _ colour: String, width: Int = 1) -> String {
    "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" stroke=\"\(colour)\" stroke-width=\"\(width)\"/>"
  }

  private func text(_ x: Int64, _ y: Int64, _ content: String, anchor: String = "start", size: Int = 12) -> String {
    let escaped = content.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    return "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\" font-size=\"\(size)\">\(escaped)</text>"
  }
}
