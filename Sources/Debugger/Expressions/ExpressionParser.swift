/// Reads expressions: by precedence, with C's levels.
struct ExpressionParser {
  private let text: [Character]
  private var at = 0

  init(_ text: String) { self.text = Array(text) }

  /// From the loosest to the tightest.
  private static let levels: [[String]] = [
    ["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<=", ">=", "<", ">"], ["<<", ">>"], ["+", "-"],
    ["*", "/", "%"],
  ]

  /// How deep parentheses may be.
  private static let deepest = 64
  private var depth = 0

  mutating func whole() throws(Expression.Failure) -> Expression {
    let expression = try level(0)
    skip()
    guard at == text.count else { throw failure("what is \"\(String(text[at...].prefix(20)))\"?") }
    return expression
  }

  private func failure(_ text: String) -> Expression.Failure { Expression.Failure(description: text) }

  private mutating func skip() { while at < text.count, text[at].isWhitespace { at += 1 } }

  private func starts(with sign: String) -> Bool { text[at...].starts(with: sign) }

  private mutating func level(_ number: Int) throws(Expression.Failure) -> Expression {
    guard number < Self.levels.count else { return try unary() }
    var left = try level(number + 1)
    while true {
      skip()
      guard let sign = Self.levels[number].first(where: starts), !isLonger(sign) else { return left }
      at += sign.count
      left = .binary(sign, left, try level(number + 1))
    }
  }

  /// Whether a sign is the beginning of another level's.
  private func isLonger(_ sign: String) -> Bool {
    switch sign {
    case "|": starts(with: "||")
    case "&": starts(with: "&&")
    case "<": starts(with: "<<")
    case ">": starts(with: ">>")
    default: false
    }
  }

  private mutating func unary() throws(Expression.Failure) -> Expression {
    skip()
    guard at < text.count else { throw failure("an expression ends too early") }
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.deepest else { throw failure("too many parentheses") }
    switch text[at] {
    case "-", "~", "!":
      let sign = String(text[at])
      at += 1
      return .unary(sign, try unary())
    case "+":
      at += 1
      return try unary()
    case "*":
      at += 1
      return .memory(width: 8, isPhysical: false, try unary())
    case "&":
      // The address of a symbol, which is its value.
      at += 1
      return try unary()
    case "{":
      return try typed()
    case "(":
      at += 1
      let inner = try level(0)
      try expect(")")
      return inner
    default: return try primary()
    }
  }

  private mutating func expect(_ sign: Character) throws(Expression.Failure) {
    skip()
    guard at < text.count, text[at] == sign else { throw failure("a \"\(sign)\" is missing") }
    at += 1
  }

  /// `{u8} address`, `{p64} address`.
  private mutating func typed() throws(Expression.Failure) -> Expression {
    at += 1
    skip()
    let name = word()
    guard let (width, isPhysical) = Self.type(name) else {
      throw failure("no type \"\(name)\"; there are u8 to u64, and p8 to p64 of physical memory")
    }
    try expect("}")
    return .memory(width: width, isPhysical: isPhysical, try unary())
  }

  static func type(_ name: String) -> (width: Int, isPhysical: Bool)? {
    let widths = ["8": 1, "16": 2, "32": 4, "64": 8]
    guard let first = name.first, first == "u" || first == "p", let width = widths[String(name.dropFirst())] else {
      return nil
    }
    return (width, first == "p")
  }

  private mutating func word() -> String {
    let start = at
    while at < text.count, text[at].isLetter || text[at].isNumber || "_$.@".contains(text[at]) { at += 1 }
    return String(text[start..<at])
  }

  private mutating func primary() throws(Expression.Failure) -> Expression {
    let name = word()
    guard let first = name.first else { throw failure("what is \"\(String(text[at...].prefix(20)))\"?") }
    if first.isNumber {
      guard let value = Self.number(name) else { throw failure("\"\(name)\" is no number") }
      return .number(value)
    }
    skip()
    guard at < text.count, text[at] == "(" else { return .name(name) }
    at += 1
    if let (width, isPhysical) = Self.type(name) {
      let address = try level(0)
      try expect(")")
      return .memory(width: width, isPhysical: isPhysical, address)
    }
    return .call(name, try arguments())
  }

  private mutating func arguments() throws(Expression.Failure) -> [Expression.Argument] {
    var list: [Expression.Argument] = []
    skip()
    if at < text.count, text[at] == ")" {
      at += 1
      return []
    }
    while true {
      skip()
      if at < text.count, text[at] == "\"" {
        at += 1
        let start = at
        while at < text.count, text[at] != "\"" { at += 1 }
        list.append(.word(String(text[start..<at])))
        try expect("\"")
      } else {
        list.append(.value(try level(0)))
      }
      skip()
      guard at < text.count, text[at] == "," else { break }
      at += 1
    }
    try expect(")")
    return list
  }

  /// Decimal, 0x, 0b or 0o.
  static func number(_ text: String) -> UInt64? {
    let digits = text.filter { $0 != "_" }.lowercased()
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
      return UInt64(digits.dropFirst(2), radix: radix)
    }
    return UInt64(digits)
  }
}
