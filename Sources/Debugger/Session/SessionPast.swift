import Emulator
import Machine

/// Looking through the past: one stretch after the other, from the present backwards.
///
/// What is looked for mostly lies close behind, and may be there very often; so the first stretches are short, and each
/// is longer than the one before it. None reaches over a checkpoint.
extension Session {
  /// Instructions of the last stretch before the present, and how many times as long each earlier one is.
  static let firstStretch: UInt64 = 4096
  private static let growth: UInt64 = 8

  /// Where a stretch begins, at which the machine stands.
  enum Stretch {
    case begins(Moment)
    /// There is nothing before.
    case none
    case failed(Stop)
  }

  /// Goes to the beginning of the stretch that ends at a moment.
  ///
  /// - Parameters:
  ///   - length: of the stretch at most; it has grown for the next one afterwards.
  ///   - pauses: instructions that the run through it is to pause at.
  func goToStretch(before end: Moment, length: inout UInt64, pauses: [UInt64] = []) -> Stretch {
    guard let checkpoint = timeline.moments.last(where: { $0 < end }) else { return .none }
    defer { length = Self.grown(length) }
    while true {
      let wanted = end.instructions - min(end.instructions, length)
      guard wanted > checkpoint.instructions else {
        restore { $0 == checkpoint }
        return .begins(checkpoint)
      }
      let stop = go(instructions: wanted)
      guard case .arrived = stop else { return .failed(stop) }
      if !isHidden(pauses) { return .begins(moment) }
      length = Self.grown(length)
    }
  }

  private static func grown(_ length: UInt64) -> UInt64 {
    let (product, overflow) = length.multipliedReportingOverflow(by: growth)
    return overflow ? .max : product
  }

  /// Whether a processor that waits for its turn stands at one of some instructions: a run from here passes that.
  private func isHidden(_ pauses: [UInt64]) -> Bool {
    machine.processors.contains { $0 !== machine.runningProcessor && pauses.contains(linear(of: $0)) }
  }

  /// Looks for the last moment before now at which a run would stop.
  func search(places: [UInt64], where condition: @escaping () -> Bool, armed: Bool) -> Stop {
    let now = moment
    let (saved, chosen) = (breakpoints, selected)
    // What is to be passed over so many times is counted from the beginning of a stretch between checkpoints.
    var length = armed && saved.contains { $0.isEnabled && $0.ignored > 0 } ? .max : Self.firstStretch
    let pauses = armed ? saved.compactMap(\.enabledPlace) : places
    var end = now
    while true {
      let start: Moment
      switch goToStretch(before: end, length: &length, pauses: pauses) {
      case .begins(let moment): start = moment
      case .none:
        restore { _ in false }
        return .beginning
      case .failed(let stop): return stop
      }
      // What the search passes is not counted, and a temporary breakpoint stays for what comes later.
      for index in breakpoints.indices { breakpoints[index].isTemporary = false }
      let result = lastStop(from: start, to: end, isPresent: end == now, places, condition, armed: armed)
      (breakpoints, selected) = (saved, chosen)
      switch result {
      case .failed(let stop): return stop
      case .found(let moment, let stop, let processor):
        let back = go(to: moment)
        guard case .arrived = back else { return back }
        selected = processor
        return stop.naming(saved)
      case .nothing: end = start
      }
    }
  }

  private enum Finding {
    case nothing
    case found(Moment, Stop, processor: Int)
    case failed(Stop)
  }

  /// The last stop of a run through a stretch, at whose beginning the machine stands.
  private func lastStop(
    from start: Moment, to end: Moment, isPresent: Bool, _ places: [UInt64], _ condition: @escaping () -> Bool,
    armed: Bool
  ) -> Finding {
    var found = Finding.nothing
    // A run passes what it begins at: that is found at the end of the stretch before, if there is one.
    if start == timeline.moments.first {
      if armed {
        let hits = codeHits(at: linear(of: machine.runningProcessor)).compactMap { count($0.number, $0.detail) }
        if !hits.isEmpty { found = .found(start, .breakpoint(hits), processor: selected) }
      } else if places.contains(programCounter) && condition() {
        found = .found(start, .arrived, processor: selected)
      }
    }
    let limit = isPresent ? end.instructions : end.instructions &+ 1
    while isPresent ? moment < end : moment <= end {
      ownPauses = places
      ownCondition = condition
      let stop = proceed(until: .init(instructions: max(limit, moment.instructions &+ 1)), armed: armed)
      switch stop {
      case .breakpoint, .arrived:
        guard moment < end || !isPresent && moment == end else { return found }
        found = .found(moment, stop, processor: selected)
      case .stepped, .delivered, .ended: return found
      default: return .failed(stop)
      }
    }
    return found
  }
}

extension Breakpoint {
  fileprivate var enabledPlace: UInt64? {
    guard isEnabled, case .code(let address) = kind else { return nil }
    return address
  }
}

extension Stop {
  /// With its hits as the breakpoints that they are of say.
  fileprivate func naming(_ breakpoints: [Breakpoint]) -> Stop {
    guard case .breakpoint(var hits) = self else { return self }
    for index in hits.indices {
      hits[index].isTemporary = breakpoints.first { $0.number == hits[index].number }?.isTemporary ?? false
    }
    return .breakpoint(hits)
  }
}
