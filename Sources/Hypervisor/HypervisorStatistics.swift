import Machine

/// What a hypervisor counted. Names that KVM's statistics have (`kvm_stat`) mean the same here.
public struct HypervisorStatistics: Sendable {
  /// Exits of one reason.
  public struct Exits: Sendable, Equatable {
    public var count: UInt64 = 0
    /// Cycles from the exit to the entry after it: hardware, handler and all work for the guest.
    public var cycles: UInt64 = 0
    /// The cheapest and the dearest; 0 while there was none.
    public var min: UInt64 = 0
    public var max: UInt64 = 0

    mutating func add(_ spent: UInt64) {
      min = count == 0 ? spent : Swift.min(min, spent)
      max = Swift.max(max, spent)
      count &+= 1
      cycles &+= spent
    }
  }

  /// Exits by reason. Those of reason `assisted` are not exits of the hardware's but the ends of emulated instructions.
  public subscript(_ reason: ExitReason) -> Exits { exits[Int(reason.rawValue)] }
  var exits = [Exits](repeating: Exits(), count: ExitReason.allCases.count)

  /// Page faults that exited, and what became of them: an entry was made, the guest got it, a write was emulated.
  public var pfTaken: UInt64 = 0
  public var pfFixed: UInt64 = 0
  public var pfGuest: UInt64 = 0
  public var pfEmulate: UInt64 = 0
  /// Writes to guarded tables, shadow entries filled because of one, and links to lower shadow pages removed because of
  /// one.
  public var mmuPteWrite: UInt64 = 0
  public var mmuPteUpdated: UInt64 = 0
  public var mmuPdeZapped: UInt64 = 0
  /// Frames whose shadow pages were dropped because they were written like data; shadow pages dropped to make room.
  public var mmuFlooded: UInt64 = 0
  public var mmuRecycled: UInt64 = 0
  /// Shadow pages made, and dropped for whatever reason.
  public var mmuCacheMiss: UInt64 = 0
  public var mmuShadowZapped: UInt64 = 0
  /// Shadow pages out of step with the guest's now: only under the policy `unsync`.
  public var mmuUnsync: UInt64 = 0
  /// How often a shadow page left step, and how often one was brought up to date.
  public var unsynced: UInt64 = 0
  public var synced: UInt64 = 0
  /// Flushes of whole contexts that the hypervisor asked for, and INVLPGs of the guest that exited.
  public var tlbFlush: UInt64 = 0
  public var invlpg: UInt64 = 0
  /// Of those that the hypervisor asked for, INVEPTs and INVVPIDs.
  public var invept: UInt64 = 0
  public var invvpid: UInt64 = 0
  /// Flushes asked of the other processors.
  public var remoteTlbFlush: UInt64 = 0
  /// How often a processor waited for another that changed shadow tables, and how long.
  public var lockWaits: UInt64 = 0
  public var lockWaitCycles: UInt64 = 0
  /// Page-fault exits that the guest never saw, and those that were its own (AA06 2.4).
  public var hiddenFaults: UInt64 = 0
  public var trueFaults: UInt64 = 0

  /// Agile paging: tables of the guest's that went from shadow to nested paging and back, switching entries made, looks at
  /// which of them the guest writes, and how many are nested now, without those below them.
  public var wentNested: UInt64 = 0
  public var cameBack: UInt64 = 0
  public var switchingEntries: UInt64 = 0
  public var looks: UInt64 = 0
  public var nestedTables: UInt64 = 0

  /// Frames that the host unmapped, moved and write-protected by itself.
  public var churned: [UInt64] = []

  /// Dirty logging: pages logged, each once in an interval; collections; first writes that faulted; nested entries that
  /// were looked at for D. How often the page-modification log was full, exits tell.
  public var dirtyPages: UInt64 = 0
  public var dirtyCollections: UInt64 = 0
  public var dirtyFaults: UInt64 = 0
  public var dirtyScanned: UInt64 = 0

  /// Host bytes in shadow or nested tables, now and at most; bytes that back the guest's memory.
  public var tableBytes: UInt64 = 0
  public var peakTableBytes: UInt64 = 0
  public var guestBytes: UInt64 = 0
  /// Frames in tables of each kind, now and at most, and in the course of time.
  public var tables = TableCounts()
  public var peakTables = TableCounts()
  public var timeline = TableTimeline()

  /// All work charged.
  public var work = WorkCounts()

  public init() {}
}
