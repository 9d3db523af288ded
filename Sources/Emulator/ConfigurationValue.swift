/// The value of a configuration key, as results show it.
public enum ConfigurationValue: Codable, Equatable, Sendable, CustomStringConvertible {
  case text(String)
  case number(UInt64)
  case flag(Bool)
  /// Not set, which means no limit, no file.
  case none

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .none
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? container.decode(UInt64.self) {
      self = .number(number)
    } else {
      self = .text(try container.decode(String.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .number(let number): try container.encode(number)
    case .flag(let flag): try container.encode(flag)
    case .none: try container.encodeNil()
    }
  }

  public var description: String {
    switch self {
    case .text(let text): text
    case .number(let number): "\(number)"
    case .flag(let flag): flag ? "true" : "false"
    case .none: "none"
    }
  }
}
