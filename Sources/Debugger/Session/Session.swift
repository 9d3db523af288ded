import Boot
import Devices
import Emulator
import Hypervisor
import Machine

/// A machine under a debugger: stops, steps, sight of everything, and time travel. It knows no terminal and prints
/// nothing; the prompt and other front ends are made on it.
///
/// Whatever only looks changes nothing of the machine: not its TLBs, not its clock, not what it does later.
public final class Session {
  public let machine: VirtualMachine
  public let timeline: Timeline
  public var symbols: Symbols
  /// Source lines, where the guest's file tells them.
  public lazy var lines = LineTable(elf: machine.guest.bytes)
  /// By number.
  public internal(set) var breakpoints: [Breakpoint] = []
  var nextNumber = 1
  /// The processor that is looked at.
  public var selected = 0
  /// How the guest has ended, if it has: nothing but time travel goes on from there.
  public internal(set) var outcome: RunOutcome?
  /// Something was changed by hand.
  var isEdited = false
  /// The guest's serial port, whose input is logged.
  public let console: SessionConsole

  // What the run in progress looks for.

  /// A step stops in front of the first instruction of a handler.
  var pausesOnDelivery = false
  var lastDelivered: (event: Event, rip: UInt64)?
  var caught: [(number: Int, detail: String)] = []
  /// Places that a command wants to come to, and under which condition.
  var ownPauses: [UInt64] = []
  var ownCondition: () -> Bool = { true }
  private var watchers: [Watcher] = []
  /// How often the machine has paused so far, and gone back: what looking through the past costs besides running.
  private(set) var pauses: UInt64 = 0
  var travels: UInt64 = 0
  /// Host frames of the guest's tables, while stores to them are caught.
  var tableFrames: Set<UInt64> = []
  /// A watched physical page that the host has not populated yet.
  var awaitsPopulation = false

  /// - Parameter history: bytes that snapshots may take; 0: no history is kept.
  public init(_ machine: VirtualMachine, console: SessionConsole, history: Int = 512 << 20) {
    self.machine = machine
    self.console = console
    timeline = Timeline(machine, budget: history)
    timeline.isRecording = history > 0
    symbols = Symbols(machine.bootPlan.symbols?.symbols ?? [])
    for processor in machine.processors { processor.isUnderDebugger = true }
    timeline.betweenStretches = { [unowned self] in receiveInput() }
    console.now = { [unowned self] in self.machine.moment }
  }

  /// The processor that is looked at.
  public var processor: Processor { machine.processors[min(selected, machine.processors.count - 1)] }
  public var moment: Moment { machine.moment }

  /// RIP as a linear address.
  public var programCounter: UInt64 { linear(of: processor) }

  func linear(of processor: Processor) -> UInt64 {
    let state = processor.state
    return state.codeSize == .bits64 ? state.rip : (state.rip &+ state[.cs].base) & 0xffff_ffff
  }

  // MARK: Running

  /// Runs until a breakpoint, or the guest's end.
  public func resume(until condition: VirtualMachine.StopCondition = .end) -> Stop { proceed(until: condition) }

  /// - Parameter armed: whether breakpoints count.
  func proceed(until condition: VirtualMachine.StopCondition = .end, armed: Bool = true) -> Stop {
    if let outcome { return .ended(outcome) }
    arm(armed)
    defer { disarm() }
    while true {
      pass()
      let positions = machine.processors.map { Position($0) }
      let outcome = timeline.run(until: condition)
      switch outcome {
      case .paused:
        pauses &+= 1
        if awaitsPopulation { arm(armed) }
        let hits = armed ? examine(positions) : []
        if !hits.isEmpty { return .breakpoint(hits) }
        if pausesOnDelivery, let (event, rip) = lastDelivered { return .delivered(event, from: rip) }
        if ownPauses.contains(linear(of: machine.runningProcessor)) && ownCondition() { return .arrived }
      case .limit(.instructions(let count)) where count == condition.instructions: return .stepped
      case .limit(.cycles(let count)) where count == condition.cycles: return .stepped
      case .interrupted:
        machine.processor.stopRequest.clear()
        return .interrupted
      default:
        self.outcome = outcome
        return .ended(outcome)
      }
    }
  }

  /// Where a processor was when it was let go.
  struct Position: Equatable {
    let rip: UInt64
    let retired: UInt64

    init(_ processor: Processor) {
      rip = processor.state.rip
      retired = processor.instructionsRetired
    }
  }

  private func pass() {
    caught = []
    lastDelivered = nil
    for processor in machine.processors { processor.passPause() }
  }

  /// Makes the processors look for what the breakpoints ask.
  func arm(_ armed: Bool) {
    awaitsPopulation = false
    var requests = PauseRequests()
    var catches = false
    if armed {
      for breakpoint in breakpoints where breakpoint.isEnabled {
        switch breakpoint.kind {
        case .code(let address): requests.instructions.append(address)
        case .watch(let watch): requests.accesses += ranges(of: watch, number: breakpoint.number)
        case .catching(.tableWrite):
          catches = true
          requests.accesses += tableRanges(number: breakpoint.number)
        case .catching: catches = true
        }
      }
      rememberValues()
    }
    requests.instructions += ownPauses.filter { !requests.instructions.contains($0) }
    for processor in machine.processors { processor.setPauses(requests) }
    if catches || pausesOnDelivery || awaitsPopulation {
      guard watchers.isEmpty else { return }
      watchers = machine.processors.map { processor in
        Watcher(processor) { [unowned self] in wants($0) }
      }
    } else {
      stopWatching()
    }
  }

  private func disarm() {
    stopWatching()
    ownPauses = []
    ownCondition = { true }
  }

  private func stopWatching() {
    watchers = []
    for processor in machine.processors { processor.observer = nil }
  }

  /// Whether a run is to pause for what a processor tells.
  private func wants(_ event: Watcher.Event) -> Bool {
    var wanted = false
    if case .delivered(let delivered, let rip) = event {
      lastDelivered = (delivered, rip)
      wanted = pausesOnDelivery
    }
    if awaitsPopulation, case .exited(let exit) = event, exit.reason == .nestedFault || exit.reason == .pageFault {
      wanted = true
    }
    for breakpoint in breakpoints where breakpoint.isEnabled {
      guard case .catching(let point) = breakpoint.kind, let detail = point.match(event) else { continue }
      caught.append((breakpoint.number, detail))
      wanted = true
    }
    return wanted
  }

  // MARK: Input

  /// Lets the guest see what has been typed. What it saw once, it sees at the same moment whenever it comes by.
  private func receiveInput() { console.receive(at: moment) }
}
