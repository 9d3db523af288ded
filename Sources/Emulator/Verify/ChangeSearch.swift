import Machine

/// Finds the last change of some words of a guest's memory, from the end backwards: a stretch in which nobody has written to
/// their frames is passed over whole. That a word has the same value at two times does not say that nobody has changed it
/// between them.
struct ChangeSearch {
  enum Result {
    /// The word, what was before the instruction that changed it, and the number of that.
    case found(GuestPhysical, Lane.Snapshot, UInt64)
    case never
    /// It takes too long.
    case unknown
  }

  private let lane: Lane
  private let words: [GuestPhysical]
  private let frames: Set<UInt64>
  /// Bits that do not count.
  private let ignored: UInt64
  /// Stretches that may still be run.
  private var patience = 2000

  init(_ lane: Lane, _ words: [GuestPhysical], ignoring ignored: UInt64) {
    self.lane = lane
    self.words = words
    self.ignored = ignored
    frames = Set(words.map(\.frame))
  }

  private func values() -> [UInt64] { words.map { lane.word($0) & ~ignored } }

  /// Searches between two numbers of instructions, the first of which a snapshot belongs to.
  mutating func find(from start: UInt64, _ snapshot: Lane.Snapshot, to end: UInt64) -> Result {
    guard start < end else { return .never }
    patience -= 1
    guard patience > 0 else { return .unknown }
    lane.restore(snapshot)
    _ = lane.writtenFrames()
    let before = values()
    guard lane.run(to: end) == .limit(.instructions(end)) else { return .unknown }
    guard lane.writtenFrames().contains(where: frames.contains) else { return .never }
    guard end - start > 1 else {
      let changed = zip(before, values()).enumerated().first { $0.element.0 != $0.element.1 }
      return changed.map { .found(words[$0.offset], snapshot, end) } ?? .never
    }
    let middle = start + (end - start) / 2
    lane.restore(snapshot)
    guard lane.run(to: middle) == .limit(.instructions(middle)) else { return .unknown }
    let later = find(from: middle, lane.snapshot(), to: end)
    if case .never = later { return find(from: start, snapshot, to: middle) }
    return later
  }
}
