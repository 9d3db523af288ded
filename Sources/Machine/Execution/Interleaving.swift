/// The order in which the processors of one machine run, each for a slice: the same machine, the same order.
///
/// Every processor has a clock of its own. The one furthest behind runs next, the first of several, until it is a quantum
/// ahead of the next one. So clocks differ by a quantum and one instruction (with what a hypervisor does for it) at most,
/// and what one processor writes, another sees within that. A slice ends sooner
/// - at an access to a device, whose effect on another processor (an interprocessor interrupt) is then seen at once;
/// - at PAUSE, since what a loop waits for must come from somebody else;
/// - when the processor waits, in HLT or to be started;
/// - at a device's deadline. Devices are told of it only when the processor furthest behind has come there; an access
///   does not take their time past it;
/// - after many instructions that took no time, as a profile may have it: the processor is then taken to have come to the
///   end of its slice, so that others go on.
///
/// A processor that waits has no clock: when something wakes it, it has been idle until then.
///
/// Where a run is cut into calls changes nothing: the slice in progress is part of the state.
public struct Interleaving: Sendable {
  /// How far a processor may run ahead, in ticks of the machine's clock (`ClockSource`).
  public let quantum: UInt64
  /// The processor whose slice is not over, and the tick at which it is.
  private var owner: Int?
  private var end: UInt64 = .max
  /// Instructions that the processor of the slice had executed when it began.
  private var start: UInt64 = 0
  /// Which processors wait.
  private var waits: [Bool]
  /// The ticks to which processors are taken to have come whose last slice ended without them; 0 for the others.
  private var presumed: [UInt64]
  /// The ticks to which processors have come. Only the one that runs moves on, so that the others need not be asked at every
  /// slice; a run begins by asking all.
  private var times: [UInt64]

  public init(processors: Int, quantum: UInt64) {
    self.quantum = max(quantum, 1)
    waits = Array(repeating: false, count: processors)
    presumed = Array(repeating: 0, count: processors)
    times = presumed
  }

  /// Runs all processors until something has to be decided by somebody else.
  ///
  /// - Parameters:
  ///   - clockLimit: where the first processor that comes to it stops, in cycles.
  ///   - retiredLimit: instructions of all processors together.
  ///   - step: runs one of the processors to limits of its own.
  public mutating func run(
    _ processors: [Processor], _ bus: any DeviceBus, clockLimit: UInt64, retiredLimit: UInt64,
    step: (_ processor: Int, _ clockLimit: UInt64, _ retiredLimit: UInt64) -> RunResult
  ) -> RunResult {
    for (index, processor) in processors.enumerated() { times[index] = processor.guestTime }
    var retired = processors.reduce(0) { $0 &+ $1.instructionsRetired }
    // A machine's processors share one.
    var stops: [StopRequest] = []
    for processor in processors where !stops.contains(where: { $0 === processor.stopRequest }) {
      stops.append(processor.stopRequest)
    }
    while true {
      assert(processors.indices.allSatisfy { times[$0] == processors[$0].guestTime })
      assert(retired == processors.reduce(0) { $0 &+ $1.instructionsRetired })
      if let shutdown = bus.shutdown { return .shutdown(shutdown) }
      if stops.contains(where: \.isRaised) { return .stopRequested }
      if retired >= retiredLimit { return .limit }
      if owner == nil, let chosen = next(processors, bus) {
        owner = chosen
        start = processors[chosen].instructionsRetired
        presumed[chosen] = 0
      }
      guard let running = owner else {
        if let result = passTime(processors, bus, clockLimit: clockLimit) { return result }
        continue
      }
      let processor = processors[running]
      if processor.clock >= clockLimit { return .limit }
      let own = processor.instructionsRetired
      // One that runs alone keeps nobody from running.
      let longest = end == .max ? .max : start &+ longestSlice
      let limits = processor.limits(until: end)
      let result = step(
        running, min(clockLimit, limits.clock),
        min(own &+ (retiredLimit - retired), limits.retired, longest))
      let time = processor.guestTime
      times[running] = time
      retired &+= processor.instructionsRetired &- own
      switch result {
      case .limit:
        if time >= end {
          owner = nil
        } else if processor.instructionsRetired >= longest {
          presumed[running] = end
          owner = nil
        }
      case .sliceEnded, .waits:
        owner = nil
        if result == .waits { waits[running] = true }
        wake(processors, at: time)
      default:
        return result
      }
    }
  }

  /// Instructions in a slice at most; as many as no slice has in which an instruction costs something.
  private var longestSlice: UInt64 { max(quantum, 1000) &* 64 }

  /// The tick to which a processor has come, or is taken to have.
  private func time(of index: Int) -> UInt64 { max(times[index], presumed[index]) }

  /// The processor that ran last, while its slice is not over; else the first.
  public func last(of processors: [Processor]) -> Processor { processors[owner ?? 0] }

  /// Chooses the processor that runs next, and where its slice ends; nil while all wait.
  private mutating func next(_ processors: [Processor], _ bus: any DeviceBus) -> Int? {
    while true {
      var first: Int?
      var second: UInt64?
      for index in waits.indices where !waits[index] {
        let time = time(of: index)
        guard let best = first, self.time(of: best) <= time else {
          second = first.map { self.time(of: $0) }
          first = index
          continue
        }
        second = min(second ?? .max, time)
      }
      guard let first else { return nil }
      let deadline = bus.nextDeadline
      guard time(of: first) >= deadline else {
        let (sum, overflow) = (second ?? .max).addingReportingOverflow(quantum)
        end = overflow ? .max : sum
        return first
      }
      bus.advance(to: deadline)
      wake(processors, at: deadline)
    }
  }

  /// All processors wait: time passes until a device acts.
  ///
  /// - Returns: nil when it has passed.
  private mutating func passTime(
    _ processors: [Processor], _ bus: any DeviceBus, clockLimit: UInt64
  ) -> RunResult? {
    // What came from outside since they stopped, such as input.
    wake(processors, at: times.max() ?? 0)
    guard !waits.contains(false) else { return nil }
    guard processors.contains(where: { !$0.awaitsStartUp && $0.interruptsEnabled }) else { return .haltedForEver }
    let deadline = bus.nextDeadline
    guard deadline != .max else { return .waitsForNothing }
    if processors[0].countsCycles && deadline > clockLimit {
      for processor in processors where !processor.awaitsStartUp { processor.idle(until: clockLimit) }
      return .limit
    }
    bus.advance(to: deadline)
    wake(processors, at: deadline)
    return nil
  }

  /// Wakes those for which something has come.
  private mutating func wake(_ processors: [Processor], at time: UInt64) {
    for (index, processor) in processors.enumerated() where waits[index] && processor.isCalled {
      processor.idle(until: time)
      times[index] = processor.guestTime
      waits[index] = false
    }
  }

  /// Cycles that a processor has waited since its clock stood still: they are charged when it wakes.
  public func pendingIdle(of index: Int, _ processors: [Processor]) -> UInt64 {
    guard waits[index], processors[index].countsCycles, !processors[index].awaitsStartUp else { return 0 }
    let running = processors.indices.filter { !waits[$0] }.map { processors[$0].guestTime }.min()
    let time = running ?? processors.map(\.guestTime).max() ?? 0
    return time > processors[index].guestTime ? time - processors[index].guestTime : 0
  }
}

extension Processor {
  /// The limits of a run that ends at a tick of the machine's clock.
  fileprivate func limits(until time: UInt64) -> (clock: UInt64, retired: UInt64) {
    switch options.clock {
    case .cycles: (time, .max)
    case .instructions: (.max, instructions(until: time))
    }
  }
}
