/// What the hypervisor asks of the hardware: which events to intercept and which tables to use (VMCS execution
/// controls; the VMCB's control area). The hardware obeys without knowing why.
public struct VMControls: Sendable {
  /// Whose tables the hardware walks.
  public enum Paging: Equatable, Sendable {
    /// The guest's own, from its CR3; guest-physical is host-physical.
    case native
    /// The hypervisor's shadow tables; the guest's CR0.PG, CR3 and CR4 are not consulted unless nested tables have a part in
    /// the walk.
    case shadow(ShadowPaging)
    /// The guest's own through nested tables.
    case nested(NestedPlan)

    var isNested: Bool { if case .nested = self { true } else { false } }
  }

  /// The shadow root in use.
  public struct ShadowPaging: Equatable, Sendable {
    public var root: HostPhysical
    /// How many levels of tables there are, 4 or 5; 3 with PDPTEs in `directoryPointers` instead of a root.
    public var levels: Int
    public var directoryPointers: DirectoryPointers
    /// Tags the root's TLB entries, 0 ..< 4096, in the place of a PCID.
    public var tag: UInt16
    /// Agile paging: the tables of the second dimension, through which a walk goes on in the guest's own tables behind an
    /// entry that has `EntryBit.switching` set. Page faults that are found there are the guest's, and do not exit.
    public var nested: NestedPlan?
    /// Agile paging: the root is the guest's own top table, and all of the walk has two dimensions.
    public var isGuestRoot = false
    /// Agile paging: the guest does not page, and nested tables are all that there is.
    public var isUnpaged = false

    public init(
      root: HostPhysical, levels: Int, directoryPointers: DirectoryPointers = DirectoryPointers(), tag: UInt16
    ) {
      self.root = root
      self.levels = levels
      self.directoryPointers = directoryPointers
      self.tag = tag
    }
  }

  public struct Intercepts: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let pageFaults = Intercepts(rawValue: 1 << 0)
    public static let controlRegister0 = Intercepts(rawValue: 1 << 1)
    public static let controlRegister3 = Intercepts(rawValue: 1 << 2)
    public static let controlRegister4 = Intercepts(rawValue: 1 << 3)
    /// WRMSR of EFER.
    public static let extendedFeatures = Intercepts(rawValue: 1 << 4)
    /// INVLPG and INVPCID.
    public static let invalidations = Intercepts(rawValue: 1 << 5)
    public static let ports = Intercepts(rawValue: 1 << 6)
    public static let halt = Intercepts(rawValue: 1 << 7)
    public static let externalInterrupts = Intercepts(rawValue: 1 << 8)
    public static let tripleFault = Intercepts(rawValue: 1 << 9)
  }

  /// A shadow root that the hardware loads by itself when the guest loads CR3 (Agile, section IV: the cache of pairs of
  /// page-table pointers; Intel's CR3-target values, SDM vol. 3, 25.6.7, spare exits only where the guest's own root is
  /// used).
  public struct RootTarget: Equatable, Sendable {
    /// The value of CR3, without bit 63; nil where no load of CR3 alone leads to the root.
    public var cr3: UInt64?
    /// The PCID whose translations the root's are: invalidations without an exit reach all roots that are named here.
    public var pcid: UInt16
    public var paging: ShadowPaging

    public init(cr3: UInt64?, pcid: UInt16, paging: ShadowPaging) {
      (self.cr3, self.pcid, self.paging) = (cr3, pcid, paging)
    }
  }

  public var paging: Paging { didSet { hasNewPaging = true } }
  /// Whether `paging` was set since the last entry: entries are frequent, and seldom change tables (AMD: VMCB clean bits,
  /// APM vol. 2, 15.15.3).
  public private(set) var hasNewPaging = true
  public var rootTargets: [RootTarget] = []
  public var intercepts: Intercepts
  /// Tags every TLB entry of this machine (VPID, ASID), 0 for native, at most 7.
  public var vpid: UInt16
  /// Where the hardware logs the pages in whose nested entries it sets D (`ModificationLog`); nil: it does not.
  public var modificationLog: HostPhysical?
  /// Exit as soon as the guest can take an interrupt.
  public var interruptWindow = false
  /// An event that the next entry delivers to the guest before its first instruction.
  public var injection: Event?
  /// While not empty, exactly one instruction is executed with these accesses resolved, and the exit is `assisted`.
  public var grants = Grants()

  public init(paging: Paging, intercepts: Intercepts, vpid: UInt16) {
    self.paging = paging
    self.intercepts = intercepts
    self.vpid = vpid
  }

  /// What an entry takes with it: the event, which is injected once, and the news.
  mutating func taken() {
    injection = nil
    hasNewPaging = false
  }

  /// No hypervisor.
  public static let native = VMControls(paging: .native, intercepts: [], vpid: 0)
}

/// Intel's page-modification log (SDM vol. 3, 29.3.6): a page of guest-physical addresses of pages, written from its end
/// to its beginning.
public enum ModificationLog {
  /// How many entries it has; as an index, one beyond the last.
  public static let entries: UInt16 = 512
}

/// Something that is delivered through the guest's IDT.
public enum Event: Equatable, Sendable {
  case exception(GuestException)
  /// An external interrupt.
  case interrupt(UInt8)
  /// NMI, vector 2: until IRET no other one is delivered.
  case nonMaskable
  /// INT n, INT3 and INTO: RIP is saved after the instruction, `length` bytes on; the gate's DPL is checked.
  case software(vector: UInt8, length: UInt8)
  /// INT1 (F1): the same, but no gate's DPL stops it (SDM vol. 2, INT n; a privileged software exception in vol. 3,
  /// 25.8.3).
  case privilegedSoftware(length: UInt8)
}
