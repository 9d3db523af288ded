/// Lines of a fixed width, and their arrangement: what a full-screen view is made of.
enum ScreenText {
  /// A line cut or padded to a width. What a terminal would act on is shown as a dot.
  static func fit(_ line: String, _ width: Int) -> String {
    let plain = line.map { $0.isASCII && ($0.asciiValue ?? 0) < 0x20 ? "." : $0 }
    guard plain.count > width else { return String(plain) + String(repeating: " ", count: width - plain.count) }
    return String(plain.prefix(max(width - 1, 0))) + (width > 0 ? "~" : "")
  }

  /// Exactly so many lines.
  static func fill(_ lines: [String], _ height: Int) -> [String] {
    Array(lines.prefix(height)) + Array(repeating: "", count: max(height - lines.count, 0))
  }

  /// A heading over a panel.
  static func rule(_ title: String, _ width: Int) -> String {
    let text = "-- \(title) "
    return fit(text + String(repeating: "-", count: max(width - text.count, 0)), width)
  }

  /// Two panels side by side, the left one so wide.
  static func beside(_ left: [String], _ right: [String], leftWidth: Int, width: Int) -> [String] {
    (0..<max(left.count, right.count)).map { row in
      fit(row < left.count ? left[row] : "", leftWidth) + " | "
        + fit(row < right.count ? right[row] : "", max(width - leftWidth - 3, 0))
    }
  }
}
