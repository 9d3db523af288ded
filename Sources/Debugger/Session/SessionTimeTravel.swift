import Emulator
import Machine

/// Going back in time: to the last checkpoint before, and forward from there.
extension Session {
  // MARK: To a moment

  /// Makes the machine as it was, or will be, at a moment.
  ///
  /// - Returns: `.arrived`, or how the guest ended before.
  public func go(to moment: Moment) -> Stop {
    let stop = approach(moment.instructions) { $0 <= moment }
    guard case .stepped = stop else { return stop }
    return runForward(to: moment)
  }

  /// Goes to where so many instructions have retired, or to the first boundary after so many cycles.
  public func go(instructions: UInt64) -> Stop {
    // Where handlers have been entered since, that moment is past.
    let target = Moment(instructions: instructions, deliveries: 0, cycles: 0)
    let stop = approach(instructions) { $0.instructions < instructions || $0 == target }
    guard case .stepped = stop else { return stop }
    return settle(
      moment.instructions >= instructions ? .stepped : proceed(until: .init(instructions: instructions), armed: false))
  }

  public func go(cycles: UInt64) -> Stop {
    jump { $0.cycles < cycles || $0.instructions == 0 }
    return settle(moment.cycles >= cycles ? .stepped : proceed(until: .init(cycles: cycles), armed: false))
  }

  /// How far before a moment in the past a checkpoint is made, when the way to it is much longer than that: who looks at
  /// one moment mostly wants those before it next.
  private static let stride: UInt64 = 100_000

  /// Goes to the last moment known that lies before a wanted one, and from there near to it.
  private func approach(_ instructions: UInt64, where fits: (Moment) -> Bool) -> Stop {
    let isPast = outcome != nil || !fits(moment)
    jump(where: fits)
    guard isPast, instructions &- moment.instructions > 4 * Self.stride, instructions > moment.instructions else {
      return .stepped
    }
    let stop = proceed(until: .init(instructions: instructions - Self.stride), armed: false)
    guard case .stepped = stop else { return stop }
    timeline.keep()
    return .stepped
  }

  /// Goes to the last checkpoint that fits, unless the present moment does and is later.
  private func jump(where fits: (Moment) -> Bool) {
    if outcome == nil && fits(moment), timeline.moments.last(where: fits).map({ $0 <= moment }) ?? true { return }
    restore(where: fits)
  }

  private func settle(_ stop: Stop) -> Stop {
    rememberValues()
    if case .stepped = stop { return .arrived }
    return stop
  }

  private func restore(where fits: (Moment) -> Bool) {
    let reached = timeline.goBack(where: fits)
    outcome = nil
    machine.processor.stopRequest.clear()
    console.travel(to: reached)
  }

  /// Runs on to a moment that is not before the present one.
  private func runForward(to target: Moment) -> Stop {
    if moment.instructions < target.instructions {
      let stop = proceed(until: .init(instructions: target.instructions), armed: false)
      guard case .stepped = stop else { return stop }
    }
    // Handlers that were entered before the next instruction.
    pausesOnDelivery = true
    defer { pausesOnDelivery = false }
    while moment.deliveries < target.deliveries {
      let stop = proceed(until: .init(instructions: target.instructions &+ 1), armed: false)
      guard case .delivered = stop else { return settle(stop) }
    }
    rememberValues()
    return .arrived
  }

  // MARK: Steps back

  /// Undoes instructions, or the delivery of an event.
  public func reverseStep(_ count: UInt64 = 1) -> Stop {
    for _ in 0..<count {
      let now = moment
      guard let first = timeline.moments.first, first < now else { return .beginning }
      // Where an event was delivered since the last instruction, that is undone first.
      let wanted = now.instructions
      if let before = lastMoment(before: now, from: wanted == 0 ? 0 : wanted - 1) {
        let stop = go(to: before)
        guard case .arrived = stop else { return stop }
      } else {
        return .beginning
      }
    }
    return .stepped
  }

  /// The last stop of a stepping that begins where so many instructions had retired and comes to a moment. The machine is
  /// left somewhere on the way.
  private func lastMoment(before end: Moment, from instructions: UInt64) -> Moment? {
    guard case .arrived = go(instructions: instructions) else { return nil }
    var last: Moment?
    pausesOnDelivery = true
    defer { pausesOnDelivery = false }
    while moment < end {
      last = moment
      // Nothing was delivered on the way: the next boundary is the end.
      if moment.deliveries == end.deliveries && moment.instructions &+ 1 == end.instructions { break }
      switch proceed(until: .init(instructions: moment.instructions &+ 1), armed: false) {
      case .stepped, .delivered: continue
      default: return last
      }
    }
    return last
  }

  /// Undoes instructions, a call with all that it did as one.
  public func reverseNext(_ count: UInt64 = 1) -> Stop {
    for _ in 0..<count {
      let place = programCounter
      let stack = processor.state.slots[Int(Slot.rsp)]
      let stop = reverseStep()
      guard case .stepped = stop else { return stop }
      guard let instruction = instruction(at: programCounter), instruction.isReturn else { continue }
      // What had returned here was called by the instruction before this place.
      let calls = (2...7).map { place &- UInt64($0) }.filter {
        guard let call = self.instruction(at: $0) else { return false }
        return call.isCall && $0 &+ UInt64(call.length) == place
      }
      guard !calls.isEmpty else { continue }
      let found = search(
        places: calls, where: { [unowned self] in processor.state.slots[Int(Slot.rsp)] == stack }, armed: false)
      guard case .arrived = found else { return found }
    }
    return .stepped
  }

  /// Goes back to the call of the function in execution; nil if no symbol tells where that begins.
  public func reverseFinish() -> Stop? {
    guard let (symbol, offset) = symbols.symbol(at: programCounter) else { return nil }
    let stack = processor.state.slots[Int(Slot.rsp)]
    if offset != 0 {
      // What it has called in between, itself too, began further down the stack.
      let stop = search(
        places: [symbol.address.rawValue], where: { [unowned self] in processor.state.slots[Int(Slot.rsp)] >= stack },
        armed: false)
      guard case .arrived = stop else { return stop }
    }
    return reverseStep()
  }

  /// Goes back to the last stop that a run with the present breakpoints would have made.
  public func reverseContinue() -> Stop { search(places: [], where: { true }, armed: true) }

  // MARK: Back to before an access

  // A front end that compares values while it goes backwards wants to stand before the instruction that changed one; the
  // stops of a run lie behind it.

  /// Undoes an instruction, and tells if it accesses what is watched.
  public func reverseStepWatching() -> Stop {
    let now = moment
    let stop = reverseStep()
    guard case .stepped = stop, watches else { return stop }
    let before = moment
    let saved = breakpoints
    pausesOnDelivery = true
    let forward = proceed(until: .init(instructions: now.instructions))
    pausesOnDelivery = false
    breakpoints = saved
    let back = go(to: before)
    guard case .arrived = back else { return back }
    guard case .breakpoint(let hits) = forward else { return .stepped }
    let accesses = hits.filter(\.isAccess)
    return accesses.isEmpty ? .stepped : .breakpoint(accesses)
  }

  /// As `reverseContinue`; from an access it goes on to before the instruction that made it.
  public func reverseContinueBeforeAccesses() -> Stop {
    if watches {
      // The last instruction may be one: it lies behind no stop that is before now.
      let now = moment
      let stop = reverseStepWatching()
      guard case .stepped = stop else { return stop }
      let back = go(to: now)
      guard case .arrived = back else { return back }
    }
    let stop = reverseContinue()
    guard case .breakpoint(let hits) = stop else { return stop }
    // Seen from behind, what comes next is met before what came last.
    let others = hits.filter { !$0.isAccess }
    guard others.isEmpty else { return .breakpoint(others) }
    let back = reverseStep()
    guard case .stepped = back else { return back }
    return stop
  }

  private var watches: Bool {
    breakpoints.contains {
      guard $0.isEnabled, case .watch = $0.kind else { return false }
      return true
    }
  }

  /// Looks for the last moment before now at which a run would stop, one stretch between checkpoints after another.
  private func search(places: [UInt64], where condition: @escaping () -> Bool, armed: Bool) -> Stop {
    let now = moment
    var end = now
    while let start = timeline.moments.last(where: { $0 < end }) {
      restore { $0 == start }
      var found: (moment: Moment, stop: Stop)?
      // What the search passes is not counted.
      let saved = breakpoints
      defer { breakpoints = saved }
      // A run that begins here passes what it begins at.
      if armed {
        let hits = codeHits(at: linear(of: machine.runningProcessor)).compactMap { count($0.number, $0.detail) }
        if !hits.isEmpty { found = (start, .breakpoint(hits)) }
      } else if places.contains(programCounter) && condition() {
        found = (start, .arrived)
      }
      while moment < end {
        ownPauses = places
        ownCondition = condition
        let stop = proceed(until: .init(instructions: max(end.instructions, moment.instructions &+ 1)), armed: armed)
        switch stop {
        case .breakpoint, .arrived:
          guard moment < end || moment == end && end < now else { break }
          found = (moment, stop)
          continue
        case .stepped, .delivered, .ended: break
        default: return stop
        }
        break
      }
      breakpoints = saved
      if let found {
        let stop = go(to: found.moment)
        guard case .arrived = stop else { return stop }
        return found.stop
      }
      end = start
    }
    restore { _ in false }
    return .beginning
  }
}

extension BreakpointHit {
  fileprivate var isAccess: Bool {
    guard case .watch = kind else { return false }
    return true
  }
}
