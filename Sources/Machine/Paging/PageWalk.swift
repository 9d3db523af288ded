/// The page walk, for one and two dimensions, hardware and software: there is no other.
///
/// Accessed and dirty bits are set once the whole walk is known to succeed, the leaf's D only for a write; a walk that
/// faults leaves the guest's tables as they were. Silicon may set A in upper levels before it finds the fault; the SDM
/// (vol. 3, 4.8) promises neither, and a hypervisor's software walk could not tell.
struct PageWalk<Port: WalkPort> {
  var port: Port
  let plan: UnsafePointer<WalkPlan>
  /// How the walk goes on behind an entry that has the switching bit set; nil where none may.
  let beyond: UnsafePointer<WalkPlan>?
  let controls: PagingControls
  /// The walk is the rest of one that has come to a switching entry.
  private let isBehindSwitch: Bool

  /// - Parameters:
  ///   - plan: has to stay until the walk is done, and so has the other.
  ///   - beyond: of agile paging, where `plan` is that of the shadow tables, the plan of the guest's own through nested
  ///     ones.
  @inline(__always) init(
    plan: UnsafePointer<WalkPlan>, beyond: UnsafePointer<WalkPlan>? = nil, controls: PagingControls, port: Port
  ) {
    self.init(plan: plan, beyond: beyond, controls: controls, port: port, isBehindSwitch: false)
  }

  @inline(__always) private init(
    plan: UnsafePointer<WalkPlan>, beyond: UnsafePointer<WalkPlan>?, controls: PagingControls, port: Port,
    isBehindSwitch: Bool
  ) {
    self.plan = plan
    self.beyond = beyond
    self.controls = controls
    self.port = port
    self.isBehindSwitch = isBehindSwitch
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
      if beyond != nil { return walkFromGuestRoot(address, for: access, path) }
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
    let tableAddress = GuestVirtual(layout.tableAddress(address.rawValue))
    var start = Start(table: HostPhysical(0), level: plan.pointee.levels, permissions: .all, isWritable: false)
    var first = plan.pointee.root
    var isCached = false
    if usesCaches, let cached = port.cachedTable(for: tableAddress) {
      start = Start(cached)
      if cached.isBehindSwitch {
        return walkOn(address, for: access, from: start, path) ?? walkFromRoot(address, for: access, layout, path)
      }
      isCached = true
    } else {
      if !layout.isNarrow && start.level == 3 {
        switch directoryPointer(address, for: access, path) {
        case .found(let entry): first = GuestPhysical(entry & EntryBit.frameMask)
        case .ended(let result): return result
        }
        start.level = 2
      }
      switch locate(first, for: .read, table: start.level) {
      case .success(let found): (start.table, start.isWritable) = (found.address, found.writable)
      case .failure(let fault): return .nestedFault(fault)
      }
    }
    return follow(address, for: access, layout, tableAddress, from: start, first, isCached: isCached, path)
      ?? walkFromRoot(address, for: access, layout, path)
  }

  /// A table where a walk begins.
  private struct Start {
    var table: HostPhysical
    var level: Int
    /// What the entries above permit.
    var permissions: PagePermissions
    /// Whether the second dimension lets A and D be set in the table.
    var isWritable: Bool

    @inline(__always) init(table: HostPhysical, level: Int, permissions: PagePermissions, isWritable: Bool) {
      (self.table, self.level, self.permissions, self.isWritable) = (table, level, permissions, isWritable)
    }

    @inline(__always) init(_ cached: CachedTable) {
      (table, level, permissions, isWritable) = (cached.table, cached.level, cached.permissions, cached.isWritable)
    }
  }

  /// Follows the tables from one on to the page.
  ///
  /// - Parameters:
  ///   - tableAddress: what caches know the tables by.
  ///   - first: the first table's guest-physical address, where it is known.
  ///   - isCached: whether it is not.
  /// - Returns: nil where the second dimension refuses to let a table be written of which the guest-physical address is
  ///   not known.
  @inline(__always) private mutating func follow(
    _ address: GuestVirtual, for access: Access, _ layout: EntryLayout, _ tableAddress: GuestVirtual,
    from begin: Start, _ first: GuestPhysical, isCached: Bool, _ path: Path
  ) -> WalkResult? {
    var (table, level, permissions, isWritable) = (begin.table, begin.level, begin.permissions, begin.isWritable)
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
      if entry & reserved != 0 && !mutated("reserved-bits-ignored") {
        if beyond != nil && entry & reserved == EntryBit.switching && !leaf {
          permissions = permissions & plan.pointee.format.permissions(entry)
          return cross(entry, permissions, address, for: access, start, level, path)
        }
        return .fault(fault(address, access, level: level, entry: entry, present: true, reserved: true))
      }
      permissions =
        mutated("walk-forgets-upper-levels")
        ? plan.pointee.format.permissions(entry) : permissions & plan.pointee.format.permissions(entry)
      if leaf { break }

      level &-= 1
      switch locate(GuestPhysical(entry & EntryBit.frameMask), for: .read, table: level) {
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
    if let refused = keepAccessedDirty(path, layout, from: start, to: level, isWrite: access.isWrite) {
      guard refused < start || !isCached else { return nil }
      let table = refused == start ? first : GuestPhysical(path[refused &+ 1].entry & EntryBit.frameMask)
      return .nestedFault(
        NestedFault(
          address: table.advanced(by: path[refused].address.pageOffset), kind: .write, duringWalk: true,
          misconfigured: false, present: true))
    }
    var above = start
    while above > level {
      // A table may be remembered now that the entry that leads to it has A set (SDM vol. 3, 4.10.3.1).
      remember(path[above &- 1], level: above &- 1, for: tableAddress, isBehindSwitch: isBehindSwitch)
      above &-= 1
    }

    let size = PageSize(level: level) ?? .page4K
    let physical = layout.page(leaf.entry, level: level) | (address.rawValue & layout.offsetMask(level: level))
    return finish(
      GuestPhysical(physical), size: size, isHalf: layout.isNarrow && level > 1, permissions: permissions,
      global: plan.pointee.globalPages && leaf.entry & EntryBit.global != 0,
      dirty: access.isWrite || leaf.entry & EntryBit.dirty != 0, access: access)
  }

  @inline(__always) private mutating func remember(
    _ step: Step, level: Int, for address: GuestVirtual, isBehindSwitch: Bool
  ) {
    port.remember(
      CachedTable(
        table: HostPhysical(step.address.rawValue & ~0xfff), level: level, permissions: step.permissions,
        isWritable: step.isWritable, isBehindSwitch: isBehindSwitch),
      for: address)
  }

  // MARK: Behind a switching entry

  /// Goes on in the guest's own table that a switching entry leads to by its host address: nothing but the page and the
  /// tables below it is translated by the second dimension.
  @inline(never) private mutating func cross(
    _ entry: UInt64, _ permissions: PagePermissions, _ address: GuestVirtual, for access: Access, _ start: Int,
    _ level: Int, _ path: Path
  ) -> WalkResult {
    // The hypervisor lets the table be written that it lets the hardware walk.
    let begin = Start(
      table: HostPhysical(entry & EntryBit.frameMask), level: level &- 1, permissions: permissions, isWritable: true)
    guard let result = walkOn(address, for: access, from: begin, path) else {
      return .fault(fault(address, access, level: level, entry: entry, present: true, reserved: true))
    }
    guard case .mapped = result else { return result }
    for above in (level...start).reversed() {
      remember(path[above &- 1], level: above &- 1, for: address, isBehindSwitch: above == level)
    }
    return result
  }

  /// The rest of the walk: one by the other plan.
  private mutating func walkOn(
    _ address: GuestVirtual, for access: Access, from begin: Start, _ path: Path
  ) -> WalkResult? {
    guard let beyond else { return nil }
    var rest = PageWalk(plan: beyond, beyond: nil, controls: controls, port: port, isBehindSwitch: true)
    rest.port.crossed()
    let result = rest.followGuest(address, for: access, from: begin, path)
    port = rest.port
    return result
  }

  @inline(never) private mutating func followGuest(
    _ address: GuestVirtual, for access: Access, from begin: Start, _ path: Path
  ) -> WalkResult? {
    follow(address, for: access, plan.pointee.layout, address, from: begin, GuestPhysical(0), isCached: true, path)
  }

  /// The walk where the root itself is the guest's own table: the switch before the first entry.
  @inline(never) private mutating func walkFromGuestRoot(
    _ address: GuestVirtual, for access: Access, _ path: Path
  ) -> WalkResult {
    guard let beyond else { return .fault(fault(address, access, level: 0, entry: 0, present: false, reserved: false)) }
    if let cached = port.cachedTable(for: address),
      let result = walkOn(address, for: access, from: Start(cached), path)
    {
      return result
    }
    let begin = Start(
      table: HostPhysical(plan.pointee.root.rawValue), level: beyond.pointee.levels, permissions: .all,
      isWritable: true)
    return walkOn(address, for: access, from: begin, path)
      ?? .fault(fault(address, access, level: 0, entry: 0, present: false, reserved: false))
  }

  // MARK: PAE paging

  /// What becomes of a walk's first step under PAE paging.
  private enum DirectoryPointer {
    case found(UInt64)
    case ended(WalkResult)
  }

  /// The PDPTE of PAE paging that leads to an address's page directory. It permits everything: R/W, U/S and XD it has
  /// none (SDM vol. 3, 4.4.1).
  @inline(never) private mutating func directoryPointer(
    _ address: GuestVirtual, for access: Access, _ path: Path
  ) -> DirectoryPointer {
    var entry = port.directoryPointer(for: address)
    if plan.pointee.readsDirectoryPointers {
      switch locate(plan.pointee.root.advanced(by: (address.rawValue >> 27) & 0x18), for: .read, table: 3) {
      case .success(let found): entry = port.read(found.address, width: 8, dimension: .first, level: 3)
      case .failure(let fault): return .ended(.nestedFault(fault))
      }
    }
    let isPresent = plan.pointee.format.isPresent(entry)
    if isPresent && beyond != nil && entry & EntryBit.switching != 0 {
      return .ended(cross(entry, .all, address, for: access, 3, 3, path))
    }
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
    switch locate(physical, for: access.kind) {
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
  /// to the guest's table ends it: the level is returned.
  @inline(__always) private mutating func keepAccessedDirty(
    _ path: Path, _ layout: EntryLayout, from start: Int, to leaf: Int, isWrite: Bool
  ) -> Int? {
    var level = start
    while level >= leaf {
      let step = path[level]
      var wanted = plan.pointee.format.accessedBit
      if mutated("walk-sets-no-accessed") && level > leaf { wanted = 0 }
      if isWrite && level == leaf && !mutated("walk-sets-no-dirty") { wanted |= plan.pointee.format.dirtyBit }
      if step.entry & wanted != wanted {
        if !step.isWritable, case .tables = plan.pointee.second { return level }
        port.set(wanted, in: step.entry, at: step.address, width: layout.entryWidth, dimension: .first)
      }
      level &-= 1
    }
    return nil
  }

  /// Where a guest-physical address is in the host, for an access: the second dimension.
  ///
  /// - Parameter level: of the entries that are sought there, where it is one of the walk's tables.
  @inline(__always) mutating func locate(
    _ address: GuestPhysical, for kind: AccessKind, table level: Int = 0
  ) -> Located {
    switch plan.pointee.second {
    case .identity:
      return .success(
        HostMapping(address: HostPhysical(address.rawValue), writable: true, executable: true, size: .page1G))
    case .software:
      guard let found = port.hostFrame(of: address) else {
        return .failure(
          NestedFault(address: address, kind: kind, duringWalk: level != 0, misconfigured: false, present: false))
      }
      return .success(found)
    case .tables:
      return descend(address, for: kind, table: level)
    }
  }

  @inline(never) private mutating func descend(
    _ address: GuestPhysical, for wanted: AccessKind, table level: Int
  ) -> Located {
    withPath { walk, path in
      guard case .tables(let nested) = walk.plan.pointee.second else { preconditionFailure("no nested tables") }
      return walk.descend(nested, address, for: wanted, table: level, path)
    }
  }

  @inline(__always) private mutating func descend(
    _ nested: NestedPlan, _ address: GuestPhysical, for wanted: AccessKind, table target: Int, _ path: Path
  ) -> Located {
    let duringWalk = target != 0
    // Where A and D are kept, reading one of the guest's tables counts as a write (SDM vol. 3, 29.3.5).
    let kind = duringWalk && nested.keepsAccessedDirty ? .write : wanted
    port.descends(toTable: target)
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
      if nested.format.isMalformed(entry, leaf: leaf, executeOnly: nested.executeOnly)
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
      address: HostPhysical(base | (address.rawValue & size.offsetMask)),
      writable: permissions.writable && permissions.user,
      executable: permissions.executable && (permissions.user || nested.format == .extended), size: size)
    found.readable = permissions.user
    guard permits(found, kind) else { return refused(present: true) }

    if nested.keepsAccessedDirty {
      let last = level
      func missing(_ visited: Int) -> UInt64 {
        var wanted = nested.format.accessedBit
        if kind == .write && visited == last { wanted |= nested.format.dirtyBit }
        return wanted & ~path[visited].entry
      }
      // Whether anything is to be set is asked before anything is (SDM vol. 3, 29.3.6).
      if port.isLogFull && (level...start).contains(where: { missing($0) != 0 }) {
        var fault = NestedFault(
          address: address, kind: kind, duringWalk: duringWalk, misconfigured: false, present: true)
        fault.isLogFull = true
        return .failure(fault)
      }
      for visited in level...start {
        let bits = missing(visited)
        guard bits != 0 else { continue }
        let step = path[visited]
        port.set(bits, in: step.entry, at: step.address, width: 8, dimension: .second)
        if bits & nested.format.dirtyBit != 0 { port.logModification(of: address) }
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
    case .read: mapping.readable
    case .write: mapping.writable
    case .fetch: mapping.executable
    }
  }

  @inline(__always) private func fault(
    _ address: GuestVirtual, _ access: Access, level: Int, entry: UInt64, present: Bool, reserved: Bool
  ) -> PageFault {
    var fault = PageFault(
      address: address,
      errorCode: plan.pointee.errorCode(access, present: present, reserved: reserved),
      level: UInt8(level), entry: entry)
    fault.isBehindSwitch = isBehindSwitch
    return fault
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
