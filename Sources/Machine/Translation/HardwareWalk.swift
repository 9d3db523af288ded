/// The port through which the hardware walks: every reference is charged at the cache level that serves it,
/// paging-structure caches and the nested TLB are used and filled, A and D bits are set.
struct HardwarePort: WalkPort {
  unowned(unsafe) let processor: Processor
  unowned(unsafe) let unit: TranslationUnit
  /// Asked for every reference: what an unowned reference names would be retained meanwhile.
  let memory: Unmanaged<HostMemory>
  /// What references to first-dimension tables are charged to: the guest's, or a hypervisor's shadows.
  private(set) var firstCause: Cause
  /// References made so far in this walk.
  var references = 0
  /// Whether first-dimension tables are the guest's, behind a switching entry.
  private var isCrossed = false
  /// What the second dimension is asked for.
  private var target = 0

  @inline(__always) init(processor: Processor, firstCause: Cause) {
    self.processor = processor
    unit = processor.translation
    memory = .passUnretained(processor.memory)
    self.firstCause = firstCause
  }

  @inline(__always) mutating func read(
    _ address: HostPhysical, width: Int, dimension: Dimension, level: Int
  ) -> UInt64 {
    references &+= 1
    unit.tick &+= 1
    if unit.walkCache.isPresent && isInWalkCache(address, dimension, level) {
      return memory._withUnsafeGuaranteedRef { $0.entry(at: address, width: width) }
    }
    let served = unit.caches.reference(address.rawValue, tick: unit.tick)
    let (index, cycles) =
      switch served {
      case .l1, .l2: (0, processor.costs.cacheL2Hit)
      case .l3: (1, processor.costs.cacheL3Hit)
      case .memory: (2, processor.costs.cacheMemory)
      }
    if dimension == .first {
      processor.counters.firstReferences[index] &+= 1
      if isCrossed { processor.counters.crossedReferences[index] &+= 1 }
      processor.charge(firstCause, cycles)
    } else {
      processor.counters.secondReferences[index] &+= 1
      processor.charge(.walkHost, cycles)
    }
    return memory._withUnsafeGuaranteedRef { $0.entry(at: address, width: width) }
  }

  /// Asks the page-walk cache, and charges what it has.
  @inline(never) private func isInWalkCache(_ address: HostPhysical, _ dimension: Dimension, _ level: Int) -> Bool {
    let position =
      dimension == .second
      ? WalkPosition(nested: level, toTable: target)
      : firstCause == .walkShadow ? WalkPosition(shadow: level) : WalkPosition(guest: level)
    guard unit.walkCache.touch(address, stamp: unit.tick) else {
      processor.counters.walkCacheMisses[position.index] &+= 1
      return false
    }
    processor.counters.walkCacheHits[position.index] &+= 1
    processor.charge(dimension == .first ? firstCause : .walkHost, processor.costs.pscHit)
    return true
  }

  mutating func set(
    _ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension
  ) {
    processor.counters.bitUpdates[dimension == .first ? 0 : 1] &+= 1
    processor.charge(dimension == .first ? firstCause : .walkHost, processor.costs.walkSetBits)
    processor.noteWrite(to: address, width: width)
    processor.memory.setEntry(entry | bits, at: address, width: width)
  }

  @inline(__always) mutating func crossed() {
    isCrossed = true
    firstCause = .walkGuest
    processor.counters.crossings &+= 1
  }

  @inline(__always) mutating func descends(toTable level: Int) { target = level }

  func directoryPointer(for address: GuestVirtual) -> UInt64 { processor.directoryPointers[address] }

  @inline(__always) mutating func cachedTable(for address: GuestVirtual) -> CachedTable? {
    if let table = table(address, in: unit.pde, shift: 21, level: 1) { return table }
    if let table = table(address, in: unit.pdpte, shift: 30, level: 2) { return table }
    return table(address, in: unit.pml4e, shift: 39, level: 3)
  }

  @inline(__always) private func table(
    _ address: GuestVirtual, in array: AssociativeArray, shift: UInt64, level: Int
  ) -> CachedTable? {
    let way = array.find(TranslationKey.table(address.rawValue, shift, tag: processor.tag), inSet: 0)
    guard way >= 0 else { return nil }
    unit.tick &+= 1
    array.stamps[way] = unit.tick
    processor.counters.structureHits[level] &+= 1
    processor.charge(firstCause, processor.costs.pscHit)
    return CachedTable(array.values[way], level: level)
  }

  @inline(__always) mutating func remember(_ table: CachedTable, for address: GuestVirtual) {
    switch table.level {
    case 1: put(table.packed, address.rawValue, 21, processor.tag, in: unit.pde)
    case 2: put(table.packed, address.rawValue, 30, processor.tag, in: unit.pdpte)
    case 3: put(table.packed, address.rawValue, 39, processor.tag, in: unit.pml4e)
    default: break
    }
  }

  /// What the second dimension's caches are tagged with: the nested root (EP4TA), whatever the VPID (SDM vol. 3, 29.4.1).
  @inline(__always) private var nestedTag: UInt64 { processor.nestedTag }

  @inline(__always) mutating func cachedFrame(for address: GuestPhysical) -> HostMapping? {
    guard unit.nestedTLB.isPresent && (target != 0 || processor.costs.nestedTLBHoldsPages) else { return nil }
    let way = unit.nestedTLB.find(TranslationKey.table(address.rawValue, 12, tag: nestedTag), inSet: 0)
    guard way >= 0 else {
      processor.counters.nestedTLBMisses &+= 1
      return nil
    }
    unit.tick &+= 1
    unit.nestedTLB.stamps[way] = unit.tick
    processor.counters.nestedTLBHits &+= 1
    processor.charge(.walkHost, processor.costs.nestedTLBHit)
    return HostMapping(packed: unit.nestedTLB.values[way], offset: address.pageOffset)
  }

  mutating func remember(_ mapping: HostMapping, for address: GuestPhysical) {
    guard target != 0 || processor.costs.nestedTLBHoldsPages else { return }
    put(mapping.packed, address.rawValue, 12, nestedTag, in: unit.nestedTLB)
  }

  @inline(__always) mutating func cachedNestedTable(for address: GuestPhysical) -> CachedTable? {
    processor.counters.nestedWalks &+= 1
    if let table = nestedTable(address, in: unit.nestedPDE, shift: 21, level: 1) { return table }
    return nestedTable(address, in: unit.nestedPDPTE, shift: 30, level: 2)
  }

  @inline(__always) private func nestedTable(
    _ address: GuestPhysical, in array: AssociativeArray, shift: UInt64, level: Int
  ) -> CachedTable? {
    let way = array.find(TranslationKey.table(address.rawValue, shift, tag: nestedTag), inSet: 0)
    guard way >= 0 else { return nil }
    unit.tick &+= 1
    array.stamps[way] = unit.tick
    processor.counters.nestedStructureHits[level] &+= 1
    processor.charge(.walkHost, processor.costs.pscHit)
    return CachedTable(array.values[way], level: level)
  }

  mutating func rememberNested(_ table: CachedTable, for address: GuestPhysical) {
    switch table.level {
    case 1: put(table.packed, address.rawValue, 21, nestedTag, in: unit.nestedPDE)
    case 2: put(table.packed, address.rawValue, 30, nestedTag, in: unit.nestedPDPTE)
    default: break
    }
  }

  func hostFrame(of address: GuestPhysical) -> HostMapping? { nil }

  // MARK: The page-modification log (SDM vol. 3, 29.3.6)

  var isLogFull: Bool {
    processor.controls.modificationLog != nil && processor.modificationLogIndex >= ModificationLog.entries
  }

  mutating func logModification(of address: GuestPhysical) {
    guard let log = processor.controls.modificationLog, !mutated("modification-not-logged") else { return }
    let place = log.advanced(by: UInt64(processor.modificationLogIndex) &* 8)
    processor.modificationLogIndex &-= 1
    processor.counters.modificationsLogged &+= 1
    processor.charge(.dirtyLog, processor.costs.modificationLog)
    processor.memory.setWord(address.rawValue & ~0xfff, at: place)
  }

  @inline(__always) private func put(
    _ value: UInt64, _ address: UInt64, _ shift: UInt64, _ tag: UInt64, in array: AssociativeArray
  ) {
    guard array.isPresent else { return }
    let key = TranslationKey.table(address, shift, tag: tag)
    let known = array.find(key, inSet: 0)
    unit.tick &+= 1
    array.put(key, value, stamp: unit.tick, at: known >= 0 ? known : array.victim(inSet: 0))
  }
}

extension CachedTable {
  /// In one word, for an array's value.
  @inline(__always) var packed: UInt64 {
    table.rawValue & EntryBit.frameMask | (permissions.writable ? 1 : 0) | (permissions.user ? 2 : 0)
      | (permissions.executable ? 4 : 0) | (isWritable ? 8 : 0) | (isBehindSwitch ? 16 : 0)
  }

  @inline(__always) init(_ packed: UInt64, level: Int) {
    self.init(
      table: HostPhysical(packed & EntryBit.frameMask), level: level,
      permissions: PagePermissions(
        writable: packed & 1 != 0, user: packed & 2 != 0, executable: packed & 4 != 0),
      isWritable: packed & 8 != 0, isBehindSwitch: packed & 16 != 0)
  }
}

extension HostMapping {
  /// In one word, without the offset in the page.
  @inline(__always) var packed: UInt64 {
    address.rawValue & EntryBit.frameMask | (writable ? 1 : 0) | (executable ? 2 : 0) | UInt64(size.rawValue) << 2
      | (readable ? 16 : 0)
  }

  @inline(__always) init(packed: UInt64, offset: UInt64) {
    self.init(
      address: HostPhysical(packed & EntryBit.frameMask | offset), writable: packed & 1 != 0,
      executable: packed & 2 != 0, size: PageSize(rawValue: UInt8((packed >> 2) & 3)) ?? .page4K)
    readable = packed & 16 != 0
  }
}
