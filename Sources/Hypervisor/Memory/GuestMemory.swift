import Machine

/// The guest's memory: which guest-physical addresses are memory at all, and where the frames populated so far are in
/// the host.
///
/// Memory is populated on demand, by a host page of the largest size that fits: `hostPage` or the next smaller size
/// whose aligned guest range lies wholly in one range of RAM.
///
/// Invariant: every frame in `map` lies in a range of RAM, and its host frame's owner names it.
struct GuestMemory {
  let ranges: [Range<UInt64>]
  let hostPage: PageSize
  /// Guest frames that the map covers, from 0.
  let frames: UInt64
  let map: FrameMap

  init(ranges: [Range<UInt64>], hostPage: PageSize) {
    self.ranges = ranges
    self.hostPage = hostPage
    frames = (ranges.last?.upperBound ?? 0) >> 12
    map = FrameMap(frames: frames)
  }

  /// Bytes of RAM.
  var size: UInt64 { ranges.reduce(0) { $0 + $1.upperBound - $1.lowerBound } }

  /// Whether an address is memory; if not, it is device space.
  func isMemory(_ address: GuestPhysical) -> Bool { range(of: address) != nil }

  private func range(of address: GuestPhysical) -> Range<UInt64>? {
    for range in ranges where range.contains(address.rawValue) { return range }
    return nil
  }

  /// The size of host page that backs an address.
  func pageSize(at address: GuestPhysical) -> PageSize? {
    guard let range = range(of: address) else { return nil }
    for size in PageSize.allCases.reversed() where size <= hostPage {
      let start = address.rawValue & ~size.offsetMask
      if start >= range.lowerBound && range.upperBound - start >= size.bytes { return size }
    }
    return nil
  }
}

extension Hypervisor {
  /// Gives the guest the host page behind an address, where it has none yet.
  ///
  /// - Parameter isCharged: false for a loader's writes, which take no time.
  /// - Returns: the page; nil where there is no memory, in the guest or in the host.
  func populate(_ address: GuestPhysical, isCharged: Bool = true) -> HostMapping? {
    if let known = guest.map.lookup(address) { return known }
    guard var size = guest.pageSize(at: address) else { return nil }
    // Host memory may be in pieces too small for a large page.
    while true {
      if give(address, size) { break }
      guard let smaller = PageSize(level: size.level - 1) else {
        failure = "host memory is exhausted"
        return nil
      }
      size = smaller
    }
    // A large page is zeroed whole: the honest price is that of its 4 KiB pieces.
    if isCharged { work(.nestedFill, .populate, times: size.bytes >> 12) }
    return guest.map.lookup(address)
  }

  private func give(_ address: GuestPhysical, _ size: PageSize) -> Bool {
    let first = GuestPhysical(address.rawValue & ~size.offsetMask)
    if size == .page4K {
      guard let (frame, isRecycled) = allocator.allocate(guestFrame: first.frame) else { return false }
      if isRecycled { memory.zeroFrame(at: frame) }
      guest.map.map(first, to: frame, size: .page4K)
      return true
    }
    guard let run = allocator.allocateRun(size, firstGuestFrame: first.frame) else { return false }
    for offset in stride(from: 0, to: size.bytes, by: 4096) {
      guest.map.map(first.advanced(by: offset), to: run.advanced(by: offset), size: size)
    }
    return true
  }

  /// Writes guest memory, as a loader or a debugger does: no time passes. Guest tables that are shadowed stay coherent.
  ///
  /// - Returns: false, having written nothing, unless all of the range is memory.
  public func writeGuest(_ bytes: some Collection<UInt8>, at address: GuestPhysical) -> Bool {
    guard isWhollyMemory(address, count: bytes.count) else { return false }
    isCharging = false
    let due = virtualProcessors.map(\.isFlushDue)
    defer {
      flushWithoutTime(butWhere: due)
      isCharging = true
    }
    var rest = bytes[...]
    var at = address
    while !rest.isEmpty {
      let piece = rest.prefix(4096 - Int(at.pageOffset))
      guard let page = populate(at, isCharged: false) else { return false }
      var watched = WatchedTables()
      if shadows.pool.isGuarded(at.frame) {
        watched.add(at.frame, at: page.address)
        watched.capture(memory)
      }
      noteDirty(at.frame, for: .dirtyLog)
      processor.hostMemoryChanged(at: page.address, count: piece.count)
      guard memory.write(piece, at: page.address) else { return false }
      if !watched.isEmpty {
        apply(watched)
        // Nobody will invalidate.
        flushEveryProcessor()
      }
      if hasShadows && policy.mayBeStale { followHostWrite(to: at.frame) }
      // Nobody knows which frames are tables below those.
      if agile.map({ $0.count > 0 }) ?? false { flushEveryProcessor() }
      at = at.advanced(by: UInt64(piece.count))
      rest = rest.dropFirst(piece.count)
    }
    return true
  }

  /// Reads guest memory without changing anything: bytes that were never populated are zero.
  ///
  /// - Returns: nil unless all of the range is memory.
  public func readGuest(_ address: GuestPhysical, count: Int) -> [UInt8]? {
    guard isWhollyMemory(address, count: count) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    var at = address
    while bytes.count < count {
      let length = min(4096 - Int(at.pageOffset), count - bytes.count)
      if let page = guest.map.lookup(at) {
        bytes += memory.read(page.address, count: length)
      } else {
        bytes += repeatElement(0, count: length)
      }
      at = at.advanced(by: UInt64(length))
    }
    return bytes
  }

  private func isWhollyMemory(_ address: GuestPhysical, count: Int) -> Bool {
    let (end, wraps) = address.rawValue.addingReportingOverflow(UInt64(max(count, 0)))
    guard !wraps else { return false }
    var at = address.rawValue
    while at < end {
      guard let range = guest.ranges.first(where: { $0.contains(at) }) else { return false }
      at = range.upperBound
    }
    return true
  }
}
