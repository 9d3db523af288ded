import Emulator
import Foundation

/// What a run did: its statistics with the whole configuration, the guest's output, and the sequence of exits.
public struct Trace: Equatable, Sendable {
  /// What was recorded: a golden record's name, or the guest's.
  public var name: String
  public var statistics: Statistics
  /// The guest's serial output.
  public var output: [UInt8]
  public var exits: ExitSequence

  public init(name: String, statistics: Statistics, output: [UInt8], exits: ExitSequence) {
    self.name = name
    self.statistics = statistics
    self.output = output
    self.exits = exits
  }

  /// The kind of paging by its name.
  public var paging: String { statistics.config["paging"]?.description ?? "" }

  /// The name of a trace's file: what was recorded, under which kind of paging.
  public static func fileName(_ name: String, _ paging: PagingKind) -> String {
    "\(name).\(paging.name.split(separator: ":").joined(separator: "-")).trace"
  }
}

extension Trace: Codable {
  private enum CodingKeys: String, CodingKey { case name, statistics, output, outputBytes, exits }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    name = try values.decode(String.self, forKey: .name)
    statistics = try values.decode(Statistics.self, forKey: .statistics)
    exits = try values.decode(ExitSequence.self, forKey: .exits)
    if let bytes = try values.decodeIfPresent(Data.self, forKey: .outputBytes) {
      output = Array(bytes)
    } else {
      output = Array(try values.decode([String].self, forKey: .output).joined(separator: "\n").utf8)
    }
  }

  /// Output that is text is written line by line, so that a change of it can be read in a patch.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(name, forKey: .name)
    try values.encode(statistics, forKey: .statistics)
    if let text = String(validating: output, as: UTF8.self) {
      // By scalars: a carriage return and a newline are one Character.
      let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
      try values.encode(lines.map(String.init), forKey: .output)
    } else {
      try values.encode(Data(output), forKey: .outputBytes)
    }
    try values.encode(exits, forKey: .exits)
  }
}
