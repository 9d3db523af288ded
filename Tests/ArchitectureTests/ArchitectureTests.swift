import Foundation
import Testing

/// The house's plan, checked against the `import` lines of every source file.
struct ArchitectureTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// What a module may import of the house: all of what the modules below it may, and those themselves.
  static let below: [String: Set<String>] = {
    let arrows: [String: Set<String>] = [
      "Machine": [], "Decoding": ["Machine", "CCapstone"], "Devices": ["Machine"], "Hypervisor": ["Machine"],
      "Boot": ["Machine"], "Guests": [], "CCapstone": [],
      "Emulator": ["Boot", "Hypervisor", "Devices", "Decoding", "Machine", "Guests"],
      "Reports": ["Emulator", "Devices", "Machine", "Guests"], "Tracing": ["Emulator", "Devices", "Machine"],
      "Vectors": ["Emulator", "Decoding", "Machine"],
      "VectorGenerator": ["Vectors", "Emulator", "Decoding", "Machine"],
      "Debugger": ["Emulator", "Hypervisor", "Devices", "Boot", "Machine", "Guests"],
      "GDBStub": ["Debugger", "Emulator", "Devices", "Machine"],
      "penumbra": [
        "Debugger", "GDBStub", "Reports", "Tracing", "Vectors", "Emulator", "Devices", "Boot", "Hypervisor", "Machine",
        "Guests",
      ],
    ]
    return arrows
  }()

  /// A Swift file of `Sources`.
  struct Source: CustomTestStringConvertible {
    var module: String
    var path: String
    var lines: [Substring]
    var imports: [String] {
      lines.compactMap { line in
        let words = line.split(separator: " ").filter {
          !$0.hasPrefix("@") && !["public", "package", "internal"].contains($0)
        }
        guard words.count > 1, words[0] == "import" else { return nil }
        let kinds = ["struct", "class", "enum", "func", "protocol", "var", "let", "typealias"]
        let name = kinds.contains(String(words[1])) && words.count > 2 ? words[2] : words[1]
        return name.split(separator: ".").first.map(String.init)
      }
    }
    var testDescription: String { path }
  }

  static let sources: [Source] = {
    let folder = root.appending(path: "Sources")
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.allObjects as? [URL] ?? []
    return files.filter { $0.pathExtension == "swift" }.compactMap { file in
      guard let text = try? String(contentsOf: file, encoding: .utf8) else { return nil }
      let path = String(file.path(percentEncoded: false).dropFirst(folder.path(percentEncoded: false).count))
        .trimmingPrefix("/")
      return Source(
        module: String(path.prefix { $0 != "/" }), path: String(path),
        lines: text.split(separator: "\n", omittingEmptySubsequences: false))
    }
  }()

  @Test func `there are sources to look at`() {
    #expect(Self.sources.count > 100)
    #expect(Self.sources.contains { $0.path == "Machine/Paging/PageWalk.swift" && $0.imports.isEmpty })
  }

  @Test func `every folder of Sources has its place in the plan`() {
    for module in Set(Self.sources.map(\.module)) { #expect(Self.below[module] != nil, "\(module)") }
  }

  @Test func `imports run downward only`() {
    for source in Self.sources {
      guard let allowed = Self.below[source.module] else { continue }
      for name in source.imports where Self.below[name] != nil {
        #expect(allowed.contains(name), "\(source.path) imports \(name)")
      }
    }
  }

  @Test func `only the decoder knows Capstone`() {
    let users = Set(Self.sources.filter { $0.imports.contains("CCapstone") }.map(\.module))
    #expect(users == ["Decoding"])
  }

  @Test func `only gdb's server knows the network, and its packets know nothing of the house`() {
    let users = Set(Self.sources.filter { $0.imports.contains { $0.hasPrefix("NIO") } }.map(\.path))
    #expect(!users.isEmpty)
    for path in users { #expect(path.hasPrefix("GDBStub/Server/"), "\(path)") }
    let packets = Self.sources.filter { $0.path.hasPrefix("GDBStub/Packets/") }
    #expect(packets.count > 4)
    for source in packets { #expect(source.imports.isEmpty, "\(source.path) imports \(source.imports)") }
  }

  @Test func `the machine imports nothing but the C library`() {
    for source in Self.sources where source.module == "Machine" {
      #expect(Set(source.imports).isSubset(of: ["Glibc"]), "\(source.path) imports \(source.imports)")
    }
  }

  @Test(arguments: ["Hypervisor", "Devices", "Boot", "Decoding"])
  func `neighbours do not know each other`(module: String) {
    let neighbours: Set = ["Hypervisor", "Devices", "Boot", "Decoding"]
    for source in Self.sources where source.module == module {
      #expect(neighbours.isDisjoint(with: source.imports), "\(source.path) imports \(source.imports)")
    }
  }

  @Test(arguments: ["fatalError", "try!", "as!"])
  func `no source ends the process for something that can happen`(word: String) {
    for source in Self.sources {
      for (number, line) in source.lines.enumerated() {
        let code = line.prefix(upTo: line.firstRange(of: "//")?.lowerBound ?? line.endIndex)
        #expect(!code.contains(word), "\(source.path):\(number + 1)")
      }
    }
  }
  /// `make mutations` plants what stands there.
  @Test func `the list of deliberate faults has those that the sources know`() throws {
    let list = try String(contentsOf: Self.root.appending(path: "Tests/Mutations/faults"), encoding: .utf8)
    let listed = list.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      line.prefix { $0 != "|" }.trimmingPrefix(" ").prefix { $0 != " " }
    }
    let known = Self.sources.flatMap(\.lines).flatMap { line in
      line.matches(of: /mutated\("([a-z0-9-]+)"\)/).map(\.1)
    }
    #expect(Set(listed).count == listed.count && listed.count >= 25)
    #expect(Set(listed) == Set(known))
  }
}
