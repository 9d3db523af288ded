import Machine

/// The tables of the second dimension: guest-physical to host-physical, in the format of the profile's vendor.
///
/// Intel's are extended page tables (SDM vol. 3, 29.3.2), AMD's ordinary tables to which every access of a guest is a
/// user's (APM vol. 2, 15.25.5). Whoever takes something away from an entry has to flush (`Hypervisor.flushNestedEverywhere`).
struct NestedTables {
  let plan: NestedPlan
  /// Tables made, the root included; leaf entries made by faults, and changes of what such an entry permits or tells.
  private(set) var tables: UInt64 = 1
  private(set) var leaves: UInt64 = 0
  private(set) var changes: UInt64 = 0
  /// Whether it is remembered of an entry that goes that its page was written; and the guest frames of those.
  var remembersWritten = false
  private(set) var writtenBefore: [UInt64] = []

  /// Write-back, in bits 5:3 of an extended leaf entry.
  private static let writeBack: UInt64 = 6 << 3

  /// - Parameters:
  ///   - levels: 4 or 5.
  ///   - keepsAccessedDirty: whether the hardware keeps A and D; nil: where it can.
  init(
    _ vendor: Vendor, _ profile: CostProfile, levels: Int = 4, keepsAccessedDirty: Bool? = nil,
    _ allocator: inout FrameAllocator
  ) {
    let root = allocator.allocate(.nested(level: levels), number: 0)?.address ?? HostPhysical(0)
    let format: TableFormat = vendor == .intel ? .extended : .ordinary(noExecute: true)
    plan = NestedPlan(
      root: root, levels: levels, format: format,
      reserved: ReservedBits(format, physicalBits: profile[.physicalBits], gigabytePages: true, vendor: vendor),
      keepsAccessedDirty: keepsAccessedDirty ?? (profile[.nestedAccessedDirty] != 0))
  }

  /// Whether an address is within what so many levels translate.
  private func isTranslated(_ address: GuestPhysical) -> Bool {
    address.rawValue >> (12 + 9 * UInt64(plan.levels)) == 0
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

  /// Maps a host page of the guest, all of it or, where pages around an address need entries of their own, as much as
  /// they leave.
  mutating func map(
    _ address: GuestPhysical, to host: HostMapping, size: PageSize? = nil, writable: Bool = true,
    _ memory: HostMemory, _ allocator: inout FrameAllocator
  ) -> Outcome {
    guard isTranslated(address) else { return .outOfMemory }
    let most = min(size ?? host.size, host.size)
    var table = plan.root
    var made: UInt64 = 0
    var level = plan.levels
    // Down to the page's own level; below it, where a page was cut up and not all of its pieces are there.
    while level > most.level || memory.word(at: entryAddress(address, table, level)) & 1 != 0 {
      let at = entryAddress(address, table, level)
      let entry = memory.word(at: at)
      if entry & 1 != 0 {
        guard !EntryLayout.wide.isLeaf(entry, level: level) else { return .present }
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
    let size = PageSize(level: level) ?? .page4K
    var entry = host.address.rawValue & ~size.offsetMask | linkBits
    if plan.format == .extended { entry |= NestedTables.writeBack }
    if size != .page4K { entry |= EntryBit.large }
    if !writable { entry &= ~NestedTables.writable }
    memory.setWord(entry, at: at)
    leaves += 1
    return .mapped(newTables: made)
  }

  /// W, which both formats have in the same place.
  private static let writable = EPTBit.write

  /// D, where the hardware keeps it; else W, which a write that is told of restores.
  private var writtenBit: UInt64 {
    plan.keepsAccessedDirty ? plan.format == .extended ? EPTBit.dirty : EntryBit.dirty : NestedTables.writable
  }

  /// The entry that maps an address; nil where none does.
  func leaf(for address: GuestPhysical, _ memory: HostMemory) -> (at: HostPhysical, entry: UInt64, level: Int)? {
    guard isTranslated(address) else { return nil }
    var level = plan.levels
    var table = plan.root
    while true {
      let at = entryAddress(address, table, level)
      let entry = memory.word(at: at)
      guard entry & 1 != 0 else { return nil }
      if EntryLayout.wide.isLeaf(entry, level: level) { return (at, entry, level) }
      table = HostPhysical(entry & EntryBit.frameMask)
      level -= 1
    }
  }

  /// Lets the frame at an address be written, or not; a large page around it is cut up for that.
  ///
  /// - Returns: whether its entry has changed, and how many tables were made; nil when there was no room for them.
  mutating func setWritable(
    _ address: GuestPhysical, _ isWritable: Bool, _ memory: HostMemory, _ allocator: inout FrameAllocator
  ) -> (isChanged: Bool, newTables: UInt64)? {
    guard let (_, entry, _) = leaf(for: address, memory), (entry & NestedTables.writable != 0) != isWritable else {
      return (false, 0)
    }
    guard let made = split(address, memory, &allocator), let (at, piece, _) = leaf(for: address, memory) else {
      return nil
    }
    memory.setWord(isWritable ? piece | NestedTables.writable : piece & ~NestedTables.writable, at: at)
    changes += 1
    return (true, made)
  }

  /// Cuts up the pages around an address, so that the frame there has an entry of its own.
  ///
  /// - Returns: how many tables that took; nil when there was no room.
  private mutating func split(
    _ address: GuestPhysical, _ memory: HostMemory, _ allocator: inout FrameAllocator
  ) -> UInt64? {
    var made: UInt64 = 0
    while let (at, entry, level) = leaf(for: address, memory), level > 1, let size = PageSize(level: level - 1) {
      guard let (frame, _) = allocator.allocate(.nested(level: level - 1), number: address.frame) else { return nil }
      let piece = size == .page4K ? entry & ~EntryBit.large : entry
      for number in 0..<512 as Range<UInt64> {
        memory.setWord(piece &+ number &* size.bytes, at: frame.advanced(by: number * 8))
      }
      memory.setWord(frame.rawValue | linkBits, at: at)
      made += 1
    }
    tables += made
    return made
  }

  /// Maps the frame at an address no more; a large page around it is cut up.
  ///
  /// - Returns: as `setWritable`.
  mutating func unmap(
    _ address: GuestPhysical, _ memory: HostMemory, _ allocator: inout FrameAllocator
  ) -> (isChanged: Bool, newTables: UInt64)? {
    guard leaf(for: address, memory) != nil else { return (false, 0) }
    guard let made = split(address, memory, &allocator), let (at, piece, _) = leaf(for: address, memory) else {
      return nil
    }
    if remembersWritten && piece & writtenBit != 0 { writtenBefore.append(address.frame) }
    memory.setWord(0, at: at)
    changes += 1
    return (true, made)
  }

  /// Whether a write to an address neither faults nor sets D.
  func letsBeWritten(_ address: GuestPhysical, _ memory: HostMemory) -> Bool {
    let wanted = NestedTables.writable | writtenBit
    return leaf(for: address, memory).map { $0.entry & wanted == wanted } ?? false
  }

  /// Whether the page that holds an address was written since `watchForWrites`.
  func wasWritten(_ address: GuestPhysical, _ memory: HostMemory) -> Bool {
    leaf(for: address, memory).map { $0.entry & writtenBit != 0 } ?? false
  }

  /// Clears what tells that the page that holds an address was written.
  ///
  /// - Returns: whether it was set.
  mutating func watchForWrites(_ address: GuestPhysical, _ memory: HostMemory) -> Bool {
    guard let (at, entry, _) = leaf(for: address, memory), entry & writtenBit != 0 else { return false }
    memory.setWord(entry & ~writtenBit, at: at)
    changes += 1
    return true
  }

  /// Looks at every entry, and clears what tells that its page was written.
  ///
  /// - Returns: the guest frames of the pages that were, those of entries that have gone among them; and how many entries
  ///   were looked at.
  mutating func collectWritten(_ memory: HostMemory) -> (frames: [UInt64], scanned: UInt64) {
    var frames = writtenBefore
    writtenBefore.removeAll(keepingCapacity: true)
    var scanned: UInt64 = 0
    func look(at table: HostPhysical, _ level: Int, from first: UInt64) {
      scanned += 512
      for number in 0..<512 as Range<UInt64> {
        let at = table.advanced(by: number * 8)
        let entry = memory.word(at: at)
        guard entry & 1 != 0 else { continue }
        let frame = first | number << (9 * UInt64(level - 1))
        if !EntryLayout.wide.isLeaf(entry, level: level) {
          look(at: HostPhysical(entry & EntryBit.frameMask), level - 1, from: frame)
        } else if entry & writtenBit != 0 {
          memory.setWord(entry & ~writtenBit, at: at)
          frames.append(frame)
        }
      }
    }
    let before = frames.count
    look(at: plan.root, plan.levels, from: 0)
    changes += UInt64(frames.count - before)
    return (frames, scanned)
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
