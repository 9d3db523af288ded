import Machine

/// Agile paging: tables of the guest's go from shadow to nested paging and back (Agile, section III.C).
///
/// What is new begins nested: an address space with its root, and a table below a shadowed one. What is not written goes to
/// shadow paging, the upper tables first, once nested walks have cost more than the faults will that make its shadow. A
/// shadowed table that is written twice in an interval goes nested again, and all below it with it: its shadow pages and
/// those that only they led to are dropped, and the entry above becomes a switching one when the next fault gets there.
/// So does one that brings the guest many page faults of its own, each an exit.
///
/// While the guest does not page there is nothing to shadow, and the hardware translates by nested tables alone.
extension Hypervisor {
  /// What changes how the guest pages. While it does not page only CR0 matters: what else was changed until it does, the
  /// registers say.
  static let interceptsOfPaging: VMControls.Intercepts = [.controlRegister3, .controlRegister4, .extendedFeatures]

  /// Follows the guest into a mode in which it pages, or does not.
  func followMode(_ key: RootKey) {
    running.unpagedWalks.note(isUnpaged: key.isUnpaged, walked: processor.ledger[.walkHost])
    if key.isUnpaged || mutated("paging-not-followed") {
      controls.intercepts.subtract(Hypervisor.interceptsOfPaging)
    } else {
      controls.intercepts.formUnion(Hypervisor.interceptsOfPaging)
    }
  }

  /// The host address of a guest table that is nested; nil where it is not.
  func nestedTable(_ gfn: UInt64) -> HostPhysical? {
    guard let agile, agile.isNested(gfn) else { return nil }
    return guest.map.lookup(GuestPhysical(gfn << 12))?.address.pageBase
  }

  /// Makes a table nested that is new where it is about to be used: in nobody's shadow, nor was it before.
  func startNested(_ gfn: UInt64, _ role: ShadowRole, level: Int) {
    guard agile != nil, options.agile.startsNested, role.mayNest, !agile!.isNested(gfn), !agile!.cameBack(gfn),
      !shadows.pool.isGuarded(gfn), guest.map.lookup(GuestPhysical(gfn << 12)) != nil
    else { return }
    agile!.insert(.init(gfn: gfn, level: level, layout: role.layout), at: processor.clock)
  }

  /// The guest has taken a table out of use that only one entry led to: what it does with the frame is nobody's business.
  func dropUnused(_ page: Int) {
    guard agile != nil, shadows.pool[page].isLive, !shadows.pool[page].role.isDirect,
      shadows.rmap.first(shadows.rmap.list(leadingTo: page)) < 0, !isCachedRoot(page)
    else { return }
    agile!.forget(shadows.pool[page].gfn)
    dropTree(page)
  }

  /// Whether the guest pages in a mode in which there is switching.
  var maySwitch: Bool { agile != nil && roots.selected?.role.mayNest ?? false }

  /// Counts an exit that there would not have been if a table were nested, which it becomes after too many.
  func noteExit(_ units: UInt8, of gfn: UInt64) {
    guard agile != nil, shadows.pool.isGuarded(gfn), agile!.note(units, gfn, at: processor.clock) else { return }
    _ = goNested(gfn)
  }

  /// Makes a guarded table nested, and drops what shadows it had in other modes.
  ///
  /// - Returns: whether it was possible: not while the guest's mode is one in which there is no switching.
  func goNested(_ gfn: UInt64) -> Bool {
    guard maySwitch else { return false }
    var (level, layout) = (0, EntryLayout.wide)
    var page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      let role = shadows.pool[page].role
      if !role.isDirect && role.level > level { (level, layout) = (role.level, role.layout) }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    guard level > 0, guest.map.lookup(GuestPhysical(gfn << 12)) != nil else { return false }
    counted.wentNested &+= 1
    work(.agileSwitch, .lookup)
    dropShadows(of: gfn)
    agile!.insert(.init(gfn: gfn, level: level, layout: layout), at: processor.clock)
    return true
  }

  /// Drops every shadow page of a table, roots in use too, and what nothing else leads to below.
  func dropShadows(of gfn: UInt64) {
    while true {
      var page = shadows.pool.firstPage(of: gfn)
      while page >= 0 && shadows.pool[page].role.isDirect { page = Int(shadows.pool[page].nextOfFrame) }
      guard page >= 0 else { return }
      dropTree(page)
    }
  }

  private func dropTree(_ page: Int) {
    var children: [Int] = []
    let level = shadows.pool[page].role.level
    var left = shadows.pool[page].present
    var slot = page << 9
    while left > 0 {
      let present = entry(slot)
      if present.isPresent { left -= 1 }
      if present.isLink(level: level) { children.append(Int(allocator.owner(of: present.frame).number)) }
      slot += 1
    }
    zap(page, for: .agileSwitch)
    for child in children
    where shadows.pool[child].isLive && shadows.rmap.first(shadows.rmap.list(leadingTo: child)) < 0
      && !isCachedRoot(child)
    {
      dropTree(child)
    }
  }

  /// Makes a nested table one that is shadowed again, once a fault gets there.
  func comeBack(_ gfn: UInt64) {
    guard agile!.remove(gfn) != nil else { return }
    counted.cameBack &+= 1
    work(.agileSwitch, .lookup)
    takeWalks(of: gfn, for: .agileSwitch)
    // Paging-structure caches lead to the guest's own tables. They may: those say what the guest has said. But walks would go
    // on through nested tables that are to be spared.
    flushEveryProcessor()
  }
}
