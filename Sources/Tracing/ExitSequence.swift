import Foundation

/// The exits of a run in their order: the first ones whole, and of all of them the number and a hash.
public struct ExitSequence: Equatable, Sendable {
  /// How many exits are kept unless something else is said.
  public static let usualLimit = 4096
  /// The most that can be kept.
  public static let greatestLimit = 1 << 20

  /// Processors of the machine: with more than one, each exit tells its own.
  public var processors = 1
  /// Exits of the run.
  public var count: UInt64 = 0
  /// The first ones.
  public var kept: [TracedExit] = []
  /// Every reason that occurred, in the order in which they first did.
  public var reasons: [String] = []
  /// SHA-256 of the encoding of all exits.
  public var sha256 = RunningHash().text

  public init() {}

  /// Whether `kept` is all of it.
  public var isWhole: Bool { UInt64(kept.count) == count }
}

/// Exits to bytes: each is told by what changed since the one before, so that no two encodings depend on where a run
/// was cut.
struct ExitEncoder {
  private let processors: Int
  private(set) var reasons: [String] = []
  private var last = TracedExit("")
  private var writer = ByteWriter()

  init(processors: Int = 1) { self.processors = processors }

  /// The bytes of the next exit.
  mutating func encode(_ exit: TracedExit) -> [UInt8] {
    let index = reasons.firstIndex(of: exit.reason) ?? reasons.count
    if index == reasons.count { reasons.append(exit.reason) }
    writer.removeAll()
    writer.write(UInt64(index) << 1 | (exit.physical == nil ? 0 : 1))
    if processors > 1 { writer.write(exit.processor) }
    writer.write(exit.rip, since: last.rip)
    writer.write(exit.address, since: last.address)
    if let physical = exit.physical { writer.write(physical, since: last.physical ?? 0) }
    writer.write(exit.detail)
    writer.write(exit.clock &- last.clock)
    writer.write(exit.retired &- last.retired)
    // The next guest-physical address is told from the last one, however long ago that was.
    let physical = exit.physical ?? last.physical
    last = exit
    last.physical = physical
    return writer.bytes
  }
}

/// The way back.
struct ExitDecoder {
  let reasons: [String]
  private let processors: Int
  private var last = TracedExit("")

  init(reasons: [String], processors: Int = 1) {
    self.reasons = reasons
    self.processors = processors
  }

  /// The next exit; nil if the bytes are none.
  mutating func decode(_ reader: inout ByteReader) -> TracedExit? {
    guard let head = reader.read(), head >> 1 < UInt64(reasons.count),
      let processor = processors > 1 ? reader.read() : 0, processor < UInt64(processors),
      let rip = reader.read(since: last.rip), let address = reader.read(since: last.address)
    else { return nil }
    var exit = TracedExit(reasons[Int(head >> 1)])
    exit.processor = processor
    exit.rip = rip
    exit.address = address
    if head & 1 != 0 {
      guard let physical = reader.read(since: last.physical ?? 0) else { return nil }
      exit.physical = physical
    }
    guard let detail = reader.read(), let clock = reader.read(), let retired = reader.read() else { return nil }
    exit.detail = detail
    exit.clock = last.clock &+ clock
    exit.retired = last.retired &+ retired
    let physical = exit.physical ?? last.physical
    last = exit
    last.physical = physical
    return exit
  }
}

// MARK: In a document

extension ExitSequence: Codable {
  private enum CodingKeys: String, CodingKey { case processors, count, kept, reasons, sha256, entries }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func refuse(_ why: String) -> any Error {
      DecodingError.dataCorruptedError(forKey: .entries, in: values, debugDescription: why)
    }
    processors = try values.decodeIfPresent(Int.self, forKey: .processors) ?? 1
    guard processors >= 1 else { throw refuse("\(processors) processors") }
    count = try values.decode(UInt64.self, forKey: .count)
    reasons = try values.decode([String].self, forKey: .reasons)
    sha256 = try values.decode(String.self, forKey: .sha256)
    let number = try values.decode(Int.self, forKey: .kept)
    let packed = try values.decode(Data.self, forKey: .entries)
    guard (0...ExitSequence.greatestLimit).contains(number), UInt64(number) <= count else {
      throw refuse("\(number) of \(count) exits cannot be kept")
    }
    // An entry has at most eight numbers of ten bytes.
    guard let bytes = Compression.zlib.unpack(Array(packed), limit: 80 * number) else {
      throw refuse("the exits cannot be unpacked")
    }
    var reader = ByteReader(bytes)
    var exits = ExitDecoder(reasons: reasons, processors: processors)
    while kept.count < number {
      guard let exit = exits.decode(&reader) else { throw refuse("exit \(kept.count) is malformed") }
      kept.append(exit)
    }
    guard reader.isAtEnd else { throw refuse("bytes follow the last exit") }
    if isWhole {
      guard RunningHash.text(bytes) == sha256 else { throw refuse("the exits do not match their SHA-256") }
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var exits = ExitEncoder(processors: processors)
    var bytes: [UInt8] = []
    for exit in kept { bytes += exits.encode(exit) }
    guard let packed = Compression.zlib.pack(bytes) else {
      throw EncodingError.invalidValue(
        self, .init(codingPath: encoder.codingPath, debugDescription: "the exits cannot be packed"))
    }
    var values = encoder.container(keyedBy: CodingKeys.self)
    // Traces of one processor stay as they were.
    if processors > 1 { try values.encode(processors, forKey: .processors) }
    try values.encode(count, forKey: .count)
    try values.encode(kept.count, forKey: .kept)
    try values.encode(reasons, forKey: .reasons)
    try values.encode(sha256, forKey: .sha256)
    try values.encode(Data(packed), forKey: .entries)
  }
}
