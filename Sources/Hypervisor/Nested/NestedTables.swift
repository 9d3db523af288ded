import Machine

/// The tables of the second dimension: guest-physical to host-physical, in the format of the profile's vendor.
///
/// Intel's are extended page tables (SDM vol. 3, 29.3.2), AMD's ordinary tables to which every access of a guest is a
/// user's (APM vol. 2, 15.25.5). Entries are only ever added, so that nothing has to be flushed.
struct NestedTables {
  let plan: NestedPlan
  /// Tables made, the root included, and leaf entries.
  private(set) var tables: UInt64 = 1
  private(set) var leaves: UInt64 = 0

  /// Write-back, in bits 5:3 of an extended leaf entry.
  private static let writeBack: UInt64 = 6 << 3

  init(_ vendor: Vendor, _ profile: CostProfile, _ allocator: inout FrameAllocator) {
    let root = allocator.allocate(.nested(level: 4), number: 0)?.address ?? HostPhysical(0)
    let format: TableFormat = vendor == .intel ? .extended : .ordinary(noExecute: true)
    plan = NestedPlan(
      root: root, levels: 4, format: format,
      reserved: ReservedBits(format, physicalBits: profile[.physicalBits], gigabytePages: true, vendor: vendor),
      keepsAccessedDirty: profile[.nestedAccessedDirty] != 0)
  }

  private var linkBits: UInt64 {
    plan.format == .extended
      ? EPTBit.read | EPTBit.write | EPTBit.execute : EntryBit.present | EntryBit.writable | EntryBit.user
  }

  /// What became of a request to map a page.
  enum Outcome: Equatable {
    /// An entry was made, and so many tables on the way to it.
    case mapped(newTables: UInt64)
    /// It was there already.
    case present
    case outOfMemory
  }

  /// Maps a host page of the guest, all of it.
  mutating func map(
    _ address: GuestPhysical, to host: HostMapping, _ memory: HostMemory, _ allocator: inout FrameAllocator
  ) -> Outcome {
    guard address.rawValue >> 48 == 0 else { return .outOfMemory }
    let size = host.size
    var table = plan.root
    var made: UInt64 = 0
    var level = plan.levels
    while level > size.level {
      let at = entryAddress(address, table, level)
      let entry = memory.word(at: at)
      if entry & 1 != 0 {
        table = HostPhysical(entry & EntryBit.frameMask)
      } else {
        guard let (frame, isRecycled) = allocator.allocate(.nested(level: level - 1), number: address.frame) else {
          return .outOfMemory
        }
        if isRecycled { memory.zeroFrame(at: frame) }
        memory.setWord(frame.rawValue | linkBits, at: at)
        table = frame
        made += 1
      }
      level -= 1
    }
    tables += made
    let at = entryAddress(address, table, level)
    guard memory.word(at: at) & 1 == 0 else { return .present }
    var entry = host.address.rawValue & ~size.offsetMask | linkBits
    if plan.format == .extended { entry |= NestedTables.writeBack }
    if size != .page4K { entry |= EntryBit.large }
    memory.setWord(entry, at: at)
    leaves += 1
    return .mapped(newTables: made)
  }

  /// The table whose entries of a level an address is translated by; nil where the tables do not get there.
  func table(for address: GuestPhysical, level: Int, _ memory: HostMemory) -> HostPhysical? {
    var table = plan.root
    var above = plan.levels
    while above > level {
      let entry = memory.word(at: entryAddress(address, table, above))
      guard entry & 1 != 0, !EntryLayout.wide.isLeaf(entry, level: above) else { return nil }
      table = HostPhysical(entry & EntryBit.frameMask)
      above -= 1
    }
    return table
  }

  private func entryAddress(_ address: GuestPhysical, _ table: HostPhysical, _ level: Int) -> HostPhysical {
    table.advanced(by: (address.rawValue >> (9 * UInt64(level))) & 0xff8)
  }
}
