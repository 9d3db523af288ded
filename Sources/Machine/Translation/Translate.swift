/// Misses, one named step each: first-level TLB, second-level TLB, walk, fill. A hit never comes here (`DataAccess`).
extension Processor {
  /// Where one access that stays within a page goes in the host.
  ///
  /// - Throws: the fault as an exception or an exit, by the controls.
  @inline(never)
  func translate(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> HostPhysical {
    if !controls.grants.isEmpty, let granted = grantedMemory(address, access) { return granted }
    let unit = translation
    if let hit = unit.data.find(address, tag: tag, globalTag: globalTag) {
      let array = unit.data.array(for: hit.size)
      if hit.entry.serves(access, pagingControls) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        array.stamps[hit.way] = stamp
        let host = HostPhysical(hit.entry.base | (address & hit.size.offsetMask))
        if access.isWrite && memory.contains(host) { memory.touch(host) }
        fillDirect(address, host, hit.entry, array.stamps + hit.way)
        return host
      }
      dropData(hit.size, hit.way)
    }
    counters.dataMisses &+= 1
    let (entry, size) = try secondLevel(address, access, width: width)
    let host = HostPhysical(entry.base | (address & size.offsetMask))
    if access.isWrite && memory.contains(host) { memory.touch(host) }
    let array = unit.data.array(for: size)
    if array.isPresent {
      let number = TranslationKey.number(address, size)
      let way = array.victim(inSet: array.set(of: number))
      if array.keys[way] != AssociativeArray.empty { dropVerdicts(of: array, way) }
      array.put(
        TranslationKey.make(number, size, tag: entry.isGlobal ? globalTag : tag), entry.rawValue, stamp: stamp, at: way)
      fillDirect(address, host, entry, array.stamps + way)
    }
    return host
  }

  /// Where an instruction fetch goes, by the first-level code TLB.
  func translateFetch(_ address: UInt64) throws(Stopped) -> HostPhysical {
    let access = Access(.fetch, s.pointee.cpl == 3 ? .user : .supervisor)
    counters.codeLookups &+= 1
    if !controls.grants.isEmpty, let granted = grantedMemory(address, access) { return granted }
    let unit = translation
    unit.tick &+= 1
    if let hit = unit.code.find(address, tag: tag, globalTag: globalTag) {
      let array = unit.code.array(for: hit.size)
      if hit.entry.serves(access, pagingControls) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        array.stamps[hit.way] = unit.tick
        return HostPhysical(hit.entry.base | (address & hit.size.offsetMask))
      }
      array.drop(hit.way)
    }
    counters.codeMisses &+= 1
    let (entry, size) = try secondLevel(address, access, width: 1)
    let array = unit.code.array(for: size)
    if array.isPresent {
      let number = TranslationKey.number(address, size)
      array.put(
        TranslationKey.make(number, size, tag: entry.isGlobal ? globalTag : tag), entry.rawValue, stamp: unit.tick,
        at: array.victim(inSet: array.set(of: number)))
    }
    return HostPhysical(entry.base | (address & size.offsetMask))
  }

  /// The second-level TLB, and behind it the walk, which fills it.
  @inline(__always)
  private func secondLevel(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> (TLBEntry, PageSize) {
    let unit = translation
    unit.tick &+= 1
    if let hit = unit.second.find(address, tag: tag, globalTag: globalTag) {
      let array = unit.second.array(for: hit.size)
      if hit.entry.serves(access, pagingControls) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        array.stamps[hit.way] = unit.tick
        counters.secondHits &+= 1
        charge(.tlbL2, costs.tlbL2Hit)
        return (hit.entry, hit.size)
      }
      array.drop(hit.way)
    }
    counters.secondMisses &+= 1
    let mapping = try walk(address, access, width: width)
    let entry = TLBEntry(mapping)
    let size = mapping.effectiveSize
    if size < mapping.pageSize { unit.mayHoldSplinters = true }
    let array = unit.second.array(for: size)
    if array.isPresent {
      let number = TranslationKey.number(address, size)
      unit.tick &+= 1
      array.put(
        TranslationKey.make(number, size, tag: entry.isGlobal ? globalTag : tag), entry.rawValue, stamp: unit.tick,
        at: array.victim(inSet: array.set(of: number)))
    }
    return (entry, size)
  }

  /// The hardware's walk.
  private func walk(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> Mapping {
    var walk = PageWalk(plan: plan, controls: pagingControls, port: hardwarePort)
    counters.walks &+= 1
    charge(walk.port.firstCause, costs.walkStart)
    let result = walk.translate(GuestVirtual(address), for: access)
    counters.referencesPerWalk[min(walk.port.references, 39)] &+= 1
    observer?.walked(GuestVirtual(address), access: access, result: result)
    switch result {
    case .mapped(let mapping):
      return mapping
    case .fault(let fault):
      // A page fault drops what the TLBs and paging-structure caches had for the page (SDM vol. 3, 4.10.4.1).
      dropPage(address)
      guard controls.intercepts.contains(.pageFaults) else { throw raise(.pageFault(fault)) }
      var exit = VMExit(.pageFault)
      exit.address = fault.address
      exit.access = access
      exit.errorCode = fault.errorCode
      exit.width = UInt8(truncatingIfNeeded: width)
      throw self.exit(exit)
    case .nestedFault(let fault):
      dropPage(address)
      var exit = VMExit(fault.misconfigured ? .nestedMisconfiguration : .nestedFault)
      exit.address = GuestVirtual(address)
      exit.access = access
      exit.width = UInt8(truncatingIfNeeded: width)
      exit.nested = fault
      throw self.exit(exit)
    }
  }

  private var hardwarePort: HardwarePort {
    if case .shadow = controls.paging { return HardwarePort(processor: self, firstCause: .walkShadow) }
    return HardwarePort(processor: self, firstCause: .walkGuest)
  }

  /// Whether a TLB entry still says what the tables say (`tlb=coherent`), found without charge or change.
  private func isCurrent(_ hit: TranslationLookaside.Hit, _ address: UInt64, _ access: Access) -> Bool {
    guard case .mapped(let mapping) = peek(GuestVirtual(address), access).result else { return false }
    let tables = TLBEntry(mapping)
    return tables.base == hit.entry.base && mapping.effectiveSize == hit.size
      && tables.permissions == hit.entry.permissions && (mapping.dirty || !hit.entry.isDirty)
  }

  // MARK: Verdicts

  /// Which of the direct cache's tables holds the verdicts of an access's privilege; nil where none may be kept.
  private func fillDirect(
    _ address: UInt64, _ host: HostPhysical, _ entry: TLBEntry, _ stamp: UnsafeMutablePointer<UInt64>
  ) {
    guard direct != translation.direct.nothing, memory.contains(host) else { return }
    let privilege: Privilege = s.pointee.cpl == 3 ? .user : .supervisor
    let page = address & ~0xfff
    let slot = direct + DirectCache.index(address)
    slot.pointee.readTag =
      entry.serves(Access(.read, privilege), pagingControls) ? page : DirectEntry.never
    let writable =
      entry.serves(Access(.write, privilege), pagingControls) && memory.codeLines[Int(host.frame)] == 0
      && memory.touched[Int(host.frame)] != 0
    slot.pointee.writeTag = writable ? page : DirectEntry.never
    slot.pointee.addend = UInt64(UInt(bitPattern: memory.base)) &+ (host.rawValue & ~0xfff) &- page
    slot.pointee.stamp = stamp
  }

  /// Drops the verdicts that mirror a way of a first-level data TLB.
  private func dropVerdicts(of array: AssociativeArray, _ way: Int) {
    let key = array.keys[way]
    let isSmall = key >> 61 == UInt64(PageSize.page4K.rawValue)
    translation.direct.clear(
      stamp: array.stamps + way, smallPage: isSmall ? (key >> 16) & 0x1fff_ffff_ffff : nil)
  }

  private func dropData(_ size: PageSize, _ way: Int) {
    let array = translation.data.array(for: size)
    dropVerdicts(of: array, way)
    array.drop(way)
  }

  // MARK: Invalidation

  /// Drops every entry of the running machine, globals included. Charges nothing: the caller knows why.
  public func flushAll() {
    counters.flushesAll &+= 1
    drop(where: TranslationKey.vpidMask, equals: tag & TranslationKey.vpidMask)
    translation.nestedTLB.dropAll(where: TranslationKey.vpidMask, equals: tag & TranslationKey.vpidMask)
    translation.nestedPDE.dropAll(where: TranslationKey.vpidMask, equals: tag & TranslationKey.vpidMask)
    translation.nestedPDPTE.dropAll(where: TranslationKey.vpidMask, equals: tag & TranslationKey.vpidMask)
  }

  /// Drops the entries of one PCID (or shadow root's tag) of the running machine, without its global ones.
  public func flushContext(pcid: UInt16) {
    counters.flushesContext &+= 1
    drop(where: TranslationKey.tagMask, equals: tag & TranslationKey.vpidMask | UInt64(pcid & 0xfff))
  }

  /// Drops everything that was made for the running machine from guest-virtual addresses; what the second dimension's caches know stays (SDM vol. 3, 29.4.3.1:
  /// guest-physical mappings outlive it).
  public func flushLinear() {
    counters.flushesAll &+= 1
    drop(where: TranslationKey.vpidMask, equals: tag & TranslationKey.vpidMask)
  }

  /// Drops the entries of all PCIDs except the global ones (INVPCID type 3).
  public func flushNonGlobal() {
    counters.flushesContext &+= 1
    drop(
      where: TranslationKey.vpidMask | TranslationKey.globalBit, equals: tag & TranslationKey.vpidMask)
  }

  private func drop(where mask: UInt64, equals wanted: UInt64) {
    let unit = translation
    for array in [unit.pde, unit.pdpte, unit.pml4e] { array.dropAll(where: mask, equals: wanted) }
    for buffer in [unit.code, unit.second] {
      for array in buffer.distinct { array.dropAll(where: mask, equals: wanted) }
    }
    for array in unit.data.distinct { array.dropAll(where: mask, equals: wanted) }
    unit.direct.clear()
    forgetFetchPage()
  }

  /// Drops one page's entries of a PCID (or shadow tag), and its global ones where asked, with that context's paging-structure entries
  /// (SDM vol. 3, 4.10.4.1: INVLPG drops all of them).
  public func invalidatePage(_ address: GuestVirtual, pcid: UInt16, globals: Bool) {
    counters.flushesPage &+= 1
    let context = tag & TranslationKey.vpidMask | UInt64(pcid & 0xfff)
    for array in [translation.pde, translation.pdpte, translation.pml4e] {
      array.dropAll(where: TranslationKey.tagMask, equals: context)
    }
    dropTranslations(address.rawValue, tag: context, globals: globals)
    if translation.mayHoldSplinters { dropSplinters(address.rawValue, tag: context, globals: globals) }
  }

  /// Drops the splinters of the guest page that holds an address: INVLPG invalidates all of them (SDM vol. 3, 4.10.4.1).
  private func dropSplinters(_ address: UInt64, tag: UInt64, globals: Bool) {
    let unit = translation
    func isSplinter(_ array: AssociativeArray, _ way: Int) -> Bool {
      let key = array.keys[way]
      guard key != AssociativeArray.empty, let size = PageSize(rawValue: UInt8(key >> 61)),
        key & TranslationKey.tagMask == tag || globals && key & TranslationKey.tagMask == globalTag
      else { return false }
      let page = TLBEntry(rawValue: array.values[way]).pageSize
      guard page > size else { return false }
      let start = (key >> 16 & 0x1fff_ffff_ffff) << size.shift
      return TranslationKey.number(start, page) == TranslationKey.number(address & 0x01ff_ffff_ffff_ffff, page)
    }
    for array in unit.data.distinct {
      for way in 0..<array.count where isSplinter(array, way) {
        dropVerdicts(of: array, way)
        array.drop(way)
      }
    }
    for array in unit.code.distinct + unit.second.distinct {
      for way in 0..<array.count where isSplinter(array, way) { array.drop(way) }
    }
  }

  /// What a page fault drops: the page's translations and the paging-structure entries on its path.
  private func dropPage(_ address: UInt64) {
    for level in 1...3 {
      guard let (array, shift) = translation.structureCache(to: level) else { continue }
      let way = array.find((address >> shift) << 16 & 0x1fff_ffff_ffff_0000 | tag, inSet: 0)
      if array.isPresent && way >= 0 { array.drop(way) }
    }
    dropTranslations(address, tag: tag, globals: true)
  }

  private func dropTranslations(_ address: UInt64, tag: UInt64, globals: Bool) {
    let unit = translation
    let global = globals ? globalTag : nil
    for size in PageSize.allCases {
      let array = unit.data.array(for: size)
      guard array.isPresent else { continue }
      let number = TranslationKey.number(address, size)
      let set = array.set(of: number)
      for candidate in [tag, global ?? tag] {
        let way = array.find(TranslationKey.make(number, size, tag: candidate), inSet: set)
        if way >= 0 { dropData(size, way) }
      }
    }
    unit.code.drop(address, tag: tag, globalTag: global) { _, _ in }
    unit.second.drop(address, tag: tag, globalTag: global) { _, _ in }
    forgetFetchPage()
  }

  /// Makes the next instruction fetch look its page up again.
  @inline(__always) func forgetFetchPage() {
    fetchPage = .max
    fetchSecondPage = .max
  }
}
