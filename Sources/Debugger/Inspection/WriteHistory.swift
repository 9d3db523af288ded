import Emulator
import Machine

/// One store to a place in memory, found by running through the past again.
public struct WriteRecord: Sendable {
  public var moment: Moment
  /// The instruction that wrote, or after which the write was seen.
  public var pc: UInt64
  public var instruction: String
  public var processor: Int
  public var old: UInt64?
  public var new: UInt64?
  /// Cached translations that rest on the place and that the tables no longer say after the write.
  public var stale: [CachedView]
}

extension Session {
  /// The last writes to eight bytes of guest-physical memory that have changed them, the newest first. The machine is as
  /// it was afterwards.
  public func writes(to address: GuestPhysical, last limit: Int) -> [WriteRecord] {
    let now = moment
    let ended = outcome
    let kept = breakpoints
    defer {
      _ = go(to: now)
      outcome = ended
      breakpoints = kept
      selected = min(selected, machine.processors.count - 1)
    }
    let chosen = selected
    defer { selected = chosen }
    let watch = Breakpoint.Watch(access: .write, address: address.rawValue & ~7, length: 8, isPhysical: true)
    breakpoints = [Breakpoint(number: -1, kind: .watch(watch), text: "")]
    var records: [WriteRecord] = []
    var end = now
    for start in timeline.moments.reversed() where start < end && records.count < limit {
      guard case .arrived = go(to: start) else { break }
      var found: [WriteRecord] = []
      rememberValues()
      var old = physicalNumber(at: GuestPhysical(address.rawValue & ~7), width: 8)
      while moment < end {
        let stop = proceed(until: .init(instructions: max(end.instructions, moment.instructions &+ 1)))
        guard case .breakpoint = stop, moment <= end else { break }
        let new = physicalNumber(at: GuestPhysical(address.rawValue & ~7), width: 8)
        found.append(record(address, old: old, new: new))
        old = new
      }
      // The instructions that wrote: each the last one before its moment.
      records += found.reversed()
      end = start
    }
    records = Array(records.prefix(limit))
    for index in records.indices {
      guard case .arrived = go(to: records[index].moment) else { continue }
      // A write in the middle of an instruction, by an exit or an element of a string, is of the one that comes next; any
      // other of the last one.
      if moment == records[index].moment {
        guard case .stepped = reverseStep() else { continue }
      }
      records[index].pc = programCounter
      records[index].instruction = instruction(at: programCounter)?.text ?? ""
    }
    return records
  }

  private func record(_ address: GuestPhysical, old: UInt64?, new: UInt64?) -> WriteRecord {
    let place = hostAddress(of: GuestPhysical(address.rawValue & ~7))
    let stale = cached().filter { view in
      guard view.isCurrent == false, !view.entry.holder.isNested else { return false }
      return guestWalk(view.entry.address).references.contains { $0.address.rawValue & ~7 == place?.rawValue }
    }
    return WriteRecord(
      moment: moment, pc: programCounter, instruction: "", processor: machine.runningProcessor.index, old: old,
      new: new,
      stale: stale)
  }
}
