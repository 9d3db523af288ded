import Machine

/// What a hypervisor keeps for each processor of the guest; everything else it keeps for the machine.
///
/// A virtual processor has a processor of the host to itself, with TLBs of its own: tags need to differ among the roots of
/// one virtual processor only.
final class VirtualProcessor {
  let processor: Processor
  /// What the next entry asks of the hardware.
  var controls: VMControls
  /// The instruction that is being executed with the hypervisor's help.
  var assist: Assist?
  /// Guarded tables that somebody other than the guest's own stores may change now.
  var watched = WatchedTables()
  /// The guest is in HLT.
  var isWaiting = false
  /// Another processor's handler forces an exit before the guest's next instruction, for the flushes that have become due.
  var isKicked = false
  /// What is cached of nested tables, and of anything through them, is to be flushed before the next entry.
  var owesNestedFlush = false
  /// What it has waited for the tables' lock and has not been charged yet.
  var owedWait: UInt64 = 0
  /// Agile paging: what the hardware's root targets were made from.
  var targetsMadeFrom: RootTargetBasis?
  /// Agile paging: what shadow tables could not have spared.
  var unpagedWalks = UnpagedWalks()
  /// Shadow paging: the roots that are kept beside one another.
  var roots: ShadowRoots
  /// Tables whose protection was lifted for the instruction in progress.
  var lifted = LiftedTables()

  init(_ processor: Processor, controls: VMControls, cachedRoots: Int) {
    self.processor = processor
    self.controls = controls
    roots = ShadowRoots(capacity: cachedRoots)
  }

  /// Whether the guest's instructions are being executed, as far as anybody else can tell.
  var isInGuest: Bool { !isWaiting && !processor.awaitsStartUp }

  // MARK: Snapshots

  struct Snapshot {
    let controls: VMControls
    let assist: Assist?
    let watched: WatchedTables
    let isWaiting: Bool
    let isKicked: Bool
    let owesNestedFlush: Bool
    let owedWait: UInt64
    let unpagedWalks: UnpagedWalks
    let roots: ShadowRoots
    let lifted: LiftedTables
  }

  func snapshot() -> Snapshot {
    Snapshot(
      controls: controls, assist: assist, watched: watched, isWaiting: isWaiting, isKicked: isKicked,
      owesNestedFlush: owesNestedFlush, owedWait: owedWait, unpagedWalks: unpagedWalks, roots: roots,
      lifted: lifted)
  }

  func restore(_ snapshot: Snapshot) {
    controls = snapshot.controls
    assist = snapshot.assist
    watched = snapshot.watched
    isWaiting = snapshot.isWaiting
    isKicked = snapshot.isKicked
    owesNestedFlush = snapshot.owesNestedFlush
    owedWait = snapshot.owedWait
    targetsMadeFrom = nil
    unpagedWalks = snapshot.unpagedWalks
    roots = snapshot.roots
    lifted = snapshot.lifted
  }
}

/// The guest frames that were lifted from protection last, as long as no further instruction has retired.
struct LiftedTables {
  /// The tables that one instruction, or the delivery of an event, can store to: two operands across pages, descriptors,
  /// a task's state and a stack. A repeated string instruction goes on to others, and needs its first ones no more.
  private static let most = 8

  private var frames: [UInt64] = []
  private var retired: UInt64 = .max

  mutating func insert(_ gfn: UInt64, at retired: UInt64) {
    if self.retired != retired { frames.removeAll(keepingCapacity: true) }
    self.retired = retired
    guard !frames.contains(gfn) else { return }
    if frames.count == LiftedTables.most { frames.removeFirst() }
    frames.append(gfn)
  }

  func contains(_ gfn: UInt64, at retired: UInt64) -> Bool { self.retired == retired && frames.contains(gfn) }
}

/// The virtual processor that runs, or whose exit is being handled, by the names of its parts.
extension Hypervisor {
  var processor: Processor { running.processor }

  var controls: VMControls {
    get { running.controls }
    _modify { yield &running.controls }
  }

  var assist: Assist? {
    get { running.assist }
    _modify { yield &running.assist }
  }

  var watched: WatchedTables {
    get { running.watched }
    _modify { yield &running.watched }
  }

  var isWaiting: Bool {
    get { running.isWaiting }
    set { running.isWaiting = newValue }
  }

  var roots: ShadowRoots {
    get { running.roots }
    _modify { yield &running.roots }
  }
}
