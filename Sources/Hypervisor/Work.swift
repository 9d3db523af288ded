import Machine

/// The pieces of work that a hypervisor is charged for, each at a figure of the profile.
public enum Work: Int, CaseIterable, Sendable {
  case exitBase, controlBlockRead, controlBlockWrite
  case port, device, halt, interrupt, control, invalidate
  case walkStep, lookup, fill, allocate, protect, emulate, zap, sync
  case nestedFill, nestedAllocate, populate
  case flushPage, flushAll, invalidateExtended, invalidateVirtualProcessor, shootdown
  case dirtyNote, dirtyScan

  /// The figure that prices it.
  public var key: CostKey {
    switch self {
    case .exitBase: .handlerBase
    case .controlBlockRead: .controlBlockRead
    case .controlBlockWrite: .controlBlockWrite
    case .port: .handlerPort
    case .device: .handlerDevice
    case .halt: .handlerHalt
    case .interrupt: .handlerInterrupt
    case .control: .handlerControl
    case .invalidate: .handlerInvalidate
    case .walkStep: .shadowWalkStep
    case .lookup: .shadowLookup
    case .fill: .shadowFill
    case .allocate: .shadowAllocate
    case .protect: .shadowProtect
    case .emulate: .shadowEmulate
    case .zap: .shadowZap
    case .sync: .shadowSync
    case .nestedFill: .nestedFill
    case .nestedAllocate: .nestedAllocate
    case .populate: .populate
    case .flushPage: .flushPage
    case .flushAll, .invalidateExtended, .invalidateVirtualProcessor: .flushAll
    case .shootdown: .remoteFlush
    case .dirtyNote: .dirtyNote
    case .dirtyScan: .dirtyScan
    }
  }
}

/// How often each piece of work was done, by the cause that it was charged to: with the profile's figures it gives back
/// the ledger.
public struct WorkCounts: Sendable, Equatable {
  private var counts = [UInt64](repeating: 0, count: Cause.count * Work.allCases.count)

  public init() {}

  public subscript(_ work: Work, _ cause: Cause) -> UInt64 {
    counts[Int(cause.rawValue) * Work.allCases.count + work.rawValue]
  }

  mutating func add(_ work: Work, _ cause: Cause, _ times: UInt64) {
    counts[Int(cause.rawValue) * Work.allCases.count + work.rawValue] &+= times
  }

  /// Cycles of a cause that the counts stand for.
  public func cycles(_ cause: Cause, at profile: CostProfile) -> UInt64 {
    Work.allCases.reduce(0) { $0 &+ self[$1, cause] &* profile[$1.key] }
  }

  /// How often a piece of work was done, whatever for.
  public func total(_ work: Work) -> UInt64 { Cause.all.reduce(0) { $0 &+ self[work, $1] } }
}

/// The profile's figures by `Work`, and what else every exit asks of it, taken out of its dictionary once.
struct WorkCosts {
  private let cycles: [UInt64]

  let exitRoundTrip: UInt64
  let hasTaggedTLB: Bool
  /// What a hidden fault takes that fills an entry of a page table, without what comes after it.
  let hiddenFault: UInt64

  init(_ profile: CostProfile) {
    cycles = Work.allCases.map { profile[$0.key] }
    exitRoundTrip = profile[.exitRoundTrip]
    hasTaggedTLB = profile[.taggedTLB] != 0
    hiddenFault =
      exitRoundTrip &+ profile[.handlerBase] &+ 5 &* profile[.controlBlockRead] &+ 4 &* profile[.shadowWalkStep]
      &+ profile[.shadowFill]
  }

  subscript(_ work: Work) -> UInt64 { cycles[work.rawValue] }
}

extension Hypervisor {
  /// Charges and counts work of the hypervisor's: the only way in which it spends time.
  func work(_ cause: Cause, _ work: Work, times: UInt64 = 1) {
    guard isCharging, times != 0 else { return }
    counted.work.add(work, cause, times)
    processor.charge(cause, costs[work] &* times)
  }

  /// Charges the fixed part of an exit's handler: what every exit costs, and the fields of the control block that it
  /// reads and writes.
  func handle(_ reason: ExitReason, reads: UInt64, writes: UInt64 = 0, _ specific: Work? = nil) {
    let cause = Cause.exitHandler(reason)
    work(cause, .exitBase)
    work(cause, .controlBlockRead, times: reads)
    work(cause, .controlBlockWrite, times: writes)
    if let specific { work(cause, specific) }
  }
}
