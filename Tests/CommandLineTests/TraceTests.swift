import Foundation
import Testing

@Suite struct TraceTests {
  /// A folder that is gone afterwards.
  private func inFolder(_ work: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    try work(folder.path)
  }

  @Test("trace record, info and diff go together")
  func together() throws {
    try inFolder { folder in
      let recorded = try Program(
        "trace", "record", "hello", "--output", folder, "--paging", "native,nested", "--append", "x")
      #expect(recorded.status == 0)
      #expect(recorded.output.isEmpty)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [
          "hello.native.trace", "hello.nested.trace",
        ])

      let info = try Program("trace", "info", "\(folder)/hello.nested.trace", "--exits", "2")
      #expect(info.status == 0)
      #expect(info.output.contains("paging"))
      #expect(info.output.contains("\n1  "))

      let same = try Program("trace", "diff", "\(folder)/hello.nested.trace", "\(folder)/hello.nested.trace")
      #expect(same.status == 0 && same.output.isEmpty && same.errors.isEmpty)
      let other = try Program("trace", "diff", "\(folder)/hello.native.trace", "\(folder)/hello.nested.trace")
      #expect(other.status == 6)
      #expect(other.output.contains("config.paging: native -> nested"))
      #expect(other.output.contains("number of exits:"))
    }
  }

  @Test("a golden record brings its image along")
  func golden() throws {
    try inFolder { folder in
      let recorded = try Program("trace", "record", "--golden", "hello", "-o", folder, "--quiet")
      #expect(recorded.status == 0)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/images").count == 1)
      #expect(try Program("trace", "record", "--golden", "nobody", "-o", folder).status == 64)
      #expect(try Program("trace", "record", "--golden", "hello", "-o", folder, "--memory", "64M").status == 64)
    }
  }

  @Test("what is no trace gives one line and status 66")
  func bad() throws {
    try inFolder { folder in
      #expect(try Program("trace", "record", "hello", "-o", folder, "--paging", "nested", "-q").status == 0)
      let good = "\(folder)/hello.nested.trace"
      let whole = try Data(contentsOf: URL(fileURLWithPath: good))
      let half = "\(folder)/half"
      try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: half))
      for arguments in [
        ["info", half], ["diff", good, half], ["diff", half, good], ["info", folder], ["info", "/none"],
      ] {
        let program = try Program(["trace"] + arguments)
        #expect(program.status == 66, "\(arguments)")
        #expect(program.output.isEmpty)
        #expect(program.errors.hasPrefix("penumbra: trace ") && program.errors.split(separator: "\n").count == 1)
      }
      #expect(try Program("trace", "info", half).errors.contains("truncated"))
      #expect(try Program("trace", "record", "hello", "-o", half + "/x").status == 66)
    }
  }
}
