import Machine

/// The guest's translation of one address: what a walk of its tables found.
struct GuestPath {
  /// The entries by level, before A and D were set; 0 above the level where the walk began.
  var entries = InlineArray<6, UInt64>(repeating: 0)
  /// The level of the entry that maps the page; 6 while the guest does not page.
  var leafLevel = 6
  /// Where the byte is.
  var physical: GuestPhysical
  /// What the tables permit, every level counted; writable only if D is set.
  var access: PagePermissions
  /// Whether it was walked for a write, which is permitted now.
  var isWrite = false
}

extension Hypervisor {
  /// A page fault under shadow paging: the guest's own, or one that it must never see (AA06 2.4: true and hidden
  /// faults).
  func handlePageFault(_ exit: VMExit) -> RunResult? {
    counted.pfTaken &+= 1
    // Reason, qualification, interruption information and error code, IDT-vectoring information.
    handle(.pageFault, reads: 5)
    lockTables()
    while true {
      let walk = processor.walkGuest(
        exit.address, exit.access, frames: guest.map, settingBits: !mutated("walk-leaves-bits"))
      work(.shadowWalk, .walkStep, times: UInt64(walk.count))
      switch walk.result {
      case .fault(let fault):
        if agile != nil, walk.count > 0, let table = guestAddress(of: walk.addresses[walk.lastLevel]) {
          noteExit(AgileState.Exits.fault, of: table.frame)
        }
        injectTrueFault(fault, during: exit)
        return nil
      case .nestedFault(let missing):
        if guest.isMemory(missing.address) {
          guard populate(missing.address) != nil else { return nil }
          continue
        }
        if missing.duringWalk { return handleAbsentTable(exit) }
        counted.hiddenFaults &+= 1
        return accessDevice(exit, at: missing.address)
      case .mapped(let mapping):
        counted.hiddenFaults &+= 1
        return handleHiddenFault(exit, path(of: walk, mapping))
      }
    }
  }

  /// Gives the guest a page fault that is its own.
  func injectTrueFault(_ fault: PageFault, during exit: VMExit) {
    counted.pfGuest &+= 1
    counted.trueFaults &+= 1
    invalidateForFault(exit)
    inject(.exception(.pageFault(fault)), during: exit)
  }

  private func path(of walk: GuestWalk, _ mapping: Mapping) -> GuestPath {
    var path = GuestPath(entries: walk.entries, physical: mapping.physical, access: mapping.permissions)
    if walk.count > 0 { path.leafLevel = walk.lastLevel }
    // A clean page must not be written without a fault, which sets D. Without paging there is no D.
    if !mapping.dirty && !mutated("fill-without-dirty") { path.access.writable = false }
    return path
  }

  /// The guest permits the access, the shadow tables do not yet.
  private func handleHiddenFault(_ exit: VMExit, _ path: GuestPath) -> RunResult? {
    var path = path
    let role = roots.current.flatMap { roots.slots[$0]?.key.role }
    guard let role else { return .unsupported("hidden fault at \(exit.address) without a shadow root") }
    if exit.access.isWrite && !path.access.writable {
      // CR0.WP is clear: a supervisor writes where only reading is allowed.
      if path.access.user && (role.smapWithoutWP || role.keysWithoutWP) {
        // The page posing as a supervisor's would lose the protection of SMAP and of its key: the one write is let
        // through instead.
        return emulateWrite(exit, path)
      }
      // No entry says "supervisor may write, user may read"; it flips between two by the kind of fault (KVM, mmu.rst,
      // "Emulating cr0.wp"). As a supervisor's page it must not become executable where SMEP forbids user pages.
      if path.access.user && role.smepWithoutWP && !mutated("poses-executable") { path.access.executable = false }
      path.access.writable = true
      path.access.user = false
    }
    path.isWrite = exit.access.isWrite
    guard fill(exit.address, path) else { return nil }
    if exit.access.isWrite && (shadows.pool.isGuarded(path.physical.frame) || isHeldByKey(exit.access, path)) {
      return emulateWrite(exit, path)
    }
    counted.pfFixed &+= 1
    resume(exit)
    return nil
  }

  /// Whether the hardware refuses a write by the page's key that the guest permits: it runs with CR0.WP set, and so
  /// honours WD where a supervisor without CR0.WP does not (SDM vol. 3, 4.6.2).
  private func isHeldByKey(_ access: Access, _ path: GuestPath) -> Bool {
    var controls = processor.guestControls
    guard controls.keys.areInUse else { return false }
    controls.writeProtect = true
    return controls.deniesByKey(access, to: path.access)
  }

  /// Makes the shadow entries from the root to the leaf for an address.
  ///
  /// - Returns: false when that was impossible; `failure` says why.
  private func fill(_ address: GuestVirtual, _ path: GuestPath) -> Bool {
    guard let mapped = guest.map.lookup(path.physical), var page = roots.page(for: address) else {
      failure = "no shadow root for \(address)"
      return false
    }
    let noExecute = shadows.pool[page].role.noExecute
    var above = PagePermissions.all
    var level = shadows.pool[page].role.level
    while true {
      shadows.pool.use(page)
      let slot = slot(of: page, for: address)
      if level <= path.leafLevel, let size = PageSize(level: level), size <= mapped.size,
        size == .page4K || !shadows.pool.isGuarded(path.physical.frame, size) || mutated("large-page-over-table")
      {
        return fillLeaf(slot, path, size)
      }
      guard level > 1 else { return fillLeaf(slot, path, .page4K) }

      let gfn: UInt64
      let role: ShadowRole
      if level > path.leafLevel {
        let guestEntry = path.entries[level]
        above = above & TableFormat.ordinary(noExecute: noExecute).permissions(guestEntry)
        gfn = (guestEntry & EntryBit.frameMask) >> 12
        startNested(gfn, shadows.pool[page].role, level: level - 1)
        if shadows.pool[page].role.mayNest, let table = nestedTable(gfn) {
          counted.switchingEntries &+= 1
          letWalksWrite(gfn)
          change(
            slot, to: ShadowEntry(switchingTo: table, mutated("switch-permits-all") ? .all : above), for: .agileSwitch)
          return true
        }
        // A page table of 32-bit paging covers 4 MiB, its shadow half of it.
        let quadrant = shadows.pool[page].role.isNarrow ? Int(address.rawValue >> 21 & 1) : 0
        role = shadows.pool[page].role.child(direct: false, access: above, quadrant: quadrant)
      } else {
        // A part of a large page: the first frame of the stretch that the entry covers.
        gfn = path.physical.frame & ~(1 << (9 * UInt64(level - 1)) &- 1)
        role = shadows.pool[page].role.child(direct: true, access: path.access)
      }
      guard let child = descend(slot, level, gfn, role) else { return false }
      page = child
      level -= 1
    }
  }

  /// The shadow page that an entry leads to, linked if need be.
  private func descend(_ slot: Int, _ level: Int, _ gfn: UInt64, _ role: ShadowRole) -> Int? {
    let present = entry(slot)
    if present.isLink(level: level) {
      let child = Int(allocator.owner(of: present.frame).number)
      if shadows.pool[child].gfn == gfn && shadows.pool[child].role == role { return child }
    }
    guard let child = shadowPage(gfn, role, for: .shadowFill) else { return nil }
    // Making room may have dropped what the slot held, but not the slot's own page, which was used last.
    change(slot, to: ShadowEntry(leadingTo: shadows.pool[child].table), for: .shadowFill)
    return child
  }

  private func fillLeaf(_ slot: Int, _ path: GuestPath, _ size: PageSize) -> Bool {
    guard let mapped = guest.map.lookup(path.physical) else { return false }
    var access = path.access
    // Asked here and not before: a table that maps itself has only just become one.
    if shadows.pool.isGuarded(path.physical.frame, size) && !mutated("fill-writable-over-table") {
      access.writable = access.writable && path.isWrite && liftProtection(of: path.physical.frame)
    }
    // The pieces of what becomes whole are in TLBs, and the guest's INVLPG will name only one of them (KVM: `mmu_set_spte`).
    if policy.sharesPages && size != .page4K && entry(slot).isLink(level: size.level) && !mutated("whole-with-pieces") {
      flushEveryProcessor()
    }
    let base = HostPhysical(mapped.address.rawValue & ~size.offsetMask)
    let wanted = ShadowEntry(mapping: base, access, level: size.level)
    change(slot, to: wanted, for: .shadowFill)
    if options.fillAround > 1 && size == .page4K && !shadows.pool[slot >> 9].role.isDirect { fillAround(slot) }
    return true
  }

  /// Fills the neighbours of a leaf entry, of which the guest has used the pages before.
  private func fillAround(_ slot: Int) {
    let count = min(options.fillAround, 512)
    let first = slot & ~(count - 1)
    let role = shadows.pool[slot >> 9].role
    work(.shadowFill, .sync, times: UInt64(count - 1))
    for neighbour in first..<first + count where neighbour != slot && !entry(neighbour).isPresent {
      let wanted = leafEntry(role, guestEntry(neighbour))
      if wanted.isPresent { change(neighbour, to: wanted, for: .shadowFill) }
    }
  }
}
