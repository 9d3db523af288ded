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
      // A column in which a value holds for any time shows it.
      let first = min(column(of: point.cycles, end, width).start, width - 1)
      let last = max(first, column(of: next, end, width).end - 1)
      for place in first...last { heights[place] = max(heights[place], point.value) }
    }
    return String(heights.map { block($0, most) })
  }

  /// A time in columns: the column in which it lies, and the one that begins at it or next.
  private static func column(of cycles: UInt64, _ end: UInt64, _ width: Int) -> (start: Int, end: Int) {
    guard end > 0 else { return (0, 0) }
    let (whole, part) = (UInt128(min(cycles, end)) * UInt128(width)).quotientAndRemainder(dividingBy: UInt128(end))
    return (Int(whole), Int(whole) + (part == 0 ? 0 : 1))
  }

  private static func block(_ value: UInt64, _ most: UInt64) -> Character {
    guard value > 0, most > 0 else { return "·" }
    let eighths = (UInt128(min(value, most)) * 8 + UInt128(most) - 1) / UInt128(most)
    return blocks[Int(eighths) - 1]
  }
}
