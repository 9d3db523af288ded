/// What became of a first-level miss.
enum Refill {
  /// The page is in the first level now, and the bytes are here in the host.
  case done(UnsafeMutableRawPointer)
  /// The second level does not hold the page where it had it last: a search has to tell.
  case unguessed
  /// Neither level holds the page.
  case absent
  /// It takes more than a look.
  case unclear
}

/// The parts of the translation unit that the commonest miss looks at, side by side.
///
/// The processor has a pointer to it: a value of this size in the processor itself would be copied at every miss.
///
/// Safety: the buffers are those of the translation unit, which the processor keeps, or are never freed. The value is
/// the processor's, which deallocates it.
struct RefillPath {
  /// Of the second level's array of 4K pages.
  let second: AssociativeArray
  let guesses: UnsafePointer<UInt16>
  let known: UnsafePointer<UInt64>
  let secondKeys: UnsafePointer<UInt64>
  let secondValues: UnsafePointer<UInt64>
  let secondStamps: UnsafeMutablePointer<UInt64>
  /// Of the first level's.
  let first: AssociativeArray
  let counts: UnsafeMutablePointer<UInt16>
  let firstKeys: UnsafeMutablePointer<UInt64>
  let firstValues: UnsafeMutablePointer<UInt64>
  let firstStamps: UnsafeMutablePointer<UInt64>
  /// Whether the first level has four ways, and sets that are selected by a mask, which is this.
  let isFourWay: Bool
  let mask: UInt64
  let queue: VictimQueue?

  /// In place of what an array does not have: guesses that lead to nothing, and counts that exclude nothing.
  private static func stand(_ value: UInt16) -> UnsafeMutablePointer<UInt16> {
    let table = UnsafeMutablePointer<UInt16>.allocate(capacity: AssociativeArray.buckets)
    table.initialize(repeating: value, count: AssociativeArray.buckets)
    return table
  }
  nonisolated(unsafe) private static let noGuesses = stand(0)
  nonisolated(unsafe) private static let noCounts = stand(1)
  nonisolated(unsafe) private static let nothingKnown: UnsafeMutablePointer<UInt64> = {
    let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
    word.initialize(to: 0)
    return word
  }()

  init(_ unit: TranslationUnit) {
    second = unit.second.array(for: .page4K).pointee
    guesses = UnsafePointer(second.guesses ?? RefillPath.noGuesses)
    known = UnsafePointer(second.known ?? RefillPath.nothingKnown)
    secondKeys = UnsafePointer(second.keys)
    secondValues = UnsafePointer(second.values)
    secondStamps = second.stamps
    first = unit.data.array(for: .page4K).pointee
    counts = first.counts ?? RefillPath.noCounts
    firstKeys = first.keys
    firstValues = first.values
    firstStamps = first.stamps
    isFourWay = first.ways == 4 && first.sets & (first.sets - 1) == 0
    mask = UInt64(first.sets - 1)
    queue = first.queue
  }

  static func allocate(_ unit: TranslationUnit) -> UnsafeMutablePointer<RefillPath> {
    let path = UnsafeMutablePointer<RefillPath>.allocate(capacity: 1)
    path.initialize(to: RefillPath(unit))
    return path
  }

  /// The first level's way that a page takes.
  @inline(__always) static func victim(_ path: UnsafeMutablePointer<RefillPath>, for number: UInt64) -> Int {
    if path.pointee.isFourWay {
      let start = Int(number & path.pointee.mask) &* 4
      return start &+ AssociativeArray.victim(ofFour: path.pointee.firstStamps + start)
    }
    if let queue = path.pointee.queue { return queue.victim(path.pointee.firstStamps) }
    return rareVictim(path, for: number)
  }

  @inline(never)
  private static func rareVictim(_ path: UnsafeMutablePointer<RefillPath>, for number: UInt64) -> Int {
    path.pointee.first.victim(inSet: path.pointee.first.set(of: number))
  }
}

/// The large pages that stand before or beside the small ones.
struct LargePages {
  /// Where the first level may hold pages of 2M and of 1G.
  private let mediumRegions: UnsafePointer<PageSet>
  private let largeRegions: UnsafePointer<PageSet>
  /// The second level's arrays.
  private let secondMedium: AssociativeArray
  private let secondLarge: AssociativeArray

  init(_ unit: TranslationUnit) {
    mediumRegions = unit.data.array(for: .page2M).pointee.regions
    largeRegions = unit.data.array(for: .page1G).pointee.regions
    secondMedium = unit.second.array(for: .page2M).pointee
    secondLarge = unit.second.array(for: .page1G).pointee
  }

  /// Whether the first level may hold one in the gigabyte of an address.
  @inline(__always) func mayBeNear(_ address: UInt64) -> Bool {
    PageSet(mediumRegions.pointee, largeRegions.pointee).mayContain(AssociativeArray.region(address))
  }

  /// Whether the second level may hold one that covers an address.
  @inline(__always) func mayBeInSecond(_ address: UInt64) -> Bool {
    secondMedium.mayHold(TranslationKey.number(address, .page2M), .page2M)
      || secondLarge.mayHold(TranslationKey.number(address, .page1G), .page1G)
  }
}

/// The commonest miss in one piece: a 4K page of memory that the first-level data TLB has lost and the second level
/// still holds.
extension Processor {
  /// Brings a page of which everything is known from the second level into the first.
  ///
  /// It does what `refill` does, with a third of its instructions: working sets between the two levels' reach come here
  /// at every access. Unless it returns where the bytes are, nothing has happened.
  @inline(__always)
  func refillKnown(
    _ op: UnsafeMutablePointer<Operation>, _ address: UInt64, _ width: Int, writes: Bool
  ) -> UnsafeMutableRawPointer? {
    let unit = translation
    let path = refillPath
    let page = address & ~0xfff
    let number = address >> 12
    let bucket = AssociativeArray.bucket(page: number)
    let found = Int(path.pointee.guesses[bucket])
    // 1 where writes are allowed as well.
    let known = path.pointee.known[found] ^ (page | unit.known.epoch)
    // After the charge no deadline may be so near that the loop would have to leave for it (`leaveIfDue`).
    guard writes ? known == 1 : known <= 1, (address &+ UInt64(truncatingIfNeeded: width &- 1)) ^ address < 4096,
      path.pointee.counts[bucket] == 0,
      s.pointee.executed &+ blocks.greatestCycles &+ costs.tlbL2Hit < s.pointee.executedDeadline
    else { return nil }
    let way = RefillPath.victim(path, for: number)
    let evicted = path.pointee.firstKeys[way]
    // Nothing, or a large page.
    guard evicted >> 61 == 0 else { return nil }

    counters.dataMisses &+= 1
    counters.secondHits &+= 1
    let tick = unit.tick &+ 1
    unit.tick = tick
    path.pointee.secondStamps[found] = tick
    causes[Int(Cause.tlbL2.rawValue)] &+= costs.tlbL2Hit
    s.pointee.charged &+= costs.tlbL2Hit
    s.pointee.executedDeadline &-= costs.tlbL2Hit

    let place = path.pointee.firstStamps + way
    if unit.direct.isShared {
      dropVerdicts(page: evicted >> 16, place)
    } else {
      DirectCache.drop(direct + DirectCache.index(page: evicted >> 16), ifOf: place)
    }
    path.pointee.counts[AssociativeArray.bucket(page: evicted >> 16)] &-= 1
    path.pointee.counts[bucket] &+= 1
    let key = path.pointee.secondKeys[found]
    let value = path.pointee.secondValues[found]
    path.pointee.firstKeys[way] = key
    path.pointee.firstValues[way] = value
    place.pointee = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
    if !path.pointee.isFourWay {
      path.pointee.first.sign(way, as: key)
      path.pointee.queue?.take()
    }

    let slot = direct + DirectCache.index(page: number)
    // The load waits for the entry: what does not depend on it is added up before.
    let offset = memory.base + Int(address & 0xfff)
    let bytes = offset + Int(TLBEntry(rawValue: value).base)
    slot.pointee.readTag = page
    slot.pointee.writeTag = known == 1 ? page : DirectEntry.never
    slot.pointee.addend = UInt64(UInt(bitPattern: bytes)) &- address
    slot.pointee.stamp = place
    return bytes
  }

  /// Brings a page from the second level into the first, and notes what is then known of it.
  ///
  /// It does what `translateAny` does for such a page and nothing else. Unless it is done, nothing has happened.
  ///
  /// - Parameters:
  ///   - mask: the entries that serve the access, as `ServedAccess` has them; none unless verdicts are kept.
  ///   - stamp: the time of the instruction.
  @inline(__always)
  private func refill(_ address: UInt64, servedBy mask: UInt64, writes: Bool, stamp: UInt64) -> Refill {
    let number = TranslationKey.number(address, .page4K)
    let key = TranslationKey.make(number, .page4K, tag: tag)
    let first = refillPath.pointee.first
    let second = refillPath.pointee.second
    guard first.lacksSmall(key),
      !largePages.mayBeNear(address) || !translation.data.mayHoldLarge(address)
    else { return .unclear }

    let found = second.guess(key)
    let held = second.keys[found]
    guard held == key || held == TranslationKey.make(number, .page4K, tag: globalTag) else { return .unguessed }
    let entry = TLBEntry(rawValue: second.values[found])
    let host = HostPhysical(entry.base | (address & 0xfff))
    guard mask &>> (entry.rawValue & 63) & 1 != 0, memory.contains(host),
      !hasKeys || !isDeniedByKey(entry, writes: writes), !isWatched(address, host)
    else { return .unclear }
    let isPlain = memory.isPlain(host)
    guard isPlain || !writes else { return .unclear }

    counters.dataMisses &+= 1
    counters.secondHits &+= 1
    let tick = translation.tick &+ 1
    translation.tick = tick
    second.stamps[found] = tick
    charge(.tlbL2, costs.tlbL2Hit)

    let way = first.victim(inSet: first.set(of: number))
    let evicted = first.keys[way]
    let place = first.stamps + way
    if evicted >> 61 == 0 {
      translation.direct.drop(page: evicted >> 16, ifOf: place)
      first.replaceSmall(held, entry.rawValue, stamp: stamp, at: way)
    } else {
      replaceOther(held, entry.rawValue, stamp, way)
    }
    fillVerdict(address, host, entry, place, isPlain: isPlain)
    let slot = direct + DirectCache.index(address)
    if slot.pointee.readTag != DirectEntry.never {
      translation.known.remember(
        slot.pointee.readTag, isWritable: slot.pointee.writeTag != DirectEntry.never, way: found)
    }
    return .done(memory.base + Int(host.rawValue))
  }

  /// The same, with a search where the guess was wrong.
  @inline(never)
  func refill(_ address: UInt64, _ access: Access) -> Refill {
    let mask = refills ? served.mask(access) : 0
    while true {
      let tried = refill(address, servedBy: mask, writes: access.isWrite, stamp: stamp)
      guard case .unguessed = tried else { return tried }
      let second = refillPath.pointee.second
      let number = TranslationKey.number(address, .page4K)
      let found = second.find(
        TranslationKey.make(number, .page4K, tag: tag), or: TranslationKey.make(number, .page4K, tag: globalTag),
        inSet: second.set(of: number))
      // Where it is found the next guess is right.
      guard found >= 0, second.hasGuesses else {
        return found < 0 && !largePages.mayBeInSecond(address) ? .absent : .unclear
      }
    }
  }

  @inline(never)
  private func dropVerdicts(page number: UInt64, _ stamp: UnsafeMutablePointer<UInt64>) {
    translation.direct.drop(page: number, ifOf: stamp)
  }

  /// Takes the place of nothing, or of a large page.
  @inline(never)
  private func replaceOther(_ key: UInt64, _ value: UInt64, _ stamp: UInt64, _ way: Int) {
    let first = refillPath.pointee.first
    if first.keys[way] != AssociativeArray.empty { dropVerdicts(of: first, way) }
    first.put(key, value, stamp: stamp, at: way)
  }
}
