import Machine

/// A stretch of linear addresses that the guest's tables map alike.
public struct MappedRange: Sendable, Equatable {
  public var start: UInt64
  public var end: UInt64
  public var physical: UInt64
  public var permissions: PagePermissions
  /// log2 of the pages' size.
  public var shift: UInt64
  public var isGlobal: Bool
}

extension Session {
  /// What the guest's tables map, in the order of addresses; contiguous pages that are mapped alike are one range.
  ///
  /// - Parameter limit: ranges at most.
  public func mappings(limit: Int = 4096) -> [MappedRange] {
    let plan = processor.guestWalkPlan
    guard plan.levels > 0 else { return [] }
    var scan = MapScan(session: self, plan: plan, limit: limit)
    scan.table(plan.root, level: plan.levels, address: 0, permissions: .all)
    return scan.ranges
  }
}

/// A walk over all tables.
private struct MapScan {
  let session: Session
  let plan: WalkPlan
  let limit: Int
  var ranges: [MappedRange] = []

  private var isNarrow: Bool {
    if case .narrow = plan.layout { return true }
    return false
  }

  init(session: Session, plan: WalkPlan, limit: Int) {
    (self.session, self.plan, self.limit) = (session, plan, limit)
  }

  mutating func table(_ table: GuestPhysical, level: Int, address: UInt64, permissions: PagePermissions) {
    let width = isNarrow ? 4 : 8
    let isPointers = plan.levels == 3 && level == 3
    let count = isPointers ? 4 : 4096 / width
    let shift: UInt64 = isNarrow ? (level == 2 ? 22 : 12) : 12 + 9 * UInt64(level - 1)
    guard ranges.count < limit, let bytes = session.readPhysical(table, count: count * width) else { return }
    for index in 0..<count {
      var entry: UInt64 = 0
      for byte in 0..<width { entry |= UInt64(bytes[index * width + byte]) << UInt64(8 * byte) }
      guard entry & EntryBit.present != 0 else { continue }
      var at = address | UInt64(index) << shift
      // The topmost translated bit is repeated above it.
      if level == plan.levels && plan.levels > 3 && index >= 256 { at |= .max << (shift + 9) }
      let inner = isPointers ? permissions : permissions & plan.format.permissions(entry)
      let isLeaf = level == 1 || !isPointers && level <= 3 && entry & EntryBit.large != 0
      if isLeaf {
        let physical = entry & EntryBit.frameMask & ~((1 << shift) - 1)
        add(
          MappedRange(
            start: at, end: at &+ (1 << shift), physical: physical, permissions: inner, shift: shift,
            isGlobal: plan.globalPages && entry & EntryBit.global != 0))
      } else {
        self.table(GuestPhysical(entry & EntryBit.frameMask), level: level - 1, address: at, permissions: inner)
      }
    }
  }

  private mutating func add(_ range: MappedRange) {
    if let last = ranges.last, last.end == range.start, last.permissions == range.permissions,
      last.shift == range.shift, last.isGlobal == range.isGlobal,
      last.physical &+ (last.end &- last.start) == range.physical
    {
      ranges[ranges.count - 1].end = range.end
      return
    }
    if ranges.count < limit { ranges.append(range) }
  }
}
