import Hypervisor
import Machine

/// A stretch of guest-physical addresses that the nested tables map alike.
public struct NestedRange: Sendable, Equatable {
  public var start: UInt64
  public var end: UInt64
  public var host: UInt64
  public var permissions: PagePermissions
  /// log2 of the pages' size.
  public var shift: UInt64
}

extension Session {
  /// What nested tables map, in the order of addresses; contiguous pages that are mapped alike are one range.
  ///
  /// - Parameter limit: ranges at most.
  public func nestedMappings(_ plan: NestedPlan, limit: Int = 4096) -> [NestedRange] {
    var ranges: [NestedRange] = []
    scan(plan, plan.root, level: plan.levels, address: 0, .all, limit, &ranges)
    return ranges
  }

  private func scan(
    _ plan: NestedPlan, _ table: HostPhysical, level: Int, address: UInt64, _ permissions: PagePermissions,
    _ limit: Int, _ ranges: inout [NestedRange]
  ) {
    let shift = 12 + 9 * UInt64(level - 1)
    for index in 0..<512 as Range<UInt64> where ranges.count < limit {
      let entry = machine.memory.word(at: HostPhysical(table.rawValue + 8 * index))
      let present = plan.format == .extended ? EPTBit.read | EPTBit.write | EPTBit.execute : EntryBit.present
      guard entry & present != 0 else { continue }
      let at = address | index << shift
      let inner = permissions & plan.format.permissions(entry)
      let frame = entry & EntryBit.frameMask
      guard level == 1 || level <= 3 && entry & EntryBit.large != 0 else {
        scan(plan, HostPhysical(frame), level: level - 1, address: at, inner, limit, &ranges)
        continue
      }
      let range = NestedRange(
        start: at, end: at + (1 << shift), host: frame & ~((1 << shift) - 1), permissions: inner, shift: shift)
      if let last = ranges.last, last.end == range.start, last.permissions == inner, last.shift == shift,
        last.host + (last.end - last.start) == range.host
      {
        ranges[ranges.count - 1].end = range.end
      } else {
        ranges.append(range)
      }
    }
  }
}
