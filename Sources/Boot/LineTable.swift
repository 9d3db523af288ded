/// Which line of which source file an instruction comes from: `.debug_line` of an ELF file (DWARF 5, 6.2; versions 2 to 5).
///
/// Nothing depends on it but what a debugger shows: a unit that makes no sense is passed over, and the work is bounded by the
/// file's size.
public struct LineTable: Sendable {
  /// A row: from its address on, up to the next row's.
  public struct Row: Equatable, Sendable {
    public var address: UInt64
    /// An index of `files`.
    public var file: Int
    public var line: Int
    /// Nothing is known of what comes next.
    public var isEnd: Bool
  }

  /// Paths as the compiler wrote them.
  public internal(set) var files: [String] = []
  /// Sorted by address.
  public internal(set) var rows: [Row] = []

  /// The table of an ELF file; nil if it is none, or has none.
  public init?(elf bytes: [UInt8]) {
    let reader = ByteReader(bytes)
    guard ELF.isELF(reader), let elf = try? ELF(reader), let sections = try? ELFSections(elf),
      let program = sections.contents(named: ".debug_line")
    else { return nil }
    var units = LineProgram.Units(
      strings: sections.contents(named: ".debug_str") ?? [],
      lineStrings: sections.contents(named: ".debug_line_str") ?? [])
    units.read(program)
    files = units.files
    // An end comes before what begins where it ends.
    func order(_ row: (offset: Int, element: Row)) -> (UInt64, Int, Int) {
      (row.element.address, row.element.isEnd ? 0 : 1, row.offset)
    }
    rows = units.rows.enumerated().sorted { order($0) < order($1) }.map(\.element)
    guard !rows.isEmpty else { return nil }
  }

  /// The line that an address belongs to.
  public func place(of address: UInt64) -> (file: String, line: Int)? {
    var (low, high) = (0, rows.count)
    while low < high {
      let middle = (low + high) / 2
      if rows[middle].address <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0, !rows[low - 1].isEnd, files.indices.contains(rows[low - 1].file) else { return nil }
    return (files[rows[low - 1].file], rows[low - 1].line)
  }

  /// The first address of a line, or of the next that has code; the file is named by the end of its path.
  public func address(ofLine line: Int, in file: String) -> UInt64? {
    let numbers = files.indices.filter { files[$0] == file || files[$0].hasSuffix("/" + file) }
    let found = rows.filter { !$0.isEnd && numbers.contains($0.file) && $0.line >= line }
    return found.min { ($0.line, $0.address) < ($1.line, $1.address) }?.address
  }
}
