/// The sections of an ELF file (gABI chapter 4), read only when somebody asks for what no loader needs.
struct ELFSections {
  private static let part = Part("section header table")

  private let file: ByteReader
  private let isWide: Bool
  private let headers: ByteReader
  private let size: UInt64
  private let names: UInt64
  let count: UInt64

  init(_ elf: ELF) throws(BootError) {
    file = elf.reader
    isWide = elf.isWide
    let table = try file.word(at: isWide ? 40 : 32, isWide: isWide, in: Self.part)
    size = UInt64(try file.integer(UInt16.self, at: isWide ? 58 : 46, in: Self.part))
    count = UInt64(try file.integer(UInt16.self, at: isWide ? 60 : 48, in: Self.part))
    names = UInt64(try file.integer(UInt16.self, at: isWide ? 62 : 50, in: Self.part))
    guard size == (isWide ? 64 : 40) else { throw Self.part.error("a section header has \(size) bytes") }
    headers = ByteReader(try file.stretch(at: table, count: count * size, in: Self.part))
  }

  func type(_ section: UInt64) throws(BootError) -> UInt32 {
    try headers.integer(at: section * size + 4, in: Self.part)
  }

  /// `sh_link`: the section that this one needs, such as the names of its symbols.
  func link(_ section: UInt64) throws(BootError) -> UInt64 {
    UInt64(try headers.integer(UInt32.self, at: section * size + (isWide ? 40 : 24), in: Self.part))
  }

  func contents(_ section: UInt64) throws(BootError) -> ArraySlice<UInt8> {
    let base = section * size
    let offset = try headers.word(at: base + (isWide ? 24 : 16), isWide: isWide, in: Self.part)
    let length = try headers.word(at: base + (isWide ? 32 : 20), isWide: isWide, in: Self.part)
    return try file.stretch(at: offset, count: length, in: Self.part)
  }

  /// The contents of the section with a name; nil if there is none.
  func contents(named name: String) -> ArraySlice<UInt8>? {
    guard let table = try? contents(names) else { return nil }
    for section in 0..<count {
      guard let offset = try? headers.integer(UInt32.self, at: section * size, in: Self.part),
        UInt64(offset) < UInt64(table.count)
      else { continue }
      let found = table.dropFirst(Int(offset)).prefix(name.utf8.count + 1)
      if found.elementsEqual(Array(name.utf8) + [0]) { return try? contents(section) }
    }
    return nil
  }
}
