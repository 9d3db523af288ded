import Machine

/// What the guest's own tables say of an address, whoever may access it.
struct GuestTablePath {
  /// The host frames of the tables on the way.
  var frames: [UInt64] = []
  /// The guest frames of the tables, by the level of their entries.
  var tables = InlineArray<6, UInt64?>(repeating: nil)
  /// The host addresses of the same.
  var hostTables = InlineArray<6, UInt64?>(repeating: nil)
  /// What the entries above each level permit.
  var above = InlineArray<6, PagePermissions>(repeating: .all)
  /// Where the address is, if the tables say so.
  var physical: GuestPhysical?
  var permissions = PagePermissions.all
  /// The extent of the page.
  var length: UInt64 = 4096
  var isAccessed = true
  var isDirty = true
}

extension Hypervisor {
  /// The way of an entry's address through the guest's tables.
  func guestPath(of entry: BufferedTranslation) -> GuestTablePath {
    var path = GuestTablePath()
    let plan = processor.softwarePlan
    let address = GuestVirtual(entry.address)
    // Permissions are looked at below, so the access is any.
    let walk = processor.walkGuest(address, Access(.read, .supervisor), frames: guest.map)
    guard plan.levels > 0 else {
      path.physical = GuestPhysical(address.rawValue)
      return path
    }
    let isPAE = plan.levels == 3 && !plan.layout.isNarrow
    for reference in walk.recorded.references where !(isPAE && reference.level == 3) {
      let (level, value) = (reference.level, reference.entry)
      path.frames.append(reference.address.frame)
      path.hostTables[level] = reference.address.rawValue & ~0xfff
      path.tables[level] = guestAddress(of: reference.address)?.frame
      path.above[level] = path.permissions
      guard value & EntryBit.present != 0 else { return path }
      path.permissions = path.permissions & plan.format.permissions(value)
      path.isAccessed = path.isAccessed && value & EntryBit.accessed != 0
      guard plan.layout.isLeaf(value, level: level) else { continue }
      path.permissions.key = EntryBit.key(value)
      path.isDirty = value & EntryBit.dirty != 0
      path.length = plan.layout.offsetMask(level: level) &+ 1
      path.physical = GuestPhysical(
        plan.layout.page(value, level: level) | address.rawValue & plan.layout.offsetMask(level: level))
      // Reserved bits.
      if case .fault(let fault) = walk.result, fault.errorCode & PageFault.Code.reserved != 0 { path.physical = nil }
    }
    return path
  }

  /// Why an entry of the running context does not follow from the guest's tables; nil when it does, or follows from a
  /// shadow entry that may be behind them.
  func disagreement(_ entry: BufferedTranslation, _ path: GuestTablePath) -> String? {
    let why = entry.buffer.tableLevel.map { disagreement(entry, level: $0, path) } ?? pageDisagreement(entry, path)
    guard let why else { return nil }
    return isHeldBehind(entry) ? nil : why
  }

  private func pageDisagreement(_ entry: BufferedTranslation, _ path: GuestTablePath) -> String? {
    guard let physical = path.physical else { return "stands for what the guest's tables do not map" }
    guard let host = guest.map.lookup(physical)?.address else {
      return guest.isMemory(physical) ? "stands for \(physical), which has no memory" : nil
    }
    guard host.pageBase == entry.host else {
      return "leads to \(entry.host), the guest's tables to \(physical), which is at \(host.pageBase)"
    }
    let (given, most) = (entry.permissions, path.permissions)
    let registers = processor.pagingRegisters
    let poses = hasShadows && registers.cr0 & CR0.writeProtect == 0 && !given.user && given.writable
    let isAllowed =
      poses
      ? most.executable || !given.executable
      : given.key == most.key && given.user == most.user && (most.writable || !given.writable)
        && (most.executable || !given.executable)
    if !isAllowed { return "permits what the guest's tables do not" }
    if !path.isAccessed { return "stands for entries of the guest's without A" }
    if entry.servesWrites && !path.isDirty { return "lets the guest write without D" }
    return nil
  }

  private func disagreement(_ entry: BufferedTranslation, level: Int, _ path: GuestTablePath) -> String? {
    if hasShadows {
      let owner = allocator.owner(of: entry.host)
      if agile != nil && owner.use == .guest {
        // A table of the guest's, behind a switching entry: it is cached as under nested paging.
        return disagreementBehindSwitch(entry, level: level, path)
      }
      guard owner.use == .shadowTable, Int(owner.number) < shadows.pool.pages.count else {
        return "leads to \(entry.host), which is no shadow table"
      }
      let page = shadows.pool[Int(owner.number)]
      guard page.isLive, page.table == entry.host, page.role.level == level else {
        return "leads to a shadow table that is gone"
      }
      if page.role.isDirect { return nil }
      return path.tables[level] == page.gfn ? nil : "leads to the shadow of frame \(page.gfn), which is not on the way"
    }
    return disagreementBehindSwitch(entry, level: level, path)
  }

  private func disagreementBehindSwitch(
    _ entry: BufferedTranslation, level: Int, _ path: GuestTablePath
  ) -> String? {
    guard path.hostTables[level] == entry.host.rawValue else {
      return "leads to a table at \(entry.host), which is not on the way"
    }
    var most = path.above[level]
    most.key = 0
    return most & entry.permissions == entry.permissions ? nil : "permits what the guest's tables do not"
  }

  /// Whether an entry follows from a shadow entry of a page that may be behind the guest's table: that page is what is
  /// cached, and the policy sees to it that what the guest invalidates goes from there.
  private func isHeldBehind(_ entry: BufferedTranslation) -> Bool {
    guard hasShadows, policy.mayBeStale, entry.buffer.tableLevel == nil,
      var page = roots.page(for: GuestVirtual(entry.address))
    else { return false }
    while true {
      let level = shadows.pool[page].role.level
      let present = self.entry(slot(of: page, for: GuestVirtual(entry.address)))
      guard present.isPresent else { return false }
      if present.isLeaf(level: level) {
        let span = PageSize(level: level)?.offsetMask ?? 0xfff
        let host = present.frame.rawValue & ~span | entry.address & span & ~0xfff
        return shadows.pool[page].mayBeStale && host == entry.host.rawValue
          && present.permissions & entry.permissions == entry.permissions
      }
      page = Int(allocator.owner(of: present.frame).number)
    }
  }

  /// Whether an entry can be used without a flush before.
  func isInForce(_ entry: BufferedTranslation, of one: VirtualProcessor) -> Bool {
    guard hasShadows else { return !one.isFlushDue }
    let position = Int(entry.context) - 1
    guard !one.owesNestedFlush, one.roots.slots.indices.contains(position), let root = one.roots.slots[position] else {
      return false
    }
    return !root.needsFlush && entry.isCombined == (agile != nil && root.key.isCombined)
  }

  /// Whether there is a guarded table in what an entry maps, of which a frame is given.
  func holdsGuardedTable(_ gfn: UInt64, _ length: UInt64) -> Bool {
    guard hasShadows, policy.guardsTables, let size = PageSize.allCases.first(where: { $0.bytes == length }) else {
      return false
    }
    return shadows.pool.isGuarded(gfn, size)
  }
}

extension VirtualProcessor {
  /// Whether the running context is flushed before the guest executes anything.
  var isFlushDue: Bool { owesNestedFlush || (roots.current.flatMap { roots.slots[$0]?.needsFlush } ?? false) }
}
