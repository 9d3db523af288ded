import Machine

/// Agile paging: looking, at the end of every interval, which nested tables the guest still writes.
extension Hypervisor {
  /// Looks at the nested tables where it is time to: those that were written since the last look stay, the others go back.
  func lookAtNestedTables() {
    // A table that is being written with the hypervisor's help is looked at afterwards.
    guard let agile, processor.clock >= agile.nextLook, assist == nil, watched.isEmpty else { return }
    let wentBefore = counted.cameBack
    lockTables()
    counted.looks &+= 1
    work(.agileScan, .lookup, times: UInt64(agile.count))
    addCredit()
    var back: [(table: UInt64, below: [AgileState.Table])] = []
    var isAnyWatched = false
    for (number, table) in agile.tables.enumerated() {
      if wasWritten(table.gfn) {
        self.agile!.tables[number].price = 0
        if watchForWrites(table.gfn) { isAnyWatched = true }
      } else if table.price <= self.agile!.credit {
        let (price, below) = reckon(table)
        if self.agile!.credit >= price {
          self.agile!.credit &-= price
          back.append((table.gfn, below))
        } else {
          self.agile!.tables[number].price = price
        }
      }
    }
    for one in back { comeBack(one.table) }
    let below = back.flatMap(\.below)
    for table in below where !self.agile!.isNested(table.gfn) {
      self.agile!.insert(table, at: processor.clock)
      if watchForWrites(table.gfn) { isAnyWatched = true }
    }
    if isAnyWatched { flushNestedEverywhere() }
    self.agile!.scheduleLook(after: processor.clock, isSettled: true)
    if counted.cameBack != wentBefore { self.agile!.scheduleLook(after: processor.clock, isSettled: false) }
  }

  /// Whether a guest frame was written since somebody began to watch for it: by its nested entry's D, or where the
  /// hardware keeps none by the permission that the write was given; and by shadow entries that let it be written.
  private func wasWritten(_ gfn: UInt64) -> Bool {
    if nested!.wasWritten(GuestPhysical(gfn << 12), memory) { return true }
    for level in 1...3 {
      var slot = shadows.rmap.first(shadows.rmap.list(mapping: gfn, level: level))
      while slot >= 0 {
        if entry(slot).isWritable { return true }
        slot = shadows.rmap.next(slot)
      }
    }
    return false
  }

  /// Lets the next write to a frame be told.
  ///
  /// - Returns: whether TLBs may let it be written without.
  private func watchForWrites(_ gfn: UInt64) -> Bool {
    let isWatchedAnew = nested!.watchForWrites(GuestPhysical(gfn << 12), memory)
    if isWatchedAnew { work(.agileScan, .protect) }
    // What the hardware sets in the table does not count as a store.
    return takeWrites(of: .stores, to: gfn, for: .agileScan) || isWatchedAnew
  }

  /// What references to nested tables have cost since the last look (processors count them: Intel's EPT.WALK_CYCLES).
  private func addCredit() {
    var walked: UInt64 = 0
    for one in virtualProcessors {
      let all = one.processor.ledger[.walkHost]
      walked &+= all &- one.unpagedWalks.total(walked: all)
    }
    agile!.credit &+= walked &- agile!.walked
    agile!.walked = walked
  }

  /// What nested walks must have cost before it pays to shadow a table again, an exit for every entry that is in use and for
  /// every page of the host's in a large page; and the guest's tables to which it leads and which are not shadowed
  /// otherwise.
  private func reckon(_ table: AgileState.Table) -> (price: UInt64, below: [AgileState.Table]) {
    guard let host = guest.map.lookup(GuestPhysical(table.gfn << 12)) else { return (.max, []) }
    let layout = table.layout
    let width = layout.isNarrow ? 4 : 8
    work(.agileScan, .sync, times: UInt64(4096 / width))
    var exits: UInt64 = 0
    var below: [AgileState.Table] = []
    for offset in stride(from: 0, to: 4096, by: width) {
      let entry = memory.entry(at: host.address.pageBase.advanced(by: UInt64(offset)), width: width)
      guard entry & EntryBit.present != 0, entry & EntryBit.accessed != 0 else { continue }
      guard !layout.isLeaf(entry, level: table.level) else {
        exits &+= max((layout.offsetMask(level: table.level) &+ 1) / options.hostPage.bytes, 1)
        continue
      }
      exits += 1
      let gfn = (entry & EntryBit.frameMask) >> 12
      guard guest.map.lookup(GuestPhysical(gfn << 12)) != nil, !shadows.pool.isGuarded(gfn) else { continue }
      below.append(.init(gfn: gfn, level: table.level - 1, layout: layout))
    }
    // A table of which nothing has been used yet is not for nothing: it will be.
    return (max(exits, 1) &* costs.hiddenFault &* options.agile.patience / 100, below)
  }
}
