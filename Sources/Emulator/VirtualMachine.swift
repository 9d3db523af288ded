import Boot
import Decoding
import Devices
import Hypervisor
import Machine

/// A whole machine, assembled from a configuration: memory, processor, devices, and the hypervisor that the kind of
/// paging wants.
public final class VirtualMachine {
  public let configuration: Configuration
  public let guest: GuestImage
  /// The processors by index; the first is the bootstrap processor.
  public let processors: [Processor]
  public let memory: HostMemory
  public let devices: PCDevices
  /// Nil under native paging.
  public let hypervisor: Hypervisor?
  public let bootPlan: BootPlan
  let profile: CostProfile
  /// The order in which several processors run.
  private(set) var interleaving: Interleaving
  /// How many snapshots `run` took and went back to, as the configuration's `snapshotEvery` asks.
  public private(set) var snapshotsTaken: UInt64 = 0

  /// Makes a machine with its guest loaded and ready to execute its first instruction.
  ///
  /// - Throws: why the configuration or the guest cannot be used.
  public init(_ configuration: Configuration, guest: GuestImage, console: any Console) throws(SetupError) {
    try configuration.check()
    self.configuration = configuration
    self.guest = guest
    profile = configuration.profile
    bootPlan = try VirtualMachine.plan(configuration, guest)
    memory = try VirtualMachine.hostMemory(configuration, bootPlan)

    // Under the instruction clock one instruction stands for as many cycles as it takes ticks.
    devices = PCDevices(
      clockHertz: max(profile[.frequency], 1), processors: configuration.cpus,
      hasLocalAPICs: configuration.features.contains("apic"), date: configuration.rtcStart.date,
      memoryBytes: configuration.memory, console: console)
    var options = ProcessorOptions()
    options.clock = configuration.clock
    options.ticks = configuration.clockTicks
    options.blockLength = configuration.blockLength
    options.count = configuration.cpus
    options.dataCache = configuration.dataCaches
    options.coherentTLB = configuration.tlb == .coherent
    let stopRequest = StopRequest()
    var processors: [Processor] = []
    for index in 0..<configuration.cpus {
      options.index = index
      processors.append(
        Processor(
          memory: memory, bus: devices, decoder: CapstoneDecoder(vendor: profile.vendor), profile: profile,
          features: FeatureSet(names: configuration.features), options: options, stopRequest: stopRequest))
    }
    self.processors = processors
    interleaving = Interleaving(processors: configuration.cpus, quantum: configuration.quantum)
    hypervisor = try VirtualMachine.hypervisor(configuration, processors, memory, devices, bootPlan, profile)
    try load()
    if configuration.checksInvariants, let hypervisor { hypervisor.check = InvariantCheck(hypervisor) }
  }

  /// The bootstrap processor.
  public var processor: Processor { processors[0] }

  /// Instructions retired on all processors.
  public var instructionsRetired: UInt64 { processors.reduce(0) { $0 &+ $1.instructionsRetired } }

  private static func plan(_ configuration: Configuration, _ guest: GuestImage) throws(SetupError) -> BootPlan {
    let options = BootOptions(
      memorySize: configuration.memory, commandLine: configuration.append, name: guest.name,
      initrd: configuration.initrd?.bytes, processors: configuration.cpus,
      secondOfDay: configuration.rtcStart.date.secondOfDay)
    do {
      return try BootPlan.make(image: guest.bytes, options: options)
    } catch {
      throw .input("guest", guest.name, error.description)
    }
  }

  /// Native paging has the guest's own addresses; a hypervisor needs room for its tables too, all of it committed on
  /// touch only.
  private static func hostMemory(_ configuration: Configuration, _ plan: BootPlan) throws(SetupError) -> HostMemory {
    do {
      guard configuration.paging != .native else {
        return try HostMemory(
          low: plan.memoryMap.lowEnd, high: configuration.memory - plan.memoryMap.lowEnd)
      }
      let unit = max(configuration.hostPage.bytes, 1 << 21)
      let guest = (configuration.memory + unit - 1) & ~(unit - 1)
      return try HostMemory(low: guest + unit + guest / 4 + 64 << 20)
    } catch {
      throw SetupError(.input, "memory: \(error.description)")
    }
  }

  private static func hypervisor(
    _ configuration: Configuration, _ processors: [Processor], _ memory: HostMemory, _ devices: PCDevices,
    _ plan: BootPlan, _ profile: CostProfile
  ) throws(SetupError) -> Hypervisor? {
    let kind: HypervisorOptions.Kind
    switch configuration.paging {
    case .native: return nil
    case .nested: kind = .nested
    case .agile: kind = .agile
    case .shadow(let policy): kind = .shadow(policy)
    }
    var options = HypervisorOptions(
      kind: kind, hostPage: configuration.hostPage, cachedRoots: configuration.shadowRoots,
      eagerFill: configuration.shadowEager, fillAround: configuration.shadowFillAround,
      zapOnReuse: configuration.shadowZapReused, shadowPages: configuration.shadowPool,
      outOfSyncLimit: configuration.shadowOutOfSync, agile: configuration.agile, vendor: profile.vendor,
      ramRanges: plan.memoryMap.ram.map { $0.base.rawValue..<$0.base.rawValue + $0.size })
    options.nestedAccessedDirty = configuration.nestedAccessedDirty
    options.nestedLevels = configuration.nestedLevels
    options.dirtyLog = configuration.dirtyLog
    options.churn = configuration.hostChurn
    do {
      return try Hypervisor(
        processors: processors, memory: memory, bus: devices, profile: profile, options: options)
    } catch {
      throw SetupError(.input, "memory: \(error)")
    }
  }

  private func load() throws(SetupError) {
    for segment in bootPlan.segments where !segment.bytes.isEmpty {
      let written =
        hypervisor?.writeGuest(segment.bytes, at: segment.address)
        ?? memory.write(segment.bytes, at: HostPhysical(segment.address.rawValue))
      guard written else {
        throw .input("guest", guest.name, "\(segment.name) at \(segment.address) is outside memory")
      }
    }
    processor.start(at: bootPlan.entry, memoryTypes: .firmware(physicalBits: profile[.physicalBits]))
  }

  // MARK: Running

  /// How far `run` goes at most; nil: as far as the configuration's limits.
  public struct StopCondition: Sendable {
    public var instructions: UInt64?
    public var cycles: UInt64?

    public init(instructions: UInt64? = nil, cycles: UInt64? = nil) {
      self.instructions = instructions
      self.cycles = cycles
    }

    public static let end = StopCondition()
  }

  /// Runs the guest until it ends, a limit is reached, or `requestStop` is called.
  public func run(until condition: StopCondition = .end) -> RunOutcome {
    let cycles = min(configuration.maxCycles ?? .max, condition.cycles ?? .max)
    let instructions = min(configuration.maxInstructions ?? .max, condition.instructions ?? .max)
    while true {
      let pause = nextSnapshot
      let outcome = run(cycles: cycles, instructions: min(instructions, pause))
      guard pause < instructions, outcome == .limit(.instructions(pause)) else { return outcome }
      restore(snapshot())
      snapshotsTaken += 1
    }
  }

  /// The number of instructions at which the next automatic snapshot is due; `.max` if none is.
  private var nextSnapshot: UInt64 {
    guard configuration.snapshotEvery != 0 else { return .max }
    let retired = instructionsRetired
    let (sum, overflow) = retired.addingReportingOverflow(
      configuration.snapshotEvery - retired % configuration.snapshotEvery)
    return overflow ? .max : sum
  }

  private func run(cycles: UInt64, instructions: UInt64) -> RunOutcome {
    var result: RunResult
    repeat {
      if processors.count == 1 {
        result = step(0, cycles, instructions)
      } else {
        result = interleaving.run(
          processors, devices, clockLimit: cycles, retiredLimit: instructions, step: step)
      }
    } while result == .waitsForNothing && inputCame()
    return outcome(result, cycles: cycles, instructions: instructions)
  }

  private func step(_ index: Int, _ cycles: UInt64, _ instructions: UInt64) -> RunResult {
    hypervisor?.run(index, clockLimit: cycles, retiredLimit: instructions)
      ?? processors[index].run(clockLimit: cycles, retiredLimit: instructions)
  }

  private func outcome(_ result: RunResult, cycles: UInt64, instructions: UInt64) -> RunOutcome {
    switch result {
    case .exit(let exit): return .unsupported("exit \(exit.reason.name) without a hypervisor")
    case .sliceEnded, .waits: return .unsupported("a slice ended on a machine with one processor")
    case .limit:
      return .limit(instructionsRetired >= instructions ? .instructions(instructions) : .cycles(cycles))
    case .stopRequested: return .interrupted
    case .paused: return .paused
    case .shutdown(let shutdown): return .shutdown(shutdown)
    case .haltedForEver: return .haltedForEver
    case .waitsForNothing: return processor.stopRequest.isRaised ? .interrupted : .waitsForNothing
    case .tripleFault:
      return .tripleFault("triple fault: \(describeShutDown())")
    case .lockedUp:
      let last = interleaving.last(of: processors)
      return .lockedUp(
        "locked up, exceptions raise each other without end: \(last.describeInstruction())\(lastExceptions(of: last))")
    case .violated(let what): return .violated(what)
    case .unsupported(let what): return .unsupported("\(what)\(lastExceptions(of: interleaving.last(of: processors)))")
    }
  }

  /// Waits for somebody to type, for a guest that halted until then. The guest's time stands still.
  private func inputCame() -> Bool {
    guard devices.awaitInput() else { return false }
    devices.advance(to: processors.map(\.guestTime).max() ?? 0)
    return true
  }

  /// Makes a run in progress end at the next opportunity; may be called from a signal handler.
  public func requestStop() { processor.stopRequest.raise() }

  /// Where a processor has shut down.
  private func describeShutDown() -> String {
    let processor = processors.first(where: \.state.isShutDown) ?? processor
    let place = processors.count > 1 ? " on processor \(processor.index)" : ""
    return "\(processor.describeInstruction())\(place)\(lastExceptions(of: processor))"
  }

  /// The last exceptions that the guest raised, for messages: what led to a triple fault among them.
  private func lastExceptions(of processor: Processor) -> String {
    let list = processor.recentlyRaised.suffix(6).map {
      "\($0.exception.description) at RIP 0x\(String($0.rip, radix: 16))"
    }
    return list.isEmpty ? "" : "; last exceptions: " + list.joined(separator: ", ")
  }

  // MARK: Snapshots

  /// Everything that the guest's future and the statistics depend on.
  public struct Snapshot {
    let state: StateSnapshot
    let memory: HostMemoryImage
  }

  /// The same without memory.
  struct StateSnapshot {
    let processors: [ProcessorSnapshot]
    let interleaving: Interleaving
    let devices: PCDevices.State
    let hypervisor: Hypervisor.Snapshot?
  }

  public func snapshot() -> Snapshot { Snapshot(state: stateSnapshot(), memory: memory.image()) }

  public func restore(_ snapshot: Snapshot) {
    memory.restore(snapshot.memory)
    restore(snapshot.state)
  }

  func stateSnapshot() -> StateSnapshot {
    StateSnapshot(
      processors: processors.map { $0.snapshot() }, interleaving: interleaving, devices: devices.state,
      hypervisor: hypervisor?.snapshot())
  }

  /// Memory must have been restored before.
  func restore(_ snapshot: StateSnapshot) {
    devices.state = snapshot.devices
    if let saved = snapshot.hypervisor { hypervisor?.restore(saved) }
    hypervisor?.check?.forget()
    for (processor, saved) in zip(processors, snapshot.processors) { processor.restore(saved) }
    interleaving = snapshot.interleaving
  }

  /// The processor whose slice is not over; with one processor that one.
  public var runningProcessor: Processor { interleaving.last(of: processors) }
}

extension Processor {
  /// Puts the processor into the state that a boot protocol promises.
  func start(at entry: EntryState, memoryTypes: MemoryTypeRegisters) {
    var state = ProcessorState()
    state.memoryTypes = memoryTypes
    state.rip = entry.rip
    let registers: [(UInt8, UInt64)] = [
      (Slot.rax, entry.rax), (Slot.rbx, entry.rbx), (Slot.rcx, entry.rcx), (Slot.rdx, entry.rdx),
      (Slot.rsi, entry.rsi), (Slot.rdi, entry.rdi), (Slot.rbp, entry.rbp), (Slot.rsp, entry.rsp),
    ]
    for (slot, value) in registers { state.slots[Int(slot)] = value }
    state.rflags = entry.rflags
    state.cr0 = entry.cr0
    state.cr3 = entry.cr3
    state.cr4 = entry.cr4
    state.efer = entry.efer
    for register in SegmentRegister.allCases { state[register] = Machine.Segment(entry.data) }
    state[.cs] = Machine.Segment(entry.cs)
    state.tr = Machine.Segment(entry.tr)
    state.ldtr = Machine.Segment(entry.ldtr)
    state.gdtr = Machine.DescriptorTable(base: entry.gdt.base, limit: entry.gdt.limit)
    state.idtr = Machine.DescriptorTable(base: entry.idt.base, limit: entry.idt.limit)
    self.state = state
    refresh()
  }
}

extension Machine.Segment {
  fileprivate init(_ state: SegmentState) {
    let isUnusable = state.attributes & 0x10000 != 0
    self.init(
      selector: state.selector, base: state.base, limit: state.limit,
      attributes: isUnusable ? 0 : UInt16(truncatingIfNeeded: state.attributes))
  }
}
