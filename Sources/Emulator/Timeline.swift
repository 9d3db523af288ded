import Glibc
import Machine

/// The states that a machine has been in, so that it can go back: copies of what is small, and of the frames that have
/// changed since the checkpoint before. Between two checkpoints the machine runs again, which is deterministic.
///
/// Invariants: checkpoints are in the order of time; only frames that memory counts as changed, or that a checkpoint
/// between `base` and another has copies of, differ from that other one; a frame's contents at a checkpoint are the newest
/// copy in it or before it, or zeros.
///
/// When a checkpoint is made depends on the host's time; what the guest does never depends on where one is.
public final class Timeline {
  private final class Checkpoint {
    let moment: Moment
    let state: VirtualMachine.StateSnapshot
    /// Frames that differ from the checkpoint before.
    var changes: [UInt64: FrameCopy]
    /// The state was changed by hand: running up to here does not give it.
    let isEdited: Bool

    init(_ moment: Moment, _ state: VirtualMachine.StateSnapshot, _ changes: [UInt64: FrameCopy], isEdited: Bool) {
      self.moment = moment
      self.state = state
      self.changes = changes
      self.isEdited = isEdited
    }
  }

  private let machine: VirtualMachine
  private var checkpoints: [Checkpoint] = []
  private var base = 0
  /// Bytes of copies that may be kept.
  public var budget: Int
  /// Bytes of a checkpoint besides its frames.
  private let stateBytes: Int
  /// Off: no more checkpoints are made.
  public var isRecording = true
  /// Called between two stretches of a run, at moments that are the same whenever the machine comes by.
  public var betweenStretches: () -> Void = {}

  // When the next checkpoint is due, by the host's clock.

  /// The least time of running between two checkpoints: a part of what going back a step may take.
  private static let period = Duration.milliseconds(25)
  /// Running takes at least so many times as long as making checkpoints.
  private static let share = 12
  /// Instructions between two looks at the world outside: stretches begin at multiples of it.
  private static let stretch: UInt64 = 1_000_000
  private var lastMade = Timeline.used
  private var lastCost = Duration.zero

  /// The processor's time that the host has given to this thread: how busy the host is does not count.
  private static var used: Duration {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// Begins with the machine as it is.
  public init(_ machine: VirtualMachine, budget: Int = 512 << 20) {
    self.machine = machine
    self.budget = budget
    let state = machine.stateSnapshot()
    stateBytes = state.processors.reduce(1 << 16) { $0 + $1.translation.arrays.reduce(0) { $0 + $1.count * 8 } }
    checkpoints = [Checkpoint(machine.moment, state, copies(of: collectChanges()), isEdited: false)]
  }

  // MARK: Seeing

  /// The moments of all checkpoints, the oldest first.
  public var moments: [Moment] { checkpoints.map(\.moment) }

  /// Bytes held.
  public var bytes: Int { checkpoints.reduce(0) { $0 + stateBytes + $1.changes.count * 4096 } }

  // MARK: Running

  /// Runs on, and keeps checkpoints on the way. Where the past is run through again, it is the past as it was: changes by
  /// hand are made again.
  public func run(until condition: VirtualMachine.StopCondition) -> RunOutcome {
    lastMade = Self.used
    while true {
      let now = machine.moment
      // The moment itself is passed by running; so another stretch begins behind it.
      let next = checkpoints.first { $0.moment.instructions > now.instructions }?.moment.instructions
      let begun = now.instructions - now.instructions % Self.stretch
      let (sum, overflow) = begun.addingReportingOverflow(Self.stretch)
      let stretch = min(overflow ? .max : sum, next ?? .max)
      let limit = condition.instructions ?? .max
      let outcome = machine.run(until: .init(instructions: min(stretch, limit), cycles: condition.cycles))
      guard outcome == .limit(.instructions(stretch)) else { return outcome }
      arrive()
      betweenStretches()
      if stretch >= limit { return outcome }
    }
  }

  /// The machine has come to the end of a stretch.
  private func arrive() {
    let now = machine.moment
    if let index = checkpoints.lastIndex(where: { $0.moment.instructions == now.instructions }) {
      if checkpoints[index].isEdited {
        restore(index)
      } else if checkpoints[index].moment == now {
        _ = collectChanges()
        base = index
      }
    } else if isDue(now) {
      append(isEdited: false)
    }
  }

  private func isDue(_ now: Moment) -> Bool {
    guard isRecording, checkpoints[checkpoints.count - 1].moment < now else { return false }
    return Self.used - lastMade >= max(Self.period, lastCost * Self.share)
  }

  // MARK: Making

  private func append(isEdited: Bool) {
    let start = Self.used
    let frames = framesBetweenNow(and: checkpoints.count - 1)
    checkpoints.append(Checkpoint(machine.moment, machine.stateSnapshot(), copies(of: frames), isEdited: isEdited))
    base = checkpoints.count - 1
    thin()
    lastMade = Self.used
    lastCost = lastMade - start
  }

  /// Keeps the present state, be it later than what is kept already or between two of them.
  public func keep() {
    let now = machine.moment
    guard let index = checkpoints.firstIndex(where: { $0.moment >= now }) else { return append(isEdited: false) }
    guard index > 0, isRecording, checkpoints[index].moment > now else { return }
    let made = copies(of: framesBetweenNow(and: index - 1))
    // What differs from the checkpoint before may be at the next one as it was at that.
    let next = checkpoints[index]
    for frame in made.keys where next.changes[frame] == nil {
      next.changes[frame] = contents(of: frame, at: index - 1) ?? .zeros()
    }
    checkpoints.insert(Checkpoint(now, machine.stateSnapshot(), made, isEdited: false), at: index)
    base = index
    thin()
  }

  /// Follows a change of the machine's state by hand: what had come after it is forgotten.
  public func noteEdit() {
    let now = machine.moment
    let kept = max(checkpoints.count { $0.moment < now }, 1)
    // The first checkpoint stays the way to everything; a change at its own moment comes behind it.
    let frames = framesBetweenNow(and: kept - 1)
    checkpoints.removeSubrange(kept...)
    checkpoints.append(Checkpoint(now, machine.stateSnapshot(), copies(of: frames), isEdited: true))
    base = checkpoints.count - 1
  }

  /// The frames that may differ between now and a checkpoint; they count as unchanged from now on.
  private func framesBetweenNow(and index: Int) -> Set<UInt64> {
    var frames = Set(collectChanges())
    let (first, last) = (min(base, index), max(base, index))
    for checkpoint in checkpoints[first...last].dropFirst() { frames.formUnion(checkpoint.changes.keys) }
    return frames
  }

  private func collectChanges() -> [UInt64] {
    let frames = machine.memory.collectChanges()
    for processor in machine.processors { processor.forgetVerdicts() }
    return frames
  }

  private func copies(of frames: some Sequence<UInt64>) -> [UInt64: FrameCopy] {
    var copies: [UInt64: FrameCopy] = [:]
    for frame in frames { copies[frame] = machine.memory.copy(ofFrame: frame) }
    return copies
  }

  /// Gives checkpoints up while there are too many bytes of them: those first that leave the smallest gap for their age,
  /// so that the recent past is dense and the distant one is not lost.
  private func thin() {
    var held = bytes
    while held > budget, let index = leastNeeded {
      let (given, next) = (checkpoints[index], checkpoints[index + 1])
      next.changes.merge(given.changes) { mine, _ in mine }
      checkpoints.remove(at: index)
      if base > index { base -= 1 }
      held = bytes
    }
  }

  private var leastNeeded: Int? {
    guard checkpoints.count > 2 else { return nil }
    let now = checkpoints[checkpoints.count - 1].moment.instructions
    var best: (index: Int, ratio: Double)?
    for index in 1..<checkpoints.count - 1 where !checkpoints[index].isEdited && index != base {
      let gap = checkpoints[index + 1].moment.instructions &- checkpoints[index - 1].moment.instructions
      let ratio = Double(gap) / Double(max(now &- checkpoints[index].moment.instructions, 1))
      if best.map({ ratio < $0.ratio }) ?? true { best = (index, ratio) }
    }
    return best?.index
  }

  // MARK: Going back

  /// Makes the machine as it was at the last checkpoint that fits, the first one if none does.
  @discardableResult
  public func goBack(where fits: (Moment) -> Bool) -> Moment {
    let index = checkpoints.lastIndex { fits($0.moment) } ?? 0
    restore(index)
    return checkpoints[index].moment
  }

  /// Makes the machine as it was at the first checkpoint, and forgets the others.
  public func begin() {
    restore(0)
    checkpoints.removeSubrange(1...)
  }

  private func restore(_ index: Int) {
    for frame in framesBetweenNow(and: index) { machine.memory.restore(contents(of: frame, at: index), toFrame: frame) }
    machine.restore(checkpoints[index].state)
    base = index
  }

  /// The contents of a frame at a checkpoint; nil if it had not been touched.
  private func contents(of frame: UInt64, at index: Int) -> FrameCopy? {
    for checkpoint in checkpoints[...index].reversed() {
      if let copy = checkpoint.changes[frame] { return copy }
    }
    return nil
  }
}
