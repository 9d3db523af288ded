import Emulator

/// How two traces differ, for people: what makes the runs different first, then where they part, then what they
/// counted.
public struct TraceComparison {
  /// The report's lines; none if the traces are the same.
  public let lines: [String]

  /// Whether there is no difference.
  public var isSame: Bool { lines.isEmpty }

  /// The report, every line with a newline.
  public var text: String { lines.map { $0 + "\n" }.joined() }

  /// Figures that are listed before only their number is told.
  private static let listed = 40

  /// - Parameter names: what the two sides are called.
  public init(_ left: Trace, _ right: Trace, names: (String, String) = ("A", "B")) throws(SetupError) {
    guard left != right else {
      lines = []
      return
    }
    let sides = Sides(names)
    let (before, after) = (try CounterList(left.statistics).values, try CounterList(right.statistics).values)
    let changed = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
    func figures(_ title: String, _ belongs: (String) -> Bool) -> [String] {
      let keys = changed.filter(belongs)
      guard !keys.isEmpty else { return [] }
      var lines = ["\(title): \(keys.count) different (\(sides.names.0) -> \(sides.names.1))"]
      for key in keys.prefix(TraceComparison.listed) {
        let (old, new) = (before[key] ?? "-", after[key] ?? "-")
        lines.append("  \(printable(key)): \(printable(old)) -> \(printable(new))\(Sides.change(old, new))")
      }
      if keys.count > TraceComparison.listed { lines.append("  ... and \(keys.count - TraceComparison.listed) more") }
      return lines
    }
    func isSetUp(_ key: String) -> Bool {
      ["config.", "guest.", "unverified."].contains(where: key.hasPrefix)
    }

    var lines: [String] = []
    if left.name != right.name { lines += sides.both("name", printable(left.name), printable(right.name)) }
    lines += figures("guest and configuration", isSetUp)
    lines += figures("outcome") { $0.hasPrefix("outcome.") }
    lines += sides.output(left.output, right.output)
    lines += sides.exits(left.exits, right.exits)
    lines += figures("causes") { $0.hasPrefix("causes.") }
    // Samples are many, and all move when one does.
    func isSample(_ key: String) -> Bool { key.hasPrefix("memory.timeline.") }
    lines += figures("counters") {
      !isSetUp($0) && !$0.hasPrefix("outcome.") && !$0.hasPrefix("causes.") && !isSample($0)
    }
    lines += figures("memory over time", isSample)
    self.lines = lines
  }
}

/// The two sides of a comparison by their names.
private struct Sides {
  let names: (String, String)
  private let width: Int

  init(_ names: (String, String)) {
    self.names = names
    width = max(names.0.count, names.1.count)
  }

  /// A title, and below it what each side says.
  func both(_ title: String, _ left: String, _ right: String) -> [String] {
    func line(_ name: String, _ text: String) -> String {
      "  \(name):\(String(repeating: " ", count: width - name.count)) \(text)"
    }
    return ["\(title):", line(names.0, left), line(names.1, right)]
  }

  /// How far a number went, in brackets.
  static func change(_ old: String, _ new: String) -> String {
    guard let old = UInt64(old), let new = UInt64(new) else { return "" }
    return new > old ? " (+\(new - old))" : " (-\(old - new))"
  }

  /// The first line of output that differs.
  func output(_ left: [UInt8], _ right: [UInt8]) -> [String] {
    guard left != right else { return [] }
    func lines(_ bytes: [UInt8]) -> [String] {
      bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map { "\"" + printable(String(decoding: $0, as: UTF8.self), limit: 160) + "\"" }
    }
    let (old, new) = (lines(left), lines(right))
    let first = zip(old, new).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(old.count, new.count)
    func shown(_ lines: [String]) -> String { first < lines.count ? lines[first] : "the output has ended" }
    // Bytes that are no text may differ where what is shown of them does not.
    guard first < max(old.count, new.count) else { return ["output: it differs in bytes that are no text"] }
    return both("output, line \(first + 1)", shown(old), shown(new))
  }

  /// The first exit that differs, and if only its time does, the first that differs in more.
  func exits(_ left: ExitSequence, _ right: ExitSequence) -> [String] {
    // How many are kept makes no difference.
    guard (left.count, left.sha256) != (right.count, right.sha256) || left.reasons != right.reasons else { return [] }
    let known = min(left.kept.count, right.kept.count)
    func first(_ isSame: (TracedExit, TracedExit) -> Bool) -> Int? {
      if let index = (0..<known).first(where: { !isSame(left.kept[$0], right.kept[$0]) }) { return index }
      return left.isWhole && right.isWhole && left.count == right.count ? nil : known
    }
    func shown(_ exits: ExitSequence, _ index: Int) -> String {
      if index < exits.kept.count { return exits.kept[index].description }
      return exits.isWhole ? "there are no more" : "beyond the \(exits.kept.count) that are kept"
    }
    func told(_ title: String, _ index: Int) -> [String] {
      both("\(title), number \(index)", shown(left, index), shown(right, index))
    }

    var lines: [String] = []
    if left.count != right.count { lines += both("number of exits", "\(left.count)", "\(right.count)") }
    guard let different = first(==) else { return lines }
    lines += told("first exit that differs", different)
    guard different < known, left.kept[different].isSame(as: right.kept[different]) else { return lines }
    if let other = first({ $0.isSame(as: $1) }) {
      lines += told("first exit that differs in more than its time", other)
    } else {
      lines.append("the exits are the same, at other times")
    }
    return lines
  }
}
