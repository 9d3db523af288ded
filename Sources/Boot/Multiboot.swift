import Machine

/// The header by which a file says that it is a Multiboot kernel (Multiboot 0.6.96, 3.1).
struct MultibootHeader {
  /// What a search finds.
  enum Search {
    case found(MultibootHeader)
    /// The magic number without a checksum that fits: mostly a constant in somebody's code.
    case wrongChecksum(offset: UInt64)
    case none
  }

  static let magic: UInt32 = 0x1bad_b002
  /// The whole header lies in the first 8 KiB, at a multiple of four bytes.
  static let searched: UInt64 = 8192
  /// Requirements that are met: page-aligned modules, memory information, and a video mode, which a loader without
  /// graphics answers, as QEMU does, by leaving the video fields of the information invalid.
  static let known: UInt32 = 0b111
  /// The header holds load addresses (the "a.out kludge").
  static let hasAddresses: UInt32 = 1 << 16

  /// Where the header stands in the file, in bytes.
  var offset: UInt64
  var flags: UInt32

  var part: Part { Part("Multiboot header", .offset(offset)) }

  /// Searches a file's first 8 KiB.
  static func find(_ reader: ByteReader) throws(BootError) -> Search {
    let part = Part("Multiboot header")
    var misfit: UInt64?
    var offset: UInt64 = 0
    while offset + 12 <= min(reader.count, searched) {
      if try reader.integer(UInt32.self, at: offset, in: part) == magic {
        let flags: UInt32 = try reader.integer(at: offset + 4, in: part)
        let checksum: UInt32 = try reader.integer(at: offset + 8, in: part)
        if magic &+ flags &+ checksum == 0 { return .found(MultibootHeader(offset: offset, flags: flags)) }
        misfit = misfit ?? offset
      }
      offset += 4
    }
    return misfit.map { .wrongChecksum(offset: $0) } ?? .none
  }

  /// Refuses a header whose requirements (the low 16 flags) this loader does not know.
  func checkRequirements() throws(BootError) {
    let unknown = flags & 0xffff & ~Self.known
    guard unknown == 0 else {
      throw part.error("it requires what is not supported: flag bits \(hexadecimal(unknown))")
    }
  }

  /// The single segment and the entry point of a file with load addresses in its header.
  func loadAddresses(_ reader: ByteReader) throws(BootError) -> (segment: Segment, entry: UInt64) {
    func field(_ index: UInt64) throws(BootError) -> UInt64 {
      UInt64(try reader.integer(UInt32.self, at: offset + index, in: part))
    }
    let (header, load, loadEnd) = (try field(12), try field(16), try field(20))
    let (zeroEnd, entry) = (try field(24), try field(28))
    guard header >= load, header - load <= offset else {
      throw part.error(
        "header_addr \(hexadecimal(header)) and load_addr \(hexadecimal(load)) put the kernel's start outside the file")
    }
    let start = offset - (header - load)
    guard loadEnd == 0 || loadEnd > load else {
      throw part.error("load_end_addr \(hexadecimal(loadEnd)) is not above load_addr \(hexadecimal(load))")
    }
    let fileSize = loadEnd == 0 ? reader.count - start : loadEnd - load
    let bytes = try reader.stretch(at: start, count: fileSize, in: part)
    guard zeroEnd == 0 || zeroEnd >= load + fileSize else {
      throw part.error("bss_end_addr \(hexadecimal(zeroEnd)) is below the end of what is loaded")
    }
    let segment = Segment(
      name: "kernel", address: GuestPhysical(load), bytes: bytes,
      memorySize: zeroEnd == 0 ? fileSize : zeroEnd - load)
    return (segment, try checkedEntry(entry, part, [segment]))
  }
}

/// Boots a Multiboot kernel: 32-bit protected mode, EAX the loader's magic number, EBX the information structure.
enum Multiboot {
  /// In EAX at the entry (3.2).
  static let loaderMagic: UInt64 = 0x2bad_b002

  /// Offsets in the information structure (3.3), and its whole size with the fields that stay invalid.
  private enum Field {
    static let flags = 0
    static let memoryLower = 4
    static let memoryUpper = 8
    static let commandLine = 16
    static let moduleCount = 20
    static let modules = 24
    static let mapLength = 44
    static let map = 48
    static let loaderName = 64
    static let size = 116
  }

  /// Flags of the information structure: memory, command line, modules, memory map, loader name.
  private static let flags: UInt32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9

  static func plan(
    _ reader: ByteReader, _ header: MultibootHeader, _ map: MemoryMap, _ options: BootOptions
  ) throws(BootError) -> (Layout, EntryState, SymbolTable?) {
    try header.checkRequirements()
    var layout: Layout
    let start: UInt64
    var elf: ELF?
    if header.flags & MultibootHeader.hasAddresses != 0 {
      let (segment, entry) = try header.loadAddresses(reader)
      layout = try Layout(map, kernel: [segment])
      start = entry
      // The header overrules an ELF header, which may be broken, but may have symbols.
      if ELF.isELF(reader) { elf = try? ELF(reader) }
    } else {
      guard ELF.isELF(reader) else {
        throw header.part.error("without load addresses (flag bit 16) the file has to be ELF")
      }
      let file = try ELF(reader)
      layout = try Layout(map, kernel: try file.segments())
      start = try file.physicalEntry()
      elf = file
    }
    let information = try placeInformation(map, options, in: &layout)
    var state = try EntryState.protected32(at: start, in: &layout)
    state.rax = loaderMagic
    state.rbx = information.rawValue
    return (layout, state, elf.flatMap { SymbolTable($0) })
  }

  /// Places the information structure and all that it points to.
  private static func placeInformation(
    _ map: MemoryMap, _ options: BootOptions, in layout: inout Layout
  ) throws(BootError) -> GuestPhysical {
    let information = try layout.place("Multiboot information", [], size: UInt64(Field.size))
    var writer = ByteWriter(count: Field.size)
    writer.put(flags, at: Field.flags)
    // KiB from 0, and KiB from 1 MiB to the first hole.
    writer.put(UInt32(MemoryMap.conventionalEnd >> 10), at: Field.memoryLower)
    writer.put(UInt32((map.lowEnd - 1 << 20) >> 10), at: Field.memoryUpper)

    let entries = memoryMap(map)
    writer.put(UInt32(entries.count), at: Field.mapLength)
    writer.put(try place("Multiboot memory map", entries, in: &layout), at: Field.map)

    if let initrd = options.initrd {
      let start = try layout.place(
        "initrd", initrd[...], alignment: 4096, in: [.afterKernel, .anywhere])
      var module = ByteWriter(count: 16)
      module.put(UInt32(start.rawValue), at: 0)
      module.put(UInt32(start.rawValue + UInt64(initrd.count)), at: 4)
      module.put(try place("initrd name", Array(terminated(options.initrdName)), in: &layout), at: 8)
      writer.put(UInt32(1), at: Field.moduleCount)
      writer.put(try place("Multiboot modules", module.bytes, in: &layout), at: Field.modules)
    }

    let text = options.commandLine.isEmpty ? options.name : "\(options.name) \(options.commandLine)"
    writer.put(try place("command line", Array(terminated(text)), in: &layout), at: Field.commandLine)
    writer.put(try place("loader name", Array(terminated("penumbra")), in: &layout), at: Field.loaderName)
    layout.fill(information, writer.bytes[...])
    return information
  }

  /// Places bytes and returns their address, which is below 4 GiB as every place of a layout is.
  private static func place(
    _ name: String, _ bytes: [UInt8], in layout: inout Layout
  ) throws(BootError) -> UInt32 {
    UInt32(try layout.place(name, bytes[...]).rawValue)
  }

  /// The memory map's entries: each starts with its own size, in which the size itself does not count.
  private static func memoryMap(_ map: MemoryMap) -> [UInt8] {
    var writer = ByteWriter(count: 0)
    for entry in map.entries {
      writer.append(UInt32(20))
      writer.append(entry.base.rawValue)
      writer.append(entry.size)
      writer.append(entry.kind.rawValue)
    }
    return writer.bytes
  }
}
