import Machine

/// Boots any other static ELF64 file, for the tiniest guests: 64-bit mode at `e_entry`, low 4 GiB identity-mapped,
/// SSE enabled, a stack, interrupts off, and RDI the address of an information block.
///
/// The block is 72 bytes, little-endian, and may grow at its end:
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | magic: the bytes `PENUMBRA` |
/// | 8 | 4 | version: 1 |
/// | 12 | 4 | size of the block in bytes |
/// | 16 | 8 | memory size in bytes |
/// | 24 | 8 | address of the command line, NUL-terminated, never 0 |
/// | 32 | 8 | address of the RAM disk, 0 for none |
/// | 40 | 8 | size of the RAM disk in bytes |
/// | 48 | 8 | address of the memory map: entries of base (8), size (8), E820 kind (4), 0 (4) |
/// | 56 | 4 | number of entries of the memory map |
/// | 60 | 4 | number of processors |
/// | 64 | 8 | address of the ACPI root pointer, 0 for none |
enum PlainELF {
  /// In bytes.
  static let stackSize: UInt64 = 64 << 10
  static let blockSize = 72

  static func plan(
    _ elf: ELF, _ map: MemoryMap, _ options: BootOptions
  ) throws(BootError) -> (Layout, EntryState) {
    if let interpreter = elf.programHeaders.first(where: { $0.type == ELF.SegmentType.interpreter }) {
      throw interpreter.part.error("the file is dynamically linked and wants an interpreter; link it with -static")
    }
    var layout = try Layout(map, kernel: try elf.segments())
    let start = try elf.physicalEntry()

    var block = ByteWriter(count: blockSize)
    block.put(Array("PENUMBRA".utf8)[...], at: 0)
    block.put(UInt32(1), at: 8)
    block.put(UInt32(blockSize), at: 12)
    block.put(map.memorySize, at: 16)
    block.put(try layout.place("command line", terminated(options.commandLine)).rawValue, at: 24)
    if let initrd = options.initrd {
      block.put(try layout.placeHigh("initrd", initrd[...]).rawValue, at: 32)
      block.put(UInt64(initrd.count), at: 40)
    }
    block.put(try layout.place("memory map", map.table[...]).rawValue, at: 48)
    block.put(UInt32(map.entries.count), at: 56)
    block.put(UInt32(options.processors), at: 60)
    block.put(options.rsdp?.rawValue ?? 0, at: 64)
    let address = try layout.place("information block", block.bytes[...])
    let stack = try layout.place("stack", [], size: stackSize, alignment: 4096)

    var state = try EntryState.long64(at: start, in: &layout)
    state.rdi = address.rawValue
    // Eight below a multiple of 16: as if the entry point had been called (System V x86-64 ABI, 3.2.2), with a return
    // address of 0.
    state.rsp = stack.rawValue + stackSize - 8
    // Compilers use SSE freely, so it works from the first instruction.
    state.cr0 |= ControlBits.monitorCoprocessor | ControlBits.numericError | ControlBits.writeProtect
    state.cr4 |= ControlBits.fxsave | ControlBits.simdExceptions
    return (layout, state)
  }
}
