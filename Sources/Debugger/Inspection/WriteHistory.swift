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
    let place = GuestPhysical(address.rawValue & ~7)
    let watch = Breakpoint.Watch(access: .write, address: place.rawValue, length: 8, isPhysical: true)
    breakpoints = [Breakpoint(number: -1, kind: .watch(watch), text: "")]
    let limit = max(limit, 1)
    var changes: [Change] = []
    var end = now
    var length = Self.firstStretch
    while changes.count < limit, case .begins(let start) = goToStretch(before: end, length: &length) {
      guard let found = self.changes(of: place, until: end, last: limit - changes.count) else { break }
      changes += found.reversed()
      end = start
    }
    return changes.map { record($0, place) }
  }

  /// A write as it is found: what it made stale is looked up for those alone that are shown.
  private struct Change {
    var moment: Moment
    var processor: Int
    var old: UInt64?
    var new: UInt64?
  }

  /// The last changes between now and a moment, the oldest first; nil if somebody would not wait for them.
  private func changes(of place: GuestPhysical, until end: Moment, last limit: Int) -> [Change]? {
    var found: [Change] = []
    rememberValues()
    var old = physicalNumber(at: place, width: 8)
    while moment < end {
      let stop = proceed(until: .init(instructions: max(end.instructions, moment.instructions &+ 1)))
      if case .interrupted = stop { return nil }
      guard case .breakpoint = stop, moment <= end else { break }
      let new = physicalNumber(at: place, width: 8)
      found.append(Change(moment: moment, processor: machine.runningProcessor.index, old: old, new: new))
      // The stretch may be full of them.
      if found.count / 2 > limit { found.removeFirst(found.count - limit) }
      old = new
    }
    return found.suffix(limit)
  }

  private func record(_ change: Change, _ place: GuestPhysical) -> WriteRecord {
    var record = WriteRecord(
      moment: change.moment, pc: 0, instruction: "", processor: change.processor, old: change.old, new: change.new,
      stale: [])
    guard case .arrived = go(to: change.moment) else { return record }
    selected = change.processor
    // A write in the middle of an instruction, by an exit or an element of a string, is of the one that comes next; any
    // other of the last one.
    let isBetween = moment == change.moment
    if isBetween {
      record.stale = stale(place)
      guard case .stepped = reverseStep() else { return record }
    }
    record.pc = programCounter
    record.instruction = instruction(at: programCounter)?.text ?? ""
    if !isBetween && stand(at: change.moment) { record.stale = stale(place) }
    return record
  }

  /// Runs on to a moment in the middle of an instruction, at which what is watched is written.
  private func stand(at target: Moment) -> Bool {
    while moment < target {
      guard case .breakpoint = proceed(until: .init(instructions: target.instructions &+ 1)) else { return false }
    }
    return moment == target
  }

  /// What is cached that rests on a place in memory and that the tables do not say.
  private func stale(_ place: GuestPhysical) -> [CachedView] {
    let host = hostAddress(of: place)
    return cached().filter { view in
      guard view.isCurrent == false, !view.entry.holder.isNested else { return false }
      return guestWalk(view.entry.address).references.contains { $0.address.rawValue & ~7 == host?.rawValue }
    }
  }
}
