import Emulator
import Foundation
import Machine
import Vectors

/// Vectors as text, written to a file and executed.
enum VectorText {
  /// Executes a list of vectors, each given as JSON.
  static func run(_ vectors: String..., profile: String? = nil) throws -> Result {
    try run(text: "[" + vectors.joined(separator: ",\n") + "]", profile: profile)
  }

  struct Result {
    var passed: Int
    var failed: Int
    var passedElsewhere: Int
    var failures: [VectorRun.Failure]
    var byMnemonic: [String]
    /// The fields that differ, of all failures.
    var fields: [String] { failures.flatMap { $0.differences.map(\.field) } }
  }

  static func run(text: String, profile: String? = nil) throws -> Result {
    try inFile(Data(text.utf8)) { try run(file: $0, profile: profile) }
  }

  static func run(file: String, profile: String? = nil) throws -> Result {
    let run = VectorRun(profile: try profile.map(ProfileLibrary.profile))
    var failures: [VectorRun.Failure] = []
    try run.run(file) { failures.append($0) }
    return Result(
      passed: run.passed, failed: run.failed, passedElsewhere: run.passedElsewhere, failures: failures,
      byMnemonic: run.failuresByMnemonic.map { "\($0.mnemonic) \($0.count)" })
  }

  /// A file that is gone afterwards.
  static func inFile<Value>(_ data: Data, _ work: (String) throws -> Value) throws -> Value {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".json")
    try data.write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try work(file.path)
  }

  /// Why a text is refused, the name of its file taken out.
  static func refusal(_ data: Data) throws -> String? {
    try inFile(data) { file in
      do {
        _ = try run(file: file)
        return nil
      } catch let error as SetupError {
        return "\(error.exitStatus) " + error.description.replacingOccurrences(of: file, with: "FILE")
      }
    }
  }

  /// One vector: `regs` and `ram` as they stand in JSON.
  static func vector(
    _ bytes: String, mask: String = "cd5", from regs: String = "", ram: String = "", to final: String
  ) -> String {
    """
    {"name": "a name", "bytes": "\(bytes)", "flags_mask": "\(mask)", "initial": {"regs": {"rip": "10000000", \
    "rflags": "202"\(regs.isEmpty ? "" : ", ")\(regs)}, "ram": [\(ram)]}, "final": {\(final)}}
    """
  }
}
