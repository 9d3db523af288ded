import Machine

/// The ACPI tables that firmware leaves in the reserved range below 1 MiB (ACPI 6.5, 5.2): they say what there is of
/// processors, interrupt controllers and power management, where QEMU's board has it too. There is no HPET.
struct ACPITables {
  /// Where the root pointer stands, found by its signature; the tables follow.
  static let root = GuestPhysical(0xe0000)

  /// Logical processors that an 8-bit APIC identifier can name.
  private static let processorLimit = 255

  private var bytes: [UInt8]

  /// Where things are in I/O space and how they are wired.
  private enum Board {
    static let interruptLine: UInt16 = 9
    static let eventPort: UInt32 = 0x600, controlPort: UInt32 = 0x604, timerPort: UInt32 = 0x608
    static let resetPort: UInt32 = 0xcf9, resetValue: UInt8 = 0x06
    static let localAPIC: UInt32 = 0xfee0_0000, ioAPIC: UInt32 = 0xfec0_0000
  }

  init(processors: Int) {
    let rootSize: UInt64 = 0x40
    let base = Self.root.rawValue
    // Each table in its place, 64 bytes apart, which the FACS needs.
    var tables: [UInt8] = []
    func place(_ table: [UInt8]) -> UInt64 {
      let address = base + rootSize + UInt64(tables.count)
      tables += table + [UInt8](repeating: 0, count: (64 - table.count % 64) % 64)
      return address
    }
    let facs = place(Self.firmwareControl)
    let dsdt = place(Self.table("DSDT", revision: 1, Self.softOff))
    let fadt = place(Self.fixedDescription(facs: facs, dsdt: dsdt))
    let madt = place(Self.interruptControllers(processors: min(max(processors, 1), Self.processorLimit)))
    let list = [fadt, madt]
    let rsdt = place(Self.table("RSDT", revision: 1, Self.pointers(list) { UInt32(truncatingIfNeeded: $0) }))
    let xsdt = place(Self.table("XSDT", revision: 1, Self.pointers(list) { $0 }))

    var pointer = ByteWriter(count: Int(rootSize))
    pointer.put(Array("RSD PTR ".utf8)[...], at: 0)
    pointer.put(Array("PENUMB".utf8)[...], at: 9)
    pointer.put(UInt8(2), at: 15)
    pointer.put(UInt32(rsdt), at: 16)
    pointer.put(UInt32(36), at: 20)
    pointer.put(xsdt, at: 24)
    // The first 20 bytes have a checksum of their own (5.2.5.3).
    pointer.put(Self.checksum(pointer.bytes[..<20]), at: 8)
    pointer.put(Self.checksum(pointer.bytes[..<36]), at: 32)
    bytes = pointer.bytes + tables
  }

  var segment: Segment {
    Segment(name: "ACPI tables", address: Self.root, bytes: bytes[...], memorySize: UInt64(bytes.count))
  }

  /// What makes a sum of bytes 0.
  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }

  /// A table: the header that all have (5.2.6), and what follows it.
  private static func table(_ signature: String, revision: UInt8, _ contents: [UInt8]) -> [UInt8] {
    var writer = ByteWriter(count: 36)
    writer.put(Array(signature.utf8)[...], at: 0)
    writer.put(UInt32(36 + contents.count), at: 4)
    writer.put(revision, at: 8)
    writer.put(Array("PENUMBPENUMBRA".utf8)[...], at: 10)
    writer.put(UInt32(1), at: 24)
    writer.put(Array("PNMB".utf8)[...], at: 28)
    writer.put(UInt32(1), at: 32)
    var table = writer.bytes + contents
    table[9] = checksum(table[...])
    return table
  }

  private static func pointers<Pointer: FixedWidthInteger & UnsignedInteger>(
    _ addresses: [UInt64], _ convert: (UInt64) -> Pointer
  ) -> [UInt8] {
    var writer = ByteWriter(count: 0)
    for address in addresses { writer.append(convert(address)) }
    return writer.bytes
  }

  /// The FACS (5.2.10): no waking vector, no global lock.
  private static var firmwareControl: [UInt8] {
    var writer = ByteWriter(count: 64)
    writer.put(Array("FACS".utf8)[...], at: 0)
    writer.put(UInt32(64), at: 4)
    writer.put(UInt8(1), at: 32)
    return writer.bytes
  }

  /// The definition block in AML: `Name (_S5, Package (4) {0, 0, 0, 0})`, the value of SLP_TYP for soft off.
  private static let softOff: [UInt8] = [0x08] + Array("_S5_".utf8) + [0x12, 0x06, 0x04, 0, 0, 0, 0]

  /// The FADT (5.2.9), revision 3.
  private static func fixedDescription(facs: UInt64, dsdt: UInt64) -> [UInt8] {
    let header = 36
    var writer = ByteWriter(count: 244 - header)
    func at(_ offset: Int) -> Int { offset - header }
    writer.put(UInt32(truncatingIfNeeded: facs), at: at(36))
    writer.put(UInt32(truncatingIfNeeded: dsdt), at: at(40))
    // A desktop; no port switches to ACPI mode, in which the machine is from the start.
    writer.put(UInt8(1), at: at(45))
    writer.put(Board.interruptLine, at: at(46))
    writer.put(Board.eventPort, at: at(56))
    writer.put(Board.controlPort, at: at(64))
    writer.put(Board.timerPort, at: at(76))
    writer.put(UInt8(4), at: at(88))
    writer.put(UInt8(2), at: at(89))
    writer.put(UInt8(4), at: at(91))
    // Latencies that say: no C2, no C3.
    writer.put(UInt16(0xfff), at: at(96))
    writer.put(UInt16(0xfff), at: at(98))
    // The RTC's century; ISA devices and a keyboard controller are there.
    writer.put(UInt8(0x32), at: at(108))
    writer.put(UInt16(0b11), at: at(109))
    // WBINVD works; C1 on all processors; no power, sleep or RTC-wake event; a timer of 32 bits; a reset register.
    let flags: [UInt32] = [0, 2, 4, 5, 6, 8, 10]
    writer.put(flags.reduce(0 as UInt32) { $0 | 1 << $1 }, at: at(112))
    writer.put(port(Board.resetPort, bits: 8)[...], at: at(116))
    writer.put(Board.resetValue, at: at(128))
    writer.put(facs, at: at(132))
    writer.put(dsdt, at: at(140))
    writer.put(port(Board.eventPort, bits: 32)[...], at: at(148))
    writer.put(port(Board.controlPort, bits: 16)[...], at: at(172))
    writer.put(port(Board.timerPort, bits: 32)[...], at: at(208))
    return table("FACP", revision: 3, writer.bytes)
  }

  /// A generic address in I/O space (5.2.3.2).
  private static func port(_ number: UInt32, bits: UInt8) -> [UInt8] {
    var writer = ByteWriter(count: 12)
    writer.put(UInt8(1), at: 0)
    writer.put(bits, at: 1)
    // The access's size: 1, 2, 3 for a byte, a word, a doubleword.
    writer.put(UInt8(bits / 16 + 1), at: 3)
    writer.put(UInt64(number), at: 4)
    return writer.bytes
  }

  /// The MADT (5.2.12): local APICs, the I/O APIC, how ISA lines reach it, and LINT1 for NMI.
  private static func interruptControllers(processors: Int) -> [UInt8] {
    var writer = ByteWriter(count: 0)
    writer.append(Board.localAPIC)
    // There is an 8259 pair besides.
    writer.append(UInt32(1))
    for processor in 0..<processors {
      let number = UInt8(truncatingIfNeeded: processor)
      for field in [0, 8, number, number] as [UInt8] { writer.append(field) }
      writer.append(UInt32(1))
    }
    for field in [1, 12, 0, 0] as [UInt8] { writer.append(field) }
    writer.append(Board.ioAPIC)
    writer.append(UInt32(0))
    // Line 0 is input 2; the system control interrupt is level-triggered, active high.
    for (line, input, flags) in [(0, 2, 0), (9, 9, 0x0d)] as [(UInt8, UInt32, UInt16)] {
      for field in [2, 10, 0, line] as [UInt8] { writer.append(field) }
      writer.append(input)
      writer.append(flags)
    }
    for field in [4, 6, 0xff, 0, 0, 1] as [UInt8] { writer.append(field) }
    return table("APIC", revision: 3, writer.bytes)
  }
}
