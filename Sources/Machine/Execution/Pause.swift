/// What a debugger asks of a processor: to pause before instructions and after accesses. Nothing of it can be told from
/// inside the machine, not even by its clock.
///
/// Nobody asks for it where nothing was found: instructions are paused at by blocks that end before them, memory is
/// watched by keeping its pages out of the direct cache.
public struct PauseRequests: Equatable, Sendable {
  /// Linear addresses of instructions to pause before.
  public var instructions: [UInt64] = []
  /// Accesses to pause after.
  public var accesses: [WatchedRange] = []

  public init() {}
}

/// A stretch of memory to watch.
public struct WatchedRange: Equatable, Sendable {
  public enum Space: Equatable, Sendable {
    /// Linear addresses, of whatever address space.
    case linear
    /// The host's physical addresses: writes are those of anybody, the processor's own of A and D bits and a hypervisor's
    /// among them.
    case host
  }

  public var space: Space
  public var start: UInt64
  public var length: UInt64
  public var reads: Bool
  public var writes: Bool
  /// The debugger's own name for it.
  public var id: Int

  public init(_ space: Space, start: UInt64, length: UInt64, reads: Bool, writes: Bool, id: Int) {
    self.space = space
    self.start = start
    self.length = length
    self.reads = reads
    self.writes = writes
    self.id = id
  }

  func overlaps(_ address: UInt64, _ width: UInt64) -> Bool {
    address &- start < length || start &- address < width
  }

  func isOnPage(of address: UInt64) -> Bool { overlaps(address & ~0xfff, 4096) }
}

/// An access that was watched for.
public struct WatchHit: Equatable, Sendable {
  /// `WatchedRange.id`.
  public var id: Int
  /// The first byte accessed, in the range's own space.
  public var address: UInt64
  public var width: Int
  public var isWrite: Bool
}

extension Processor {
  // MARK: Asking

  /// Asks for pauses; not while the processor runs. A run pauses on account of none of them before it has begun.
  public func setPauses(_ requests: PauseRequests) {
    guard requests != pauseRequests else { return }
    let hadPauses = !pauseRequests.instructions.isEmpty
    if requests.instructions != pauseRequests.instructions && (hadPauses || !requests.instructions.isEmpty) {
      restorePatched()
      blocks.pauses = requests.instructions
      blocks.dropAll()
    }
    pauseRequests = requests
    hasPauses = !requests.instructions.isEmpty
    watchesMemory = !requests.accesses.isEmpty
    watchedPages = (0, 0)
    for range in requests.accesses {
      let last = range.start &+ (max(range.length, 1) &- 1)
      let pages = (last >> 12) &- (range.start >> 12)
      var mask: UInt64 = pages >= 63 ? .max : 0
      if pages < 63 { for page in 0...pages { mask |= 1 &<< ((range.start >> 12 &+ page) & 63) } }
      if range.space == .linear { watchedPages.linear |= mask } else { watchedPages.host |= mask }
    }
    translation.forgetVerdicts()
  }

  /// Whether a debugger is there: observers may ask for pauses, and are told of changes of the mode.
  public var isUnderDebugger: Bool {
    get { isDebugged }
    set {
      isDebugged = newValue
      toldMode = s.pointee.mode
    }
  }

  /// Makes the run pause at the next instruction boundary: for an observer, while it is told of something.
  public func requestPause() {
    isPauseRequested = true
    s.pointee.executedDeadline = 0
  }

  /// Makes the next run go on past a pause at the present instruction, and forget what was asked for or met so far.
  public func passPause() {
    passedPause = (s.pointee.rip, s.pointee.retired)
    isPauseRequested = false
    watchHits = []
    toldMode = s.pointee.mode
  }

  /// The watched accesses since `passPause`.
  public var watchedAccesses: [WatchHit] { watchHits }

  /// Drops every verdict of the direct cache: the TLBs stay as they are.
  public func forgetVerdicts() { translation.forgetVerdicts() }

  // MARK: The run loop

  /// Whether a pause is due between two instructions. An instruction that a hypervisor helps with is finished first.
  func pausesNow() -> Bool {
    let mode = s.pointee.mode
    if mode != toldMode {
      tell(.mode(old: toldMode, new: mode))
      toldMode = mode
    }
    guard isPauseRequested, controls.grants.isEmpty else { return false }
    isPauseRequested = false
    return true
  }

  /// Whether there is a pause at RIP that is not passed already.
  func pausesAtInstruction() -> Bool {
    guard controls.grants.isEmpty, passedPause.rip != s.pointee.rip || passedPause.retired != s.pointee.retired else {
      return false
    }
    return isPausePoint
  }

  var isPausePoint: Bool {
    let size = s.pointee.codeSize
    let linear = size == .bits64 ? s.pointee.rip : (s.pointee.rip &+ s.pointee[.cs].base) & 0xffff_ffff
    return pauseRequests.instructions.contains(linear)
  }

  func tell(_ event: SystemEvent) { observer?.happened(event) }

  // MARK: Watching

  /// Whether a page may not be in the direct cache, because something on it is watched.
  @inline(__always) func isWatched(_ address: UInt64, _ host: HostPhysical) -> Bool {
    watchesMemory && mayBeWatched(linear: address, host: host.rawValue) && isOnWatchedPage(address, host)
  }

  /// A look at one bit for every 64 pages: most pages are told by it.
  @inline(__always) private func mayBeWatched(linear: UInt64, host: UInt64) -> Bool {
    (watchedPages.linear &>> (linear >> 12 & 63) | watchedPages.host &>> (host >> 12 & 63)) & 1 != 0
  }

  @inline(never) private func isOnWatchedPage(_ address: UInt64, _ host: HostPhysical) -> Bool {
    pauseRequests.accesses.contains { $0.isOnPage(of: $0.space == .linear ? address : host.rawValue) }
  }

  @inline(__always) func noteWatched(_ address: UInt64, width: Int, isWrite: Bool) {
    // The last byte may be on the next page.
    let pages = watchedPages.linear &>> (address >> 12 & 63) | watchedPages.linear &>> ((address &+ 63) >> 12 & 63)
    guard pages & 1 != 0 else { return }
    note(.linear, address, width, isWrite: isWrite)
  }

  @inline(__always) func noteWatchedRead(of host: HostPhysical, width: Int) {
    guard watchedPages.host &>> (host.frame & 63) & 1 != 0 else { return }
    note(.host, host.rawValue, width, isWrite: false)
  }

  @inline(__always) func noteWatchedWrite(to host: HostPhysical, width: Int) {
    guard watchedPages.host &>> (host.frame & 63) & 1 != 0 else { return }
    note(.host, host.rawValue, width, isWrite: true)
  }

  @inline(never) private func note(_ space: WatchedRange.Space, _ address: UInt64, _ width: Int, isWrite: Bool) {
    for range in pauseRequests.accesses
    where range.space == space && (isWrite ? range.writes : range.reads)
      && range.overlaps(address, UInt64(truncatingIfNeeded: max(width, 1)))
    {
      if watchHits.count < 64 {
        watchHits.append(WatchHit(id: range.id, address: address, width: width, isWrite: isWrite))
      }
      requestPause()
    }
  }
}
