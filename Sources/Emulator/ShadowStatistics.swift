extension Statistics {
  /// What a hypervisor's memory management counted, under the names that KVM gives its counters (`kvm_stat`) where it has
  /// them.
  public struct Shadow: Equatable, Sendable {
    public var pfTaken: UInt64 = 0
    public var pfFixed: UInt64 = 0
    public var pfGuest: UInt64 = 0
    public var pfEmulate: UInt64 = 0
    public var hiddenFaults: UInt64 = 0
    public var trueFaults: UInt64 = 0
    public var mmuPteWrite: UInt64 = 0
    public var mmuPteUpdated: UInt64 = 0
    public var mmuPdeZapped: UInt64 = 0
    public var mmuFlooded: UInt64 = 0
    public var mmuRecycled: UInt64 = 0
    public var mmuCacheMiss: UInt64 = 0
    public var mmuShadowZapped: UInt64 = 0
    public var mmuUnsync: UInt64 = 0
    public var unsynced: UInt64 = 0
    public var synced: UInt64 = 0
    public var tlbFlush: UInt64 = 0
    public var invept: UInt64 = 0
    public var invvpid: UInt64 = 0
    public var remoteTlbFlush: UInt64 = 0
    public var invlpg: UInt64 = 0
    public var lockWaits: UInt64 = 0
    public var lockWaitCycles: UInt64 = 0
    public var dirtyPages: UInt64 = 0
    public var dirtyCollections: UInt64 = 0
    public var dirtyFaults: UInt64 = 0
    public var dirtyScanned: UInt64 = 0
    public var dirtyLogFull: UInt64 = 0
    public var tableBytes: UInt64 = 0
    public var peakTableBytes: UInt64 = 0

    public init() {}
  }
}

extension Statistics.Shadow {
  /// One of the counters: its name in documents and tables, and what it counts.
  public struct Counter: Sendable {
    public enum Group: Sendable { case faults, tables, flushes, lock, dirty, memory }

    public let name: String
    public let group: Group
    public let meaning: String
    fileprivate let path: WritableKeyPath<Statistics.Shadow, UInt64> & Sendable

    fileprivate init(
      _ name: String, _ group: Group, _ path: WritableKeyPath<Statistics.Shadow, UInt64> & Sendable, _ meaning: String
    ) {
      (self.name, self.group, self.path, self.meaning) = (name, group, path, meaning)
    }
  }

  /// The value of a counter.
  public subscript(_ counter: Counter) -> UInt64 { self[keyPath: counter.path] }

  /// Every counter, in the order in which tables show them. The document is made by this list, and read by it.
  public static let counters: [Counter] = [
    Counter("pf_taken", .faults, \.pfTaken, "page faults that exited"),
    Counter("pf_fixed", .faults, \.pfFixed, "answered by an entry"),
    Counter("pf_guest", .faults, \.pfGuest, "injected into the guest"),
    Counter("pf_emulate", .faults, \.pfEmulate, "answered by emulating the write"),
    Counter("hiddenFaults", .faults, \.hiddenFaults, "faults that the guest never saw"),
    Counter("trueFaults", .faults, \.trueFaults, "faults that were the guest's own"),
    Counter("mmu_pte_write", .tables, \.mmuPteWrite, "writes to guarded tables"),
    Counter("mmu_pte_updated", .tables, \.mmuPteUpdated, "shadow entries filled because of one"),
    Counter("mmu_pde_zapped", .tables, \.mmuPdeZapped, "links to lower shadow pages removed because of one"),
    Counter("mmu_flooded", .tables, \.mmuFlooded, "tables whose shadow pages went, written like data"),
    Counter("mmu_recycled", .tables, \.mmuRecycled, "shadow pages dropped to make room"),
    Counter("mmu_cache_miss", .tables, \.mmuCacheMiss, "shadow pages made"),
    Counter("mmu_shadow_zapped", .tables, \.mmuShadowZapped, "shadow pages dropped, for whatever reason"),
    Counter("mmu_unsync", .tables, \.mmuUnsync, "shadow pages out of step at the end"),
    Counter("unsynced", .tables, \.unsynced, "times that one left step"),
    Counter("synced", .tables, \.synced, "times that one was brought up to date"),
    Counter("tlb_flush", .flushes, \.tlbFlush, "flushes of a whole context"),
    Counter("invept", .flushes, \.invept, "of those, INVEPTs: after changes of nested tables"),
    Counter("invvpid", .flushes, \.invvpid, "of those, INVVPIDs: of a whole virtual processor"),
    Counter("remote_tlb_flush", .flushes, \.remoteTlbFlush, "flushes asked of other processors"),
    Counter("invlpg", .flushes, \.invlpg, "INVLPGs that exited"),
    Counter("lockWaits", .lock, \.lockWaits, "waits of a processor for the lock of the tables"),
    Counter("lockWaitCycles", .lock, \.lockWaitCycles, "cycles waited"),
    Counter("dirtyPages", .dirty, \.dirtyPages, "pages logged as written, each once in an interval"),
    Counter("dirtyCollections", .dirty, \.dirtyCollections, "collections of what was logged"),
    Counter("dirtyFaults", .dirty, \.dirtyFaults, "first writes that faulted to be logged"),
    Counter("dirtyScanned", .dirty, \.dirtyScanned, "nested entries that were looked at for D"),
    Counter("dirtyLogFull", .dirty, \.dirtyLogFull, "exits because the page-modification log was full"),
    Counter("tableBytes", .memory, \.tableBytes, "host memory in tables"),
    Counter("peakTableBytes", .memory, \.peakTableBytes, "the most that tables ever took"),
  ]
}

extension Statistics.Shadow: Codable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// A counter that is missing, in a document of an older Penumbra, is 0.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    for counter in Self.counters {
      self[keyPath: counter.path] =
        try values.decodeIfPresent(UInt64.self, forKey: Key(stringValue: counter.name)) ?? 0
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    for counter in Self.counters { try values.encode(self[counter], forKey: Key(stringValue: counter.name)) }
  }
}
