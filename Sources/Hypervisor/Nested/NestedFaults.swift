import Machine

extension Hypervisor {
  /// A guest-physical access that the nested tables did not translate: memory of the guest that is not mapped yet, or a
  /// device.
  func handleNestedFault(_ exit: VMExit) -> RunResult? {
    // Reason, qualification, guest-physical address, guest-linear address, IDT-vectoring information.
    handle(exit.reason, reads: 5)
    counted.pfTaken &+= 1
    guard let fault = exit.nested, var tables = nested else {
      return .unsupported("nested fault without nested tables")
    }
    guard guest.isMemory(fault.address) else {
      if exit.loadsDirectoryPointers {
        // PDPTEs of ones cannot be loaded.
        inject(.exception(.generalProtection(0)), during: exit)
        return nil
      }
      if fault.duringWalk { return handleAbsentTable(exit) }
      counted.hiddenFaults &+= 1
      return accessDevice(exit, at: fault.address)
    }
    counted.hiddenFaults &+= 1
    if fault.present { return handleNestedProtection(exit, fault) }
    // The host's page is got without the lock (KVM: `kvm_faultin_pfn`).
    guard let page = populate(fault.address) else { return nil }
    lockTables(isShared: !hasShadows)
    nested = nil
    let size = nestedPageSize(fault.address, page.size)
    var writable = mutated("nested-writable-over-table") || !(shadows.pool.isGuarded(fault.address.frame, size))
    if logsByFaults {
      writable = writable && fault.kind == .write
      if writable { noteFirstWrite(to: fault.address.frame) }
    }
    let outcome = tables.map(fault.address, to: page, size: size, writable: writable, memory, &allocator)
    nested = tables
    switch outcome {
    case .mapped(let newTables):
      counted.pfFixed &+= 1
      work(.nestedFill, .nestedFill)
      work(.nestedFill, .nestedAllocate, times: newTables)
    case .present:
      return .unsupported("nested fault at \(fault.address), which is mapped")
    case .outOfMemory:
      failure = "host memory is exhausted"
    }
    resume(exit)
    return nil
  }

  private func noteFirstWrite(to gfn: UInt64) {
    counted.dirtyFaults &+= 1
    if !mutated("first-write-unnoted") { noteDirty(gfn, for: .dirtyLog) }
  }

  /// The page by which nested tables map an address: none that a guarded table is a part of, unless it is one; and one of
  /// 4 KiB where writes to each of those are logged.
  private func nestedPageSize(_ address: GuestPhysical, _ most: PageSize) -> PageSize {
    guard dirtyLog == nil else { return .page4K }
    return PageSize.allCases.last { $0 <= most && ($0 == .page4K || !shadows.pool.isGuarded(address.frame, $0)) }
      ?? .page4K
  }

  /// A write to what the nested tables let be read only: a guarded table of the guest's, or a page that was watched for
  /// writes.
  private func handleNestedProtection(_ exit: VMExit, _ fault: NestedFault) -> RunResult? {
    // Permission to write what is no table comes back without the lock (KVM: `fast_page_fault`).
    if hasShadows { lockTables() }
    let gfn = fault.address.frame
    if shadows.pool.isGuarded(gfn) {
      if !fault.duringWalk {
        return emulateWrite(exit, GuestPath(physical: fault.address, access: .all))
      }
      // The hardware walks it, behind a switch, and would set A and D. It is nested from now on wherever it is used.
      if !goNested(gfn) { dropShadows(of: gfn) }
    }
    guard fault.kind == .write else {
      return .unsupported("nested fault at \(fault.address), which permits \(fault.kind)")
    }
    // Where another processor has been here before, the violation has dropped what this one remembered.
    if setNestedWritable(fault.address, true) {
      work(.nestedFill, .protect)
      if logsByFaults { noteFirstWrite(to: gfn) }
    }
    guard failure == nil else { return nil }
    counted.pfFixed &+= 1
    resume(exit)
    return nil
  }

  /// Lets a frame be written through nested tables, or not.
  ///
  /// - Returns: whether that has changed.
  func setNestedWritable(_ address: GuestPhysical, _ isWritable: Bool) -> Bool {
    changeNested { $0.setWritable(address, isWritable, $1, &$2) }
  }

  /// Changes an entry of the nested tables.
  func changeNested(
    _ change: (inout NestedTables, HostMemory, inout FrameAllocator) -> (isChanged: Bool, newTables: UInt64)?
  ) -> Bool {
    guard var tables = nested else { return false }
    nested = nil
    let outcome = change(&tables, memory, &allocator)
    nested = tables
    guard let outcome else {
      failure = "host memory is exhausted"
      return false
    }
    work(.nestedFill, .nestedAllocate, times: outcome.newTables)
    return outcome.isChanged
  }
}
