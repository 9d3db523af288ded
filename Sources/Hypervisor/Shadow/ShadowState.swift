import Machine

/// All state of shadow paging besides the tables themselves, which are in host memory.
struct ShadowState {
  var pool: ShadowPool
  var rmap: ReverseMap
  var unsyncMarks = UnsyncMarks()
  var lostWrites: LostWrites
  /// A table without an entry: the root where CR3 points to no memory.
  let emptyTable: HostPhysical

  /// What the chokepoint did (`Hypervisor.change`), to check the charges against.
  var entriesMade: UInt64 = 0
  var entriesRemoved: UInt64 = 0
  var entriesProtected: UInt64 = 0

  /// No shadow tables.
  init() {
    pool = ShadowPool(guestFrames: 0, limit: 0)
    rmap = ReverseMap(guestFrames: 0, shadowPages: 0)
    lostWrites = LostWrites(guestFrames: 0)
    emptyTable = HostPhysical(0)
  }

  init(
    guestFrames: UInt64, pageLimit: Int, _ policy: CoherencePolicy, _ options: HypervisorOptions,
    _ allocator: inout FrameAllocator
  ) {
    pool = ShadowPool(
      guestFrames: guestFrames, limit: pageLimit, guardsTables: policy.guardsTables,
      keepsOrderOutOfStep: options.outOfSyncLimit != nil)
    rmap = ReverseMap(guestFrames: guestFrames, shadowPages: pageLimit, hasSwitches: options.kind == .agile)
    lostWrites = LostWrites(guestFrames: guestFrames)
    emptyTable = allocator.allocate(.empty, number: 0x3fff_ffff)?.address ?? HostPhysical(0)
  }
}

/// Making and dropping shadow pages.
extension Hypervisor {
  /// The shadow page of a frame with a role, made if need be.
  ///
  /// Making one for a guest table write-protects the table's frame. The page used longest ago goes when there are too
  /// many; never one that the fault in progress has gone through, since those were used last, nor a
  /// processor's root in use.
  func shadowPage(_ gfn: UInt64, _ role: ShadowRole, for cause: Cause) -> Int? {
    if policy.sharesPages {
      work(cause, .lookup)
      if let known = shadows.pool.find(gfn, role) {
        refresh(known)
        return known
      }
    }
    // The guest has other tables' modes: its writes have to be seen again.
    if !role.isDirect && nestedTable(gfn) != nil { comeBack(gfn) }
    while shadows.pool.isFull {
      guard recycleOldest() else {
        failure = "no shadow page can be given up"
        return nil
      }
    }
    let index = shadows.pool.nextIndex
    let kind = role.isDirect ? TableKind.direct : .shadow(level: role.level)
    guard let (table, isRecycled) = allocator.allocate(kind, number: UInt64(index)) else {
      failure = "host memory is exhausted"
      return nil
    }
    if isRecycled { memory.zeroFrame(at: table) }
    work(cause, .allocate)
    counted.mmuCacheMiss &+= 1
    shadows.rmap.reserve(page: index)
    shadows.unsyncMarks.reserve(page: index)
    var page = ShadowPage(gfn: gfn, role: role, table: table)
    page.owner = processor.index
    page.mayBeStale = !policy.guardsTables && !role.isDirect
    page.leadsToPieces = role.isDirect
    let isNewlyGuarded = shadows.pool.insert(page)
    if isNewlyGuarded && !mutated("protect-skipped") { protect(gfn, for: cause) }
    return index
  }

  private func recycleOldest() -> Bool {
    var candidate = Int(shadows.pool.oldest)
    while candidate >= 0, isRootInUse(candidate) { candidate = Int(shadows.pool[candidate].newer) }
    guard candidate >= 0 else { return false }
    counted.mmuRecycled &+= 1
    zap(candidate)
    return true
  }

  /// Whether a page is one of a root that any processor keeps.
  func isCachedRoot(_ page: Int) -> Bool {
    virtualProcessors.contains { $0.roots.slots.contains { $0?.pages.contains(page) ?? false } }
  }

  /// Whether a page is the root in use on any processor.
  private func isRootInUse(_ page: Int) -> Bool { virtualProcessors.contains { $0.roots.isInUse(page) } }

  /// Takes write permission to a guest table away from every shadow entry that maps it. Entries for large pages around
  /// it go altogether: the next fault there makes small ones.
  func protect(_ gfn: UInt64, for cause: Cause) {
    var hasLost = shadows.lostWrites.contains(gfn)
    if takeWrites(to: gfn, cuttingUp: true, for: cause) { hasLost = true }
    // The guest does not know that these translations have become stale.
    if hasLost && !mutated("protect-without-flush") { flushEveryProcessor() }
    guard nested != nil, !mutated("protect-not-nested"), setNestedWritable(GuestPhysical(gfn << 12), false) else {
      return
    }
    work(cause, .protect)
    flushNestedEverywhere()
  }

  /// Drops a shadow page: everything that leads to it and every entry in it. Shadow pages below it stay and can be
  /// found again, unless pages are not shared.
  func zap(_ index: Int, for cause: Cause = .shadowReclaim) {
    while true {
      let slot = shadows.rmap.first(shadows.rmap.list(leadingTo: index))
      guard slot >= 0 else { break }
      change(slot, to: .none, for: cause)
    }
    // A page goes with the last entry that leads to it, where pages are not shared.
    guard shadows.pool[index].isLive else { return }
    counted.mmuShadowZapped &+= 1
    empty(index, for: cause)
    for each in virtualProcessors where !mutated("root-kept") { each.roots.forget(page: index) }
    allocator.release(shadows.pool[index].table)
    let owner = shadows.pool[index].owner
    shadows.pool.remove(index)
    // Paging-structure caches may still lead to the table, whose frame will be something else.
    if mutated("zap-without-flush") { return }
    if policy.sharesPages || owner != processor.index { flushEveryProcessor() } else { roots.flushAll() }
  }

  /// Removes every entry of a shadow page.
  func empty(_ index: Int, for cause: Cause = .shadowReclaim) {
    var slot = index << 9
    while shadows.pool[index].present > 0 {
      change(slot, to: .none, for: cause)
      slot += 1
    }
  }

  /// Drops every shadow page of a guest frame, after which the guest may write it freely. Roots in use stay, and
  /// with them the protection.
  func unshadow(_ gfn: UInt64) {
    var next = shadows.pool.firstPage(of: gfn)
    while next >= 0 {
      let page = next
      next = Int(shadows.pool[page].nextOfFrame)
      if !shadows.pool[page].role.isDirect && !isRootInUse(page) { zap(page) }
    }
  }
}
