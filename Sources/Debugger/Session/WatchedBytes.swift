/// What a watched stretch held and holds, for people: of a long one what has changed of it.
enum WatchedBytes {
  /// Bytes that are shown at most.
  private static let shown = 16

  /// A number, or bytes.
  static func text(_ bytes: [UInt8]?) -> String {
    guard let bytes else { return "unreadable" }
    guard bytes.count > 8 else {
      return "0x" + String(bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }, radix: 16)
    }
    return list(bytes[...])
  }

  /// What has become of it.
  static func change(_ old: [UInt8]?, _ new: [UInt8]?, at address: UInt64) -> String {
    guard let old, let new, old.count == new.count, old.count > shown,
      let first = old.indices.first(where: { old[$0] != new[$0] }),
      let last = old.indices.last(where: { old[$0] != new[$0] })
    else { return "\(text(old)) -> \(text(new))" }
    func place(_ index: Int) -> String { "0x" + String(address &+ UInt64(index), radix: 16) }
    let range = first == last ? "byte \(place(first))" : "bytes \(place(first)) to \(place(last))"
    return "\(range): \(list(old[first...last])) -> \(list(new[first...last]))"
  }

  private static func list(_ bytes: ArraySlice<UInt8>) -> String {
    let words = bytes.prefix(shown).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return words.joined(separator: " ") + (bytes.count > shown ? " ..." : "")
  }
}
