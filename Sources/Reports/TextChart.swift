/// A step function as one line of block characters.
enum TextChart {
  private static let blocks: [Character] = Array("▁▂▃▄▅▆▇█")

  /// The line: a column for each equal part of the time from 0, as high as the greatest value in it; `·` for 0.
  /// - Parameters:
  ///   - points: from when on which value holds, in ascending order.
  ///   - end: where the last column ends.
  ///   - most: the value of a full block.
  static func line(_ points: [(cycles: UInt64, value: UInt64)], until end: UInt64, most: UInt64, width: Int) -> String {
    var heights = [UInt64](repeating: 0, count: width)
    for (index, point) in points.enumerated() {
      let next = index + 1 < points.count ? points[index + 1].cycles : end
      // A value holds up to the column where the next one begins, that one included unless it begins with it.
      let first = column(of: point.cycles, end, width)
      let last = max(first, next > point.cycles ? column(of: next - 1, end, width) : first)
      for place in first...last { heights[place] = max(heights[place], point.value) }
    }
    return String(heights.map { block($0, most) })
  }

  private static func column(of cycles: UInt64, _ end: UInt64, _ width: Int) -> Int {
    guard end > 0 else { return 0 }
    return min(Int(UInt128(cycles) * UInt128(width) / UInt128(end)), width - 1)
  }

  private static func block(_ value: UInt64, _ most: UInt64) -> Character {
    guard value > 0, most > 0 else { return "·" }
    let eighths = (UInt128(min(value, most)) * 8 + UInt128(most) - 1) / UInt128(most)
    return blocks[Int(eighths) - 1]
  }
}
