import Emulator
import Foundation

/// A trace as a file: one line of format version, length and SHA-256 of what follows, and then a JSON document with
/// sorted keys. A change can be read in a patch, and a file that lost its end or a bit is told from a run that went
/// differently.
public enum TraceFile {
  /// The format's version: raised by whatever an older reader would misunderstand. Version 2 tells each exit's processor;
  /// traces of machines with one are written in version 1.
  public static let version = 2

  private static let magic = "penumbra.trace/"
  /// More than any trace has.
  private static let greatestSize = 256 << 20

  /// The bytes of a trace's file.
  public static func encode(_ trace: Trace) throws(SetupError) -> [UInt8] {
    let document = Array(try DeterministicJSON.encode(trace).utf8)
    let version = trace.exits.processors > 1 ? version : 1
    return Array("\(magic)\(version) \(document.count) \(RunningHash.text(document))\n".utf8) + document
  }

  /// Reads the bytes of a trace's file.
  /// - Parameter name: the file's name, for errors.
  /// - Throws: `SetupError` of kind `input` that says in a line what is wrong with them.
  public static func decode(_ bytes: [UInt8], name: String) throws(SetupError) -> Trace {
    func refuse(_ why: String) -> SetupError { .input("trace", name, why) }
    let start = Array(magic.utf8)
    guard bytes.starts(with: start) else {
      throw refuse(start.starts(with: bytes) ? "truncated in its first line" : "it is no trace")
    }
    // The first line of this version has less than a hundred bytes.
    guard let end = bytes.prefix(256).firstIndex(of: UInt8(ascii: "\n")) else {
      throw refuse(bytes.count < 100 ? "truncated in its first line" : "its first line is damaged")
    }
    let words = String(decoding: bytes[start.count..<end], as: UTF8.self).split(
      separator: " ", omittingEmptySubsequences: false)
    guard let first = words.first, (1...version).contains(where: { "\($0)" == first }) else {
      guard let found = words.first.flatMap({ UInt32($0) }) else { throw refuse("its first line is damaged") }
      throw refuse("format version \(found) is not known; this Penumbra reads 1 to \(version)")
    }
    guard words.count == 3, let length = Int(words[1]), length >= 0, words[2].utf8.count == 64 else {
      throw refuse("its first line is damaged")
    }
    let document = bytes[(end + 1)...]
    guard document.count >= length else { throw refuse("truncated: \(document.count) of \(length) bytes are there") }
    guard document.count == length else { throw refuse("damaged: \(document.count - length) bytes follow its end") }
    guard RunningHash.text(document) == words[2] else {
      throw refuse("damaged: its content does not match its SHA-256")
    }
    do {
      return try JSONDecoder().decode(Trace.self, from: Data(document))
    } catch {
      throw refuse("damaged: \(printable(reason(error), limit: 160))")
    }
  }

  /// Reads a file.
  public static func read(_ path: String) throws(SetupError) -> Trace {
    try decode(try InputFile.read(path, what: "trace", limit: greatestSize).bytes, name: path)
  }

  /// Writes a file whole or not at all; folders on its way are made.
  public static func write(_ trace: Trace, to path: String) throws(SetupError) {
    try OutputFile.write(try encode(trace), to: path, what: "trace")
  }

  /// Where in the document what is wrong.
  private static func reason(_ error: any Error) -> String {
    let (context, what): (DecodingError.Context, String)
    switch error {
    case DecodingError.dataCorrupted(let it): (context, what) = (it, it.debugDescription)
    case DecodingError.keyNotFound(let key, let it): (context, what) = (it, "\(key.stringValue) is missing")
    case DecodingError.typeMismatch(let type, let it): (context, what) = (it, "a value is no \(type)")
    case DecodingError.valueNotFound(_, let it): (context, what) = (it, "a value is missing")
    default: return "\(error)"
    }
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    return path.isEmpty ? what : "\(path): \(what)"
  }
}
