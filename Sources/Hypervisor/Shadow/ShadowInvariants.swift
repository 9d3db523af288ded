import Machine

/// What must hold between any two instructions of the guest, checked in tests and by `penumbra verify`.
extension Hypervisor {
  /// Every violation, in words; empty when all is well. Changes nothing and takes no time.
  ///
  /// 1. No shadow entry is writable over a guarded table.
  /// 2. The reverse map and the shadow entries agree, and so do the counts of present entries.
  /// 3. Every present shadow entry is derivable from the guest's tables, whose A is set (and D, where it is writable),
  ///    but in pages that may be stale; their leaf entries map frames of the guest's.
  /// 4. Every host frame that the guest's map names belongs to that guest frame.
  /// 5. Nested tables say what the guest's map says, and let no guarded table be written. Under agile paging no table is
  ///    nested and guarded at once, and none to which a switch leads is write-protected. Where first writes
  ///    are noted, those of every page have been of which the next one would not be.
  /// 6. Under agile paging CR0 is intercepted always; CR3, CR4 and EFER while the guest pages, and not while it does not.
  /// 7. Only leaf tables are out of step, and from every entry that leads to one marks lead there. In a virtual TLB one
  ///    entry leads to each page but the roots.
  public func checkInvariants() -> [String] {
    var violations: [String] = []
    let isNoted = firstWritesNoted()
    for (frame, _) in guest.map.image() {
      guard let mapped = guest.map.lookup(GuestPhysical(frame << 12)) else { continue }
      let owner = allocator.owner(of: mapped.address)
      if owner.use != .guest || owner.number != frame {
        violations.append("guest frame \(frame) is mapped to \(mapped.address), which is not its own")
      }
      checkNested(frame, mapped.address, &violations)
      if let isNoted, !isNoted(frame), nested?.letsBeWritten(GuestPhysical(frame << 12), memory) ?? false {
        violations.append("guest frame \(frame) can be written without being noted, and has not been")
      }
    }
    for table in agile?.tables ?? [] where shadows.pool.isGuarded(table.gfn) {
      violations.append("the table in frame \(table.gfn) is nested, and guarded")
    }
    guard hasShadows else { return violations }
    for page in shadows.pool.live { check(page, &violations) }
    for one in virtualProcessors {
      if agile != nil, let selected = one.roots.selected, !interceptsMode(one, selected) {
        violations.append("of processor \(one.processor.index) the wrong control registers are intercepted")
      }
      for (position, root) in one.roots.slots.enumerated() {
        guard let root else { continue }
        for (number, index) in root.pages.enumerated() where index >= 0 {
          let page = shadows.pool[index]
          guard page.isLive, let part = root.key.part(number), part == (page.gfn, page.role) else {
            violations.append("part \(number) of cached root \(position) is not what it was made for")
            continue
          }
        }
      }
    }
    if let table = checkWalked() { violations.append(table) }
    if let page = checkOutOfStep() { violations.append(page) }
    if shadows.pool.live.reduce(0, { count, _ in count + 1 }) != shadows.pool.count {
      violations.append("the order of use does not hold every shadow page")
    }
    return violations
  }

  private func interceptsMode(_ one: VirtualProcessor, _ root: RootKey) -> Bool {
    let ofPaging = Hypervisor.interceptsOfPaging
    return one.controls.intercepts.contains(.controlRegister0)
      && one.controls.intercepts.intersection(ofPaging) == (root.isUnpaged ? [] : ofPaging)
  }

  private func checkNested(_ frame: UInt64, _ host: HostPhysical, _ violations: inout [String]) {
    guard let nested, let (_, entry, level) = nested.leaf(for: GuestPhysical(frame << 12), memory) else { return }
    let span = PageSize(level: level)?.offsetMask ?? 0xfff
    if entry & EntryBit.frameMask & ~span | (frame << 12 & span) != host.rawValue {
      violations.append("the nested entry for guest frame \(frame) does not lead to \(host)")
    }
    if entry & EPTBit.write != 0 && shadows.pool.isGuarded(frame) {
      violations.append("the nested entry for guest frame \(frame) is writable over a guarded table")
    }
  }

  /// A table in which the hardware sets A and D, though nested tables do not permit it; nil when there is none. What they keep
  /// from the guest to see whether it writes is something else.
  func checkWalked() -> String? {
    guard let nested, nested.plan.keepsAccessedDirty else { return nil }
    for gfn in (agile?.tables ?? []).map(\.gfn) {
      guard let (_, entry, _) = nested.leaf(for: GuestPhysical(gfn << 12), memory), entry & EPTBit.write == 0,
        virtualProcessors.contains(where: { $0.roots.hasRoot(guestTable: gfn) })
          || shadows.rmap.first(shadows.rmap.list(switchingTo: gfn)) >= 0
      else { continue }
      return "the hardware goes on in the table in frame \(gfn), which nested tables do not let be written"
    }
    return nil
  }

  /// The same for some shadow pages only.
  func checkShadowPages(_ isWanted: (ShadowPage) -> Bool) -> [String] {
    guard hasShadows else { return [] }
    var violations: [String] = []
    for page in shadows.pool.live where isWanted(shadows.pool[page]) { check(page, &violations) }
    return violations
  }

  /// A shadow page that has left step though it may not; nil when there is none.
  func checkOutOfStep() -> String? {
    guard hasShadows, policy.guardsTables, shadows.pool.staleCount > 0 else { return nil }
    for index in shadows.pool.live where shadows.pool[index].mayBeStale {
      let page = shadows.pool[index]
      guard page.role.level > 1 || page.role.isDirect else { continue }
      return "the shadow page of frame \(page.gfn) is out of step and no leaf table"
    }
    return nil
  }

  private func check(_ index: Int, _ violations: inout [String]) {
    let page = shadows.pool[index]
    let level = page.role.level
    // Reached through `shadows`, it would be copied for every entry.
    let rmap = shadows.rmap
    var present = 0
    let owner = allocator.owner(of: page.table)
    if owner.use != .shadowTable || owner.number != UInt64(index) {
      violations.append("shadow page \(index) is not the owner of its table")
    }
    let words = UnsafeRawPointer(memory.base + Int(page.table.rawValue)).assumingMemoryBound(to: UInt64.self)
    for offset in 0..<512 where words[offset] & EntryBit.present != 0 {
      let slot = index << 9 | offset
      let entry = ShadowEntry(rawValue: words[offset])
      present += 1
      var name: String { "level \(level) entry \(offset) of the shadow page of frame \(page.gfn)" }
      let list = list(of: entry, level: level)
      if !rmap.contains(slot, in: list) { violations.append("\(name) is missing in the reverse map") }
      if entry.isLeaf(level: level) {
        guard let size = PageSize(level: level), allocator.owner(of: entry.frame).use == .guest else {
          violations.append("\(name) maps a frame that is not the guest's")
          continue
        }
        if entry.isWritable && shadows.pool.isGuarded(allocator.owner(of: entry.frame).number, size) {
          violations.append("\(name) is writable over a guarded table")
        }
      }
      if !page.mayBeStale, let why = underivable(page, offset, entry) { violations.append("\(name) \(why)") }
      if entry.isLink(level: level) {
        let child = Int(allocator.owner(of: entry.frame).number)
        if shadows.pool[child].leadsToPieces && !page.leadsToPieces {
          violations.append("\(name) leads to pieces of a large page and its page does not say so")
        }
        if policy.liftsLeafTables && !shadows.unsyncMarks.contains(slot)
          && (shadows.pool[child].mayBeStale || shadows.unsyncMarks.hasAny(child))
        {
          violations.append("\(name) leads to a page out of step and is not marked")
        }
      }
    }
    let ways = rmap.slots(rmap.list(leadingTo: index))
    if !policy.sharesPages && ways.count != (isCachedRoot(index) ? 0 : 1) {
      violations.append("\(ways.count) entries lead to the shadow page of frame \(page.gfn) in a virtual TLB")
    }
    if present != page.present { violations.append("shadow page of frame \(page.gfn) miscounts its entries") }
    for slot in ways
    where entry(slot).frame != page.table || !entry(slot).isPresent {
      violations.append("the reverse map names an entry that does not lead to the shadow page of frame \(page.gfn)")
    }
  }

  /// Why an entry does not follow from what the guest has in its table; nil when it does.
  private func underivable(_ page: ShadowPage, _ offset: Int, _ entry: ShadowEntry) -> String? {
    let level = page.role.level
    let span: UInt64 = 1 << (9 * UInt64(level - 1))
    let isLeaf = entry.isLeaf(level: level)
    let target = allocator.owner(of: entry.frame).number
    if page.role.isDirect {
      let gfn = page.gfn + UInt64(offset) * span
      if isLeaf {
        if target != gfn { return "maps frame \(target) instead of \(gfn)" }
        return allows(page.role.access, entry.permissions) ? nil : "permits too much"
      }
      let child = shadows.pool[Int(target)]
      return child.role.isDirect && child.gfn == gfn ? nil : "leads to the wrong part of a large page"
    }

    guard let table = guest.map.lookup(GuestPhysical(page.gfn << 12)) else { return "shadows a table without memory" }
    let layout = page.role.layout
    let width = layout.isNarrow ? 4 : 8
    let guestEntry = memory.entry(
      at: table.address.advanced(by: UInt64(page.role.guestEntry(of: offset) * width)), width: width)
    guard guestEntry & EntryBit.present != 0 else { return "stands for a guest entry that is not present" }
    guard guestEntry & EntryBit.accessed != 0 else { return "stands for a guest entry without A" }
    if page.role.reserves(guestEntry) {
      return "stands for a guest entry with reserved bits"
    }
    var access = page.role.access & TableFormat.ordinary(noExecute: page.role.noExecute).permissions(guestEntry)
    let isGuestLeaf = layout.isLeaf(guestEntry, level: level)
    var gfn = (guestEntry & EntryBit.frameMask) >> 12
    if isGuestLeaf {
      access.key = EntryBit.key(guestEntry)
      // The second of two entries for 4 MiB maps the second half.
      gfn = layout.page(guestEntry, level: level) >> 12 + (layout.isNarrow && level > 1 ? UInt64(offset & 1) * span : 0)
    }
    if entry.isSwitching {
      if isGuestLeaf { return "leads to a table where the guest has a page" }
      if target != gfn { return "goes on in the table in frame \(target) instead of \(gfn)" }
      if nestedTable(gfn) == nil || !page.role.mayNest { return "goes on in a table that is not nested" }
      return access == entry.permissions ? nil : "permits other than the guest's entries"
    }
    if isLeaf {
      if !isGuestLeaf { return "maps a page where the guest has a table" }
      if target != gfn { return "maps frame \(target) instead of \(gfn)" }
      if entry.isWritable && guestEntry & EntryBit.dirty == 0 { return "is writable without the guest's D" }
      return allows(access, entry.permissions) || poses(page.role, access, entry.permissions) ? nil : "permits too much"
    }
    let child = shadows.pool[Int(target)]
    if child.role.level != level - 1 || child.role.isDirect != isGuestLeaf || child.gfn != gfn {
      return "leads to the wrong shadow page"
    }
    if isGuestLeaf {
      access.key = EntryBit.key(guestEntry)
      if child.role.access.writable && guestEntry & EntryBit.dirty == 0 { return "leads to writable entries without D" }
      return allows(access, child.role.access) || poses(page.role, access, child.role.access) ? nil : "permits too much"
    }
    if layout.isNarrow && !isGuestLeaf && child.role.quadrant != offset & 1 {
      return "leads to the other half of the guest's table"
    }
    return child.role.access == access ? nil : "leads to a shadow page with other permissions"
  }

  private func allows(_ most: PagePermissions, _ given: PagePermissions) -> Bool {
    most & given == given && most.key == given.key
  }

  /// Whether an entry is one of a guest with CR0.WP clear that lets its supervisor write (`handleHiddenFault`).
  private func poses(_ role: ShadowRole, _ access: PagePermissions, _ given: PagePermissions) -> Bool {
    !role.writeProtect && !given.user && given.writable && (access.executable || !given.executable)
  }
}
