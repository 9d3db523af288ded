import Emulator
import Machine

/// Steps.
extension Session {
  /// Executes instructions of the selected processor one by one. An exception or interrupt ends the stepping in front of
  /// its handler.
  public func step(_ count: UInt64 = 1) -> Stop {
    for _ in 0..<count {
      let stop = stepOnce()
      guard case .stepped = stop else { return stop }
    }
    return .stepped
  }

  private func stepOnce() -> Stop {
    let processor = processor
    let retired = processor.instructionsRetired
    pausesOnDelivery = true
    defer { pausesOnDelivery = false }
    while true {
      let stop = proceed(until: .init(instructions: machine.instructionsRetired &+ 1))
      switch stop {
      case .stepped:
        // Others may have had their turn instead.
        guard processor.instructionsRetired == retired else { return arrival() }
      case .delivered: if machine.runningProcessor === processor { return stop }
      default: return stop
      }
    }
  }

  /// A step has been made: whether it has come to a breakpoint.
  private func arrival() -> Stop {
    let hits = codeHits(at: programCounter).compactMap { count($0.number, $0.detail) }
    return hits.isEmpty ? .stepped : .breakpoint(hits)
  }

  /// The same, an interrupt that comes first running to its end: it is none of the program's doing.
  public func stepPastInterrupts() -> Stop {
    let stack = processor.state.slots[Int(Slot.rsp)]
    let place = programCounter
    while true {
      let stop = stepOnce()
      guard case .delivered(let event, _) = stop, event.isExternalInterrupt else { return stop }
      let back = run(to: [place]) { [unowned self] in processor.state.slots[Int(Slot.rsp)] == stack }
      guard case .arrived = back else { return back }
    }
  }

  // MARK: Over calls

  /// Executes instructions, a call with all that it does as one, and so an interrupt that comes between.
  public func next(_ count: UInt64 = 1) -> Stop {
    for _ in 0..<count {
      let stop = nextOnce()
      guard case .stepped = stop else { return stop }
    }
    return .stepped
  }

  func nextOnce() -> Stop {
    let stack = processor.state.slots[Int(Slot.rsp)]
    let place = programCounter
    guard let instruction = instruction(at: place), instruction.isCall else {
      return stepPastInterrupts()
    }
    let stop = run(to: [place &+ UInt64(instruction.length)]) { [unowned self] in
      processor.state.slots[Int(Slot.rsp)] >= stack
    }
    if case .arrived = stop { return .stepped }
    return stop
  }

  /// Runs to one of some places, at which a condition has to hold, or to a breakpoint.
  public func run(to places: [UInt64], where condition: @escaping () -> Bool = { true }) -> Stop {
    ownPauses = places
    ownCondition = condition
    return proceed()
  }

  /// Runs until the function in execution has returned.
  public func finish() -> Stop {
    let stack = processor.state.slots[Int(Slot.rsp)]
    let returns = returnsOfFunction()
    if !returns.isEmpty {
      if !returns.contains(programCounter) {
        let stop = run(to: returns) { [unowned self] in processor.state.slots[Int(Slot.rsp)] >= stack }
        guard case .arrived = stop else { return stop }
      }
      let stop = stepOnce()
      if case .stepped = stop { return .arrived }
      return stop
    }
    while true {
      let isReturn = instruction(at: programCounter)?.isReturn ?? false
      let stop = isReturn ? stepOnce() : nextOnce()
      guard case .stepped = stop else { return stop }
      if isReturn && processor.state.slots[Int(Slot.rsp)] > stack { return .arrived }
    }
  }

  /// Where the function in execution returns; nothing where its bounds are not known.
  private func returnsOfFunction() -> [UInt64] {
    guard let (symbol, _) = symbols.symbol(at: programCounter), symbol.size != 0, symbol.size < 1 << 20 else {
      return []
    }
    var places: [UInt64] = []
    var at = symbol.address.rawValue
    let end = at &+ symbol.size
    while at < end, let instruction = instruction(at: at) {
      if instruction.isReturn { places.append(at) }
      at &+= UInt64(instruction.length)
    }
    return places
  }

  /// Runs to a place that lies behind the present one, or returns: out of a loop.
  public func until() -> Stop {
    let (start, stack) = (programCounter, processor.state.slots[Int(Slot.rsp)])
    while true {
      let stop = nextOnce()
      guard case .stepped = stop else { return stop }
      if programCounter > start || processor.state.slots[Int(Slot.rsp)] > stack { return .arrived }
    }
  }
}
