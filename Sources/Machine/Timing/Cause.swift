/// What a cycle was spent on. Every cycle has exactly one cause, and the sum over causes is the clock.
///
/// The names form a tree with dots: `walk.guest`, `exit.page-fault.handler`.
@frozen public struct Cause: Hashable, Sendable {
  public let rawValue: UInt8
  @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Instructions at their base cost, every access a hit.
  public static let execute = Cause(rawValue: 0)
  /// Data accesses that the modelled L1, L2 or L3 cache served, or memory did (`cache.data`).
  public static let cacheL2 = Cause(rawValue: 1)
  public static let cacheL3 = Cause(rawValue: 2)
  public static let cacheMemory = Cause(rawValue: 3)
  /// Translations found in the second-level TLB.
  public static let tlbL2 = Cause(rawValue: 4)
  /// References of a walk to the guest's own tables, to nested tables, and to shadow tables.
  public static let walkGuest = Cause(rawValue: 5)
  public static let walkHost = Cause(rawValue: 6)
  public static let walkShadow = Cause(rawValue: 7)
  /// Delivery of an exception, and of an interrupt, to the guest.
  public static let fault = Cause(rawValue: 8)
  public static let interrupt = Cause(rawValue: 9)
  /// Port and device accesses by the hardware itself.
  public static let io = Cause(rawValue: 10)
  /// Loads of CR3 and invalidations that the hardware does without an exit.
  public static let loadCR3 = Cause(rawValue: 11)
  public static let flush = Cause(rawValue: 12)
  /// Waiting in HLT.
  public static let idle = Cause(rawValue: 13)
  /// Delivery of an event by the hypervisor's entry.
  public static let inject = Cause(rawValue: 14)
  /// The hypervisor's own work on shadow tables.
  public static let shadowFill = Cause(rawValue: 15)
  public static let shadowEmulate = Cause(rawValue: 16)
  public static let shadowRoot = Cause(rawValue: 17)
  public static let shadowWalk = Cause(rawValue: 18)
  public static let shadowReclaim = Cause(rawValue: 19)
  /// Filling the map from guest-physical to host memory, and its nested tables.
  public static let nestedFill = Cause(rawValue: 20)
  /// Interrupting other processors so that they flush, and waiting for the lock of the shadow tables.
  public static let shootdown = Cause(rawValue: 21)
  public static let shadowLock = Cause(rawValue: 22)
  /// Bringing shadow pages into step with the guest's tables.
  public static let shadowResync = Cause(rawValue: 23)
  /// Agile paging: moving tables from shadow to nested paging and back, and finding out which the guest still writes.
  public static let agileSwitch = Cause(rawValue: 24)
  public static let agileScan = Cause(rawValue: 25)
  /// What the host does to the guest's frames by itself (`host.churn`).
  public static let hostChurn = Cause(rawValue: 26)
  /// Dirty logging: noting the pages that the guest writes, and collecting at the end of an interval what was noted.
  public static let dirtyLog = Cause(rawValue: 27)
  public static let dirtyCollect = Cause(rawValue: 28)
  /// Exits' hardware round trip and the handler's fixed part, by reason.
  @inlinable public static func exitHardware(_ reason: ExitReason) -> Cause {
    Cause(rawValue: firstExit &+ 2 &* reason.rawValue)
  }
  @inlinable public static func exitHandler(_ reason: ExitReason) -> Cause {
    Cause(rawValue: firstExit &+ 2 &* reason.rawValue &+ 1)
  }

  @usableFromInline static let firstExit: UInt8 = 29

  /// How many causes there can be: the size of a table indexed by `rawValue`.
  public static let count = Int(firstExit) + 2 * ExitReason.allCases.count

  /// Every cause, in the order in which tables list them.
  public static let all: [Cause] = (0..<UInt8(count)).map(Cause.init(rawValue:)).filter { $0.name != "" }

  /// The name by which statistics, tables and documents know the cause.
  public var name: String {
    if rawValue >= Cause.firstExit {
      let reason = ExitReason(rawValue: (rawValue - Cause.firstExit) / 2)
      return "exit.\(reason?.name ?? "unknown").\((rawValue - Cause.firstExit) % 2 == 0 ? "hardware" : "handler")"
    }
    return Int(rawValue) < Cause.plainNames.count ? Cause.plainNames[Int(rawValue)] : ""
  }

  private static let plainNames = [
    "execute", "cache.l2", "cache.l3", "cache.memory", "tlb.l2", "walk.guest", "walk.host", "walk.shadow", "fault",
    "interrupt", "io", "switch.cr3", "flush", "idle", "exit.inject", "shadow.fill", "shadow.emulate", "shadow.root",
    "shadow.walk", "shadow.reclaim", "nested.fill", "shootdown", "shadow.lock", "shadow.resync",
    "agile.switch", "agile.scan", "host.churn", "dirty.log", "dirty.collect",
  ]
}
