/// What became of a first-level miss.
enum Refill {
  /// Nobody has looked.
  case untried
  /// The page is in the first level now; the byte is here in the host, and where that is memory, here for a pointer.
  case done(HostPhysical, UnsafeRawPointer?)
  /// Neither level holds the page.
  case absent
  /// It takes more than a look.
  case unclear
}

/// The commonest miss in one piece: a 4K page that the first-level data TLB has lost and the second level still holds.
extension Processor {
  /// Brings a page from the second level into the first.
  ///
  /// It does what `translateAny` does for such a page and nothing else, with a third of its instructions: working sets
  /// between the two levels' reach come here at every access.
  ///
  /// Unless it is done, nothing has happened.
  @inline(__always)
  func refill(_ address: UInt64, _ access: Access) -> Refill {
    let unit = translation
    let number = TranslationKey.number(address, .page4K)
    let key = TranslationKey.make(number, .page4K, tag: tag)
    let globalKey = TranslationKey.make(number, .page4K, tag: globalTag)
    let first = unit.data.array(for: .page4K)
    let set = first.pointee.set(of: number)
    guard first.pointee.lacksSmall(key) || first.pointee.find(key, or: globalKey, inSet: set) < 0,
      !unit.data.mayHoldLarge(address)
    else { return .unclear }

    let second = unit.second.array(for: .page4K)
    let found = second.pointee.find(key, or: globalKey, inSet: second.pointee.set(of: number))
    guard found >= 0 else { return unit.second.mayHoldLarge(address) ? .unclear : .absent }
    let entry = TLBEntry(rawValue: second.pointee.values[found])
    guard serves(entry, access) else { return .unclear }

    counters.dataMisses &+= 1
    counters.secondHits &+= 1
    unit.tick &+= 1
    second.pointee.stamps[found] = unit.tick
    charge(.tlbL2, costs.tlbL2Hit)
    let host = HostPhysical(entry.base | (address & 0xfff))
    let isMemory = memory.contains(host)
    if access.isWrite && isMemory { memory.touch(host) }
    let way = first.pointee.victim(inSet: set)
    let evicted = first.pointee.keys[way]
    let kept = entry.isGlobal ? globalKey : key
    if evicted >> 61 == 0 {
      translation.direct.clear(stamp: first.pointee.stamps + way, smallPage: evicted >> 16)
      first.pointee.replaceSmall(kept, entry.rawValue, stamp: stamp, at: way)
    } else {
      if evicted != AssociativeArray.empty { dropVerdicts(of: first.pointee, way) }
      first.pointee.put(kept, entry.rawValue, stamp: stamp, at: way)
    }
    guard isMemory, !isWatched(address, host) else { return .done(host, nil) }
    fillVerdict(address, host, entry, first.pointee.stamps + way, privilege)
    return .done(host, direct[DirectCache.index(address)].place(of: address))
  }
}
