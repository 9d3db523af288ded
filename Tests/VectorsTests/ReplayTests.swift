import Foundation
import Testing

/// Vectors that a real processor made: those that are kept, and some made anew.
@Suite(.serialized) struct ReplayTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Kept")
  private static let files: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return files.filter { $0.hasSuffix(".json") || $0.hasSuffix(".json.gz") }.sorted()
  }()

  @Test func `there are vectors to look at`() { #expect(Self.files.count >= 9) }

  @Test(arguments: files)
  func `every vector that is kept passes`(file: String) throws {
    let result = try VectorText.run(file: Self.folder.appending(path: file).path)
    #expect(result.passed > 10)
    #expect(result.failed == 0, "\(result.byMnemonic)")
    for failure in result.failures.prefix(5) { Issue.record("\(failure)") }
  }

  /// The generator, beside the tests.
  private static let generator = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("VectorGenerator")

  private static func generate(_ folder: URL, _ arguments: String...) throws -> Int32 {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let process = Process()
    process.executableURL = generator
    process.arguments = [folder.path] + arguments
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  #if os(Linux) && arch(x86_64)
    private static let canGenerate: Bool = {
      let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      let flags = Set(info.split(separator: "\n").first { $0.hasPrefix("flags") }?.split(separator: " ") ?? [])
      return flags.isSuperset(of: [
        "sse4_2", "ssse3", "popcnt", "movbe", "abm", "bmi1", "bmi2", "adx", "cx16", "avx2", "fma", "f16c", "aes",
        "pclmulqdq", "vaes", "vpclmulqdq", "sha_ni",
      ])
    }()
  #else
    private static let canGenerate = false
  #endif

  private func inFolder(_ work: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    try work(folder)
  }

  @Test(.enabled("the host cannot make vectors") { canGenerate })
  func `the host's processor does the same in every form`() throws {
    try inFolder { folder in
      let seed: UInt64 = 20_261_126
      #expect(try Self.generate(folder, "1", "\(seed)") == 0)
      for family in ["integer", "extensions", "sse", "mmx", "x87", "avx", "ciphers"] {
        let result = try VectorText.run(file: folder.appending(path: "\(family).json.gz").path)
        #expect(result.passed > 20)
        for failure in result.failures.prefix(5) { Issue.record("seed \(seed): \(failure)") }
      }
    }
  }

  @Test(.enabled("the host cannot make vectors") { canGenerate })
  func `the host's processor does the same in 16- and 32-bit code`() throws {
    try inFolder { folder in
      #expect(try Self.generate(folder, "6", "20261127", "-bit") == 0)
      let result = try VectorText.run(file: folder.appending(path: "segmented.json.gz").path)
      #expect(result.passed > 4000)
      #expect(result.failed == 0, "\(result.byMnemonic)")
      for failure in result.failures.prefix(5) { Issue.record("\(failure)") }
    }
  }

  @Test(.enabled("the host cannot make vectors") { canGenerate })
  func `the same seed makes the same vectors`() throws {
    try inFolder { folder in
      let names = ["a", "b", "c"]
      for (name, seed) in zip(names, ["7", "7", "8"]) {
        #expect(try Self.generate(folder.appending(path: name), "2", seed, "f7/6") == 0)
      }
      let files = try names.map { try Data(contentsOf: folder.appending(path: "\($0)/integer.json.gz")) }
      #expect(files[0].count > 100)
      #expect(files[0] == files[1])
      #expect(files[0] != files[2])
    }
  }
}
