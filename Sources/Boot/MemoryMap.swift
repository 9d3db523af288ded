import Machine

/// A guest's physical memory: which addresses are RAM, and what firmware tells a guest about them (E820).
///
/// RAM starts at 0 and stops at 3 GiB, below the devices; what a guest has beyond 3 GiB goes on at 4 GiB, as on QEMU's
/// PC with a large guest. All protocols pass this one map on, and the emulator backs the same addresses with memory.
public struct MemoryMap: Equatable, Sendable {
  /// The kinds of address range, with their E820 numbers (ACPI 6.5, table 15.4).
  public enum Kind: UInt32, Sendable {
    case usable = 1
    case reserved = 2
  }

  /// One E820 entry. The entries of a map are sorted and do not overlap.
  public struct Entry: Equatable, Sendable {
    public var base: GuestPhysical
    /// In bytes, never 0.
    public var size: UInt64
    public var kind: Kind

    /// The first byte after the entry.
    public var end: GuestPhysical { GuestPhysical(base.rawValue + size) }

    /// Whether `size` bytes from an address on lie inside; no sum wraps.
    func contains(_ address: UInt64, _ size: UInt64) -> Bool {
      address >= base.rawValue && address < end.rawValue && size <= end.rawValue - address
    }
  }

  /// A stretch of RAM and the place of its first byte in the guest's memory counted without the hole.
  public struct RAM: Equatable, Sendable {
    public var base: GuestPhysical
    /// In bytes, a multiple of 4 KiB.
    public var size: UInt64
    /// Bytes of guest memory before this stretch.
    public var offset: UInt64

    public init(base: GuestPhysical, size: UInt64, offset: UInt64) {
      self.base = base
      self.size = size
      self.offset = offset
    }
  }

  /// The smallest memory that a guest can have: 2 MiB, in bytes.
  public static let smallest: UInt64 = 2 << 20
  /// The greatest memory that a guest can have: 64 TiB, in bytes; its end stays below 2^47.
  public static let greatest: UInt64 = 64 << 40
  /// Where RAM stops below 4 GiB, in bytes.
  static let lowLimit: UInt64 = 3 << 30
  /// Where RAM goes on above the devices, in bytes.
  static let highBase: UInt64 = 4 << 30
  /// The end of conventional memory; the extended BIOS data area follows, up to 640 KiB.
  static let conventionalEnd: UInt64 = 0x9fc00

  /// The guest's memory, in bytes.
  public let memorySize: UInt64
  /// What firmware reports, sorted by address.
  public let entries: [Entry]

  /// The map of a guest with `memorySize` bytes: a multiple of 4 KiB between `smallest` and `greatest`.
  public init(memorySize: UInt64) throws(BootError) {
    let part = Part("memory size")
    guard memorySize % 4096 == 0 else {
      throw part.error("\(hexadecimal(memorySize)) bytes are no multiple of 4 KiB")
    }
    guard memorySize >= Self.smallest else {
      throw part.error("\(hexadecimal(memorySize)) bytes are fewer than the 2 MiB that a PC needs")
    }
    guard memorySize <= Self.greatest else {
      throw part.error("\(hexadecimal(memorySize)) bytes are more than 64 TiB")
    }
    self.memorySize = memorySize
    let low = min(memorySize, Self.lowLimit)
    func range(_ base: UInt64, _ end: UInt64, _ kind: Kind) -> Entry {
      Entry(base: GuestPhysical(base), size: end - base, kind: kind)
    }
    // 0xa0000-0xdffff is the display's window and option ROMs: firmware leaves it out of E820. ACPI tables stand in the
    // reserved range below 1 MiB, where guests search for them.
    var entries = [
      range(0, Self.conventionalEnd, .usable),
      range(Self.conventionalEnd, 0xa0000, .reserved),
      range(0xe0000, 0x100000, .reserved),
      range(0x100000, low, .usable),
    ]
    if memorySize > low {
      entries.append(range(Self.highBase, Self.highBase + (memorySize - low), .usable))
    }
    self.entries = entries
  }

  /// Where RAM stops below 4 GiB: at most 3 GiB, in bytes.
  public var lowEnd: UInt64 { min(memorySize, Self.lowLimit) }

  /// The stretches of RAM, one or two. A device's window (the display at 0xa0000) lies over them and wins.
  public var ram: [RAM] {
    let low = RAM(base: GuestPhysical(0), size: lowEnd, offset: 0)
    guard memorySize > lowEnd else { return [low] }
    return [low, RAM(base: GuestPhysical(Self.highBase), size: memorySize - lowEnd, offset: lowEnd)]
  }

  /// Whether an address is backed by RAM (reserved ranges below 1 MiB are).
  public func isRAM(_ address: GuestPhysical) -> Bool {
    ram.contains { address >= $0.base && address.rawValue - $0.base.rawValue < $0.size }
  }

  /// Whether a guest may use `size` bytes from an address on: all in one usable range.
  public func isUsable(_ address: GuestPhysical, _ size: UInt64) -> Bool {
    entries.contains { $0.kind == .usable && $0.contains(address.rawValue, size) }
  }

  /// The map as PVH's `hvm_memmap_table_entry` array, 24 bytes an entry: base, size, kind, 0 (Xen `start_info.h`).
  var table: [UInt8] {
    var writer = ByteWriter(count: 0)
    for entry in entries {
      writer.append(entry.base.rawValue)
      writer.append(entry.size)
      writer.append(entry.kind.rawValue)
      writer.append(UInt32(0))
    }
    return writer.bytes
  }
}
