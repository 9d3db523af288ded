/// Where to listen: `[HOST:]PORT`. Without a host nobody but this machine reaches it.
public struct Endpoint: Equatable, Sendable, CustomStringConvertible {
  public var host: String
  public var port: Int

  /// Why an address cannot be used, for people.
  public struct Failure: Error, CustomStringConvertible {
    public var description: String
  }

  /// - Throws: what is wrong with the text.
  public init(_ text: String) throws(Failure) {
    let digits = text.lastIndex(of: ":").map { text[text.index(after: $0)...] } ?? text[...]
    let name = text.dropLast(digits.count + (digits.count < text.count ? 1 : 0))
    guard let port = Int(digits), 0...65535 ~= port, digits.allSatisfy(\.isNumber) else {
      throw Failure(description: "gdb: \(text) is not [HOST:]PORT")
    }
    self.port = port
    // An IPv6 address stands in brackets.
    let bare = name.hasPrefix("[") && name.hasSuffix("]") ? name.dropFirst().dropLast() : name
    host = bare.isEmpty ? "127.0.0.1" : String(bare)
  }

  public var description: String { "\(host):\(port)" }
}
