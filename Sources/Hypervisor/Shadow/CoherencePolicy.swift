/// How shadow tables stay coherent with the guest's.
///
/// A policy is a value that the one mechanism asks: shadow pages, the reverse map and the chokepoint through which an
/// entry changes (`Hypervisor.change`) are the same for all. What a page may be behind its guest table in, the page
/// itself says (`ShadowPage.mayBeStale`).
public enum CoherencePolicy: String, CaseIterable, Sendable {
  /// Guest tables are write-protected, and every write to one is emulated (VMware's traces, AA06 2.4).
  case trace
  /// The same for upper tables; a leaf table leaves its protection at the first write, and is brought into step again
  /// when the guest invalidates (KVM's unsynchronised pages; Xen's out-of-sync pages).
  case unsync
  /// Nothing is protected: shadow tables are a TLB, filled by faults, of which the guest's invalidations drop what they
  /// name (SDM vol. 3, 33.3, the virtual TLB).
  case vtlb

  /// Whether a guest table is write-protected while it has a shadow.
  var guardsTables: Bool { self != .vtlb }

  /// Whether protection is lifted from a leaf table that the guest writes.
  var liftsLeafTables: Bool { self == .unsync }

  /// Whether a shadow page serves wherever its frame and role match, and on every processor. Otherwise exactly one entry
  /// leads to each page, and a page goes with that entry: what the guest invalidates on one processor or at one
  /// address must not come back by another.
  var sharesPages: Bool { self != .vtlb }

  /// Whether entries may say what the guest's tables no longer do, until the guest invalidates.
  var mayBeStale: Bool { self != .trace }
}
