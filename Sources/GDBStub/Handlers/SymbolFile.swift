import Debugger

/// The guest's ELF file, served to a gdb that was given none (`qXfer:exec-file`, `vFile`).
///
/// A Multiboot kernel of 64-bit code is an ELF32 file, because loaders want it so; gdb would take it for a 32-bit program.
/// Such a file is made a 64-bit one: the same sections and symbols in the wider form.
struct SymbolFile: Sendable {
  let path: String
  private let bytes: [UInt8]

  static let notFound = Array("F-1,2".utf8)
  private static let badFile = Array("F-1,9".utf8)
  /// The only file is open always, under this number.
  private static let descriptor = 3

  /// Nil for a file without symbols.
  init?(_ file: [UInt8], name: String) {
    guard let symbols = Symbols(elf: file), !symbols.isEmpty, file.count > 19 else { return nil }
    let isWide = file[4] == 2
    guard let bytes = isWide ? file : WideELF.widened(file) else { return nil }
    self.bytes = bytes
    let last = name.split(separator: "/").last.map(String.init) ?? "guest"
    path = "/" + last
  }

  func answer(_ request: FileRequest) -> [UInt8] {
    switch request {
    case .setFileSystem, .close: return Array("F0".utf8)
    case .open(let wanted): return wanted == path ? Array("F\(Self.descriptor)".utf8) : Self.notFound
    case .status(let file):
      guard file == Self.descriptor else { return Self.badFile }
      let status = status
      return Array("F\(String(status.count, radix: 16));".utf8) + status
    case .read(let file, let count, let offset):
      guard file == Self.descriptor else { return Self.badFile }
      let piece = offset < bytes.count ? bytes[offset...].prefix(min(count, Packet.size / 2)) : []
      return Array("F\(String(piece.count, radix: 16));".utf8) + piece
    // EINVAL
    case .other: return Array("F-1,16".utf8)
    }
  }

  /// The protocol's `struct stat`, whose numbers are big-endian.
  private var status: [UInt8] {
    func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
      (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
    // dev, ino, mode (a regular file that all may read), nlink, uid, gid, rdev
    let head: [UInt64] = [0, 0, 0o100444, 1, 0, 0, 0]
    return head.flatMap { number($0, 4) } + number(UInt64(bytes.count), 8) + number(4096, 8)
      + number(UInt64(bytes.count + 511) / 512, 8) + [UInt8](repeating: 0, count: 12)
  }
}

/// Makes an ELF64 file of an ELF32 one (gABI chapter 4): sections and symbols, no program headers.
enum WideELF {
  private struct Reader {
    let bytes: [UInt8]

    func word(_ offset: Int) -> UInt32? { number(offset, 4).map { UInt32(truncatingIfNeeded: $0) } }
    func half(_ offset: Int) -> Int? { number(offset, 2).map { Int($0) } }
    func slice(_ offset: Int, _ count: Int) -> ArraySlice<UInt8>? {
      guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else { return nil }
      return bytes[offset..<offset + count]
    }
    private func number(_ offset: Int, _ count: Int) -> UInt64? {
      slice(offset, count).map { UInt64(littleEndianBytes: $0) }
    }
  }

  private static let symbolTable: UInt32 = 2
  private static let noBits: UInt32 = 8

  static func widened(_ file: [UInt8]) -> [UInt8]? {
    let reader = Reader(bytes: file)
    guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 1, 1]), let entry = reader.word(24), let table = reader.word(32),
      let size = reader.half(46), size >= 40, let count = reader.half(48), let names = reader.half(50)
    else { return nil }
    var contents: [UInt8] = []
    var headers: [UInt8] = []
    for index in 0..<count {
      guard let section = reader.slice(Int(table) + index * size, 40) else { return nil }
      let words = stride(from: section.startIndex, to: section.endIndex, by: 4).map {
        UInt32(littleEndianBytes: section[$0..<$0 + 4])
      }
      // name, type, flags, address, offset, size, link, info, alignment, entry size
      var (length, entrySize) = (UInt64(words[5]), UInt64(words[9]))
      while contents.count % 16 != 0 { contents.append(0) }
      let offset = UInt64(64 + contents.count)
      if words[1] != noBits, length > 0 {
        guard let bytes = reader.slice(Int(words[4]), Int(words[5])) else { return nil }
        let wide = words[1] == symbolTable ? symbols(bytes) : Array(bytes)
        contents += wide
        if words[1] == symbolTable { (length, entrySize) = (UInt64(wide.count), 24) }
      }
      headers += words[0].littleEndianBytes + words[1].littleEndianBytes + UInt64(words[2]).littleEndianBytes
      headers += UInt64(words[3]).littleEndianBytes + offset.littleEndianBytes + length.littleEndianBytes
      headers += words[6].littleEndianBytes + words[7].littleEndianBytes
      headers += UInt64(words[8]).littleEndianBytes + entrySize.littleEndianBytes
    }
    while contents.count % 16 != 0 { contents.append(0) }
    // An executable for x86-64.
    var header: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    header += UInt16(2).littleEndianBytes + UInt16(62).littleEndianBytes + UInt32(1).littleEndianBytes
    header += UInt64(entry).littleEndianBytes + UInt64(0).littleEndianBytes
    header += UInt64(64 + contents.count).littleEndianBytes + UInt32(0).littleEndianBytes
    for value in [64, 56, 0, 64, count, names] { header += UInt16(truncatingIfNeeded: value).littleEndianBytes }
    return header + contents + headers
  }

  /// name, value, size, info, other, section -> name, info, other, section, value, size
  private static func symbols(_ table: ArraySlice<UInt8>) -> [UInt8] {
    var wide: [UInt8] = []
    var at = table.startIndex
    while at + 16 <= table.endIndex {
      let symbol = Array(table[at..<at + 16])
      for part in [0..<4, 12..<16] { wide += symbol[part] }
      for part in [4..<8, 8..<12] {
        wide += symbol[part]
        wide += [0, 0, 0, 0]
      }
      at += 16
    }
    return wide
  }
}
