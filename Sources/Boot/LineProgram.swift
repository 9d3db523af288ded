/// The programs of `.debug_line`: a byte-coded machine for each compilation unit, whose rows are the table.
enum LineProgram {
  /// Reads from left to right; nil at the end.
  struct Cursor {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number(_ bytes: Int) -> UInt64? {
      guard rest.count >= bytes else { return nil }
      defer { rest = rest.dropFirst(bytes) }
      return rest.prefix(bytes).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func byte() -> UInt8? { rest.popFirst() }

    /// LEB128 (DWARF 5, 7.6). Bits above 64 are dropped.
    mutating func unsigned() -> UInt64? {
      var (value, shift): (UInt64, UInt64) = (0, 0)
      while let byte = rest.popFirst() {
        if shift < 64 { value |= UInt64(byte & 0x7f) << shift }
        shift += 7
        if byte & 0x80 == 0 { return value }
      }
      return nil
    }

    mutating func signed() -> Int64? {
      var (value, shift): (UInt64, UInt64) = (0, 0)
      while let byte = rest.popFirst() {
        if shift < 64 { value |= UInt64(byte & 0x7f) << shift }
        shift += 7
        guard byte & 0x80 == 0 else { continue }
        if byte & 0x40 != 0, shift < 64 { value |= .max << shift }
        return Int64(bitPattern: value)
      }
      return nil
    }

    mutating func text() -> String? {
      guard let end = rest.firstIndex(of: 0) else { return nil }
      defer { rest = rest[(end + 1)...] }
      return String(decoding: rest[..<end], as: UTF8.self)
    }

    mutating func take(_ count: UInt64) -> ArraySlice<UInt8>? {
      guard count <= UInt64(rest.count) else { return nil }
      defer { rest = rest.dropFirst(Int(count)) }
      return rest.prefix(Int(count))
    }
  }

  /// What a unit's header says.
  private struct Header {
    var least: UInt64 = 1
    var lineBase: Int64 = 0
    var lineRange: UInt64 = 1
    var opcodeBase: UInt8 = 1
    var lengths: [UInt8] = []
    /// Numbers in the whole table's list of files, by the unit's own numbers.
    var files: [Int] = []
  }

  /// All units, one behind the other.
  struct Units {
    let strings: ArraySlice<UInt8>
    let lineStrings: ArraySlice<UInt8>
    private(set) var files: [String] = []
    private var numbers: [String: Int] = [:]
    private(set) var rows: [LineTable.Row] = []
    private static let mostRows = 1 << 21

    init(strings: ArraySlice<UInt8>, lineStrings: ArraySlice<UInt8>) {
      self.strings = strings
      self.lineStrings = lineStrings
    }

    mutating func read(_ section: ArraySlice<UInt8>) {
      var cursor = Cursor(section)
      while let first = cursor.number(4) {
        // 64-bit DWARF has another length behind this mark.
        let isLong = first == 0xffff_ffff
        guard let length = isLong ? cursor.number(8) : first, let unit = cursor.take(length) else { return }
        readUnit(unit, offsetSize: isLong ? 8 : 4)
      }
    }

    private mutating func readUnit(_ unit: ArraySlice<UInt8>, offsetSize: Int) {
      var cursor = Cursor(unit)
      guard let version = cursor.number(2), 2...5 ~= version else { return }
      if version == 5, cursor.number(2) == nil { return }
      guard let length = cursor.number(offsetSize), let bytes = cursor.take(length),
        let header = header(bytes, version: version, offsetSize: offsetSize)
      else { return }
      run(cursor, header)
    }

    // MARK: Headers

    private mutating func header(_ bytes: ArraySlice<UInt8>, version: UInt64, offsetSize: Int) -> Header? {
      var cursor = Cursor(bytes)
      var header = Header()
      guard let least = cursor.byte() else { return nil }
      if version >= 4, cursor.byte() == nil { return nil }
      guard cursor.byte() != nil, let lineBase = cursor.byte(), let lineRange = cursor.byte(), lineRange > 0,
        let opcodeBase = cursor.byte(), opcodeBase > 0, let lengths = cursor.take(UInt64(opcodeBase) - 1)
      else { return nil }
      header.least = UInt64(least)
      header.lineBase = Int64(Int8(bitPattern: lineBase))
      header.lineRange = UInt64(lineRange)
      header.opcodeBase = opcodeBase
      header.lengths = Array(lengths)
      let named = version == 5 ? namedFiles5(&cursor, offsetSize) : namedFiles(&cursor)
      guard let named else { return nil }
      header.files = named.map { number(of: $0) }
      return header
    }

    private mutating func number(of file: String) -> Int {
      if let number = numbers[file] { return number }
      files.append(file)
      numbers[file] = files.count - 1
      return files.count - 1
    }

    private func path(_ name: String, _ folder: String) -> String {
      name.hasPrefix("/") || folder.isEmpty || folder == "." ? name : folder + "/" + name
    }

    /// Versions 2 to 4: folders from 1, files from 1.
    private func namedFiles(_ cursor: inout Cursor) -> [String]? {
      var folders = [""]
      while let folder = cursor.text(), !folder.isEmpty { folders.append(folder) }
      var files = [""]
      while let name = cursor.text(), !name.isEmpty {
        guard let folder = cursor.unsigned(), cursor.unsigned() != nil, cursor.unsigned() != nil else { return nil }
        files.append(path(name, folder < UInt64(folders.count) ? folders[Int(folder)] : ""))
      }
      return files
    }

    /// Version 5: folders and files from 0, each by a list of what is told of them.
    private func namedFiles5(_ cursor: inout Cursor, _ offsetSize: Int) -> [String]? {
      guard let folders = entries(&cursor, offsetSize), let files = entries(&cursor, offsetSize) else { return nil }
      return files.map { path($0.name, $0.folder < UInt64(folders.count) ? folders[Int($0.folder)].name : "") }
    }

    private func entries(_ cursor: inout Cursor, _ offsetSize: Int) -> [(name: String, folder: UInt64)]? {
      guard let formats = cursor.byte() else { return nil }
      var format: [(content: UInt64, form: UInt64)] = []
      for _ in 0..<formats {
        guard let content = cursor.unsigned(), let form = cursor.unsigned() else { return nil }
        format.append((content, form))
      }
      guard let count = cursor.unsigned(), count == 0 || !format.isEmpty else { return nil }
      var entries: [(name: String, folder: UInt64)] = []
      for _ in 0..<count {
        var entry = (name: "", folder: UInt64(0))
        for (content, form) in format {
          guard !cursor.isAtEnd, let value = value(&cursor, form, offsetSize) else { return nil }
          if content == 1 { entry.name = value.text }
          if content == 2 { entry.folder = value.number }
        }
        entries.append(entry)
      }
      return entries
    }

    /// A value of a form that line tables use (DWARF 5, 7.5.5).
    private func value(_ cursor: inout Cursor, _ form: UInt64, _ offsetSize: Int) -> (text: String, number: UInt64)? {
      func string(_ section: ArraySlice<UInt8>) -> (String, UInt64)? {
        guard let offset = cursor.number(offsetSize), offset <= UInt64(section.count) else { return nil }
        var place = Cursor(section.dropFirst(Int(offset)))
        return place.text().map { ($0, 0) }
      }
      switch form {
      case 0x08: return cursor.text().map { ($0, 0) }
      case 0x0e: return string(strings)
      case 0x1f: return string(lineStrings)
      case 0x0b: return cursor.number(1).map { ("", $0) }
      case 0x05: return cursor.number(2).map { ("", $0) }
      case 0x06: return cursor.number(4).map { ("", $0) }
      case 0x07: return cursor.number(8).map { ("", $0) }
      case 0x0f: return cursor.unsigned().map { ("", $0) }
      case 0x1e: return cursor.take(16).map { _ in ("", 0) }
      case 0x09:
        guard let length = cursor.unsigned() else { return nil }
        return cursor.take(length).map { _ in ("", 0) }
      default: return nil
      }
    }

    // MARK: The program

    private mutating func run(_ program: Cursor, _ header: Header) {
      var cursor = program
      var (address, file, line): (UInt64, UInt64, Int64) = (0, 1, 1)
      func row(isEnd: Bool = false) -> LineTable.Row {
        let number = file < UInt64(header.files.count) ? header.files[Int(file)] : -1
        return LineTable.Row(address: address, file: number, line: Int(clamping: line), isEnd: isEnd)
      }
      while rows.count < Self.mostRows, let opcode = cursor.byte() {
        switch opcode {
        case header.opcodeBase...:
          let adjusted = UInt64(opcode - header.opcodeBase)
          address &+= adjusted / header.lineRange &* header.least
          line &+= header.lineBase &+ Int64(adjusted % header.lineRange)
          rows.append(row())
        case 0:
          guard let length = cursor.unsigned(), let bytes = cursor.take(length) else { return }
          var extended = Cursor(bytes)
          switch extended.byte() {
          case 1:
            rows.append(row(isEnd: true))
            (address, file, line) = (0, 1, 1)
          case 2: address = extended.number(min(extended.rest.count, 8)) ?? 0
          default: break
          }
        case 1: rows.append(row())
        case 2: address &+= (cursor.unsigned() ?? 0) &* header.least
        case 3: line &+= cursor.signed() ?? 0
        case 4: file = cursor.unsigned() ?? 0
        case 8: address &+= UInt64(255 - header.opcodeBase) / header.lineRange &* header.least
        case 9: address &+= cursor.number(2) ?? 0
        default:
          let operands = Int(opcode) <= header.lengths.count ? header.lengths[Int(opcode) - 1] : 0
          for _ in 0..<operands { _ = cursor.unsigned() }
        }
      }
    }
  }
}
