import Machine

/// A statically linked ELF file for x86, as far as a loader reads it (System V gABI, chapters 4 and 5).
struct ELF {
  /// A program header.
  struct ProgramHeader {
    /// Its index in the table.
    var number: Int
    var type: UInt32
    var offset: UInt64
    var virtualAddress: UInt64
    var physicalAddress: UInt64
    var fileSize: UInt64
    var memorySize: UInt64
    var alignment: UInt64

    var part: Part { Part("program header", .number(number)) }
  }

  /// The segment types that a loader looks at.
  enum SegmentType {
    static let load: UInt32 = 1
    static let interpreter: UInt32 = 3
    static let note: UInt32 = 4
  }

  let reader: ByteReader
  /// ELF64; else ELF32.
  let isWide: Bool
  /// `e_entry`, a virtual address.
  let entry: UInt64
  let programHeaders: [ProgramHeader]

  /// Whether a file says that it is ELF.
  static func isELF(_ reader: ByteReader) -> Bool { reader.bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46]) }

  /// Reads the header and the program headers of a file for which `isELF` holds.
  init(_ reader: ByteReader) throws(BootError) {
    let part = Part("ELF header")
    func byte(_ offset: UInt64) throws(BootError) -> UInt8 { try reader.integer(at: offset, in: part) }
    func half(_ offset: UInt64) throws(BootError) -> UInt16 { try reader.integer(at: offset, in: part) }
    self.reader = reader

    switch try byte(4) {
    case 1: isWide = false
    case 2: isWide = true
    case let other: throw part.error("class \(other) is neither ELF32 (1) nor ELF64 (2)")
    }
    let order = try byte(5)
    guard order == 1 else { throw part.error("byte order \(order) is not little-endian (1)") }
    let version = try byte(6)
    guard version == 1 else { throw part.error("version \(version) is not 1") }
    let machine = try half(18)
    guard machine == (isWide ? 62 : 3) else {
      throw part.error(
        "machine \(machine) is not \(isWide ? "x86-64 (62)" : "80386 (3)"), which ELF\(isWide ? 64 : 32) must be for")
    }
    switch try half(16) {
    case 2: break
    case 1: throw part.error("it is an object file (ET_REL), which a linker has to link first")
    case 3: throw part.error("it is position-independent (ET_DYN) and needs a dynamic loader; link it with -no-pie")
    case 4: throw part.error("it is a core dump (ET_CORE)")
    case let other: throw part.error("type \(other) is not executable (2)")
    }
    entry = try reader.word(at: 24, isWide: isWide, in: part)

    let table = try reader.word(at: isWide ? 32 : 28, isWide: isWide, in: part)
    let entrySize = try half(isWide ? 54 : 42)
    let count = try half(isWide ? 56 : 44)
    guard count > 0 else { throw part.error("it has no program headers, so there is nothing to load") }
    guard count != 0xffff else { throw part.error("65535 or more program headers (PN_XNUM) are not supported") }
    let expected: UInt16 = isWide ? 56 : 32
    guard entrySize == expected else {
      throw part.error("a program header has \(entrySize) bytes instead of \(expected)")
    }
    // The whole table is checked against the file before room is made for its entries.
    let tablePart = Part("program header table", .offset(table))
    let headers = ByteReader(
      try reader.stretch(at: table, count: UInt64(count) * UInt64(entrySize), in: tablePart))
    var programHeaders: [ProgramHeader] = []
    programHeaders.reserveCapacity(Int(count))
    for number in 0..<Int(count) {
      programHeaders.append(
        try Self.programHeader(headers, number, at: UInt64(number) * UInt64(entrySize), isWide))
    }
    self.programHeaders = programHeaders
  }

  /// Reads one program header. ELF32 and ELF64 order the fields differently: `p_flags` stands sixth or second.
  private static func programHeader(
    _ reader: ByteReader, _ number: Int, at base: UInt64, _ isWide: Bool
  ) throws(BootError) -> ProgramHeader {
    let part = Part("program header", .number(number))
    func word(_ narrow: UInt64, _ wide: UInt64) throws(BootError) -> UInt64 {
      try reader.word(at: base + (isWide ? wide : narrow), isWide: isWide, in: part)
    }
    return ProgramHeader(
      number: number, type: try reader.integer(at: base, in: part), offset: try word(4, 8),
      virtualAddress: try word(8, 16), physicalAddress: try word(12, 24), fileSize: try word(16, 32),
      memorySize: try word(20, 40), alignment: try word(28, 48))
  }

  /// The segments to load, at their physical addresses, with the file's bytes as slices.
  func segments() throws(BootError) -> [Segment] {
    var segments: [Segment] = []
    for header in programHeaders where header.type == SegmentType.load {
      guard header.fileSize <= header.memorySize else {
        throw header.part.error(
          "its \(hexadecimal(header.fileSize)) bytes in the file do not fit its \(hexadecimal(header.memorySize)) "
            + "bytes of memory")
      }
      guard header.memorySize > 0 else { continue }
      let bytes = try reader.stretch(at: header.offset, count: header.fileSize, in: header.part)
      segments.append(
        Segment(
          name: "kernel segment \(header.number)", address: GuestPhysical(header.physicalAddress), bytes: bytes,
          memorySize: header.memorySize))
    }
    return segments
  }

  /// The physical address of the entry point, which must be loaded.
  ///
  /// `e_entry` is a virtual address, and a kernel linked for high addresses starts where its segment is loaded; but
  /// many kernels put the physical address there themselves.
  func physicalEntry() throws(BootError) -> UInt64 {
    for header in programHeaders where header.type == SegmentType.load {
      if entry >= header.virtualAddress, entry - header.virtualAddress < header.memorySize {
        // Both are checked: the segment's own addresses do not wrap.
        return header.physicalAddress &+ (entry - header.virtualAddress)
      }
    }
    return try checkedEntry(entry, Part("ELF header"), try segments())
  }
}

/// An entry point that must lie inside one of the loaded segments.
func checkedEntry(_ entry: UInt64, _ part: Part, _ segments: [Segment]) throws(BootError) -> UInt64 {
  for segment in segments where entry >= segment.address.rawValue {
    if entry - segment.address.rawValue < segment.memorySize { return entry }
  }
  throw part.error("the entry point \(hexadecimal(entry)) lies outside every loaded segment")
}
