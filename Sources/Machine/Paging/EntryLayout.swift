/// How wide the entries of a dimension's tables are, and what follows from that. The walker is the same for all.
@frozen public enum EntryLayout: Equatable, Sendable {
  /// Eight bytes, 512 entries a table: PAE paging, four and five levels, extended page tables.
  case wide
  /// Four bytes, 1024 entries a table: 32-bit paging, whose page directory may map pages of 4 MiB with CR4.PSE (SDM
  /// vol. 3, 4.3).
  case narrow(largePages: Bool)

  @inline(__always) public var isNarrow: Bool { self != .wide }

  /// log2 of the entries in a table.
  @inline(__always) private var indexBits: UInt64 { isNarrow ? 10 : 9 }

  /// In bytes.
  @inline(__always) var entryWidth: Int { isNarrow ? 4 : 8 }

  /// Byte offset in a table of the entry for an address.
  @inline(__always) func offset(of address: UInt64, level: Int) -> UInt64 {
    // The index, from bit 12 + indexBits * (level - 1) up, times the width.
    (address >> (indexBits &* UInt64(truncatingIfNeeded: level))) & (isNarrow ? 0xffc : 0xff8)
  }

  /// The address by which paging-structure caches know the tables that translate one. A PDE of 32-bit paging is chosen by
  /// bits 31:22: bit 21 tells no tables apart.
  @inline(__always) func tableAddress(_ address: UInt64) -> UInt64 { isNarrow ? address & ~(1 << 21) : address }

  /// Whether an entry of a level maps a page instead of a table (level 1 always does).
  @inline(__always) public func isLeaf(_ entry: UInt64, level: Int) -> Bool {
    switch self {
    case .wide: level == 1 || (entry & EntryBit.large != 0 && level <= 3)
    case .narrow(let largePages): level == 1 || (largePages && entry & EntryBit.large != 0)
    }
  }

  /// The bytes that an entry of a level maps where it is a leaf, less one.
  @inline(__always) public func offsetMask(level: Int) -> UInt64 {
    (1 << (12 &+ indexBits &* UInt64(truncatingIfNeeded: level &- 1))) &- 1
  }

  /// Where the page begins that a leaf of a level maps. A page of 4 MiB has address bits 39:32 in bits 20:13 of its
  /// entry (SDM vol. 3, table 4-4: PSE-36).
  @inline(__always) public func page(_ entry: UInt64, level: Int) -> UInt64 {
    let base = entry & EntryBit.frameMask & ~offsetMask(level: level)
    return isNarrow && level > 1 ? base | (entry >> 13 & 0xff) << 32 : base
  }
}
