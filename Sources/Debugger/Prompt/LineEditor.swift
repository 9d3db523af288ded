/// A line as it is typed at a terminal: keys in, what to show out. It knows no file descriptor and no mode of a terminal,
/// so that it can be tested key by key.
///
/// The keys are those of Emacs and readline, as far as a prompt needs them: arrows, Home, End, Delete, Control with A, B,
/// D, E, F, H, K, L, N, P, U, W, and Tab for completion.
public struct LineEditor {
  /// What a key has led to.
  public enum Outcome: Equatable, Sendable {
    case editing
    case line(String)
    /// Control-C: the line is given up.
    case cancelled
    /// Control-D on an empty line.
    case end
  }

  public private(set) var line: [Character] = []
  public private(set) var cursor = 0
  /// Earlier lines, the oldest first.
  public private(set) var history: [String]
  /// The line of the history that is shown; its count: the one being typed.
  private var place: Int
  private var typed: [Character] = []
  /// Bytes of a key or a character that has not ended.
  private var pending: [UInt8] = []
  private let prompt: String
  private let columns: Int
  /// The words that a text before the cursor may go on with, and where the word begins that they would replace.
  private let complete: (String) -> (start: Int, words: [String])

  /// The most lines of history that are kept.
  public static let greatestHistory = 1000

  public init(
    prompt: String, columns: Int = 80, history: [String] = [],
    complete: @escaping (String) -> (start: Int, words: [String]) = { ($0.count, []) }
  ) {
    self.prompt = prompt
    self.columns = max(columns, prompt.count + 8)
    self.history = Array(history.suffix(Self.greatestHistory))
    self.complete = complete
    place = self.history.count
  }

  /// Begins a new line.
  public mutating func begin() {
    line = []
    cursor = 0
    pending = []
    place = history.count
  }

  // MARK: Keys

  /// Takes one byte from the terminal.
  ///
  /// - Returns: what it has led to, and what to write to the terminal.
  public mutating func feed(_ byte: UInt8) -> (outcome: Outcome, output: String) {
    if !pending.isEmpty || byte == 0x1b || byte >= 0x80 { return feedLong(byte) }
    switch byte {
    case 0x0d, 0x0a: return finish()
    case 0x03:
      begin()
      return (.cancelled, "^C\r\n")
    case 0x04 where line.isEmpty: return (.end, "\r\n")
    case 0x04: delete(cursor)
    case 0x01: cursor = 0
    case 0x05: cursor = line.count
    case 0x02: cursor = max(cursor - 1, 0)
    case 0x06: cursor = min(cursor + 1, line.count)
    case 0x08, 0x7f: backspace()
    case 0x0b: line.removeSubrange(cursor...)
    case 0x15:
      line.removeSubrange(..<cursor)
      cursor = 0
    case 0x17: deleteWord()
    case 0x0c: return (.editing, "\u{1b}[H\u{1b}[2J" + rendered)
    case 0x10: recall(place - 1)
    case 0x0e: recall(place + 1)
    case 0x09: return (.editing, completed())
    case 0x20...0x7e: insert(Character(UnicodeScalar(byte)))
    default: return (.editing, "")
    }
    return (.editing, rendered)
  }

  /// Sequences of several bytes: keys, and characters beyond ASCII.
  private mutating func feedLong(_ byte: UInt8) -> (outcome: Outcome, output: String) {
    pending.append(byte)
    if pending[0] == 0x1b {
      guard pending.count < 3 || (0x30...0x3b).contains(byte) else {
        key(pending)
        pending = []
        return (.editing, rendered)
      }
      // ESC and a letter is no key here.
      if pending.count == 2 && byte != UInt8(ascii: "[") && byte != UInt8(ascii: "O") { pending = [] }
      if pending.count > 8 { pending = [] }
      return (.editing, "")
    }
    let length = pending[0] >= 0xf0 ? 4 : pending[0] >= 0xe0 ? 3 : pending[0] >= 0xc0 ? 2 : 1
    guard pending.count >= length else { return (.editing, "") }
    let text = String(decoding: pending, as: UTF8.self)
    pending = []
    for character in text { insert(character) }
    return (.editing, rendered)
  }

  private mutating func key(_ bytes: [UInt8]) {
    switch String(decoding: bytes.dropFirst(2), as: UTF8.self) {
    case "A": recall(place - 1)
    case "B": recall(place + 1)
    case "C": cursor = min(cursor + 1, line.count)
    case "D": cursor = max(cursor - 1, 0)
    case "H", "1~", "7~": cursor = 0
    case "F", "4~", "8~": cursor = line.count
    case "3~": delete(cursor)
    default: break
    }
  }

  private mutating func finish() -> (outcome: Outcome, output: String) {
    let text = String(line)
    if !text.allSatisfy(\.isWhitespace), history.last != text {
      history.append(text)
      if history.count > Self.greatestHistory { history.removeFirst() }
    }
    begin()
    return (.line(text), "\r\n")
  }

  // MARK: Editing

  private mutating func insert(_ character: Character) {
    line.insert(character, at: cursor)
    cursor += 1
  }

  private mutating func delete(_ index: Int) { if index < line.count { line.remove(at: index) } }

  private mutating func backspace() {
    guard cursor > 0 else { return }
    cursor -= 1
    line.remove(at: cursor)
  }

  private mutating func deleteWord() {
    var start = cursor
    while start > 0, line[start - 1] == " " { start -= 1 }
    while start > 0, line[start - 1] != " " { start -= 1 }
    line.removeSubrange(start..<cursor)
    cursor = start
  }

  /// Shows another line of the history; behind the last one stands what is being typed.
  private mutating func recall(_ wanted: Int) {
    guard wanted >= 0, wanted <= history.count, wanted != place else { return }
    if place == history.count { typed = line }
    place = wanted
    line = wanted == history.count ? typed : Array(history[wanted])
    cursor = line.count
  }

  /// Completes the word before the cursor as far as all candidates agree, and lists them where they do not.
  private mutating func completed() -> String {
    let before = String(line[..<cursor])
    let (start, words) = complete(before)
    guard !words.isEmpty, start <= cursor else { return "\u{07}" }
    var common = words[0]
    for word in words.dropFirst() { common = String(zip(common, word).prefix { $0 == $1 }.map(\.0)) }
    let known = cursor - start
    // A folder goes on.
    if words.count == 1, !common.hasSuffix("/") { common += " " }
    if common.count > known {
      line.replaceSubrange(start..<cursor, with: common)
      cursor = start + common.count
      return rendered
    }
    return "\r\n" + words.prefix(100).joined(separator: "  ") + "\r\n" + rendered
  }

  // MARK: Showing

  /// The prompt and the line, the cursor where it is; of a line longer than the terminal is wide the part around the
  /// cursor.
  public var rendered: String {
    let room = columns - prompt.count - 1
    let first = max(cursor - room, 0)
    let shown = line[first..<min(line.count, first + room)]
    var text = "\r" + prompt + String(shown) + "\u{1b}[K"
    let back = shown.count - (cursor - first)
    if back > 0 { text += "\u{1b}[\(back)D" }
    return text
  }
}
