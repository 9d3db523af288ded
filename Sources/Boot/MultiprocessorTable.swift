import Machine

/// What firmware tells of processors and interrupts besides ACPI: the configuration table of Intel's MultiProcessor
/// Specification 1.4 (chapter 4), for systems that are older than ACPI or do without it.
struct MultiprocessorTable {
  /// Where the BIOS's code begins; the table ends there. Its floating pointer, before it, is found by its signature.
  private static let end = Firmware.base

  private static let pointerSize: UInt64 = 16
  /// Logical processors with an 8-bit identifier of their own; the I/O APIC's comes after them.
  private static let processorLimit = 254
  private static let localAPIC: UInt32 = 0xfee0_0000, ioAPIC: UInt32 = 0xfec0_0000

  let processors: Int

  init(processors: Int) { self.processors = min(max(processors, 1), Self.processorLimit) }

  var segment: Segment {
    let table = table
    let pointer = (Self.end - Self.pointerSize - UInt64(table.count)) & ~15
    var floating = ByteWriter(count: Int(Self.pointerSize))
    floating.put(Array("_MP_".utf8)[...], at: 0)
    floating.put(UInt32(truncatingIfNeeded: pointer + Self.pointerSize), at: 4)
    // In paragraphs; revision 1.4. The feature bytes are 0: there is a table, and no IMCR (virtual wire mode).
    floating.put(UInt8(Self.pointerSize / 16), at: 8)
    floating.put(UInt8(4), at: 9)
    floating.put(Self.checksum(floating.bytes), at: 10)
    let bytes = floating.bytes + table
    return Segment(
      name: "MP table", address: GuestPhysical(pointer), bytes: bytes[...], memorySize: UInt64(bytes.count))
  }

  /// The header and the entries, in ascending order of their types.
  private var table: [UInt8] {
    let entries = processorEntries + [busEntry, controllerEntry] + lineEntries + pinEntries
    let size = 44 + entries.reduce(0) { $0 + $1.count }
    var header = ByteWriter(count: 44)
    header.put(Array("PCMP".utf8)[...], at: 0)
    header.put(UInt16(truncatingIfNeeded: size), at: 4)
    header.put(UInt8(4), at: 6)
    header.put(Array("PENUMBRA".utf8)[...], at: 8)
    header.put(Array("PC          ".utf8)[...], at: 16)
    header.put(UInt16(truncatingIfNeeded: entries.count), at: 34)
    header.put(Self.localAPIC, at: 36)
    var table = header.bytes + entries.flatMap { $0 }
    table[7] = Self.checksum(table)
    return table
  }

  /// The I/O APIC's identifier: the first that no processor has, as QEMU's firmware gives it.
  private var controller: UInt8 { UInt8(truncatingIfNeeded: processors) }

  /// Processors: enabled, the first one the bootstrap processor; family 6, with FPU and APIC.
  private var processorEntries: [[UInt8]] {
    (0..<processors).map { processor in
      var entry = ByteWriter(count: 20)
      entry.put(UInt8(truncatingIfNeeded: processor), at: 1)
      entry.put(UInt8(0x14), at: 2)
      entry.put(UInt8(processor == 0 ? 0b11 : 0b01), at: 3)
      entry.put(UInt32(0x600), at: 4)
      entry.put(UInt32(0x201), at: 8)
      return entry.bytes
    }
  }

  private var busEntry: [UInt8] { [1, 0] + Array("ISA   ".utf8) }

  private var controllerEntry: [UInt8] {
    var entry = ByteWriter(count: 8)
    entry.put(UInt8(2), at: 0)
    entry.put(controller, at: 1)
    entry.put(UInt8(0x11), at: 2)
    entry.put(UInt8(1), at: 3)
    entry.put(Self.ioAPIC, at: 4)
    return entry.bytes
  }

  /// ISA's lines at the I/O APIC's inputs, line 0 at input 2; none but the cascade's is missing.
  private var lineEntries: [[UInt8]] {
    (0..<16 as Range<UInt8>).filter { $0 != 2 }.map { line in
      // Vectored, polarity and trigger as the bus has them.
      [3, 0, 0, 0, 0, line, controller, line == 0 ? 2 : line]
    }
  }

  /// Local pins of all processors: LINT0 is the 8259 pair's, LINT1 NMI.
  private var pinEntries: [[UInt8]] { [[4, 3, 0, 0, 0, 0, 0xff, 0], [4, 1, 0, 0, 0, 0, 0xff, 1]] }

  /// What makes a sum of bytes 0.
  private static func checksum(_ bytes: [UInt8]) -> UInt8 { 0 &- bytes.reduce(0, &+) }
}
