/// One reference that a walk made, as a recording port saw it.
public struct WalkReference: Equatable, Sendable {
  public var dimension: Dimension
  /// 1 for a PTE, 2 for a PDE...
  public var level: Int
  public var address: HostPhysical
  public var entry: UInt64
}

/// A port that changes nothing and charges nothing: the debugger's.
struct PeekPort: WalkPort {
  let memory: HostMemory
  let directoryPointers: DirectoryPointers
  var references: [WalkReference] = []

  mutating func read(_ address: HostPhysical, width: Int, dimension: Dimension, level: Int) -> UInt64 {
    let entry = memory.entry(at: address, width: width)
    references.append(WalkReference(dimension: dimension, level: level, address: address, entry: entry))
    return entry
  }

  func set(_ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension) {}
  func directoryPointer(for address: GuestVirtual) -> UInt64 { directoryPointers[address] }
}

/// A walk with every reference that it made.
public struct RecordedWalk: Sendable {
  public var result: WalkResult
  public var references: [WalkReference]
}

extension Processor {
  /// Walks as the hardware would now, recording every reference; no TLB, no A or D bit and no cycle changes.
  public func peek(_ address: GuestVirtual, _ access: Access) -> RecordedWalk {
    peek(address, access, controls: pagingControls)
  }

  /// The same under other control bits.
  func peek(_ address: GuestVirtual, _ access: Access, controls: PagingControls) -> RecordedWalk {
    var walk = PageWalk(
      plan: planned, beyond: beyond, controls: controls,
      port: PeekPort(memory: memory, directoryPointers: directoryPointers))
    let result = walk.translate(address, for: access)
    return RecordedWalk(result: result, references: walk.port.references)
  }

  /// Walks the second dimension alone.
  func peekNested(
    _ address: GuestPhysical, _ kind: AccessKind
  ) -> (result: PageWalk<PeekPort>.Located, references: [WalkReference]) {
    var walk = PageWalk(
      plan: planned, beyond: beyond, controls: pagingControls,
      port: PeekPort(memory: memory, directoryPointers: directoryPointers))
    let result = walk.locate(address, for: kind)
    return (result, walk.port.references)
  }
}

extension Processor {
  /// Where the tables that the hardware walks lead, whoever asks: no access is refused but one that nothing maps.
  public func look(_ address: GuestVirtual) -> RecordedWalk {
    peek(address, Access(.read, .supervisor), controls: .permissive)
  }

  /// The same by the guest's own tables, as a hypervisor finds them.
  public func lookInGuest(_ address: GuestVirtual, frames: FrameMap) -> RecordedWalk {
    walkGuest(address, Access(.read, .supervisor), frames: frames, controls: .permissive).recorded
  }

  /// Which cache a walk's reference to a line would hit now, and its price. Looking changes nothing.
  public func reference(to line: HostPhysical) -> (cache: String, cycles: UInt64) {
    let caches = translation.caches
    if caches.l2.holds(line.rawValue >> 6) { return ("L2", costs.cacheL2Hit) }
    if caches.l3.holds(line.rawValue >> 6) { return ("L3", costs.cacheL3Hit) }
    return ("memory", costs.cacheMemory)
  }

  /// What tags the running context's entries.
  public var contextTag: (vpid: UInt16, pcid: UInt16) {
    (controls.vpid, UInt16(truncatingIfNeeded: tag & 0xfff))
  }

  /// How a bit of guest memory would be accessed in the mode in force.
  public var accessControls: PagingControls { pagingControls }
  /// What the hardware walks.
  public var walkPlan: WalkPlan { plan }
  /// The guest's own tables.
  public var guestWalkPlan: WalkPlan { softwarePlan }
}

extension AssociativeArray {
  /// Whether a cache holds a line.
  fileprivate func holds(_ line: UInt64) -> Bool {
    guard isPresent else { return false }
    let first = set(of: line)
    return (first..<first + ways).contains { keys[$0] == line << 16 }
  }
}
