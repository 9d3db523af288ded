import Machine

/// A function or an object of a guest's file, for a debugger.
public struct Symbol: Equatable, Sendable {
  public enum Kind: Sendable {
    case function
    case object
    /// A global label without a type, as assembly has them.
    case label
  }

  public var name: String
  /// The address that the linker gave it, `st_value`.
  public var address: GuestVirtual
  /// In bytes; 0 when the file does not say.
  public var size: UInt64
  public var kind: Kind

  public init(name: String, address: GuestVirtual, size: UInt64, kind: Kind) {
    self.name = name
    self.address = address
    self.size = size
    self.kind = kind
  }
}

/// The symbols of an ELF file's `.symtab` (gABI chapter 4), read only when somebody asks for them.
///
/// A boot never fails because of symbols: a table or an entry that makes no sense is passed over.
public struct SymbolTable: Equatable, Sendable {
  /// The longest name that is read, in bytes; a longer one is cut there.
  public static let longestName = 1024

  private let entries: ArraySlice<UInt8>
  private let names: ArraySlice<UInt8>
  private let isWide: Bool

  /// Finds the table of a file, or nil if it has none.
  init?(_ elf: ELF) {
    do {
      let sections = try ELFSections(elf)
      for section in 0..<sections.count where try sections.type(section) == 2 {
        isWide = elf.isWide
        entries = try sections.contents(section)
        names = try sections.contents(try sections.link(section))
        return
      }
      return nil
    } catch {
      return nil
    }
  }

  /// The symbols of an ELF file, whether or not it can be booted; nil if it is none, or has none.
  public static func symbols(ofFile bytes: [UInt8]) -> [Symbol]? {
    let reader = ByteReader(bytes)
    guard ELF.isELF(reader), let elf = try? ELF(reader) else { return nil }
    return SymbolTable(elf)?.symbols
  }

  /// The named functions, objects and global labels, sorted by address and then by name.
  public var symbols: [Symbol] {
    let size: UInt64 = isWide ? 24 : 16
    let reader = ByteReader(entries)
    var symbols: [Symbol] = []
    for index in 0..<reader.count / size {
      if let symbol = try? symbol(reader, index * size) { symbols.append(symbol) }
    }
    return symbols.sorted { ($0.address, $0.name) < ($1.address, $1.name) }
  }

  private func symbol(_ reader: ByteReader, _ base: UInt64) throws(BootError) -> Symbol? {
    let part = Part("symbol")
    let info: UInt8 = try reader.integer(at: base + (isWide ? 4 : 12), in: part)
    let section: UInt16 = try reader.integer(at: base + (isWide ? 6 : 14), in: part)
    let kind: Symbol.Kind
    switch (info & 0xf, info >> 4) {
    case (2, _): kind = .function
    case (1, _): kind = .object
    case (0, 1...2): kind = .label
    default: return nil
    }
    guard section != 0 else { return nil }
    let name = UInt64(try reader.integer(UInt32.self, at: base, in: part))
    guard name > 0, name < UInt64(names.count) else { return nil }
    let text = names.dropFirst(Int(name)).prefix(Self.longestName).prefix { $0 != 0 }
    guard !text.isEmpty else { return nil }
    return Symbol(
      name: String(decoding: text, as: UTF8.self),
      address: GuestVirtual(try reader.word(at: base + (isWide ? 8 : 4), isWide: isWide, in: part)),
      size: try reader.word(at: base + (isWide ? 16 : 8), isWide: isWide, in: part), kind: kind)
  }
}
