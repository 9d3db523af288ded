import Machine

/// A ledger as documents hold it: an object from a cause's name to its cycles, causes without cycles left out.
public struct CauseCounts: Codable, Equatable, Sendable {
  public var ledger: CycleLedger

  public init(_ ledger: CycleLedger = CycleLedger()) { self.ledger = ledger }

  /// Cycles of all causes.
  public var total: UInt64 { ledger.total }

  /// Cycles charged to a cause.
  public subscript(_ cause: Cause) -> UInt64 {
    get { ledger[cause] }
    set { ledger[cause] = newValue }
  }

  public init(from decoder: any Decoder) throws {
    let named = try decoder.singleValueContainer().decode([String: UInt64].self)
    ledger = CycleLedger()
    for (name, cycles) in named {
      guard let cause = Cause.all.first(where: { $0.name == name }) else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "no such cause: \(printable(name))"))
      }
      ledger[cause] = cycles
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(Dictionary(uniqueKeysWithValues: ledger.nonzero.map { ($0.cause.name, $0.cycles) }))
  }
}
