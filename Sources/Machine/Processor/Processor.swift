/// One modelled processor: its state, its translation hardware, its block cache. Everything that runs guest code is an
/// extension of it, one file a noun.
///
/// Safety: `s`, `loaded`, `planned`, `refillPath`, the ledger and the translation arrays are allocated once, owned here and freed in `deinit`; nothing
/// keeps a pointer to them longer than the processor lives.
public final class Processor {
  /// The state that the guest can see, through a pointer because the dispatch loop wants it in one.
  let s: UnsafeMutablePointer<ProcessorState>
  /// Cycles by cause, except `execute`, which is `s.executed`.
  let causes: UnsafeMutablePointer<UInt64>
  let memory: HostMemory
  let bus: any DeviceBus
  let profile: CostProfile
  let costs: HotCosts
  let options: ProcessorOptions
  /// Which of the machine's processors it is: its local APIC's index on the bus.
  public let index: Int
  let features: FeatureSet
  let translation: TranslationUnit
  let blocks: BlockCache
  let refillPath: UnsafeMutablePointer<RefillPath>
  let largePages: LargePages
  /// The direct cache of the privilege in force (`DirectCache`).
  var direct: UnsafeMutablePointer<DirectEntry>
  /// Tags of the TLB entries that the running context makes and hits.
  var tag: UInt64 = 0
  var globalTag: UInt64 = TranslationKey.globalBit
  /// The tag of what is keyed by guest-physical addresses, under the nested root in use.
  var nestedTag: UInt64 = 0
  /// Where the hardware writes the next entry of the page-modification log: a field of the guest state (SDM vol. 3,
  /// 25.4.2). It counts down, and is beyond the log when that is full.
  public var modificationLogIndex = ModificationLog.entries - 1
  /// Which context's table `direct` is.
  var directContext = 0
  /// Whether `direct` may be filled: whether any access need not be looked at.
  var hasVerdicts = false
  /// Whether what the second-level TLB holds needs no check (`refill`).
  var refills = false
  /// With coherent TLBs: the frames of the tables that verdicts rest on.
  let tableFrames: FrameSet?
  /// Whether what was looked at last may stand for every later access to its page, as it always may unless TLBs are
  /// coherent (`CoherentTLB.swift`).
  var isChecked = true
  /// Which TLB entries serve an access now: follows `pagingControls`.
  var served = ServedAccess.under(
    PagingControls(writeProtect: false, smep: false, smap: false, alignmentCheckFlag: false))
  /// Which TLB entries serve reads and writes of the privilege in force, keys aside, as far as `direct` may be filled.
  var servedReads: UInt64 = 0
  var servedWrites: UInt64 = 0
  /// Whether a protection key denies anything now.
  var hasKeys = false
  /// Bits at the top of a linear address that repeat the one below them: 16 or 7, and 0 outside long mode, where no
  /// address has more than 32.
  var untranslatedBits: UInt64 = 16
  /// What the direct cache's verdicts rest on; when it changes they are dropped.
  var verdictBasis = VerdictBasis()
  /// Time stamp of the instruction in execution: the retired count that includes it.
  var stamp: UInt64 = 0
  /// The page that instructions are being fetched from: its linear number and its frame.
  var fetchPage: UInt64 = .max
  var fetchFrame: UInt64 = 0
  /// The page after it, where an instruction crosses into that.
  var fetchSecondPage: UInt64 = .max
  var fetchSecondFrame: UInt64 = 0
  /// The size of the code that is running; it changes only outside the dispatch loop.
  var codeSize = CodeSize.bits16
  /// Which vector instructions need not ask; likewise.
  var vectorMode: VectorMode = []
  /// The operation whose slow path is running, where one is in the middle of a block.
  var currentOperation: UnsafeMutablePointer<Operation>?
  /// Why the dispatch loop was left by a branch.
  var leave = Leave.completed
  /// Whether a single-step trap follows the instruction in execution: TF as it was before, unless the instruction
  /// decides otherwise.
  var singleStep = false
  /// Whether a breakpoint is enabled, whether alignment is checked, and whether data accesses have to be looked at for
  /// either (`Breakpoints.swift`).
  var hasBreakpoints = false
  var checksAlignment = false
  var watchesAccesses = false
  /// What a debugger has asked for (`Pause.swift`): whether there is a debugger, whether it wants instructions paused
  /// at, and whether it watches memory.
  var pauseRequests = PauseRequests()
  var isDebugged = false
  var hasPauses = false
  var watchesMemory = false
  /// Of the pages watched, linear and the host's, one bit for every number modulo 64.
  var watchedPages = (linear: UInt64(0), host: UInt64(0))
  /// Pause at the next instruction boundary.
  var isPauseRequested = false
  /// The pause that the run goes on from: it is not met again before something is done.
  var passedPause = (rip: UInt64.max, retired: UInt64.max)
  /// Watched accesses since the last pause.
  var watchHits: [WatchHit] = []
  /// The mode that observers know of.
  var toldMode = ProcessorMode.real
  /// Data and port breakpoints that the instruction in execution has touched, as bits of DR6.
  var matchedBreakpoints: UInt64 = 0
  /// One instruction is run by itself: nothing after it may be entered.
  var isAlone = false
  /// The limits of the run in progress.
  var clockLimit = UInt64.max
  var retiredLimit = UInt64.max
  /// A block's operation that was replaced to make the loop leave before it, and its handler.
  var patched: (operation: UnsafeMutablePointer<Operation>, handler: Handler)?

  /// The hypervisor's wishes; set through `enter`.
  var controls = VMControls.native
  /// Made from the control registers and `controls` whenever one of them changes.
  var plan: WalkPlan {
    get { planned.pointee }
    set { planned.pointee = newValue }
  }
  /// Where it is: it is too large to be copied for every walk.
  let planned: UnsafeMutablePointer<WalkPlan>
  /// Which registers the third of the plans was made from, the one for walks in software.
  var softwarePlannedFor: PagingRegisters?
  /// Under agile paging the plan of the guest's own tables, to which switching entries lead. It is beside the other.
  var beyond: UnsafePointer<WalkPlan>?
  var pagingControls: PagingControls
  /// The PDPTEs of the tables that the hardware walks: the guest's own, or those of the hypervisor's shadows.
  var directoryPointers = DirectoryPointers()

  /// Where the guest's frames are, for a hypervisor whose shadow tables may be stale: what coherent TLBs are checked
  /// against besides those.
  public var guestFrames: FrameMap?

  public weak var observer: (any MachineObserver)? {
    didSet { isObserved = observer != nil }
  }
  /// Whether there may be an observer: a weak reference is dear to ask.
  private(set) var isObserved = false

  /// Why a slow path gave up: set together with its `false`.
  var stop = Stop.none
  /// Where the value of a slow load is left.
  let loaded: UnsafeMutablePointer<UInt64>
  /// The event in delivery, so that a fault in the middle of it is told with it.
  var delivering: Event?
  /// Stores to granted device registers, for the hypervisor.
  var grantedStores: [GrantedStore] = []
  /// The last events delivered, newest last, for messages.
  var recentEvents: [(event: Event, rip: UInt64)] = []
  /// The last exceptions raised, newest last, whatever became of their delivery.
  var raisedExceptions: [RaisedException] = []

  /// Counters of slow paths.
  public internal(set) var counters = Counters()
  public internal(set) var regions: RegionAccounts
  /// Set from elsewhere (Control-C, a time slice): leave at the next block boundary that is not in the hot loop. All
  /// processors of a machine share it.
  public let stopRequest: StopRequest

  public init(
    memory: HostMemory, bus: any DeviceBus, decoder: any InstructionDecoder, profile: CostProfile, features: FeatureSet,
    options: ProcessorOptions, stopRequest: StopRequest = StopRequest()
  ) {
    self.stopRequest = stopRequest
    self.memory = memory
    self.bus = bus
    self.profile = profile
    self.features = features
    self.options = options
    index = options.index
    costs = HotCosts(profile)
    s = .allocate(capacity: 1)
    s.initialize(to: ProcessorState())
    s.pointee.awaitsStartUp = options.index != 0
    loaded = .allocate(capacity: 2)
    loaded.initialize(repeating: 0, count: 2)
    causes = .allocate(capacity: Cause.count)
    causes.initialize(repeating: 0, count: Cause.count)
    translation = TranslationUnit(profile: profile, options: options)
    refillPath = RefillPath.allocate(translation)
    largePages = LargePages(translation)
    direct = translation.direct.nothing
    tableFrames = options.coherentTLB ? FrameSet(frames: memory.capacity >> 12) : nil
    blocks = BlockCache(
      memory: memory, decoder: decoder, costs: costs, features: features, greatestLength: options.blockLength)
    planned = .allocate(capacity: 3)
    planned.initialize(
      repeating: WalkPlan(
        root: GuestPhysical(0), levels: 0, format: .ordinary(noExecute: false),
        reserved: ReservedBits(
          .ordinary(noExecute: false), physicalBits: costs.physicalBits, gigabytePages: true, vendor: profile.vendor),
        reportsFetch: false, globalPages: false, second: .identity), count: 3)
    pagingControls = PagingControls(writeProtect: false, smep: false, smap: false, alignmentCheckFlag: false)
    regions = RegionAccounts()
    memory.add(self)
    updatePaging()
  }

  deinit {
    memory.remove(self)
    s.deinitialize(count: 1)
    s.deallocate()
    causes.deallocate()
    loaded.deallocate()
    planned.deallocate()
    refillPath.deallocate()
  }

  /// The architectural state, consistent between runs.
  public var state: ProcessorState {
    get { s.pointee }
    set { s.pointee = newValue }
  }

  /// Follows a change of `state` from outside.
  public func refresh() { updatePaging() }

  /// The last events delivered to the guest, newest last, with RIP before them.
  public var recentlyDelivered: [(event: Event, rip: UInt64)] { recentEvents }

  /// The last exceptions that the guest raised, newest last, those that could not be delivered included.
  public var recentlyRaised: [RaisedException] { raisedExceptions }

  /// Charges cycles to a cause. Apart from the base costs of whole blocks this is the only way that time passes.
  @inline(__always) public func charge(_ cause: Cause, _ cycles: UInt64) {
    causes[Int(cause.rawValue)] &+= cycles
    s.pointee.charged &+= cycles
    s.pointee.executedDeadline = s.pointee.executedDeadline > cycles ? s.pointee.executedDeadline &- cycles : 0
  }

  /// The clock's value, up to the start of the running block: exact between runs.
  public var clock: UInt64 { s.pointee.clock }

  /// Where the cycles went so far.
  public var ledger: CycleLedger {
    var ledger = CycleLedger(causes)
    ledger[.execute] = s.pointee.executed
    return ledger
  }

  /// The guest's time: what its TSC, without its offset, and its timers count.
  @inline(__always) var now: UInt64 {
    options.clock == .cycles ? s.pointee.clock : s.pointee.retired &* options.ticks &+ s.pointee.idleTicks
  }

  /// Under the instruction clock: how many instructions are retired at the first boundary at or after a time.
  func instructions(until time: UInt64) -> UInt64 {
    guard time != .max else { return .max }
    guard time > s.pointee.idleTicks else { return 0 }
    let (whole, rest) = (time - s.pointee.idleTicks).quotientAndRemainder(dividingBy: options.ticks)
    return whole &+ (rest == 0 ? 0 : 1)
  }
}

/// What can be chosen about a processor besides its profile.
public struct ProcessorOptions: Sendable {
  /// The processor's number, from 0; 0 is the bootstrap processor.
  public var index = 0
  /// How many processors the machine has.
  public var count = 1
  public var clock = ClockSource.cycles
  /// Under the instruction clock: ticks of the guest's time that an instruction takes, 1 or more.
  public var ticks: UInt64 = 1
  /// The greatest number of instructions in a block, 1 ... 64.
  public var blockLength = 64
  public var dataCache = DataCacheModel.off
  public var coherentTLB = false
  /// What the numbers of RDRAND and RDSEED follow from: the same seed, the same numbers.
  public var randomSeed: UInt64 = 0

  public init() {}
}

/// How data accesses are charged (`cache.data`).
public enum DataCacheModel: String, Sendable, CaseIterable {
  /// Not at all, beyond their instruction.
  case off
  /// Through the modelled L2 and L3; what L2 holds costs nothing more, since an L1 miss that L2 serves is mostly
  /// hidden.
  case l2l3
  /// Through L1, L2 and L3, each at its latency.
  case full
}

/// Why a slow path gave up, for the run loop.
enum Stop {
  case none
  /// The instruction raised an exception and has had no effect.
  case exception(GuestException)
  /// It exits to the hypervisor and has had no effect.
  case exit(VMExit)
  /// It stands as far as it went and goes on from the same RIP: a repeated string instruction met a deadline.
  case again
  /// It has had no effect, and the processor waits before it for an interrupt.
  case frozen
  /// It is one that Penumbra does not do.
  case unsupported(String)
  /// Exceptions raise each other without end.
  case lockedUp
}
