import Machine

/// Page tables in host memory, of one dimension: written by a few lines that share nothing with the walker.
public struct PageTables {
  public let memory: HostMemory
  public let levels: Int
  public let isExtended: Bool
  /// Where the top table is, in the tables' own terms.
  public let root: UInt64
  private var free: UInt64
  /// From the tables' own address space to the host's.
  private let offset: UInt64

  /// - Parameters:
  ///   - frames: where tables are taken from, upwards.
  ///   - offset: what makes a host address of an address in the tables' own terms.
  public init(in memory: HostMemory, levels: Int = 4, isExtended: Bool = false, frames: UInt64, offset: UInt64 = 0) {
    self.memory = memory
    self.levels = levels
    self.isExtended = isExtended
    self.offset = offset
    root = frames
    free = frames + 0x1000
    memory.zeroFrame(at: HostPhysical(root + offset))
  }

  /// What an entry to a table permits: everything, A set.
  private var tableBits: UInt64 { isExtended ? 0x107 : 0x27 }

  /// Maps one page.
  public mutating func map(_ address: UInt64, to target: UInt64, _ size: PageSize, bits: UInt64) {
    var table = root
    for level in stride(from: levels, to: size.level, by: -1) {
      let at = place(table, address, level)
      if memory.word(at: at) == 0 {
        memory.zeroFrame(at: HostPhysical(free + offset))
        memory.setWord(free | tableBits, at: at)
        free += 0x1000
      }
      table = memory.word(at: at) & 0xf_ffff_ffff_f000
    }
    memory.setWord(target | bits | (size == .page4K ? 0 : 0x80), at: place(table, address, size.level))
  }

  /// Where the entry for an address is that a walk reads at a level.
  public func entry(_ address: UInt64, level: Int) -> HostPhysical {
    var table = root
    for upper in stride(from: levels, to: level, by: -1) {
      table = memory.word(at: place(table, address, upper)) & 0xf_ffff_ffff_f000
    }
    return place(table, address, level)
  }

  private func place(_ table: UInt64, _ address: UInt64, _ level: Int) -> HostPhysical {
    HostPhysical(table + offset + (address >> UInt64(12 + 9 * (level - 1)) & 0x1ff) * 8)
  }
}
