import Foundation

/// JSON with keys in a fixed order: the same value gives the same bytes on any machine.
public enum DeterministicJSON {
  /// The text of a value, two spaces a level, with a newline at the end.
  public static func encode(_ value: some Encodable) throws(SetupError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
    } catch {
      throw SetupError(.defect, "cannot encode \(type(of: value)): \(error)")
    }
  }
}

extension Statistics {
  private enum CodingKeys: String, CodingKey {
    case schema, guest, config, outcome, instructions, cycles, causes, exits, tlb, walks, shadow, agile, churn, memory,
      regions
    case cpus, unclaimed, unverified
  }

  /// - Throws: `DecodingError` for another schema, and for causes that do not add up to the cycles.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let schema = try values.decode(String.self, forKey: .schema)
    guard schema == Statistics.schema else {
      throw DecodingError.dataCorruptedError(
        forKey: .schema, in: values, debugDescription: "\(printable(schema)) is not \(Statistics.schema)")
    }
    guest = try values.decode(Guest.self, forKey: .guest)
    config = try values.decode([String: ConfigurationValue].self, forKey: .config)
    outcome = try values.decodeIfPresent(Outcome.self, forKey: .outcome)
    instructions = try values.decode(UInt64.self, forKey: .instructions)
    causes = try values.decode(CauseCounts.self, forKey: .causes)
    exits = try values.decode([String: Exit].self, forKey: .exits)
    tlb = try values.decode([String: TLB].self, forKey: .tlb)
    walks = try values.decode(Walks.self, forKey: .walks)
    shadow = try values.decode(Shadow.self, forKey: .shadow)
    agile = try values.decodeIfPresent(Agile.self, forKey: .agile)
    churn = try values.decodeIfPresent(Churn.self, forKey: .churn)
    memory = try values.decode(Memory.self, forKey: .memory)
    regions = try values.decode([String: Region].self, forKey: .regions)
    cpus = try values.decode([CPU].self, forKey: .cpus)
    unclaimed = try values.decodeIfPresent([String: UInt64].self, forKey: .unclaimed) ?? [:]
    unverified = try values.decode([String].self, forKey: .unverified)
    guard try values.decode(UInt64.self, forKey: .cycles) == causes.total else {
      throw DecodingError.dataCorruptedError(
        forKey: .cycles, in: values, debugDescription: "the causes do not add up to the cycles")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(Statistics.schema, forKey: .schema)
    try values.encode(guest, forKey: .guest)
    try values.encode(config, forKey: .config)
    try values.encodeIfPresent(outcome, forKey: .outcome)
    try values.encode(instructions, forKey: .instructions)
    try values.encode(cycles, forKey: .cycles)
    try values.encode(causes, forKey: .causes)
    try values.encode(exits, forKey: .exits)
    try values.encode(tlb, forKey: .tlb)
    try values.encode(walks, forKey: .walks)
    try values.encode(shadow, forKey: .shadow)
    try values.encodeIfPresent(agile, forKey: .agile)
    try values.encodeIfPresent(churn, forKey: .churn)
    try values.encode(memory, forKey: .memory)
    try values.encode(regions, forKey: .regions)
    try values.encode(cpus, forKey: .cpus)
    try values.encode(unclaimed, forKey: .unclaimed)
    try values.encode(unverified, forKey: .unverified)
  }

  /// The JSON document.
  public func json() throws(SetupError) -> String { try DeterministicJSON.encode(self) }

  /// Reads a document.
  public init(json: String) throws {
    self = try JSONDecoder().decode(Statistics.self, from: Data(json.utf8))
  }
}

extension Statistics.Region {
  private enum CodingKeys: String, CodingKey { case visits, instructions, cycles, causes }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    visits = try values.decode(UInt64.self, forKey: .visits)
    instructions = try values.decode(UInt64.self, forKey: .instructions)
    causes = try values.decode(CauseCounts.self, forKey: .causes)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(visits, forKey: .visits)
    try values.encode(instructions, forKey: .instructions)
    try values.encode(cycles, forKey: .cycles)
    try values.encode(causes, forKey: .causes)
  }
}

extension Statistics.CPU {
  private enum CodingKeys: String, CodingKey { case instructions, cycles, causes }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    instructions = try values.decode(UInt64.self, forKey: .instructions)
    causes = try values.decode(CauseCounts.self, forKey: .causes)
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(instructions, forKey: .instructions)
    try values.encode(cycles, forKey: .cycles)
    try values.encode(causes, forKey: .causes)
  }
}
