/// A table of text in columns, for terminals and logs.
public struct TextTable: Sendable {
  public enum Alignment: Sendable { case left, right }
  /// How much a row stands out, where colour is allowed.
  public enum Emphasis: Sendable { case plain, strong, faint }

  private enum Line: Sendable {
    case cells([String], Emphasis)
    case rule
  }

  private let alignments: [Alignment]
  private var lines: [Line] = []

  /// - Parameter columns: heading and alignment of each column; the headings are left out when all are empty.
  public init(_ columns: [(heading: String, alignment: Alignment)]) {
    alignments = columns.map(\.alignment)
    if columns.contains(where: { !$0.heading.isEmpty }) { lines = [.cells(columns.map(\.heading), .strong), .rule] }
  }

  /// Adds a row. Missing cells are empty.
  public mutating func add(_ cells: [String], _ emphasis: Emphasis = .plain) {
    precondition(cells.count <= alignments.count, "a row of \(cells.count) cells in \(alignments.count) columns")
    lines.append(.cells(cells + Array(repeating: "", count: alignments.count - cells.count), emphasis))
  }

  /// Adds a horizontal line.
  public mutating func addRule() { lines.append(.rule) }

  /// The table's lines, each with a newline; nothing stands behind the last character of a line.
  public func text(_ style: TextStyle) -> String {
    var widths = alignments.map { _ in 0 }
    for case .cells(let cells, _) in lines {
      for (index, cell) in cells.enumerated() { widths[index] = max(widths[index], cell.count) }
    }
    let whole = widths.reduce(0, +) + 2 * max(widths.count - 1, 0)
    var text = ""
    for line in lines {
      switch line {
      case .rule: text += style.faint(String(repeating: "-", count: whole))
      case .cells(let cells, let emphasis):
        var row = ""
        for (index, cell) in cells.enumerated() {
          let padding = String(repeating: " ", count: widths[index] - cell.count)
          if index > 0 { row += "  " }
          row += alignments[index] == .left ? cell + padding : padding + cell
        }
        while row.last == " " { row.removeLast() }
        switch emphasis {
        case .plain: text += row
        case .strong: text += style.strong(row)
        case .faint: text += style.faint(row)
        }
      }
      text += "\n"
    }
    return text
  }
}

/// Whether a text may carry colour.
public struct TextStyle: Sendable {
  public var coloured: Bool

  public init(coloured: Bool) { self.coloured = coloured }

  public func strong(_ text: String) -> String { wrapped(text, "1") }
  public func faint(_ text: String) -> String { wrapped(text, "2") }

  private func wrapped(_ text: String, _ code: String) -> String {
    coloured && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
  }
}
