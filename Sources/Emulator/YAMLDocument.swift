import Yams

/// A YAML file as Penumbra reads them: one mapping at the top, errors in one line with file and line number.
struct YAMLDocument {
  /// One key of a mapping with where it stands.
  struct Entry {
    var key: String
    var line: Int
    var value: Node
  }

  /// The greatest file that is read: none of Penumbra's own comes near it.
  static let largestFile = 256 << 10
  /// The deepest nesting that is looked at; the parser recurses.
  private static let deepest = 32

  /// What the file is, for errors: `profile`, `configuration`.
  var what: String
  /// The file's name.
  var name: String
  var top: Node

  /// - Throws: `SetupError` of kind `input` for what is no YAML or has no mapping at the top.
  init(_ bytes: [UInt8], what: String, name: String) throws(SetupError) {
    self.what = what
    self.name = name
    guard bytes.count <= YAMLDocument.largestFile else {
      throw .input(what, name, "\(bytes.count) bytes are more than the \(YAMLDocument.largestFile) that are read")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .input(what, name, "it is not UTF-8 text") }
    guard !YAMLDocument.nestsTooDeep(text) else {
      throw .input(what, name, "it is nested deeper than \(YAMLDocument.deepest) levels")
    }
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw YAMLDocument.translated(error, what: what, name: name)
    }
    guard let node else { throw .input(what, name, "it is empty") }
    top = node
    _ = try entries(of: node, in: "the file")
  }

  /// The keys of a mapping, in the file's order.
  func entries(of node: Node, in place: String) throws(SetupError) -> [Entry] {
    guard let mapping = node.mapping else {
      throw error(node.mark?.line, "\(place) is not a mapping of keys to values")
    }
    var entries: [Entry] = []
    for (key, value) in mapping {
      guard let name = key.scalar?.string else { throw error(key.mark?.line, "a key of \(place) is not a text") }
      entries.append(Entry(key: name, line: key.mark?.line ?? 0, value: value))
    }
    return entries
  }

  /// The text of a scalar, as it was written.
  func scalar(_ node: Node, key: String) throws(SetupError) -> String {
    guard let scalar = node.scalar else {
      throw error(node.mark?.line, "\(printable(key)): a single value is expected")
    }
    return scalar.string
  }

  /// An error at a line of the file.
  func error(_ line: Int?, _ why: String) -> SetupError {
    .input(what, line.map { "\(name):\($0)" } ?? name, why)
  }

  private static func translated(_ error: any Error, what: String, name: String) -> SetupError {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return .input(what, "\(name):\(mark.line)", printable(problem))
    case .duplicatedKeysInMapping(let duplicates, let context):
      let names = duplicates.sorted().map { printable($0) }.joined(separator: ", ")
      return .input(what, "\(name):\(context.mark.line)", "given twice: \(names)")
    default:
      return .input(what, name, "it is not valid YAML")
    }
  }

  /// A cautious guess, before the recursive parser sees the text: brackets open at once, and dashes or indentation of
  /// one line.
  private static func nestsTooDeep(_ text: String) -> Bool {
    var open = 0
    var lineDepth = 0
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"): open += 1
      case UInt8(ascii: "]"), UInt8(ascii: "}"): open = max(open - 1, 0)
      case UInt8(ascii: "\n"): lineDepth = 0
      case UInt8(ascii: "-"), UInt8(ascii: "?"), UInt8(ascii: ":"): lineDepth += 1
      default: break
      }
      if open > deepest || lineDepth > 64 * deepest { return true }
    }
    return false
  }
}
