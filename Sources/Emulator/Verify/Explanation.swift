import Hypervisor
import Machine

/// Looks at the instruction after which two machines differ: what it is, which address it is about, how either machine
/// translates that, and whether something stale is the reason.
struct Explanation {
  private(set) var difference: Difference
  private let lanes: [Lane]
  private let low: (instructions: UInt64, snapshots: [Lane.Snapshot])

  /// What a machine differs in from the first.
  typealias Mismatch = (lane: Int, processor: Int, fields: [Difference.Field], physical: GuestPhysical?)

  /// - Parameters:
  ///   - low: where nothing differs yet.
  ///   - high: instructions after which something does.
  ///   - compare: compares all machines whole.
  init(
    _ lanes: [Lane], from low: (instructions: UInt64, snapshots: [Lane.Snapshot]), to high: UInt64,
    _ compare: ([RunOutcome]) -> Mismatch
  ) {
    self.lanes = lanes
    self.low = low
    Explanation.restore(lanes, low)
    let found = compare(lanes.map { $0.run(to: high) })
    let lane = found.lane
    let running = Explanation.executed(lanes, lane, low) ?? found.processor
    Explanation.restore(lanes, low)
    let pair = [lanes[0], lanes[lane]]
    let walks = pair.map { $0.walks(to: high) }
    Explanation.restore(lanes, low)
    let address = Explanation.address(found.fields, found.physical, walks, pair, running)
    let sides = pair.map { Explanation.side($0, running, address?.address, address?.access) }
    difference = Difference(
      instructions: low.instructions, processor: running, fields: found.fields, address: address?.address,
      first: sides[0], second: sides[1], staleness: [])
    // Coherent TLBs drop what is stale when they are asked for it, and hold it until then.
    guard let address, lanes[0].machine.configuration.tlb == .real else { return }
    for one in pair { difference.staleness += staleness(one, running, address.address, address.access) }
  }

  private static func restore(_ lanes: [Lane], _ point: (instructions: UInt64, snapshots: [Lane.Snapshot])) {
    for (lane, snapshot) in zip(lanes, point.snapshots) { lane.restore(snapshot) }
  }

  /// The processor that executed the instruction: the one whose count has gone on since the snapshot.
  private static func executed(
    _ lanes: [Lane], _ lane: Int, _ low: (instructions: UInt64, snapshots: [Lane.Snapshot])
  ) -> Int? {
    let after = lanes[lane].machine.processors.map(\.instructionsRetired)
    restore(lanes, low)
    let before = lanes[lane].machine.processors.map(\.instructionsRetired)
    return zip(before, after).enumerated().first { $0.element.0 != $0.element.1 }?.offset
  }

  // MARK: The address

  /// What the instruction is about: the address that faulted on one machine only, the one where memory differs, or else
  /// the last that it accessed.
  private static func address(
    _ fields: [Difference.Field], _ physical: GuestPhysical?,
    _ walks: [[(address: GuestVirtual, access: Access, result: WalkResult)]], _ pair: [Lane], _ processor: Int
  ) -> (address: GuestVirtual, access: Access)? {
    let all = walks[0] + walks[1]
    if let field = fields.first(where: { $0.name.hasSuffix("cr2") }) {
      for text in [field.first, field.second] {
        guard let value = UInt64(text.dropFirst(2), radix: 16) else { continue }
        if let walk = all.first(where: { $0.address.rawValue == value }) { return (walk.address, walk.access) }
      }
    }
    let data = all.filter { !$0.access.isFetch && $0.access.privilege != .implicitSupervisor }
    if let physical {
      let writer = data.first { walk in
        walk.access.isWrite
          && pair.contains { $0.physical(walk.address, walk.access, processor)?.frame == physical.frame }
      }
      if let writer { return (writer.address, writer.access) }
    }
    return (data.last ?? all.last).map { ($0.address, $0.access) }
  }

  // MARK: Sides

  private static func side(_ lane: Lane, _ processor: Int, _ address: GuestVirtual?, _ access: Access?)
    -> Difference.Side
  {
    var lines: [String] = []
    if let address, let access { lines = lane.describe(address, access, processor) }
    return Difference.Side(
      paging: lane.kind.name, instruction: lane.machine.processors[processor].describeInstruction(), walk: lines)
  }

  // MARK: Staleness

  /// What a machine holds for an address that its guest's tables do not say any more, who changed the tables, and what
  /// the guest has not done about it.
  private func staleness(_ lane: Lane, _ processor: Int, _ address: GuestVirtual, _ access: Access) -> [String] {
    let stale = lane.stale(address, access, processor)
    guard !stale.isEmpty else { return [] }
    var lines = stale.map { "\(lane.kind.name): \($0)" }
    if let change = lastChange(of: lane.entries(address, access, processor), in: lane) {
      lines.append("the entry at \(change.entry) was written by \(change.writer)")
    }
    lines.append("since then nothing has invalidated \(address) (INVLPG, INVPCID, a load of CR3 or CR4)")
    return lines
  }

  /// The instruction that changed one of the entries last which a walk of the guest's tables reads, as far back as there is
  /// a snapshot; that it set A or D is no change.
  private func lastChange(of entries: [GuestPhysical], in lane: Lane) -> (entry: GuestPhysical, writer: String)? {
    guard let position = lanes.firstIndex(where: { $0 === lane }), let origin = lane.origin, let last = entries.last
    else {
      return nil
    }
    defer { lane.restore(low.snapshots[position]) }
    var search = ChangeSearch(lane, entries)
    switch search.find(from: origin.instructions, origin.snapshot, to: low.instructions) {
    case .found(let entry, let snapshot, let instruction):
      lane.restore(snapshot)
      let processors = lane.machine.processors
      let counts = processors.map(\.instructionsRetired)
      let texts = processors.map { $0.describeInstruction() }
      _ = lane.run(to: instruction)
      let executed = processors.indices.first { processors[$0].instructionsRetired != counts[$0] } ?? 0
      return (entry, "instruction \(instruction), \(texts[executed])")
    case .never: return (last, "whoever loaded the guest, or before instruction \(origin.instructions)")
    case .unknown: return nil
    }
  }
}

/// Finds the last change of some words of a guest's memory, from the end backwards: a stretch in which nobody has written to
/// their frames is passed over whole.
private struct ChangeSearch {
  enum Result {
    /// The word, what was before the instruction that changed it, and the number of that.
    case found(GuestPhysical, Lane.Snapshot, UInt64)
    case never, unknown
  }

  private let lane: Lane
  private let words: [GuestPhysical]
  private let frames: Set<UInt64>
  /// Stretches that may still be run.
  private var patience = 2000

  init(_ lane: Lane, _ words: [GuestPhysical]) {
    self.lane = lane
    self.words = words
    frames = Set(words.map(\.frame))
  }

  private func values() -> [UInt64] { words.map { lane.word($0) & ~(EntryBit.accessed | EntryBit.dirty) } }

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
