import Machine

/// How to boot a guest: what to put into its memory, and the registers at its first instruction.
public struct BootPlan: Sendable {
  /// The protocol by which the guest is entered.
  public var kind: BootProtocol
  /// Where RAM is, and what the guest is told about it.
  public var memoryMap: MemoryMap
  /// The kernel, the initrd, the protocol's own structures, ACPI tables and firmware's data, sorted by address, without
  /// overlap, all of it RAM.
  /// Everything else in memory is zero.
  public var segments: [Segment]
  /// The registers of the first processor. All others wait for INIT and SIPI.
  public var entry: EntryState
  /// The symbols of an ELF file that has some.
  public var symbols: SymbolTable?

  /// Plans the boot of a guest's file.
  ///
  /// The work and the memory are bounded by the sizes of the file and of the RAM disk, whatever the file says.
  ///
  /// - Throws: `BootError` for a file that is of no known kind, broken, or too large for the memory, and for options
  ///   that the protocol cannot pass on.
  public static func make(image: [UInt8], options: BootOptions) throws(BootError) -> BootPlan {
    try options.check()
    let map = try MemoryMap(memorySize: options.memorySize)
    let recognised = try Recognised(image)
    let (layout, entry, symbols): (Layout, EntryState, SymbolTable?)
    switch recognised {
    case .multiboot(let reader, let header):
      (layout, entry, symbols) = try Multiboot.plan(reader, header, map, options)
    case .pvh(let elf, let start):
      (layout, entry) = try PVH.plan(elf, entry: start, map, options)
      symbols = SymbolTable(elf)
    case .linux(let reader):
      (layout, entry) = try LinuxBoot(reader).plan(map, options)
      symbols = nil
    case .plainELF(let elf):
      (layout, entry) = try PlainELF.plan(elf, map, options)
      symbols = SymbolTable(elf)
    }
    var segments = layout.segments
    if options.hasACPI {
      // No other segment lies in the reserved range.
      segments.append(ACPITables(processors: options.processors).segment)
    }
    segments.append(MultiprocessorTable(processors: options.processors).segment)
    segments += Firmware(secondOfDay: options.secondOfDay).segments(beside: layout.segments)
    segments.sort { $0.address < $1.address }
    return BootPlan(kind: recognised.kind, memoryMap: map, segments: segments, entry: entry, symbols: symbols)
  }
}
