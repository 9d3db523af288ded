/// The port through which the hardware walks: every reference is charged at the cache level that serves it, paging-structure caches and the nested
/// TLB are used and filled, A and D bits are set.
struct HardwarePort: WalkPort {
  unowned(unsafe) let processor: Processor
  /// What references to first-dimension tables are charged to: the guest's, or a hypervisor's shadows.
  let firstCause: Cause
  /// References made so far in this walk.
  var references = 0

  @inline(__always) mutating func read(_ address: HostPhysical, dimension: Dimension, level: Int) -> UInt64 {
    references &+= 1
    let unit = processor.translation
    unit.tick &+= 1
    let served = unit.caches.reference(address.rawValue, tick: unit.tick)
    let (index, cycles) =
      switch served {
      case .l1, .l2: (0, processor.costs.cacheL2Hit)
      case .l3: (1, processor.costs.cacheL3Hit)
      case .memory: (2, processor.costs.cacheMemory)
      }
    if dimension == .first {
      processor.counters.firstReferences[index] &+= 1
      processor.charge(firstCause, cycles)
    } else {
      processor.counters.secondReferences[index] &+= 1
      processor.charge(.walkHost, cycles)
    }
    return processor.memory.word(at: address)
  }

  mutating func set(_ bits: UInt64, in entry: UInt64, at address: HostPhysical, dimension: Dimension) {
    processor.counters.bitUpdates[dimension == .first ? 0 : 1] &+= 1
    processor.charge(dimension == .first ? firstCause : .walkHost, processor.costs.walkSetBits)
    processor.noteWrite(to: address, width: 8)
    processor.memory.setWord(entry | bits, at: address)
  }

  @inline(__always) mutating func cachedTable(for address: GuestVirtual) -> CachedTable? {
    let unit = processor.translation
    // Address bits above the prefix go with it: upper and lower half of the address space do not share entries.
    for level in 1...3 {
      guard let (array, shift) = unit.structureCache(to: level), array.isPresent else { continue }
      let way = array.find(key(address.rawValue, shift, processor.tag), inSet: 0)
      guard way >= 0 else { continue }
      unit.tick &+= 1
      array.stamps[way] = unit.tick
      processor.counters.structureHits[level] &+= 1
      processor.charge(firstCause, processor.costs.pscHit)
      return CachedTable(array.values[way], level: level)
    }
    return nil
  }

  mutating func remember(_ table: CachedTable, for address: GuestVirtual) {
    guard let (array, shift) = processor.translation.structureCache(to: table.level), array.isPresent else { return }
    put(table.packed, key(address.rawValue, shift, processor.tag), in: array)
  }

  @inline(__always) mutating func cachedFrame(for address: GuestPhysical) -> HostMapping? {
    let unit = processor.translation
    guard unit.nestedTLB.isPresent else { return nil }
    let way = unit.nestedTLB.find(nestedKey(address.rawValue, 12), inSet: 0)
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
    guard processor.translation.nestedTLB.isPresent else { return }
    put(mapping.packed, nestedKey(address.rawValue, 12), in: processor.translation.nestedTLB)
  }

  @inline(__always) mutating func cachedNestedTable(for address: GuestPhysical) -> CachedTable? {
    let unit = processor.translation
    for level in 1...2 {
      guard let (array, shift) = unit.nestedStructureCache(to: level), array.isPresent else { continue }
      let way = array.find(nestedKey(address.rawValue, shift), inSet: 0)
      guard way >= 0 else { continue }
      unit.tick &+= 1
      array.stamps[way] = unit.tick
      processor.counters.nestedStructureHits[level] &+= 1
      processor.charge(.walkHost, processor.costs.pscHit)
      return CachedTable(array.values[way], level: level)
    }
    return nil
  }

  mutating func rememberNested(_ table: CachedTable, for address: GuestPhysical) {
    guard let (array, shift) = processor.translation.nestedStructureCache(to: table.level), array.isPresent else {
      return
    }
    put(table.packed, nestedKey(address.rawValue, shift), in: array)
  }

  func hostFrame(of address: GuestPhysical) -> HostMapping? { nil }

  private func put(_ value: UInt64, _ key: UInt64, in array: AssociativeArray) {
    let known = array.find(key, inSet: 0)
    processor.translation.tick &+= 1
    array.put(key, value, stamp: processor.translation.tick, at: known >= 0 ? known : array.victim(inSet: 0))
  }

  @inline(__always) private func key(_ address: UInt64, _ shift: UInt64, _ tag: UInt64) -> UInt64 {
    (address >> shift) << 16 & 0x1fff_ffff_ffff_0000 | tag
  }

  /// The second dimension's caches are keyed by guest-physical address and the VPID, which here stands for the nested root.
  @inline(__always) private func nestedKey(_ address: UInt64, _ shift: UInt64) -> UInt64 {
    (address >> shift) << 16 & 0x1fff_ffff_ffff_0000 | processor.tag & TranslationKey.vpidMask
  }
}

extension CachedTable {
  /// In one word, for an array's value.
  @inline(__always) var packed: UInt64 {
    table.rawValue & EntryBit.frameMask | (permissions.writable ? 1 : 0) | (permissions.user ? 2 : 0)
      | (permissions.executable ? 4 : 0)
  }

  @inline(__always) init(_ packed: UInt64, level: Int) {
    self.init(
      table: HostPhysical(packed & EntryBit.frameMask), level: level,
      permissions: PagePermissions(
        writable: packed & 1 != 0, user: packed & 2 != 0, executable: packed & 4 != 0))
  }
}

extension HostMapping {
  /// In one word, without the offset in the page.
  @inline(__always) var packed: UInt64 {
    address.rawValue & EntryBit.frameMask | (writable ? 1 : 0) | (executable ? 2 : 0) | UInt64(size.rawValue) << 2
  }

  @inline(__always) init(packed: UInt64, offset: UInt64) {
    self.init(
      address: HostPhysical(packed & EntryBit.frameMask | offset), writable: packed & 1 != 0,
      executable: packed & 2 != 0, size: PageSize(rawValue: UInt8((packed >> 2) & 3)) ?? .page4K)
  }
}
