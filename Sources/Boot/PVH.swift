import Machine

/// Boots a kernel with a PVH note: 32-bit protected mode, EBX `hvm_start_info` (Xen `docs/misc/pvh.pandoc` and
/// `public/arch-x86/hvm/start_info.h`).
enum PVH {
  static let magic: UInt32 = 0x336e_c578
  /// `XEN_ELFNOTE_PHYS32_ENTRY`.
  static let entryNote: UInt32 = 18

  /// Offsets in `hvm_start_info`, version 1.
  private enum Field {
    static let magic = 0
    static let version = 4
    static let moduleCount = 12
    static let modules = 16
    static let commandLine = 24
    static let rsdp = 32
    static let map = 40
    static let mapCount = 48
    static let size = 56
  }

  /// The physical entry point that a file's note names, or nil for a file without the note.
  ///
  /// The descriptor has four bytes; Linux writes a pointer's eight, of which the upper four must be 0.
  static func entry(of elf: ELF) throws(BootError) -> UInt64? {
    let name = Array("Xen".utf8)
    guard let note = try elf.firstNote(where: { $0.type == entryNote && $0.name.elementsEqual(name) }) else {
      return nil
    }
    let reader = ByteReader(note.descriptor)
    guard reader.count == 4 || reader.count == 8 else {
      throw note.part.error("the PVH entry point has \(reader.count) bytes instead of 4 or 8")
    }
    let entry = try reader.word(at: 0, isWide: reader.count == 8, in: note.part)
    guard entry <= UInt64(UInt32.max) else {
      throw note.part.error("the PVH entry point \(hexadecimal(entry)) lies above 4 GiB")
    }
    return entry
  }

  static func plan(
    _ elf: ELF, entry: UInt64, _ map: MemoryMap, _ options: BootOptions
  ) throws(BootError) -> (Layout, EntryState) {
    let kernel = try elf.segments()
    var layout = try Layout(map, kernel: kernel)
    let start = try checkedEntry(entry, Part("PVH note"), kernel)

    var information = ByteWriter(count: Field.size)
    information.put(magic, at: Field.magic)
    information.put(UInt32(1), at: Field.version)
    let commandLine = try layout.place("command line", terminated(options.commandLine))
    information.put(commandLine.rawValue, at: Field.commandLine)
    information.put(options.rsdp?.rawValue ?? 0, at: Field.rsdp)
    let table = try layout.place("memory map", map.table[...])
    information.put(table.rawValue, at: Field.map)
    information.put(UInt32(map.entries.count), at: Field.mapCount)
    if let initrd = options.initrd {
      let start = try layout.placeHigh("initrd", initrd[...])
      var module = ByteWriter(count: 32)
      module.put(start.rawValue, at: 0)
      module.put(UInt64(initrd.count), at: 8)
      let modules = try layout.place("PVH modules", module.bytes[...])
      information.put(modules.rawValue, at: Field.modules)
      information.put(UInt32(1), at: Field.moduleCount)
    }
    let address = try layout.place("PVH start information", information.bytes[...])
    var state = try EntryState.protected32(at: start, in: &layout)
    state.rbx = address.rawValue
    return (layout, state)
  }
}
