import Machine

/// A virtual machine monitor for one guest on one processor. It never executes a guest's instruction: it says what to
/// intercept (`VMControls`), handles what the hardware hands back (`VMExit`), and is charged for it.
public final class Hypervisor {
  let processor: Processor
  let memory: HostMemory
  let bus: any DeviceBus
  let options: HypervisorOptions
  let costs: WorkCosts
  let profile: CostProfile

  // State: everything below is in a snapshot.

  var allocator: FrameAllocator
  let guest: GuestMemory
  /// Nil under shadow paging.
  var nested: NestedTables?
  /// Nil under nested paging.
  var shadow: ShadowState?
  /// What the next entry asks of the hardware.
  var controls: VMControls
  /// The instruction that is being executed with the hypervisor's help.
  var assist: Assist?
  /// Guarded tables that somebody other than the guest's own stores may change now.
  var watched = WatchedTables()
  /// The guest is in HLT.
  var isWaiting = false
  /// The statistics as far as they are counted here; `statistics` adds what others count.
  var counted = HypervisorStatistics()

  // Not state.

  /// False while something is done that takes no time.
  var isCharging = true
  /// Why the guest cannot go on.
  var failure: String?
  /// Called after every exit was handled, for tests.
  var afterExit: ((VMExit) -> Void)?

  /// - Parameters:
  ///   - memory: the guest's memory and room for tables: frames are handed out from 4 KiB on.
  public init(
    processor: Processor, memory: HostMemory, bus: any DeviceBus, profile: CostProfile, options: HypervisorOptions
  ) throws(HypervisorError) {
    var end: UInt64 = 0
    for range in options.ramRanges {
      guard range.lowerBound >= end, !range.isEmpty, (range.lowerBound | range.upperBound) & 0xfff == 0,
        range.upperBound <= 1 << min(profile[.physicalBits], 41)
      else { throw .badRange(range) }
      end = range.upperBound
    }
    self.processor = processor
    self.memory = memory
    self.bus = bus
    self.profile = profile
    self.options = options
    costs = WorkCosts(profile)
    guest = GuestMemory(ranges: options.ramRanges, hostPage: options.hostPage)
    allocator = FrameAllocator(capacity: memory.lowLimit)

    let limit = ShadowPool.limit(options, guestFrames: guest.size >> 12)
    let tables: UInt64 =
      switch options.kind {
      // One table of each level for every 2 MiB at worst, and the paths to the ranges' ends.
      case .nested: guest.frames >> 9 + guest.frames >> 18 + 8
      case .shadow: UInt64(limit) + 2
      }
    let needed = guest.size + tables << 12 + 4096
    guard needed <= memory.lowLimit else {
      throw .hostMemoryTooSmall(needed: needed, available: memory.lowLimit)
    }

    controls = VMControls(
      paging: .native, intercepts: [.ports, .halt, .externalInterrupts], vpid: max(options.vpid & 7, 1))
    switch options.kind {
    case .nested:
      let tables = NestedTables(options.vendor, profile, &allocator)
      nested = tables
      controls.paging = .nested(tables.plan)
    case .shadow:
      shadow = ShadowState(guestFrames: guest.frames, pageLimit: limit, cachedRoots: options.cachedRoots, &allocator)
      controls.intercepts.formUnion([
        .pageFaults, .controlRegister0, .controlRegister3, .controlRegister4, .extendedFeatures, .invalidations,
      ])
      controls.paging = .shadow(.init(root: shadow!.emptyTable, levels: 4, tag: 0))
    }
    processor.enter(controls)
  }

  // MARK: Running

  /// Runs the guest until something happens that a hypervisor does not handle. Never returns `.exit`.
  public func run(clockLimit: UInt64 = .max, retiredLimit: UInt64 = .max) -> RunResult {
    // A loader or a debugger may have changed the registers that page.
    if shadow != nil && selectRoot(isCharged: false) { enter() }
    while true {
      if isWaiting, let result = wait(clockLimit: clockLimit, retiredLimit: retiredLimit) { return result }
      let result = processor.run(clockLimit: clockLimit, retiredLimit: retiredLimit)
      guard case .exit(let exit) = result else { return result }
      // The hardware has charged its round trip already; it belongs to the exit.
      let start = processor.clock &- (exit.reason == .assisted ? 0 : profile[.exitRoundTrip])
      let end = handle(exit)
      enter()
      counted.exits[Int(exit.reason.rawValue)].add(processor.clock &- start)
      afterExit?(exit)
      if let failure { return .unsupported(failure) }
      if let end { return end }
    }
  }

  /// Hands the controls to the hardware, with the flushes that have become due.
  func enter() {
    if shadow != nil { flushCurrentRoot() }
    if assist != nil { watched.capture(memory) }
    processor.enter(controls)
    controls.injection = nil
  }

  // MARK: Seeing

  /// What was counted so far.
  public var statistics: HypervisorStatistics {
    var all = counted
    all.tableBytes = allocator.tables << 12
    all.peakTableBytes = allocator.peakTables << 12
    all.guestBytes = allocator.guestFrames << 12
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
    let shadow: ShadowState?
    let controls: VMControls
    let assist: Assist?
    let watched: WatchedTables
    let isWaiting: Bool
    let counted: HypervisorStatistics
  }

  /// Copies the state between two runs.
  public func snapshot() -> Snapshot {
    Snapshot(
      allocator: allocator, frames: guest.map.image(), nested: nested, shadow: shadow, controls: controls,
      assist: assist, watched: watched, isWaiting: isWaiting, counted: counted)
  }

  /// Makes the hypervisor as it was. Host memory and the processor, whose controls are its own, are restored by the
  /// caller.
  public func restore(_ snapshot: Snapshot) {
    allocator = snapshot.allocator
    guest.map.restore(snapshot.frames)
    nested = snapshot.nested
    shadow = snapshot.shadow
    controls = snapshot.controls
    assist = snapshot.assist
    watched = snapshot.watched
    isWaiting = snapshot.isWaiting
    counted = snapshot.counted
    failure = nil
  }
}
