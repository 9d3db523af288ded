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

  func restore(where fits: (Moment) -> Bool) {
    travels &+= 1
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

  /// Undoes instructions of the selected processor, or the delivery of an event to it: goes to the last moment at which
  /// it had done so much less.
  public func reverseStep(_ count: UInt64 = 1) -> Stop {
    let now = moment
    guard count > 0 else { return .stepped }
    guard let first = timeline.moments.first, first < now else { return .beginning }
    var (wanted, underflow) = progress.subtractingReportingOverflow(count)
    guard !underflow else { return goToBeginning() }
    // Alone, a processor has done no less than the instructions on the way; the turns of others may take any number.
    var low = now.instructions
    var span = count
    while true {
      low = max(now.instructions - min(span, now.instructions), first.instructions)
      let stop = go(instructions: low)
      guard case .arrived = stop else { return stop }
      if progress <= wanted { break }
      guard low > first.instructions else { return goToBeginning() }
      span = max(64, span.multipliedReportingOverflow(by: 8).overflow ? .max : span &* 8)
    }
    // Boundaries follow each other alone.
    let isAlone = machine.processors.count == 1
    if isAlone && progress == wanted { return .stepped }
    var high = isAlone ? min(now.instructions, low &+ (wanted - progress)) : now.instructions
    // An INT is delivered and retires in one step.
    for done in softwareInterrupts(until: now).reversed() where done > wanted { wanted -= 1 }
    // The last boundary at which it had not done more.
    while low < high {
      let middle = high - (high - low) / 2
      let stop = go(instructions: middle)
      guard case .arrived = stop else { return stop }
      if progress <= wanted { low = middle } else { high = middle - 1 }
    }
    var stop = go(instructions: low)
    guard case .arrived = stop else { return stop }
    // Handlers that were entered before the next instruction.
    stop = go(to: lastDelivery(before: now, where: { [unowned self] in progress <= wanted }))
    guard case .arrived = stop else { return stop }
    return .stepped
  }

  /// What the selected processor has done: instructions, and events delivered to it. Every step adds to it.
  private var progress: UInt64 {
    let counters = processor.counters
    return processor.instructionsRetired &+ counters.exceptions &+ counters.interrupts
  }

  /// What it had done after each of its INTs from here to a moment.
  private func softwareInterrupts(until end: Moment) -> [UInt64] {
    var found: [UInt64] = []
    pausesOnDelivery = true
    defer { pausesOnDelivery = false }
    while case .delivered(let event, _) = proceed(until: .init(instructions: end.instructions &+ 1), armed: false) {
      guard moment <= end else { break }
      guard machine.runningProcessor === processor else { continue }
      switch event {
      case .software, .privilegedSoftware: found.append(progress)
      case .exception, .interrupt, .nonMaskable: break
      }
    }
    return found
  }

  private func goToBeginning() -> Stop {
    restore { _ in false }
    rememberValues()
    return .beginning
  }

  /// The last moment that fits before the next instruction retires. The machine is left somewhere on the way.
  private func lastDelivery(before end: Moment, where fits: () -> Bool) -> Moment {
    let instructions = moment.instructions
    var last = moment
    pausesOnDelivery = true
    defer { pausesOnDelivery = false }
    while case .delivered = proceed(until: .init(instructions: instructions &+ 1), armed: false) {
      guard fits(), moment < end else { break }
      last = moment
    }
    return last
  }

  /// Undoes instructions, a call with all that it did as one.
  public func reverseNext(_ count: UInt64 = 1) -> Stop {
    var remaining = count
    var batch: UInt64 = 16
    while remaining > 0 {
      if remaining > 1 && machine.processors.count == 1 {
        let wanted = min(batch, remaining)
        let undone = undoPlainSteps(wanted)
        remaining -= undone
        batch = undone == wanted ? min(batch * 4, 4096) : 16
        if undone == wanted { continue }
      }
      let stop = reverseNextOnce()
      guard case .stepped = stop else { return stop }
      remaining -= 1
    }
    return .stepped
  }

  /// Undoes at most so many steps, none of them a return.
  ///
  /// - Returns: how many.
  private func undoPlainSteps(_ limit: UInt64) -> UInt64 {
    let now = moment
    guard let first = timeline.moments.first, first < now else { return 0 }
    let start = max(now.instructions - min(limit, now.instructions), first.instructions)
    guard case .arrived = go(instructions: start) else { return 0 }
    var stops: [(moment: Moment, isReturn: Bool)] = []
    pausesOnDelivery = true
    stepping: while moment < now {
      stops.append((moment, instruction(at: programCounter)?.isReturn ?? false))
      // Nothing was delivered on the way: the next boundary is the end.
      if moment.deliveries == now.deliveries && moment.instructions &+ 1 == now.instructions { break }
      switch proceed(until: .init(instructions: moment.instructions &+ 1), armed: false) {
      case .stepped, .delivered: continue
      default: break stepping
      }
    }
    pausesOnDelivery = false
    let plain = stops.suffix(Int(clamping: limit)).reversed().prefix { !$0.isReturn }
    guard case .arrived = go(to: plain.last?.moment ?? now) else { return 0 }
    return UInt64(plain.count)
  }

  private func reverseNextOnce() -> Stop {
    let place = programCounter
    let stack = processor.state.slots[Int(Slot.rsp)]
    let stop = reverseStep()
    guard case .stepped = stop else { return stop }
    guard let instruction = instruction(at: programCounter), instruction.isReturn else { return .stepped }
    // What had returned here was called by the instruction before this place.
    let calls = (2...7).map { place &- UInt64($0) }.filter {
      guard let call = self.instruction(at: $0) else { return false }
      return call.isCall && $0 &+ UInt64(call.length) == place
    }
    guard !calls.isEmpty else { return .stepped }
    let found = search(
      places: calls, where: { [unowned self] in processor.state.slots[Int(Slot.rsp)] == stack }, armed: false)
    guard case .arrived = found else { return found }
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
}

extension BreakpointHit {
  fileprivate var isAccess: Bool {
    guard case .watch = kind else { return false }
    return true
  }
}
