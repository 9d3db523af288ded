/// The page walk, for one and two dimensions, hardware and software: there is no other.
///
/// Accessed and dirty bits are set once the whole walk is known to succeed, the leaf's D only for a write; a walk that
/// faults leaves the guest's tables as they were. Silicon may set A in upper levels before it finds the fault; the SDM
/// (vol. 3, 4.8) promises neither, and a hypervisor's software walk could not tell.
struct PageWalk<Port: WalkPort> {
  var port: Port
  let plan: UnsafePointer<WalkPlan>
  let controls: PagingControls

  /// - Parameter plan: has to stay until the walk is done.
  @inline(__always) init(plan: UnsafePointer<WalkPlan>, controls: PagingControls, port: Port) {
    self.plan = plan
    self.controls = controls
    self.port = port
  }

  /// Translates an address for an access. The address must be canonical.
  @inline(__always) mutating func translate(_ address: GuestVirtual, for access: Access) -> WalkResult {
    withPath { walk, path in walk.translate(address, for: access, path) }
  }

  /// Calls `body` with room for the references of one dimension, on the stack.
  @inline(__always) private mutating func withPath<Result>(_ body: (inout PageWalk, Path) -> Result) -> Result {
    withUnsafeTemporaryAllocation(of: Step.self, capacity: Path.capacity) { steps in
      body(&self, Path(steps: steps.baseAddress.unsafelyUnwrapped))
    }
  }

  @inline(__always) private mutating func translate(
    _ address: GuestVirtual, for access: Access, _ path: Path
  ) -> WalkResult {
    guard plan.pointee.levels > 0 else {
      return finish(
        GuestPhysical(address.rawValue), size: .page1G, isHalf: false, permissions: .all, global: false, dirty: true,
        access: access)
    }

    // One source, two loops in the program: entries of four bytes cost the others nothing.
    if case .narrow(let largePages) = plan.pointee.layout {
      return translateNarrow(address, for: access, largePages, path)
    }
    return walkTables(address, for: access, .wide, usesCaches: true, path)
  }

  @inline(never) private mutating func translateNarrow(
    _ address: GuestVirtual, for access: Access, _ largePages: Bool, _ path: Path
  ) -> WalkResult {
    walkTables(address, for: access, .narrow(largePages: largePages), usesCaches: true, path)
  }

  /// The walk again, from the root. A cache knows its table's host address only: which guest-physical address the
  /// second dimension refuses to let be written there, this finds out.
  @inline(never) private mutating func walkFromRoot(
    _ address: GuestVirtual, for access: Access, _ layout: EntryLayout, _ path: Path
  ) -> WalkResult {
    walkTables(address, for: access, layout, usesCaches: false, path)
  }

  @inline(__always) private mutating func walkTables(
    _ address: GuestVirtual, for access: Access, _ layout: EntryLayout, usesCaches: Bool, _ path: Path
  ) -> WalkResult {
    // A PDE of 32-bit paging is chosen by bits 31:22: bit 21 tells no tables apart.
    let tableAddress = layout.isNarrow ? GuestVirtual(address.rawValue & ~(1 << 21)) : address
    var level = plan.pointee.levels
    var table: HostPhysical
    // Whether the second dimension lets A and D be set in the table.
    var isWritable: Bool
    var permissions = PagePermissions.all
    var first = plan.pointee.root
    var isCached = false
    if usesCaches, let cached = port.cachedTable(for: tableAddress) {
      (table, level, permissions, isWritable) = (cached.table, cached.level, cached.permissions, cached.isWritable)
      isCached = true
    } else {
      if !layout.isNarrow && level == 3 {
        switch directoryPointer(address, for: access) {
        case .found(let entry): first = GuestPhysical(entry & EntryBit.frameMask)
        case .ended(let result): return result
        }
        level = 2
      }
      switch locate(first, for: .read, duringWalk: true) {
      case .success(let found): (table, isWritable) = (found.address, found.writable)
      case .failure(let fault): return .nestedFault(fault)
      }
    }
    let start = level

    while true {
      let at = table.advanced(by: layout.offset(of: address.rawValue, level: level))
      let entry = port.read(at, width: layout.entryWidth, dimension: .first, level: level)
      path[level] = Step(address: at, entry: entry, permissions: permissions, isWritable: isWritable)

      guard plan.pointee.format.isPresent(entry) else {
        return .fault(fault(address, access, level: level, entry: entry, present: false, reserved: false))
      }
      let leaf = layout.isLeaf(entry, level: level)
      let reserved =
        layout.isNarrow
        ? plan.pointee.reserved.narrowMask(level: level, leaf: leaf)
        : plan.pointee.reserved.mask(level: level, leaf: leaf)
      if entry & reserved != 0 {
        return .fault(fault(address, access, level: level, entry: entry, present: true, reserved: true))
      }
      permissions = permissions & plan.pointee.format.permissions(entry)
      if leaf { break }

      level &-= 1
      switch locate(GuestPhysical(entry & EntryBit.frameMask), for: .read, duringWalk: true) {
      case .success(let next): (table, isWritable) = (next.address, next.writable)
      case .failure(let fault): return .nestedFault(fault)
      }
    }

    let leaf = path[level]
    permissions.key = EntryBit.key(leaf.entry)
    guard controls.allows(access, to: permissions) else {
      var refused = fault(address, access, level: level, entry: leaf.entry, present: true, reserved: false)
      if controls.deniesByKey(access, to: permissions) { refused.errorCode |= PageFault.Code.protectionKey }
      return .fault(refused)
    }
    if let refused = keepAccessedDirty(path, layout, first, from: start, to: level, isWrite: access.isWrite) {
      return isCached ? walkFromRoot(address, for: access, layout, path) : .nestedFault(refused)
    }
    var above = start
    while above > level {
      // A table may be remembered now that the entry that leads to it has A set (SDM vol. 3, 4.10.3.1).
      let next = path[above &- 1]
      port.remember(
        CachedTable(
          table: HostPhysical(next.address.rawValue & ~0xfff), level: above &- 1, permissions: next.permissions,
          isWritable: next.isWritable),
        for: tableAddress)
      above &-= 1
    }

    let size = PageSize(level: level) ?? .page4K
    let physical = layout.page(leaf.entry, level: level) | (address.rawValue & layout.offsetMask(level: level))
    return finish(
      GuestPhysical(physical), size: size, isHalf: layout.isNarrow && level > 1, permissions: permissions,
      global: plan.pointee.globalPages && leaf.entry & EntryBit.global != 0,
      dirty: access.isWrite || leaf.entry & EntryBit.dirty != 0, access: access)
  }

  /// What becomes of a walk's first step under PAE paging.
  private enum DirectoryPointer {
    case found(UInt64)
    case ended(WalkResult)
  }

  /// The PDPTE of PAE paging that leads to an address's page directory. It permits everything: R/W, U/S and XD it has
  /// none (SDM vol. 3, 4.4.1).
  @inline(never) private mutating func directoryPointer(
    _ address: GuestVirtual, for access: Access
  ) -> DirectoryPointer {
    var entry = port.directoryPointer(for: address)
    if plan.pointee.readsDirectoryPointers {
      switch locate(plan.pointee.root.advanced(by: (address.rawValue >> 27) & 0x18), for: .read, duringWalk: true) {
      case .success(let found): entry = port.read(found.address, width: 8, dimension: .first, level: 3)
      case .failure(let fault): return .ended(.nestedFault(fault))
      }
    }
    let isPresent = plan.pointee.format.isPresent(entry)
    guard isPresent, entry & plan.pointee.reserved.directoryPointer == 0 else {
      return .ended(
        .fault(fault(address, access, level: 3, entry: entry, present: isPresent, reserved: isPresent)))
    }
    return .found(entry)
  }

  /// The last step: where the page itself is.
  @inline(__always) private mutating func finish(
    _ physical: GuestPhysical, size: PageSize, isHalf: Bool, permissions: PagePermissions, global: Bool, dirty: Bool,
    access: Access
  ) -> WalkResult {
    switch locate(physical, for: access.kind, duringWalk: false) {
    case .success(let host):
      return .mapped(
        Mapping(
          host: host, physical: physical, permissions: permissions, pageSize: size, isHalf: isHalf, global: global,
          dirty: dirty))
    case .failure(let fault):
      return .nestedFault(fault)
    }
  }

  /// Sets A on the path and D on the leaf of a write, where they are not set yet. A nested table that forbids the write
  /// to the guest's table ends it.
  @inline(__always) private mutating func keepAccessedDirty(
    _ path: Path, _ layout: EntryLayout, _ first: GuestPhysical, from start: Int, to leaf: Int, isWrite: Bool
  ) -> NestedFault? {
    var level = start
    while level >= leaf {
      let step = path[level]
      var wanted = plan.pointee.format.accessedBit
      if isWrite && level == leaf { wanted |= plan.pointee.format.dirtyBit }
      if step.entry & wanted != wanted {
        if !step.isWritable, case .tables = plan.pointee.second {
          let table = level == start ? first : GuestPhysical(path[level &+ 1].entry & EntryBit.frameMask)
          return NestedFault(
            address: table.advanced(by: step.address.pageOffset), kind: .write, duringWalk: true, misconfigured: false,
            present: true)
        }
        port.set(wanted, in: step.entry, at: step.address, width: layout.entryWidth, dimension: .first)
      }
      level &-= 1
    }
    return nil
  }

  /// Where a guest-physical address is in the host, for an access: the second dimension.
  @inline(__always) mutating func locate(
    _ address: GuestPhysical, for kind: AccessKind, duringWalk: Bool
  ) -> Located {
    switch plan.pointee.second {
    case .identity:
      return .success(
        HostMapping(address: HostPhysical(address.rawValue), writable: true, executable: true, size: .page1G))
    case .software:
      guard let found = port.hostFrame(of: address) else {
        return .failure(
          NestedFault(address: address, kind: kind, duringWalk: duringWalk, misconfigured: false, present: false))
      }
      return .success(found)
    case .tables:
      return descend(address, for: kind, duringWalk: duringWalk)
    }
  }

  @inline(never) private mutating func descend(
    _ address: GuestPhysical, for wanted: AccessKind, duringWalk: Bool
  ) -> Located {
    withPath { walk, path in
      guard case .tables(let nested) = walk.plan.pointee.second else { preconditionFailure("no nested tables") }
      return walk.descend(nested, address, for: wanted, duringWalk: duringWalk, path)
    }
  }

  @inline(__always) private mutating func descend(
    _ nested: NestedPlan, _ address: GuestPhysical, for wanted: AccessKind, duringWalk: Bool, _ path: Path
  ) -> Located {
    // Where A and D are kept, reading one of the guest's tables counts as a write (SDM vol. 3, 29.3.5).
    let kind = duringWalk && nested.keepsAccessedDirty ? .write : wanted
    if let known = port.cachedFrame(for: address), permits(known, kind) { return .success(known) }

    func refused(present: Bool, misconfigured: Bool = false) -> Located {
      .failure(
        NestedFault(
          address: address, kind: kind, duringWalk: duringWalk, misconfigured: misconfigured, present: present))
    }
    // Nothing lies beyond what the tables translate.
    guard address.rawValue >> (12 &+ 9 &* UInt64(nested.levels)) == 0 else { return refused(present: false) }

    var level = nested.levels
    var table = nested.root
    var permissions = PagePermissions.all
    if let cached = port.cachedNestedTable(for: address) {
      (table, level, permissions) = (cached.table, cached.level, cached.permissions)
    }
    let start = level
    while true {
      let at = table.advanced(by: EntryLayout.wide.offset(of: address.rawValue, level: level))
      let entry = port.read(at, width: 8, dimension: .second, level: level)
      path[level] = Step(address: at, entry: entry, permissions: permissions, isWritable: true)
      guard nested.format.isPresent(entry) else { return refused(present: false) }
      let leaf = EntryLayout.wide.isLeaf(entry, level: level)
      if nested.format.isMalformed(entry)
        || entry & nested.reserved.mask(level: level, leaf: leaf) != 0
      {
        return refused(present: true, misconfigured: true)
      }
      permissions = permissions & nested.format.permissions(entry)
      if leaf { break }
      table = HostPhysical(entry & EntryBit.frameMask)
      level &-= 1
    }

    let size = PageSize(level: level) ?? .page4K
    let base = path[level].entry & EntryBit.frameMask & ~size.offsetMask
    var found = HostMapping(
      address: HostPhysical(base | (address.rawValue & size.offsetMask)), writable: permissions.writable,
      executable: permissions.executable, size: size)
    guard permits(found, kind) else { return refused(present: true) }

    if nested.keepsAccessedDirty {
      for visited in level...start {
        var wanted = nested.format.accessedBit
        if kind == .write && visited == level { wanted |= nested.format.dirtyBit }
        let step = path[visited]
        if step.entry & wanted != wanted {
          port.set(wanted, in: step.entry, at: step.address, width: 8, dimension: .second)
        }
      }
      // While D is clear a write comes back, to set it.
      if kind != .write && path[level].entry & nested.format.dirtyBit == 0 { found.writable = false }
    }
    var above = start
    while above > level {
      let next = path[above &- 1]
      port.rememberNested(
        CachedTable(
          table: HostPhysical(next.address.rawValue & ~0xfff), level: above &- 1, permissions: next.permissions,
          isWritable: next.isWritable),
        for: address)
      above &-= 1
    }
    port.remember(found, for: address)
    return .success(found)
  }

  @inline(__always) private func permits(_ mapping: HostMapping, _ kind: AccessKind) -> Bool {
    switch kind {
    case .read: true
    case .write: mapping.writable
    case .fetch: mapping.executable
    }
  }

  @inline(__always) private func fault(
    _ address: GuestVirtual, _ access: Access, level: Int, entry: UInt64, present: Bool, reserved: Bool
  ) -> PageFault {
    PageFault(
      address: address,
      errorCode: plan.pointee.errorCode(access, present: present, reserved: reserved),
      level: UInt8(level), entry: entry)
  }

  /// The outcome of a second-dimension translation.
  enum Located {
    case success(HostMapping)
    case failure(NestedFault)
  }
}

/// One reference of a walk: the entry's place and value, and what the levels above it permit.
private struct Step {
  var address: HostPhysical
  var entry: UInt64
  var permissions: PagePermissions
  var isWritable: Bool
}

/// The references of a walk by level, 1 to 5. A level is read only after it has been written.
private struct Path {
  static let capacity = 6

  let steps: UnsafeMutablePointer<Step>

  @inline(__always) subscript(level: Int) -> Step {
    get { steps[level] }
    nonmutating set { (steps + level).initialize(to: newValue) }
  }
}
