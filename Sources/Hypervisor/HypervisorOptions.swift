import Machine

/// What can be chosen about a hypervisor besides its profile.
public struct HypervisorOptions: Sendable {
  /// How guest memory is virtualised.
  public enum Kind: Equatable, Sendable {
    /// The hardware walks the guest's tables and the hypervisor's nested tables.
    case nested
    /// The hardware walks tables that the hypervisor makes of the guest's.
    case shadow(CoherencePolicy)
    /// Shadow tables above, kept by traces, and below them, where the guest writes its tables often, those themselves
    /// through nested tables.
    case agile

    /// How the shadow tables stay coherent; nil where there are none.
    var policy: CoherencePolicy? {
      switch self {
      case .nested: nil
      case .shadow(let policy): policy
      case .agile: .trace
      }
    }

    /// Whether guest-physical addresses are translated by nested tables.
    var hasNestedTables: Bool { self == .nested || self == .agile }
  }

  public var kind: Kind
  /// The largest page with which guest memory is mapped in the host.
  public var hostPage: PageSize
  /// Shadow roots that are kept beside one another, each with a TLB tag of its own.
  public var cachedRoots: Int
  /// Whether a traced write that makes a guest entry present fills the shadow entry at once, where the entry has A set.
  public var eagerFill: Bool
  /// How many entries of a leaf table a fault fills at once, itself among them: those of the aligned group around it
  /// that the guest has used before. A power of two; 1: the one alone (KVM: `pte_prefetch`, 8).
  public var fillAround: Int
  /// Whether shadow pages of a frame are dropped once writes to it look like data and no longer like a table
  /// (`WriteFlooding`).
  public var zapOnReuse: Bool
  /// The most shadow pages at a time; nil: 20 per mille of the guest's frames, and at least 64, as in KVM.
  public var shadowPages: Int?
  /// Under `unsync`, the most shadow pages out of step at a time, for each processor; nil: any number, as in KVM (Xen: 3).
  public var outOfSyncLimit: Int?
  public var agile = AgileOptions()
  /// Cycles between two guest frames that the host disturbs; nil: it leaves them alone.
  public var churn: UInt64?
  /// Whether the hardware keeps A and D in nested tables (EPTP bit 6); nil: where it can. AMD's always does.
  public var nestedAccessedDirty: Bool?
  /// Levels of the nested tables, 4 or 5.
  public var nestedLevels = 4
  /// How pages are logged that the guest writes, and how often what was logged is collected.
  public var dirtyLog = DirtyLogOptions()
  /// Whose nested-table format is used.
  public var vendor: Vendor
  /// Guest-physical bytes that are memory, in ascending order; everything else is device space.
  public var ramRanges: [Range<UInt64>]
  /// Tags the guest's TLB entries, 1 ... 7.
  public var vpid: UInt16 = 1

  public init(
    kind: Kind, hostPage: PageSize = .page4K, cachedRoots: Int = 4, eagerFill: Bool = true, fillAround: Int = 1,
    zapOnReuse: Bool = true, shadowPages: Int? = nil, outOfSyncLimit: Int? = nil,
    agile: AgileOptions = AgileOptions(), vendor: Vendor, ramRanges: [Range<UInt64>]
  ) {
    self.kind = kind
    self.hostPage = hostPage
    self.cachedRoots = cachedRoots
    self.eagerFill = eagerFill
    self.fillAround = fillAround
    self.zapOnReuse = zapOnReuse
    self.shadowPages = shadowPages
    self.outOfSyncLimit = outOfSyncLimit
    self.agile = agile
    self.vendor = vendor
    self.ramRanges = ramRanges
  }
}

/// When tables go from shadow to nested paging and back, under agile paging.
public struct AgileOptions: Sendable, Equatable {
  /// Cycles between two looks at which nested tables the guest has stopped writing.
  public var interval: UInt64 = 1_000_000
  /// Whether new tables begin nested, and with them new address spaces (Agile, section III.C: what lives shortly never pays for
  /// shadow tables).
  public var startsNested = true
  /// How much of what shadowing a table again will cost, in per cent, must have been spent on references to nested tables
  /// before it goes back; 0: it goes back as soon as it is not written.
  public var patience: UInt64 = 300

  public init() {}
}

/// Why a hypervisor cannot be made.
public enum HypervisorError: Error, Equatable, CustomStringConvertible {
  /// The guest and the tables do not fit into the host's memory.
  case hostMemoryTooSmall(needed: UInt64, available: UInt64)
  /// A range of guest memory is empty, out of order, not a multiple of 4 KiB, or beyond the physical address width.
  case badRange(Range<UInt64>)
  case noProcessor

  public var description: String {
    switch self {
    case .hostMemoryTooSmall(let needed, let available):
      "the hypervisor needs \(needed >> 20) MiB of host memory and has \(available >> 20) MiB"
    case .badRange(let range):
      "guest memory from 0x\(String(range.lowerBound, radix: 16)) to 0x\(String(range.upperBound, radix: 16)) "
        + "is empty, out of order, not made of 4 KiB frames, or beyond the physical address width"
    case .noProcessor: "a guest needs a processor"
    }
  }
}
