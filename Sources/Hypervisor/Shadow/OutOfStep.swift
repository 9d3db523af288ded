import Machine

/// The policy `unsync`: leaf tables that the guest writes as it likes, and that are brought into step when it invalidates
/// (KVM: `mmu_try_to_unsync_pages`, `kvm_sync_page`, `mmu_sync_children`).
extension Hypervisor {
  /// Lifts the protection from a guest table that is about to be written, where all its shadow pages are leaf tables.
  ///
  /// An upper table never leaves: what changes there would leave behind whole trees.
  ///
  /// - Returns: whether the frame may be written now.
  func liftProtection(of gfn: UInt64) -> Bool {
    guard policy.liftsLeafTables else { return false }
    var page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      let role = shadows.pool[page].role
      if !role.isDirect && role.level > 1 && !mutated("upper-table-out-of-step") { return false }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      if !shadows.pool[page].role.isDirect && !shadows.pool[page].mayBeStale {
        work(.shadowResync, .lookup)
        counted.unsynced &+= 1
        shadows.pool.leaveStep(page)
        markWays(to: page)
      }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    makeRoomOutOfStep(for: gfn)
    return true
  }

  /// Brings the pages that left first into step, where there are more than may be out of it. The tables stay that an
  /// instruction in progress writes, on whatever processor: brought back before it is done they would leave again, and
  /// bring back others that it writes.
  private func makeRoomOutOfStep(for gfn: UInt64) {
    guard let limit = options.outOfSyncLimit else { return }
    running.lifted.insert(gfn, at: processor.instructionsRetired)
    let most = max(limit, 1) * virtualProcessors.count
    while shadows.pool.staleCount > most {
      let first = shadows.pool.firstOutOfStep { gfn in
        !virtualProcessors.contains { $0.lifted.contains(gfn, at: $0.processor.instructionsRetired) }
      }
      guard let first else { return }
      synchronise(first, protecting: true)
    }
  }

  /// Marks every entry from which a page can be reached.
  private func markWays(to page: Int) {
    var slot = shadows.rmap.first(shadows.rmap.list(leadingTo: page))
    while slot >= 0 {
      if shadows.unsyncMarks.insert(slot) { markWays(to: slot >> 9) }
      slot = shadows.rmap.next(slot)
    }
  }

  /// Follows the chokepoint: an entry leads to a page from now on, or does so no more.
  func noteLink(_ slot: Int, to page: Int) {
    guard policy.liftsLeafTables, shadows.pool[page].mayBeStale || shadows.unsyncMarks.hasAny(page) else { return }
    if !mutated("mark-forgotten") && shadows.unsyncMarks.insert(slot) { markWays(to: slot >> 9) }
  }

  func noteUnlink(_ slot: Int) {
    if policy.liftsLeafTables { shadows.unsyncMarks.remove(slot) }
  }

  // MARK: Into step

  /// Makes a page fit to be linked. What it holds is brought up to date, though it may stay out of step: writes go on
  /// without faults until the guest invalidates.
  func refresh(_ page: Int) {
    if shadows.pool[page].mayBeStale { synchronise(page, protecting: false) }
    synchroniseBelow(page)
  }

  /// Brings every page into step that can be reached from a page and is out of it.
  func synchroniseBelow(_ page: Int) {
    while let slot = shadows.unsyncMarks.first(of: page) {
      shadows.unsyncMarks.remove(slot)
      let present = entry(slot)
      guard present.isPresent, !present.isLeaf(level: shadows.pool[page].role.level) else { continue }
      let child = Int(allocator.owner(of: present.frame).number)
      if shadows.pool[child].mayBeStale { synchronise(child, protecting: true) }
      synchroniseBelow(child)
    }
  }

  /// Brings the entries of a leaf table up to date.
  ///
  /// - Parameter protecting: whether the guest's table is write-protected again, so that the page stays in step.
  func synchronise(_ page: Int, protecting: Bool) {
    lockTables()
    counted.synced &+= 1
    work(.shadowResync, .lookup)
    if protecting && shadows.pool.enterStep(page) { protect(shadows.pool[page].gfn, for: .shadowResync) }
    let present = shadows.pool[page].present
    work(.shadowResync, .sync, times: UInt64(present))
    var left = present
    var slot = page << 9
    while left > 0 {
      if entry(slot).isPresent {
        left -= 1
        synchroniseEntry(slot)
      }
      slot += 1
    }
  }

  /// Brings one entry of a leaf table up to date. One that was not present is filled only if asked.
  func synchroniseEntry(_ slot: Int, filling: Bool = false) {
    let present = entry(slot)
    guard present.isPresent || filling else { return }
    var wanted = leafEntry(shadows.pool[slot >> 9].role, guestEntry(slot))
    // The guest's page is another one now.
    if wanted.frame != present.frame && !options.eagerFill { wanted = .none }
    // As for traces (`follow`).
    if present.loses(by: wanted) { owesRemoteFlush = true }
    change(slot, to: wanted, for: .shadowResync)
  }

  /// The guest's entry that a shadow entry stands for; 0 where the table is outside memory.
  func guestEntry(_ slot: Int) -> UInt64 {
    let page = shadows.pool[slot >> 9]
    let width = page.role.isNarrow ? 4 : 8
    guard let table = guest.map.lookup(GuestPhysical(page.gfn << 12)) else { return 0 }
    return memory.entry(
      at: table.address.advanced(by: UInt64(page.role.guestEntry(of: slot & 511) * width)), width: width)
  }
}

extension Hypervisor {
  /// Lets shadow pages that may be stale follow a write that no instruction of the guest's made: nobody will invalidate.
  func followHostWrite(to gfn: UInt64) {
    var stale: [Int] = []
    var next = shadows.pool.firstPage(of: gfn)
    while next >= 0 {
      if shadows.pool[next].mayBeStale { stale.append(next) }
      next = Int(shadows.pool[next].nextOfFrame)
    }
    // Pages of a virtual TLB that lie below one another go together.
    for page in stale where shadows.pool[page].isLive {
      if policy.sharesPages { synchronise(page, protecting: false) } else { empty(page) }
      flushEveryProcessor()
    }
  }
}
