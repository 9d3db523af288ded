import Devices
import Glibc
import Machine

/// Machines that differ in nothing but their kind of paging, run in step by the instruction clock and compared:
/// registers, flags, memory, the events that were delivered, and the accesses to devices.
///
/// What is compared at a step is cheap: registers one by one, events and device accesses by a number that stands for all
/// of them, and the pages that were written since the last step. Once something differs, snapshots lead back to the last
/// step where nothing did, and from there halving leads to the first instruction after which something does.
public final class Verification {
  let lanes: [Lane]
  private let every: UInt64
  /// Where all was well, to go back to.
  private var anchor: (instructions: UInt64, snapshots: [Lane.Snapshot])
  private var comparisons: UInt64 = 0
  /// Instructions between snapshots: a snapshot copies what the guests have written, which should take less time than
  /// they do.
  private static let span: UInt64 = 1 << 25

  /// - Parameters:
  ///   - configuration: its kinds of paging are compared, each with the first.
  ///   - every: instructions between two comparisons.
  ///   - console: makes the console of each machine. All of them must give the same input.
  public init(
    _ configuration: Configuration, guest: GuestImage, every: UInt64, console: () -> any Console
  ) throws(SetupError) {
    guard configuration.pagings.count > 1 else { throw .usage("paging: verify compares two kinds or more") }
    guard configuration.clock == .instructions else { throw .usage("clock: verify needs the instruction clock") }
    guard configuration.maxCycles == nil else {
      throw .usage("max-cycles: verify counts instructions, which take other cycles under each kind of paging")
    }
    var lanes: [Lane] = []
    for one in configuration.eachPaging { lanes.append(try Lane(one, guest, console())) }
    self.lanes = lanes
    self.every = max(every, 1)
    anchor = (0, lanes.map { $0.snapshot() })
  }

  /// Runs all machines to their end, or to the first difference.
  ///
  /// - Parameter pause: called now and then with the number of instructions; false stops.
  public func run(pause: (UInt64) -> Bool = { _ in true }) -> VerificationResult {
    var position: UInt64 = 0
    while true {
      guard pause(position) else { return .interrupted(instructions: position) }
      let last = position
      let (target, overflow) = position.addingReportingOverflow(every)
      let outcomes = advance(to: overflow ? .max : target, &position)
      if outcomes.contains(.interrupted) { return .interrupted(instructions: position) }
      for (lane, outcome) in zip(lanes, outcomes) {
        if case .violated = outcome { return .violated(paging: lane.kind.name, outcome) }
      }
      comparisons += 1
      if let found = mismatch(outcomes, inWrittenFrames: true) {
        return .different(explain(found, from: last, to: position))
      }
      guard outcomes[0].isPause(at: position) else {
        return .same(outcome: outcomes[0], instructions: lanes[0].machine.instructionsRetired, comparisons: comparisons)
      }
      if position - anchor.instructions >= Verification.span { anchor = (position, lanes.map { $0.snapshot() }) }
    }
  }

  /// Runs to a number of instructions, and on while something is half done on one of the machines: an event that waits to
  /// be delivered there may have been delivered on another.
  private func advance(to target: UInt64, _ position: inout UInt64) -> [RunOutcome] {
    position = target
    var outcomes = lanes.map { $0.run(to: position) }
    var patience = 16
    while patience > 0 && position != .max && !isSettled && outcomes.allSatisfy({ $0.isPause(at: position) }) {
      position += 1
      patience -= 1
      outcomes = lanes.map { $0.run(to: position) }
    }
    return outcomes
  }

  private var isSettled: Bool { lanes.allSatisfy(\.isSettled) }

  /// The first of the machines, which stops the others when it is stopped.
  public var first: VirtualMachine { lanes[0].machine }

  /// What each machine has counted so far.
  public var statistics: [Statistics] { lanes.map(\.machine.statistics) }

  // MARK: Comparing

  private struct Mismatch {
    var lane: Int
    var processor: Int
    var fields: [Difference.Field]
    /// A guest-physical address whose contents differ.
    var physical: GuestPhysical?
  }

  /// What a machine differs in from the first one; nil where none does.
  ///
  /// - Parameter inWrittenFrames: whether it is known that memory can differ only where it has been written since the last
  ///   comparison.
  private func mismatch(_ outcomes: [RunOutcome], inWrittenFrames: Bool) -> Mismatch? {
    let frames = inWrittenFrames ? lanes.flatMap { $0.writtenFrames() } : lanes.flatMap { $0.touchedFrames() }
    let sorted = Set(frames).sorted()
    for lane in lanes.indices.dropFirst() {
      var found = Mismatch(lane: lane, processor: 0, fields: [])
      if !outcomes[0].isLike(outcomes[lane]) {
        found.fields.append(.init(name: "end", first: outcomes[0].message, second: outcomes[lane].message))
      }
      for processor in lanes[0].processors.reversed() { compare(lane, processor, &found) }
      compareAccesses(lane, &found)
      compareMemory(lane, sorted, &found)
      if !found.fields.isEmpty { return found }
    }
    return nil
  }

  private func compare(_ lane: Int, _ processor: Int, _ found: inout Mismatch) {
    let (one, other) = (lanes[0].state(processor), lanes[lane].state(processor))
    let (events, others) = (lanes[0].events(processor), lanes[lane].events(processor))
    guard one != other || events.digest != others.digest || events.count != others.count else { return }
    found.processor = processor
    let prefix = lanes[0].processors.count > 1 ? "processor \(processor) " : ""
    var fields = one.differences(from: other).map {
      Difference.Field(name: prefix + $0.name, first: hexadecimal($0.own), second: hexadecimal($0.other))
    }
    if events.digest != others.digest || events.count != others.count {
      fields.append(.init(name: prefix + "events", first: describe(events), second: describe(others)))
    }
    found.fields.insert(contentsOf: fields, at: 0)
  }

  private func describe(_ events: EventLog.State) -> String {
    guard let last = events.last.last else { return "none" }
    return "\(events.count), the last \(last.event) at RIP \(hexadecimal(last.rip)) "
      + "after \(last.retired) instructions"
  }

  private func compareAccesses(_ lane: Int, _ found: inout Mismatch) {
    let (one, other) = (lanes[0].accesses, lanes[lane].accesses)
    guard one != other else { return }
    func describe(_ log: AccessLog) -> String { "\(log.count), the last \(log.last?.description ?? "none")" }
    found.fields.append(.init(name: "device accesses", first: describe(one), second: describe(other)))
  }

  private func compareMemory(_ lane: Int, _ frames: [UInt64], _ found: inout Mismatch) {
    for frame in frames {
      let (one, other) = (lanes[0].bytes(ofFrame: frame), lanes[lane].bytes(ofFrame: frame))
      guard one.baseAddress != other.baseAddress, !one.hasSameBytes(as: other) else { continue }
      for offset in stride(from: 0, to: 4096, by: 8) {
        let address = GuestPhysical(frame << 12 | UInt64(offset))
        let (first, second) = (lanes[0].word(address), lanes[lane].word(address))
        guard first != second else { continue }
        found.physical = found.physical ?? address
        found.fields.append(
          .init(name: "memory at \(address)", first: hexadecimal(first), second: hexadecimal(second)))
        if found.fields.count >= 16 { return }
      }
    }
  }

  // MARK: Going back

  /// Finds the first instruction after which something differs, and says what.
  ///
  /// - Parameter mismatch: what differs at the end; it stands in where nothing differs when the guests do the same again,
  ///   as after a change from outside.
  private func explain(_ mismatch: Mismatch, from last: UInt64, to end: UInt64) -> Difference {
    var low = anchor
    var high = end
    restore(low)
    // Nothing differed at the last comparison.
    if last > low.instructions {
      var position = low.instructions
      _ = advance(to: last, &position)
      if position == last { low = (last, lanes.map { $0.snapshot() }) } else { restore(low) }
    }
    while high - low.instructions > 1 {
      var middle = low.instructions + (high - low.instructions) / 2
      let outcomes = advance(to: middle, &middle)
      guard middle < high, isSettled else {
        // Whatever lies between belongs together.
        if high - low.instructions <= 17 { break }
        high = middle
        restore(low)
        continue
      }
      if self.mismatch(outcomes, inWrittenFrames: false) == nil {
        low = (middle, lanes.map { $0.snapshot() })
      } else {
        high = middle
        restore(low)
      }
    }
    return Explanation(lanes, from: low, to: high) { outcomes in
      let found = self.mismatch(outcomes, inWrittenFrames: false) ?? mismatch
      return (found.lane, found.processor, found.fields, found.physical)
    }
    .difference
  }

  private func restore(_ point: (instructions: UInt64, snapshots: [Lane.Snapshot])) {
    for (lane, snapshot) in zip(lanes, point.snapshots) { lane.restore(snapshot) }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether two frames hold the same. Guests that write all over their memory have thousands compared at a step, for which
  /// `elementsEqual`, a byte at a time, takes ten times as long.
  fileprivate func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count, let one = baseAddress, let two = other.baseAddress else { return false }
    return memcmp(one, two, count) == 0
  }
}

extension RunOutcome {
  /// Whether the run has only been cut there.
  fileprivate func isPause(at instructions: UInt64) -> Bool { self == .limit(.instructions(instructions)) }

  /// Whether it is the same end; what messages say besides may depend on the kind of paging.
  fileprivate func isLike(_ other: RunOutcome) -> Bool {
    switch (self, other) {
    case (.tripleFault, .tripleFault), (.lockedUp, .lockedUp), (.unsupported, .unsupported): true
    default: self == other
    }
  }
}
