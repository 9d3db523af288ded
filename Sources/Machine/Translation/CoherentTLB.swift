/// Coherent TLBs (`tlb=coherent`): whatever TLBs and paging-structure caches hold is checked against the tables before it
/// is used, A and D bits included.
///
/// A check is a walk. So that not every access makes one, verdicts (`DirectCache`) stand for checks: there is one for a
/// page only while no table has been written that its translation was read from. The frames of such tables are watched as
/// those of decoded code are (`CodeHolder`), and a write to one drops every verdict. Where two pages share a verdict's
/// place, the checks themselves are remembered as long (`StandingChecks`).
extension Processor {
  /// Whether a TLB entry still says what the tables say, found without charge or change.
  func isCurrent(_ hit: TranslationLookaside.Hit, _ address: UInt64, _ access: Access) -> Bool {
    if translation.standing.contains(hit, address, access, context: directContext) {
      isChecked = true
      return true
    }
    let (result, path) = pathInTables(address, access)
    guard case .mapped(let mapping) = result, hit.follows(from: mapping, path, at: address) else { return false }
    guard guestAgrees(mapping, address, access) else { return false }
    if isChecked { translation.standing.insert(hit, address, access, context: directContext) }
    return true
  }

  /// How often walks have written tables.
  var bitUpdates: UInt64 { counters.bitUpdates[0] &+ counters.bitUpdates[1] }

  /// Sees whether what a walk has just found may be used. Where the hypervisor's tables are behind the guest's, it is
  /// told as of an entry that is not there.
  ///
  /// - Parameter updates: `bitUpdates` before the walk: a table that it has written is watched no more.
  @inline(never)
  func confirm(
    _ mapping: Mapping, _ address: UInt64, _ access: Access, width: Int, since updates: UInt64
  ) throws(Stopped) {
    if bitUpdates != updates { _ = pathInTables(address, access) }
    guard !guestAgrees(mapping, address, access) else { return }
    dropPage(address)
    var exit = VMExit(.pageFault, of: access, at: GuestVirtual(address), width: width)
    exit.errorCode = plan.errorCode(access, present: true, reserved: false)
    throw self.exit(exit)
  }

  /// Whether the guest's own tables, A and D included, lead where shadow tables lead that may be behind them.
  private func guestAgrees(_ mapping: Mapping, _ address: UInt64, _ access: Access) -> Bool {
    isChecked = true
    guard let guestFrames, case .shadow = controls.paging else { return true }
    func agrees(_ access: Access) -> Bool {
      var software = softwarePlan
      let (result, path) = withUnsafeMutablePointer(to: &software) { plan in
        var walk = PageWalk(plan: plan, controls: guestControls, port: WatchingPort(self, guestFrames))
        let result = walk.translate(GuestVirtual(address), for: access)
        return (result, walk.port.path)
      }
      guard case .mapped(let own) = result else { return false }
      return own.host.address == mapping.host.address && path.isAccessed(above: 0) && (path.isDirty || !access.isWrite)
    }
    guard agrees(access) else { return false }
    // A verdict is one on reads and writes of the program's, whose privilege is not that of what the processor reads for
    // itself.
    isChecked =
      access.privilege == privilege && (access.kind == .read || agrees(Access(.read, access.privilege)))
      && (access.isWrite || !mapping.permissions.writable || agrees(Access(.write, access.privilege)))
    return true
  }

  /// Drops what the paging-structure caches hold for an address and the tables no longer say, and watches the tables.
  func dropStaleTables(_ address: UInt64, _ access: Access) {
    let (_, path) = pathInTables(address, access)
    let tableAddress = plan.layout.tableAddress(address)
    drop(tableAddress, 21, path, level: 1, from: translation.pde)
    drop(tableAddress, 30, path, level: 2, from: translation.pdpte)
    drop(tableAddress, 39, path, level: 3, from: translation.pml4e)
  }

  private func drop(_ address: UInt64, _ shift: UInt64, _ path: TablePath, level: Int, from array: AssociativeArray) {
    let way = array.find(TranslationKey.table(address, shift, tag: tag), inSet: 0)
    guard way >= 0 else { return }
    let cached = CachedTable(array.values[way], level: level)
    if path.table(level) != cached.table || path.permissions(above: level) != cached.permissions
      || !path.isAccessed(above: level)
    {
      array.drop(way)
    }
  }

  /// The walk of the tables that the hardware uses; they are watched from now on.
  func pathInTables(_ address: UInt64, _ access: Access) -> (WalkResult, TablePath) {
    var walk = PageWalk(
      plan: planned, beyond: beyond, controls: pagingControls, port: WatchingPort(self, nil))
    let result = walk.translate(GuestVirtual(address), for: access)
    return (result, walk.port.path)
  }

  /// A table was written that verdicts may rest on, or the page that code is being fetched from: the next instruction
  /// looks anew.
  func tablesChanged() {
    translation.forgetVerdicts()
    forgetFetchPage()
    s.pointee.executedDeadline = 0
  }
}

extension HostMemory {
  /// Watches a frame that holds a table: a write to it drops every verdict.
  @inline(__always) fileprivate func watch(tableIn frame: UInt64, _ watched: FrameSet) {
    guard contains(HostPhysical(frame << 12)) else { return }
    guard !watched.contains(frame) || codeLines[Int(frame)] != .max else { return }
    watched.insert(frame)
    markCode(.max, ofPageAt: frame << 12)
  }
}

extension TranslationLookaside.Hit {
  /// Whether the entry says what the tables say, A and D included.
  func follows(from mapping: Mapping, _ path: TablePath, at address: UInt64) -> Bool {
    let tables = TLBEntry(mapping)
    let whole = mapping.effectiveSize
    // A buffer may hold a piece of the page only.
    return size <= whole && tables.base | address & whole.offsetMask & ~size.offsetMask == entry.base
      && tables.permissions == entry.permissions && path.isAccessed(above: 0) && (path.isDirty || !entry.isDirty)
  }
}

/// The entries that a walk read of the first dimension, by level.
struct TablePath {
  /// 0 where none was read.
  private var addresses = InlineArray<6, UInt64>(repeating: 0)
  private var entries = InlineArray<6, UInt64>(repeating: 0)
  private var last = 6
  private let format: TableFormat

  init(format: TableFormat) { self.format = format }

  mutating func note(_ level: Int, _ address: HostPhysical, _ entry: UInt64) {
    addresses[level] = address.rawValue
    entries[level] = entry
    last = level
  }

  /// The table whose entries are of a level; nil where the walk did not get there.
  func table(_ level: Int) -> HostPhysical? {
    addresses[level] == 0 ? nil : HostPhysical(addresses[level] & ~0xfff)
  }

  /// What the entries above a level permit.
  func permissions(above level: Int) -> PagePermissions {
    var permissions = PagePermissions.all
    for above in level + 1..<6 where addresses[above] != 0 {
      permissions = permissions & format.permissions(entries[above])
    }
    permissions.key = 0
    return permissions
  }

  /// Whether all entries above a level have A set.
  func isAccessed(above level: Int) -> Bool {
    for above in level + 1..<6 where addresses[above] != 0 && entries[above] & format.accessedBit == 0 { return false }
    return true
  }

  /// Whether the last entry, which maps the page, has D set. Without paging there is none.
  var isDirty: Bool { last == 6 || entries[last] & format.dirtyBit != 0 }
}

/// A port that looks, watches the tables it reads, and changes nothing the guest or its account could tell.
private struct WatchingPort: WalkPort {
  unowned(unsafe) let processor: Processor
  /// As the hardware's port has it.
  private let memory: Unmanaged<HostMemory>
  private let tables: Unmanaged<FrameSet>?
  /// Of the guest's own tables: where its frames are.
  private let frames: Unmanaged<FrameMap>?
  private let isPAE: Bool
  var path: TablePath

  init(_ processor: Processor, _ frames: FrameMap?) {
    self.processor = processor
    memory = .passUnretained(processor.memory)
    tables = processor.tableFrames.map(Unmanaged.passUnretained)
    self.frames = frames.map(Unmanaged.passUnretained)
    let plan = frames == nil ? processor.plan : processor.softwarePlan
    isPAE = plan.levels == 3 && !plan.layout.isNarrow
    path = TablePath(format: plan.format)
  }

  @inline(__always)
  mutating func read(_ address: HostPhysical, width: Int, dimension: Dimension, level: Int) -> UInt64 {
    let entry = memory._withUnsafeGuaranteedRef { memory in
      tables?._withUnsafeGuaranteedRef { memory.watch(tableIn: address.frame, $0) }
      return memory.entry(at: address, width: width)
    }
    // PDPTEs of PAE paging have no A and permit everything.
    if dimension == .first && !(level == 3 && isPAE) { path.note(level, address, entry) }
    return entry
  }

  func set(_ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension) {}
  func directoryPointer(for address: GuestVirtual) -> UInt64 {
    frames == nil ? processor.directoryPointers[address] : processor.s.pointee.directoryPointers[address]
  }
  func cachedTable(for address: GuestVirtual) -> CachedTable? { nil }
  func remember(_ table: CachedTable, for address: GuestVirtual) {}
  func cachedFrame(for address: GuestPhysical) -> HostMapping? { nil }
  func remember(_ mapping: HostMapping, for address: GuestPhysical) {}
  func cachedNestedTable(for address: GuestPhysical) -> CachedTable? { nil }
  func rememberNested(_ table: CachedTable, for address: GuestPhysical) {}
  func hostFrame(of address: GuestPhysical) -> HostMapping? {
    frames?._withUnsafeGuaranteedRef { $0.lookup(address) }
  }
}
