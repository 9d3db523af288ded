import Machine

/// One shadow table: 512 entries that the hardware walks (KVM: `struct kvm_mmu_page`).
struct ShadowPage {
  /// The guest table that it shadows; of a direct page the first frame that it maps.
  var gfn: UInt64
  var role: ShadowRole
  /// The table itself.
  var table: HostPhysical
  /// The index of the virtual processor for which it was made, which uses it alone where pages are not shared.
  var owner = 0
  /// Whether its entries may be behind the guest's table, which is then not write-protected for this page's sake (KVM:
  /// `unsync`): out of step, or part of a virtual TLB.
  var mayBeStale = false
  /// Whether it maps pieces of a large page of the guest's, or leads to a page of which that is said; the note may outlive
  /// its reason, until somebody follows it.
  var leadsToPieces = false
  /// Entries that are present.
  var present = 0
  /// Traced writes to its guest table since a fault last used it (`TracedWrite`).
  var idleWrites = 0
  /// The next shadow page of the same guest frame; -1: none.
  var nextOfFrame: Int32 = -1
  /// Neighbours in the order of last use; -1: none.
  var newer: Int32 = -1
  var older: Int32 = -1
  var isLive = true
}
