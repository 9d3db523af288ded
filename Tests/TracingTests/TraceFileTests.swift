import Emulator
import Foundation
import Testing

@testable import Tracing

@Suite struct TraceFileTests {
  /// The error that bytes are refused with; nil if they are not.
  private func refusal(_ bytes: [UInt8]) -> SetupError? {
    do {
      _ = try TraceFile.decode(bytes, name: "file")
      return nil
    } catch {
      return error
    }
  }

  /// One line of a sensible length, with the status for a bad input.
  private func isClear(_ error: SetupError?) -> Bool {
    guard let error else { return false }
    return error.exitStatus == 66 && error.description.hasPrefix("trace file: ") && error.description.count < 260
      && !error.description.contains("\n")
  }

  /// A document in an undamaged frame.
  private func framed(_ document: String) -> [UInt8] {
    Array("penumbra.trace/1 \(document.utf8.count) \(RunningHash.text(document.utf8))\n\(document)".utf8)
  }

  private var document: String {
    get throws {
      String(decoding: try TraceFile.encode(sampleTrace()), as: UTF8.self).split(separator: "\n", maxSplits: 1).last
        .map(String.init) ?? ""
    }
  }

  @Test("a trace that is read back is the same, and makes the same bytes")
  func roundTrip() throws {
    let bytes = try TraceFile.encode(sampleTrace())
    let trace = try TraceFile.decode(bytes, name: "file")
    #expect(trace == sampleTrace())
    #expect(try TraceFile.encode(trace) == bytes)
  }

  @Test("output is kept byte for byte", arguments: ["", "\n", "no newline", "a\r\nb\r\n", "\u{0}\u{1b}[1m\u{fffd}é"])
  func outputs(_ text: String) throws {
    let trace = sampleTrace(output: text)
    #expect(try TraceFile.decode(try TraceFile.encode(trace), name: "file").output == Array(text.utf8))
  }

  @Test("output that is no text is kept too")
  func bytes() throws {
    var trace = sampleTrace()
    trace.output = Array(0...255)
    #expect(try TraceFile.decode(try TraceFile.encode(trace), name: "file") == trace)
  }

  @Test("a trace keeps the first exits and hashes all")
  func limit() throws {
    let few = sampleTrace(keeping: 2)
    #expect(few.exits.kept == Array(sampleExits.prefix(2)))
    #expect(few.exits.count == 5)
    #expect(few.exits.sha256 == sampleTrace().exits.sha256)
    #expect(try TraceFile.decode(try TraceFile.encode(few), name: "file") == few)
    var changed = sampleExits
    changed[4].detail = 1
    #expect(sampleTrace(exits: changed, keeping: 2).exits.sha256 != few.exits.sha256)
  }

  @Test("every file that lost its end is refused in one line")
  func truncated() throws {
    let bytes = try TraceFile.encode(sampleTrace())
    for length in bytes.indices {
      let error = refusal(Array(bytes[..<length]))
      #expect(
        isClear(error) && error?.description.contains("truncated") == true,
        "\(length): \(error?.description ?? "none")")
    }
  }

  @Test("every file with a changed bit is refused in one line")
  func damaged() throws {
    let bytes = try TraceFile.encode(sampleTrace())
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        let error = refusal(damaged)
        #expect(isClear(error), "\(index).\(bit): \(error?.description ?? "none")")
      }
    }
  }

  @Test("a trace of several processors tells whose exit each was, in version 2")
  func processors() throws {
    var exits = sampleExits
    for index in exits.indices { exits[index].processor = UInt64(index % 3) }
    var trace = sampleTrace()
    trace.exits = ExitSequence(exits, processors: 3)
    let bytes = try TraceFile.encode(trace)
    #expect(bytes.starts(with: Array("penumbra.trace/2 ".utf8)))
    #expect(try TraceFile.decode(bytes, name: "file") == trace)
    #expect(try TraceFile.encode(sampleTrace()).starts(with: Array("penumbra.trace/1 ".utf8)))
    // A processor that the machine does not have.
    trace.exits.kept[0].processor = 3
    #expect(throws: SetupError.self) { try TraceFile.decode(TraceFile.encode(trace), name: "file") }
  }

  @Test("a file of another kind, version or length is named as that")
  func frames() throws {
    let bytes = try TraceFile.encode(sampleTrace())
    #expect(refusal(bytes + [10])?.description == "trace file: damaged: 1 bytes follow its end")
    #expect(refusal(Array("\u{7f}ELF".utf8))?.description == "trace file: it is no trace")
    let newer = Array("penumbra.trace/3 0 ".utf8) + Array(bytes.dropFirst(19))
    #expect(refusal(newer)?.description == "trace file: format version 3 is not known; this Penumbra reads 1 to 2")
    for line in [
      "", " ", "1", "1 2", "1 -1 x", "1 99999999999999999999 x", "x 1 1", "1 0 \(String(repeating: "0", count: 64))",
    ] {
      #expect(isClear(refusal(Array("penumbra.trace/\(line)\n".utf8))), "\(line)")
    }
  }

  @Test("a document that no Penumbra wrote is refused in one line, whatever it says")
  func hostile() throws {
    let good = try document
    #expect(refusal(framed(good)) == nil)
    let changes: [(String, String)] = [
      ("\"kept\" : 5", "\"kept\" : 6"), ("\"kept\" : 5", "\"kept\" : 4"), ("\"kept\" : 5", "\"kept\" : -1"),
      ("\"kept\" : 5", "\"kept\" : 9223372036854775807"), ("\"count\" : 5", "\"count\" : 18446744073709551615"),
      ("\"count\" : 5", "\"count\" : 1e99"), ("\"count\" : 5", "\"count\" : 18446744073709551616"),
      ("\"page-fault\",", ""), ("\"entries\" : \"", "\"entries\" : \"AAAA"), ("\"entries\" : \"", "\"entries\" : \"*"),
      ("\"entries\" : \"", "\"wrong\" : \""), ("\"name\" : \"sample\",\n  \"output\"", "\"output\""),
      ("\"execute\" : 12", "\"execute\" : 18446744073709551615"), ("\"execute\" : 12", "\"\\u001b[31m\" : 12"),
      ("\"schema\" : \"penumbra.stats/1\"", "\"schema\" : \"x\\ny\""), ("\"one\\r\"", "7"), ("{", "["), ("}", ""),
    ]
    for (old, new) in changes {
      let place = try #require(good.range(of: old), "\(old)")
      let error = refusal(framed(good.replacingCharacters(in: place, with: new)))
      // A wrong number of exits is not seen where not all are kept: the hash of all is no hash of some.
      if new.contains("18446744073709551615") && old.contains("count") { continue }
      #expect(isClear(error), "\(old) -> \(new): \(error?.description ?? "none")")
    }
    for text in ["", "null", "{}", "[]", String(repeating: "[", count: 100_000), "\u{0}", "{\"exits\":1e400}"] {
      #expect(isClear(refusal(framed(text))), "\(text.prefix(20))")
    }
  }

  @Test("packed exits that unpack to more than they can be are refused")
  func bomb() throws {
    let packed = try #require(Compression.zlib.pack(Array(repeating: 0, count: 10_000_000)))
    #expect(Compression.zlib.unpack(packed, limit: 1_000_000) == nil)
    #expect(Compression.zlib.unpack(packed, limit: 10_000_000)?.count == 10_000_000)
  }

  @Test("packed bytes that were cut, changed or added to are refused", arguments: [Compression.zlib, .gzip])
  func packed(_ kind: Compression) throws {
    let bytes = (0..<2000).map { UInt8(truncatingIfNeeded: $0 * $0 / 7) }
    let packed = try #require(kind.pack(bytes))
    #expect(kind.unpack(packed, limit: 2000) == bytes)
    #expect(kind.unpack(packed + [0], limit: 2000) == nil)
    for length in packed.indices { #expect(kind.unpack(Array(packed[..<length]), limit: 2000) == nil) }
    #expect(try kind.unpack(#require(kind.pack([])), limit: 0) == [])
  }

  @Test("a file that is missing, a folder or empty is named as that")
  func files() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(throws: SetupError(.input, "trace \(printable("\(folder)/none")): no such file")) {
      try TraceFile.read("\(folder)/none")
    }
    #expect(throws: SetupError.self) { try TraceFile.read(folder) }
    try TraceFile.write(sampleTrace(), to: "\(folder)/a/b/sample.trace")
    #expect(try TraceFile.read("\(folder)/a/b/sample.trace") == sampleTrace())
    #expect(try names(in: "\(folder)/a/b") == ["sample.trace"])
    #expect(throws: SetupError.self) { try TraceFile.write(sampleTrace(), to: "\(folder)/a/b/sample.trace/c") }
  }
}

@Suite struct KeptImageTests {
  @Test("an image is kept under its name and hash, and is not taken for another")
  func images() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let image = GuestImage(name: "sample", bytes: Array(repeating: 7, count: 5000))
    try KeptImage.write(image, to: folder)
    let path = "images/sample-\(image.sha256.prefix(12)).image.gz"
    #expect(try names(in: folder + "/images").map { "images/" + $0 } == [path])

    var trace = sampleTrace()
    trace.statistics.guest = .init(name: "sample", sha256: image.sha256)
    #expect(try KeptImage.read(for: trace, from: folder) == image)
    let packed = try InputFile.read("\(folder)/\(path)", what: "image").bytes
    for damage in [Array(packed.dropLast()), packed + [1], try #require(Compression.gzip.pack([1, 2, 3]))] {
      try Data(damage).write(to: URL(fileURLWithPath: "\(folder)/\(path)"))
      let error = #expect(throws: SetupError.self) { try KeptImage.read(for: trace, from: folder) }
      #expect(error?.exitStatus == 66 && error?.description.contains("damaged") == true)
    }
    trace.statistics.guest.sha256 = "0"
    #expect(throws: SetupError.self) { try KeptImage.read(for: trace, from: folder) }
  }
}
