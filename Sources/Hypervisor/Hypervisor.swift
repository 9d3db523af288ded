import Machine

/// A virtual machine monitor for one guest. It never executes a guest's instruction: it says what to
/// intercept (`VMControls`), handles what the hardware hands back (`VMExit`), and is charged for it.
public final class Hypervisor {
  let memory: HostMemory
  let bus: any DeviceBus
  let options: HypervisorOptions
  let costs: WorkCosts
  let profile: CostProfile
  /// How shadow tables stay coherent; nobody asks under nested paging.
  let policy: CoherencePolicy

  // State: everything below is in a snapshot.

  var allocator: FrameAllocator
  let guest: GuestMemory
  /// Nil under shadow paging.
  var nested: NestedTables?
  /// The shadow tables; under nested paging there are none, and nothing is guarded by them.
  var shadows = ShadowState()
  let hasShadows: Bool
  /// Nil but under agile paging, which has both.
  var agile: AgileState?
  /// Nil unless the host is to disturb the guest.
  var churn: HostChurn?
  /// Nil unless pages are logged that the guest writes.
  var dirtyLog: DirtyLog?
  let virtualProcessors: [VirtualProcessor]
  /// When the lock of the tables was held.
  var lock = TableLock()
  /// What tables took in the course of time.
  var timeline = TableTimeline()
  /// The statistics as far as they are counted here; `statistics` adds what others count.
  var counted = HypervisorStatistics()

  // Not state between two runs.

  /// The virtual processor that runs, or whose exit is being handled.
  var running: VirtualProcessor
  /// Translations that other processors may hold have become stale in this exit.
  var owesRemoteFlush = false
  /// When this exit came for the lock of the tables, and whether others may have it too.
  var locked: (since: UInt64, isShared: Bool)?
  /// False while something is done that takes no time.
  var isCharging = true
  /// Why the guest cannot go on.
  var failure: String?
  /// Looks at everything after every exit, where somebody has asked for that.
  public var check: InvariantCheck?
  /// Called with the guest frames of every collection of the dirty log, in the order in which they were noted: what a
  /// migration would send again.
  public var afterCollection: (([UInt64]) -> Void)?
  /// Called after every exit was handled, for tests.
  var afterExit: ((VMExit) -> Void)?

  /// - Parameters:
  ///   - processors: the guest's, by their indices.
  ///   - memory: the guest's memory and room for tables: frames are handed out from 4 KiB on.
  public init(
    processors: [Processor], memory: HostMemory, bus: any DeviceBus, profile: CostProfile, options: HypervisorOptions
  ) throws(HypervisorError) {
    var end: UInt64 = 0
    for range in options.ramRanges {
      guard range.lowerBound >= end, !range.isEmpty, (range.lowerBound | range.upperBound) & 0xfff == 0,
        range.upperBound <= 1 << min(profile[.physicalBits], 41)
      else { throw .badRange(range) }
      end = range.upperBound
    }
    self.memory = memory
    self.bus = bus
    self.profile = profile
    self.options = options
    costs = WorkCosts(profile)
    hasShadows = options.kind.policy != nil
    policy = options.kind.policy ?? .trace
    guest = GuestMemory(ranges: options.ramRanges, hostPage: options.hostPage)
    allocator = FrameAllocator(capacity: memory.lowLimit)

    let limit = ShadowPool.limit(options, guestFrames: guest.size >> 12, processors: processors.count)
    var tables: UInt64 = 0
    // One table of each level for every 2 MiB at worst, and the paths to the ranges' ends.
    if options.kind.hasNestedTables { tables += guest.frames >> 9 + guest.frames >> 18 + 8 }
    if options.kind.policy != nil { tables += UInt64(limit) + 2 }
    if options.dirtyLog.method == .modificationLog { tables += UInt64(processors.count) }
    let needed = guest.size + tables << 12 + 4096
    guard needed <= memory.lowLimit else {
      throw .hostMemoryTooSmall(needed: needed, available: memory.lowLimit)
    }

    var controls = VMControls(
      paging: .native, intercepts: [.ports, .halt, .externalInterrupts], vpid: max(options.vpid & 7, 1))
    if options.kind.hasNestedTables {
      let tables = NestedTables(
        options.vendor, profile, levels: options.nestedLevels, keepsAccessedDirty: options.nestedAccessedDirty,
        &allocator)
      nested = tables
      controls.paging = .nested(tables.plan)
    }
    if options.kind.policy != nil {
      let state = ShadowState(
        guestFrames: guest.frames, pageLimit: limit, policy, options, &allocator)
      shadows = state
      controls.intercepts.formUnion([
        .pageFaults, .controlRegister0, .controlRegister3, .controlRegister4, .extendedFeatures, .invalidations,
      ])
      controls.paging = .shadow(.init(root: state.emptyTable, levels: 4, tag: 0))
    }
    if options.kind == .agile {
      agile = AgileState(guestFrames: guest.frames, interval: options.agile.interval)
      // Traces leave nothing stale, so that the hardware can do what the guest invalidates by itself.
      controls.intercepts.remove(.invalidations)
    }
    churn = options.churn.map { HostChurn(interval: $0) }
    dirtyLog = DirtyLog(options.dirtyLog, guestFrames: guest.frames)
    nested?.remembersWritten = options.dirtyLog.method == .accessedDirty
    var virtual: [VirtualProcessor] = []
    for processor in processors {
      if options.dirtyLog.method == .modificationLog {
        controls.modificationLog = allocator.allocate(.modificationLog, number: UInt64(processor.index))?.address
      }
      virtual.append(VirtualProcessor(processor, controls: controls, cachedRoots: options.cachedRoots))
    }
    virtualProcessors = virtual
    guard let first = virtualProcessors.first else { throw .noProcessor }
    running = first
    for one in virtualProcessors {
      if hasShadows && policy.mayBeStale { one.processor.guestFrames = guest.map }
      one.processor.enter(one.controls)
    }
    timeline.take(allocator.tableCounts, at: 0)
  }

  /// A hypervisor for a guest with one processor.
  public convenience init(
    processor: Processor, memory: HostMemory, bus: any DeviceBus, profile: CostProfile, options: HypervisorOptions
  ) throws(HypervisorError) {
    try self.init(processors: [processor], memory: memory, bus: bus, profile: profile, options: options)
  }

  // MARK: Running

  /// Runs one of the guest's processors until something happens that a hypervisor does not handle. Never returns `.exit`.
  public func run(_ index: Int = 0, clockLimit: UInt64 = .max, retiredLimit: UInt64 = .max) -> RunResult {
    let running = virtualProcessors[index]
    self.running = running
    let processor = running.processor
    defer { if agile != nil { noteLoadedRoot() } }
    // A loader or a debugger may have changed the registers that page. But a root that another processor's handler has taken
    // away is that exit's to replace, which takes time.
    let isTaken = agile != nil && running.roots.selected == nil && (running.isKicked || running.isWaiting)
    if hasShadows && !isTaken && selectRoot(isCharged: false) { enter(running) }
    while true {
      if !running.isInGuest, let result = wait(clockLimit: clockLimit, retiredLimit: retiredLimit) { return result }
      let result: RunResult
      if running.isKicked {
        running.isKicked = false
        result = .exit(processor.forceExit())
      } else {
        result = runUntilDue(running, clockLimit: clockLimit, retiredLimit: retiredLimit)
      }
      guard case .exit(let exit) = result else { return result }
      // The hardware has charged its round trip already; it belongs to the exit.
      let start = processor.clock &- (exit.reason == .assisted ? 0 : costs.exitRoundTrip)
      if agile != nil { noteLoadedRoot() }
      if processor.clock >= timeline.due { timeline.take(allocator.tableCounts, at: processor.clock) }
      // A first write that is noted now is made after the collection.
      if dirtyLog != nil { collectDirtyPages() }
      let end = handle(exit)
      if agile != nil { lookAtNestedTables() }
      if churn != nil { churnHost() }
      enter(running)
      counted.exits[Int(exit.reason.rawValue)].add(processor.clock &- start)
      afterExit?(exit)
      if let violation = check?.violation(after: exit, self) { return .violated(violation) }
      if let failure { return .unsupported(failure) }
      if let end { return end }
    }
  }

  /// Hands the controls to the hardware, with the flushes that have become due.
  func enter() { enter(running) }

  /// The same: whoever has the running virtual processor in hand spares looking for it, in every exit.
  func enter(_ running: VirtualProcessor) {
    if agile != nil && running.roots.selected == nil { _ = selectRoot() }
    if hasShadows && policy.mayBeStale { synchroniseCurrentRoot() }
    flushRemotely()
    unlockTables()
    if running.owesNestedFlush { flushNested() }
    if hasShadows, running.roots.owesFlush { flushCurrentRoot() }
    if agile != nil { nameRootTargets() }
    if !running.watched.isEmpty { running.watched.capture(memory) }
    running.processor.enter(taking: &running.controls)
    if agile != nil || churn != nil || dirtyLog != nil { postponeWhatIsDue() }
  }

  // MARK: Seeing

  /// What was counted so far.
  public var statistics: HypervisorStatistics {
    var all = counted
    all.tableBytes = allocator.tables << 12
    all.peakTableBytes = allocator.peakTables << 12
    all.guestBytes = allocator.guestFrames << 12
    all.tables = allocator.tableCounts
    all.peakTables = allocator.peakTableCounts
    all.timeline = timeline
    all.mmuUnsync = UInt64(shadows.pool.staleCount)
    all.churned = churn?.counts ?? []
    all.invept = counted.work.total(.invalidateExtended)
    all.invvpid = counted.work.total(.invalidateVirtualProcessor)
    all.nestedTables = UInt64(agile?.count ?? 0)
    return all
  }

  /// Where a guest-physical address is in the host now.
  public func hostAddress(of address: GuestPhysical) -> HostPhysical? { guest.map.lookup(address)?.address }

  /// The guest-physical address of what a host frame holds for the guest.
  public func guestAddress(of address: HostPhysical) -> GuestPhysical? {
    let owner = allocator.owner(of: address)
    return owner.use == .guest ? GuestPhysical(owner.number << 12 | address.pageOffset) : nil
  }

  /// Where the guest's frames are, for walks of its tables (`Processor.walkGuest`).
  public var frameMap: FrameMap { guest.map }

  // MARK: Snapshots

  /// All of a hypervisor's state; host memory, where its tables are, is apart.
  public struct Snapshot {
    let allocator: FrameAllocator
    let frames: [(frame: UInt64, entry: UInt64)]
    let nested: NestedTables?
    let shadows: ShadowState
    let agile: AgileState?
    let churn: HostChurn?
    let dirtyLog: DirtyLog?
    let virtualProcessors: [VirtualProcessor.Snapshot]
    let lock: TableLock
    let timeline: TableTimeline
    let counted: HypervisorStatistics
  }

  /// Copies the state between two runs.
  public func snapshot() -> Snapshot {
    Snapshot(
      allocator: allocator, frames: guest.map.image(), nested: nested, shadows: shadows, agile: agile, churn: churn,
      dirtyLog: dirtyLog, virtualProcessors: virtualProcessors.map { $0.snapshot() }, lock: lock, timeline: timeline,
      counted: counted)
  }

  /// Makes the hypervisor as it was. Host memory and the processors, whose controls are their own, are restored by the
  /// caller.
  public func restore(_ snapshot: Snapshot) {
    allocator = snapshot.allocator
    guest.map.restore(snapshot.frames)
    nested = snapshot.nested
    shadows = snapshot.shadows
    agile = snapshot.agile
    churn = snapshot.churn
    dirtyLog = snapshot.dirtyLog
    for (one, saved) in zip(virtualProcessors, snapshot.virtualProcessors) { one.restore(saved) }
    lock = snapshot.lock
    timeline = snapshot.timeline
    counted = snapshot.counted
    failure = nil
  }
}
