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
    guard let position = lanes.firstIndex(where: { $0 === lane }) else { return lines }
    defer { lane.restore(low.snapshots[position]) }
    let now = lane.page(address, processor)
    let registers = lane.machine.processors[processor].pagingRegisters
    lines += lastWrite(to: lane.entries(address, access, processor), in: lane)
    // Here the lane is where the tables said something else.
    let then = lane.page(address, processor)
    let log = InvalidationLog(
      of: address, offsetMask: now.offsetMask | then.offsetMask, isGlobal: now.isGlobal || then.isGlobal,
      cr3: registers.cr3, cr4: registers.cr4)
    lines.append(lane.noting(log, on: processor, to: low.instructions).description)
    return lines
  }

  /// The instruction that changed one of the guest's entries last, as far back as there is a snapshot; that A and D were
  /// set, as walks do, counts only where nothing else has changed. The lane is left before that instruction.
  private func lastWrite(to entries: [GuestPhysical], in lane: Lane) -> [String] {
    guard let origin = lane.origin, !entries.isEmpty else { return [] }
    for ignoring in [EntryBit.accessed | EntryBit.dirty, 0] {
      var search = ChangeSearch(lane, entries, ignoring: ignoring)
      switch search.find(from: origin.instructions, origin.snapshot, to: low.instructions) {
      case .found(let entry, let snapshot, let instruction):
        lane.restore(snapshot)
        let processors = lane.machine.processors
        let counts = processors.map(\.instructionsRetired)
        let texts = processors.map { $0.describeInstruction() }
        _ = lane.run(to: instruction)
        let executed = processors.indices.first { processors[$0].instructionsRetired != counts[$0] } ?? 0
        lane.restore(snapshot)
        return ["the entry at \(entry) was written by instruction \(instruction), \(texts[executed])"]
      case .never: continue
      case .unknown:
        lane.restore(origin.snapshot)
        return []
      }
    }
    lane.restore(origin.snapshot)
    return ["its entries were written by whoever loaded the guest, or before instruction \(origin.instructions)"]
  }
}
