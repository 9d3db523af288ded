import Foundation
import Machine

/// Another disassembler, to compare with: objdump of binutils.
struct Disassembler {
  /// What it makes of the first bytes of a stretch.
  struct Reading {
    /// Nil where it knows no instruction.
    var mnemonic: String?
    var length: Int
  }

  /// Bytes a stretch: an instruction, and NOPs enough that reading it wrong has no consequence for the next.
  static let stride = 32
  private static let program = ["/usr/bin/objdump", "/usr/local/bin/objdump"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  static let isAvailable = program != nil

  private let size: CodeSize
  init(_ size: CodeSize) { self.size = size }

  private var machine: String {
    switch size {
    case .bits16: "i8086"
    case .bits32: "i386"
    case .bits64: "i386:x86-64"
    }
  }

  /// Reads each instruction by itself.
  func read(_ instructions: [[UInt8]]) throws -> [Reading] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    var image = [UInt8](repeating: 0x90, count: instructions.count * Self.stride)
    for (index, bytes) in instructions.enumerated() {
      image.replaceSubrange(index * Self.stride..<index * Self.stride + bytes.count, with: bytes)
    }
    let input = folder.appendingPathComponent("image")
    let output = folder.appendingPathComponent("text")
    try Data(image).write(to: input)
    try Data().write(to: output)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.program ?? "")
    // Near branches with an operand-size prefix are read as Intel's processors do, like the decoder here.
    let dialect = size == .bits64 ? "intel,intel64" : "intel"
    process.arguments = ["-D", "-b", "binary", "-m", machine, "-M", dialect, "--no-show-raw-insn", "-z", input.path]
    process.standardOutput = try FileHandle(forWritingTo: output)
    try process.run()
    process.waitUntilExit()
    return Self.parse([UInt8](try Data(contentsOf: output)), count: instructions.count)
  }

  /// Takes the first instruction of every stretch; the next line's address tells where it ends.
  private static func parse(_ text: [UInt8], count: Int) -> [Reading] {
    var readings = [Reading](repeating: Reading(mnemonic: nil, length: 0), count: count)
    /// The stretch whose instruction's end is awaited, and whether no more than prefixes of it have been seen.
    var open: (index: Int, isPrefix: Bool)?
    for line in text.split(separator: UInt8(ascii: "\n")) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), let address = number(line[..<colon]) else { continue }
      let words = line[(colon + 1)...].split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
      let isPrefix = words.allSatisfy(isPrefix)
      let mnemonic = words.contains("(bad)") ? nil : words.first { !Self.isPrefix($0) }
      if address % stride == 0, address / stride < count {
        open = (address / stride, isPrefix)
        readings[address / stride].mnemonic = mnemonic
      } else if let (index, wasPrefix) = open {
        if wasPrefix {
          // A prefix that it tells apart from its instruction.
          open = (index, isPrefix)
          readings[index].mnemonic = mnemonic
        } else {
          readings[index].length = address - index * stride
          open = nil
        }
      }
    }
    return readings
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    Int(String(decoding: digits.drop { $0 == 0x20 }, as: UTF8.self), radix: 16)
  }

  static func isPrefix(_ word: String) -> Bool {
    let names: Set = [
      "data16", "data32", "addr16", "addr32", "rep", "repe", "repz", "repne", "repnz", "lock", "bnd", "notrack", "cs",
      "ds", "es", "ss", "fs", "gs", "xacquire", "xrelease", "{vex}", "{evex}",
    ]
    return names.contains(word) || word.hasPrefix("rex")
  }
}
