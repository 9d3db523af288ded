/// Misses, one named step each: first-level TLB, second-level TLB, walk, fill. A hit never comes here (`DataAccess`).
extension Processor {
  /// Where one access that stays within a page goes in the host.
  ///
  /// - Throws: the fault as an exception or an exit, by the controls.
  @inline(__always)
  func translate(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> HostPhysical {
    guard refills else { return try translateAny(address, access, width: width) }
    switch refill(address, access) {
    case .done(let place): return HostPhysical(UInt64(truncatingIfNeeded: place - memory.base))
    case .absent: return try translateAny(address, access, width: width, isAbsent: true)
    case .unclear, .unguessed: return try translateAny(address, access, width: width)
    }
  }

  /// The same, whatever it takes.
  ///
  /// - Parameter isAbsent: whether it is known already that the page is in no TLB as far as data accesses go.
  @inline(never)
  private func translateAny(
    _ address: UInt64, _ access: Access, width: Int, isAbsent: Bool = false
  ) throws(Stopped) -> HostPhysical {
    if !controls.grants.isEmpty, let granted = grantedMemory(address, access) { return granted }
    let unit = translation
    if !isAbsent, let hit = unit.data.find(address, tag: tag, globalTag: globalTag) {
      if serves(hit.entry, access) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        hit.stamp.pointee = stamp
        let host = HostPhysical(hit.entry.base | (address & hit.size.offsetMask))
        if access.isWrite && memory.contains(host) { memory.touch(host) }
        fillDirect(address, host, hit.entry, hit.stamp)
        return host
      }
      let array = unit.data.array(for: hit.size).pointee
      dropVerdicts(of: array, hit.way)
      array.drop(hit.way)
    }
    counters.dataMisses &+= 1
    let (found, size) = try secondLevel(address, access, width: width, isAbsent: isAbsent)
    let host = HostPhysical(found.base | (address & size.offsetMask))
    if access.isWrite && memory.contains(host) { memory.touch(host) }
    let held = unit.data.heldSize(size)
    let array = unit.data.array(for: held).pointee
    if array.isPresent {
      let entry = splinter(found, of: size, at: address, as: held)
      let way = array.victim(for: address, held)
      if array.keys[way] != AssociativeArray.empty { dropVerdicts(of: array, way) }
      // Of the small pages beside it and in it no more is known than before where it is not the first.
      if held != .page4K && !array.mayHoldLarge(address, held) { translation.known.forget() }
      array.put(address, held, entry, tag: entry.isGlobal ? globalTag : tag, stamp: stamp, at: way)
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
      if serves(hit.entry, access) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        hit.stamp.pointee = unit.tick
        return HostPhysical(hit.entry.base | (address & hit.size.offsetMask))
      }
      unit.code.array(for: hit.size).pointee.drop(hit.way)
    }
    counters.codeMisses &+= 1
    let (found, size) = try secondLevel(address, access, width: 1, isAbsent: false)
    let held = unit.code.heldSize(size)
    let array = unit.code.array(for: held).pointee
    if array.isPresent {
      let entry = splinter(found, of: size, at: address, as: held)
      array.put(
        address, held, entry, tag: entry.isGlobal ? globalTag : tag, stamp: unit.tick,
        at: array.victim(for: address, held))
    }
    return HostPhysical(found.base | (address & size.offsetMask))
  }

  /// The piece of a large page's entry that a buffer without an array for such pages holds.
  @inline(__always)
  private func splinter(_ entry: TLBEntry, of size: PageSize, at address: UInt64, as held: PageSize) -> TLBEntry {
    guard held < size else { return entry }
    noteSplinter(address, of: entry.page)
    return TLBEntry(rawValue: entry.rawValue | address & size.offsetMask & ~held.offsetMask)
  }

  private func noteSplinter(_ address: UInt64, of page: GuestPageSize) {
    translation.splintered[Int(page.rawValue)].insert(page.number(address))
  }

  /// The second-level TLB, and behind it the walk, which fills it.
  @inline(__always)
  private func secondLevel(
    _ address: UInt64, _ access: Access, width: Int, isAbsent: Bool
  ) throws(Stopped) -> (TLBEntry, PageSize) {
    let unit = translation
    unit.tick &+= 1
    if !isAbsent, let hit = unit.second.find(address, tag: tag, globalTag: globalTag) {
      if serves(hit.entry, access) && (!options.coherentTLB || isCurrent(hit, address, access)) {
        hit.stamp.pointee = unit.tick
        counters.secondHits &+= 1
        charge(.tlbL2, costs.tlbL2Hit)
        return (hit.entry, hit.size)
      }
      unit.second.array(for: hit.size).pointee.drop(hit.way)
    }
    counters.secondMisses &+= 1
    return try walkAndKeep(address, access, width: width)
  }

  /// The walk, and what the second level keeps of it.
  @inline(never)
  private func walkAndKeep(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> (TLBEntry, PageSize) {
    let mapping = try walk(address, access, width: width)
    let entry = TLBEntry(mapping)
    let size = mapping.effectiveSize
    if size < mapping.pageSize || mapping.isHalf { noteSplinter(address, of: mapping.guestPage) }
    let array = translation.second.array(for: size).pointee
    // Both sides look here: what may be fetched from and not be read stays with the side that fetched.
    if array.isPresent && mapping.host.readable {
      translation.tick &+= 1
      array.put(
        address, size, entry, tag: entry.isGlobal ? globalTag : tag, stamp: translation.tick,
        at: array.victim(for: address, size))
    }
    return (entry, size)
  }

  /// The hardware's walk.
  @inline(__always)
  private func walk(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> Mapping {
    if options.coherentTLB { dropStaleTables(address, access) }
    let updates = options.coherentTLB ? bitUpdates : 0
    var walk = PageWalk(plan: planned, beyond: beyond, controls: pagingControls, port: hardwarePort)
    counters.walks &+= 1
    charge(walk.port.firstCause, costs.walkStart)
    let result = walk.translate(GuestVirtual(address), for: access)
    counters.referencesPerWalk[min(walk.port.references, 39)] &+= 1
    if isObserved { tellObserver(address, access, result) }
    if case .mapped(let mapping) = result {
      if options.coherentTLB { try confirm(mapping, address, access, width: width, since: updates) }
      return mapping
    }
    throw walkFailed(address, access, width: width, result)
  }

  @inline(never)
  private func tellObserver(_ address: UInt64, _ access: Access, _ result: WalkResult) {
    observer?.walked(GuestVirtual(address), access: access, result: result)
  }

  /// What becomes of a walk that found no translation, or one that may not be used.
  @inline(never)
  private func walkFailed(_ address: UInt64, _ access: Access, width: Int, _ result: WalkResult) -> Stopped {
    switch result {
    case .mapped:
      return again()
    case .fault(let fault):
      // A page fault drops what the TLBs and paging-structure caches had for the page (SDM vol. 3, 4.10.4.1).
      dropPage(address)
      guard controls.intercepts.contains(.pageFaults), !fault.isBehindSwitch else {
        if !controls.rootTargets.isEmpty && !mutated("fault-keeps-targets") { dropPageOfTargets(address) }
        return raise(.pageFault(fault))
      }
      var exit = VMExit(.pageFault, of: access, at: fault.address, width: width)
      exit.errorCode = fault.errorCode
      return self.exit(exit)
    case .nestedFault(let fault):
      if !fault.isLogFull && !mutated("violation-keeps-pages") { dropPage(address) }
      dropNested(fault)
      var exit = VMExit(fault.exitReason, of: access, at: GuestVirtual(address), width: width)
      exit.nested = fault
      return self.exit(exit)
    }
  }

  var hardwarePort: HardwarePort {
    if case .shadow(let shadow) = controls.paging, !shadow.isUnpaged {
      return HardwarePort(processor: self, firstCause: .walkShadow)
    }
    return HardwarePort(processor: self, firstCause: .walkGuest)
  }

  // MARK: Verdicts

  /// Keeps the verdicts on a page that a way of the first-level data TLB holds.
  @inline(__always)
  func fillDirect(
    _ address: UInt64, _ host: HostPhysical, _ entry: TLBEntry, _ stamp: UnsafeMutablePointer<UInt64>
  ) {
    guard hasVerdicts, isChecked, memory.contains(host), !isWatched(address, host) else { return }
    fillVerdict(address, host, entry, stamp, isPlain: memory.isPlain(host))
  }

  /// The same, where it is known that verdicts are kept and that the page is memory.
  @inline(__always)
  func fillVerdict(
    _ address: UInt64, _ host: HostPhysical, _ entry: TLBEntry, _ stamp: UnsafeMutablePointer<UInt64>, isPlain: Bool
  ) {
    let page = address & ~0xfff
    let slot = direct + DirectCache.index(address)
    var isReadable = servedReads &>> (entry.rawValue & 63) & 1 != 0
    var isWritable = servedWrites &>> (entry.rawValue & 63) & 1 != 0 && isPlain
    if hasKeys {
      isReadable = isReadable && !isDeniedByKey(entry, writes: false)
      isWritable = isWritable && !isDeniedByKey(entry, writes: true)
    }
    slot.pointee.readTag = isReadable ? page : DirectEntry.never
    slot.pointee.writeTag = isWritable ? page : DirectEntry.never
    slot.pointee.addend = UInt64(UInt(bitPattern: memory.base)) &+ (host.rawValue & ~0xfff) &- page
    slot.pointee.stamp = stamp
  }

  /// Drops the verdicts that mirror a way of a first-level data TLB.
  @inline(__always) func dropVerdicts(of array: AssociativeArray, _ way: Int) {
    let key = array.keys[way]
    if key >> 61 == UInt64(PageSize.page4K.rawValue) {
      translation.direct.drop(page: key >> 16, ifOf: array.stamps + way)
    } else {
      dropAllVerdicts(array.stamps + way)
    }
  }

  @inline(never) private func dropAllVerdicts(_ stamp: UnsafeMutablePointer<UInt64>) {
    translation.direct.dropAll(ifOf: stamp)
  }

  // MARK: Invalidation

  /// Drops every entry of the running machine, globals and those of guest-physical addresses included (AMD's TLB_CONTROL
  /// 3, APM vol. 2, 15.16.1). Charges nothing: the caller knows why.
  public func flushAll() {
    flushLinear()
    for space in runningSpaces where !mutated("flush-all-keeps-frames") {
      if let root = translation.spaces.name(space)?.root, let number = translation.roots.known(root) {
        translation.dropRoot(number)
      }
    }
  }

  /// Drops the entries of one PCID (or shadow root's tag) of the running machine, without its global ones.
  public func flushContext(pcid: UInt16) {
    counters.flushesContext &+= 1
    drop(where: TranslationKey.tagMask, pcid: pcid)
  }

  /// Drops everything that was made for the running machine from guest-virtual addresses; what the second dimension's
  /// caches know stays (SDM vol. 3, 29.4.3.1: guest-physical mappings outlive it).
  public func flushLinear() {
    counters.flushesAll &+= 1
    drop(where: TranslationKey.spaceMask)
  }

  /// Drops the entries of all PCIDs except the global ones (INVPCID type 3).
  public func flushNonGlobal() {
    counters.flushesContext &+= 1
    drop(where: TranslationKey.spaceMask | TranslationKey.globalBit)
  }

  /// Drops what the running VPID has: what invalidates without regard to virtual machines reaches combined mappings of
  /// every nested root (SDM vol. 3, 29.4.3.1).
  private func drop(where mask: UInt64, pcid: UInt16 = 0) {
    for space in runningSpaces {
      translation.drop(where: mask, equals: TranslationKey.tag(space: space, pcid: pcid))
    }
    forgetFetchPage()
  }

  /// The numbers of the spaces that the running VPID has.
  var runningSpaces: NumberSet {
    let vpid = controls.vpid
    return translation.spaces.numbers { $0.vpid == vpid }
  }

  /// Drops one page's entries of a PCID (or shadow tag), and its global ones where asked, with that context's
  /// paging-structure entries (SDM vol. 3, 4.10.4.1: INVLPG drops all of them).
  public func invalidatePage(_ address: GuestVirtual, pcid: UInt16, globals: Bool) {
    counters.flushesPage &+= 1
    translation.walkCache.flush()
    for space in runningSpaces {
      let context = TranslationKey.tag(space: space, pcid: pcid)
      for array in [translation.pde, translation.pdpte, translation.pml4e] where !mutated("invlpg-keeps-structures") {
        array.dropAll(where: TranslationKey.tagMask, equals: context)
      }
      dropTranslations(address.rawValue, tag: context, globals: globals)
      let isSplintered = GuestPageSize.allCases.contains {
        translation.splintered[Int($0.rawValue)].mayContain($0.number(address.rawValue))
      }
      if isSplintered && !mutated("invlpg-keeps-splinters") {
        dropSplinters(address.rawValue, tag: context, globals: globals)
      }
    }
  }

  /// Drops the splinters of the guest page that holds an address: INVLPG invalidates all of them (SDM vol. 3,
  /// 4.10.4.1).
  private func dropSplinters(_ address: UInt64, tag: UInt64, globals: Bool) {
    let unit = translation
    let globalTag = TranslationKey.globalTag(space: TranslationKey.space(tag))
    var remaining = InlineArray<4, PageSet>(repeating: .nothing)
    func drop(from array: AssociativeArray, dropping: (AssociativeArray, Int) -> Void) {
      array.forEachFilled { way in
        let key = array.keys[way]
        let page = TLBEntry(rawValue: array.values[way]).page
        guard let size = PageSize(rawValue: UInt8(key >> 61)), page.shift > size.shift else { return }
        let start = (key >> 16 & 0x1fff_ffff_ffff) << size.shift
        let number = page.number(start)
        let isOfContext = key & TranslationKey.tagMask == tag || globals && key & TranslationKey.tagMask == globalTag
        if isOfContext && number == page.number(address) {
          dropping(array, way)
          array.drop(way)
        } else {
          remaining[Int(page.rawValue)].insert(number)
        }
      }
    }
    for array in unit.data.distinct {
      drop(from: array) { dropVerdicts(of: $0, $1) }
    }
    for array in unit.code.distinct + unit.second.distinct { drop(from: array) { _, _ in } }
    unit.splintered = remaining
  }

  /// What a page fault drops: the page's translations and the paging-structure entries on its path.
  func dropPage(_ address: UInt64) { dropPage(address, tag: tag) }

  private func dropPage(_ address: UInt64, tag: UInt64) {
    dropTable(plan.layout.tableAddress(address), from: translation.pde, shift: 21, tag: tag)
    dropTable(address, from: translation.pdpte, shift: 30, tag: tag)
    dropTable(address, from: translation.pml4e, shift: 39, tag: tag)
    dropTranslations(address, tag: tag, globals: true)
  }

  /// The same for the shadow roots besides the one in use that stand for the guest's PCID: they are one context to it.
  @inline(never) private func dropPageOfTargets(_ address: UInt64) {
    for context in contexts(of: currentPCID) where context != currentContext {
      for space in runningSpaces { dropPage(address, tag: TranslationKey.tag(space: space, pcid: context)) }
    }
  }

  /// What a violation drops: every guest-physical mapping by which its address would be translated, those that lead to
  /// tables among them (SDM vol. 3, 29.4.3.1).
  func dropNested(_ fault: NestedFault) {
    guard fault.exitReason == .nestedFault, !mutated("violation-keeps-frames") else { return }
    for (array, shift) in [
      (translation.nestedTLB, 12), (translation.nestedPDE, 21), (translation.nestedPDPTE, 30),
    ] as [(AssociativeArray, UInt64)] {
      let way = array.find(TranslationKey.table(fault.address.rawValue, shift, tag: nestedTag), inSet: 0)
      if way >= 0 { array.drop(way) }
    }
  }

  private func dropTable(_ address: UInt64, from array: AssociativeArray, shift: UInt64, tag: UInt64) {
    let way = array.find(TranslationKey.table(address, shift, tag: tag), inSet: 0)
    if way >= 0 { array.drop(way) }
  }

  private func dropTranslations(_ address: UInt64, tag: UInt64, globals: Bool) {
    let unit = translation
    let globalTag = TranslationKey.globalTag(space: TranslationKey.space(tag))
    let global = globals && !mutated("invlpg-keeps-globals") ? globalTag : nil
    unit.data.drop(address, tag: tag, globalTag: global) { dropVerdicts(of: $0.pointee, $1) }
    unit.code.drop(address, tag: tag, globalTag: global)
    unit.second.drop(address, tag: tag, globalTag: global)
    forgetFetchPage()
  }

  /// Makes the next instruction fetch look its page up again.
  @inline(__always) func forgetFetchPage() {
    fetchPage = .max
    fetchSecondPage = .max
  }
}
