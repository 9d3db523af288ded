extension Statistics {
  /// The shadow tables' counters, by the names that KVM gives them (`kvm_stat`).
  public struct Shadow: Codable, Equatable, Sendable {
    /// Page faults that exited, and what became of them: an entry made, injected into the guest, a write emulated.
    public var pfTaken: UInt64 = 0
    public var pfFixed: UInt64 = 0
    public var pfGuest: UInt64 = 0
    public var pfEmulate: UInt64 = 0
    /// Writes to guarded tables, and shadow entries that they changed.
    public var mmuPteWrite: UInt64 = 0
    public var mmuPteUpdated: UInt64 = 0
    /// Shadow pages dropped because of a write to an upper level, because of many writes, and to make room.
    public var mmuPdeZapped: UInt64 = 0
    public var mmuFlooded: UInt64 = 0
    public var mmuRecycled: UInt64 = 0
    /// Shadow pages made, and shadow pages dropped for whatever reason.
    public var mmuCacheMiss: UInt64 = 0
    public var mmuShadowZapped: UInt64 = 0
    /// Shadow pages out of step with the guest's at the end; how often one left step, and was brought up to date.
    public var mmuUnsync: UInt64 = 0
    public var unsynced: UInt64 = 0
    public var synced: UInt64 = 0
    public var tlbFlush: UInt64 = 0
    public var remoteTlbFlush: UInt64 = 0
    public var invlpg: UInt64 = 0
    /// Host memory that shadow tables take, now and at most.
    public var tableBytes: UInt64 = 0
    public var peakTableBytes: UInt64 = 0

    public init() {}

    enum CodingKeys: String, CodingKey {
      case pfTaken = "pf_taken"
      case pfFixed = "pf_fixed"
      case pfGuest = "pf_guest"
      case pfEmulate = "pf_emulate"
      case mmuPteWrite = "mmu_pte_write"
      case mmuPteUpdated = "mmu_pte_updated"
      case mmuPdeZapped = "mmu_pde_zapped"
      case mmuFlooded = "mmu_flooded"
      case mmuRecycled = "mmu_recycled"
      case mmuCacheMiss = "mmu_cache_miss"
      case mmuShadowZapped = "mmu_shadow_zapped"
      case mmuUnsync = "mmu_unsync"
      case tlbFlush = "tlb_flush"
      case remoteTlbFlush = "remote_tlb_flush"
      case invlpg, unsynced, synced, tableBytes, peakTableBytes
    }
  }
}
