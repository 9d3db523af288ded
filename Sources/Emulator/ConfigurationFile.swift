import Yams

/// A YAML file of configuration keys (`--config`):
///
///     paging: shadow:trace
///     memory: 64M
///     profile: zen4
///     profile.tlb.l2.hit: 7
///     shadow:               # the same as shadow.roots: 8
///       roots: 8
///
/// Keys are those of `ConfigurationKey`; a mapping joins its own key and those below it with a dot. A list stands for
/// its values joined by commas.
public enum ConfigurationFile {
  /// Sets every key that a file names, in the file's order.
  /// - Throws: `SetupError` of kind `input`, naming file, line and key.
  public static func apply(path: String, to configuration: inout Configuration) throws(SetupError) {
    let file = try InputFile.read(path, what: "configuration", limit: YAMLDocument.largestFile)
    try apply(file, to: &configuration)
  }

  /// Sets every key that a file names, in the file's order.
  /// - Throws: `SetupError` of kind `input`, naming file, line and key.
  public static func apply(_ file: InputFile, to configuration: inout Configuration) throws(SetupError) {
    let document = try YAMLDocument(file.bytes, what: "configuration", name: file.name)
    var seen: Set<String> = []
    try apply(document.top, prefix: "", of: document, seen: &seen, to: &configuration)
  }

  private static func apply(
    _ mapping: Node, prefix: String, of document: YAMLDocument, seen: inout Set<String>,
    to configuration: inout Configuration
  ) throws(SetupError) {
    for entry in try document.entries(of: mapping, in: prefix.isEmpty ? "the file" : prefix) {
      let name = prefix + entry.key
      if entry.value.mapping != nil {
        try apply(entry.value, prefix: name + ".", of: document, seen: &seen, to: &configuration)
        continue
      }
      guard seen.insert(name).inserted else { throw document.error(entry.line, "\(printable(name)): given twice") }
      let value = try text(entry, name, document)
      do {
        try ConfigurationKey.named(name).set(value, in: &configuration)
      } catch {
        throw document.error(entry.line, error.description)
      }
    }
  }

  private static func text(
    _ entry: YAMLDocument.Entry, _ name: String, _ document: YAMLDocument
  ) throws(SetupError) -> String {
    guard let list = entry.value.sequence else { return try document.scalar(entry.value, key: name) }
    var parts: [String] = []
    for node in list { parts.append(try document.scalar(node, key: name)) }
    return parts.joined(separator: ",")
  }
}
