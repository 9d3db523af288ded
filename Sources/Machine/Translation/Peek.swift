/// One reference that a walk made, as a recording port saw it.
public struct WalkReference: Equatable, Sendable {
  public var dimension: Dimension
  /// 1 for a PTE, 2 for a PDE...
  public var level: Int
  public var address: HostPhysical
  public var entry: UInt64
}

/// A port that changes nothing and charges nothing: the debugger's, and the hypervisor's when it only looks.
struct PeekPort: WalkPort {
  let memory: HostMemory
  /// Guest-physical to host-physical where the plan's second dimension is software.
  let frames: FrameMap?
  let directoryPointers: DirectoryPointers
  /// Whether a table that `frames` does not have is walked as it reads where there is no memory: as ones.
  var readsOnes = false
  var references: [WalkReference] = []
  /// Whether A and D bits are to be set: the hypervisor's walk on behalf of the guest.
  let setsBits: Bool
  /// Called with every write, so that decoded code in the frame is dropped.
  let wrote: (HostPhysical) -> Void

  mutating func read(_ address: HostPhysical, width: Int, dimension: Dimension, level: Int) -> UInt64 {
    let entry = memory.entry(at: address, width: width)
    references.append(WalkReference(dimension: dimension, level: level, address: address, entry: entry))
    return entry
  }

  mutating func set(
    _ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension
  ) {
    guard setsBits else { return }
    wrote(address)
    memory.setEntry(entry | bits, at: address, width: width)
  }

  func directoryPointer(for address: GuestVirtual) -> UInt64 { directoryPointers[address] }

  func cachedTable(for address: GuestVirtual) -> CachedTable? { nil }
  func remember(_ table: CachedTable, for address: GuestVirtual) {}
  func cachedFrame(for address: GuestPhysical) -> HostMapping? { nil }
  func remember(_ mapping: HostMapping, for address: GuestPhysical) {}
  func cachedNestedTable(for address: GuestPhysical) -> CachedTable? { nil }
  func rememberNested(_ table: CachedTable, for address: GuestPhysical) {}
  func hostFrame(of address: GuestPhysical) -> HostMapping? {
    if let found = frames?.lookup(address) { return found }
    return readsOnes
      ? HostMapping(address: HostPhysical(.max), writable: true, executable: true, size: .page4K) : nil
  }
}

/// A walk with every reference that it made.
public struct RecordedWalk: Sendable {
  public var result: WalkResult
  public var references: [WalkReference]
}

extension Processor {
  /// Walks as the hardware would now, recording every reference; no TLB, no A or D bit and no cycle changes.
  public func peek(_ address: GuestVirtual, _ access: Access) -> RecordedWalk {
    var walk = PageWalk(
      plan: planned, controls: pagingControls,
      port: PeekPort(
        memory: memory, frames: nil, directoryPointers: directoryPointers, setsBits: false, wrote: { _ in }))
    let result = walk.translate(address, for: access)
    return RecordedWalk(result: result, references: walk.port.references)
  }

  /// Walks the guest's own tables in software, as a hypervisor does: guest-physical addresses are found in its frame
  /// map.
  ///
  /// - Parameter settingBits: whether A and D are set as the hardware's walk would have set them. Nothing is charged;
  ///   the hypervisor charges its work by `RecordedWalk.references`.
  /// - Parameter readingOnes: whether tables that are not in the map are outside memory, and read as ones.
  public func walkGuest(
    _ address: GuestVirtual, _ access: Access, frames: FrameMap, settingBits: Bool, readingOnes: Bool = false
  ) -> RecordedWalk {
    withUnsafePointer(to: softwarePlan) { plan in
      var walk = PageWalk(
        plan: plan, controls: guestControls,
        port: PeekPort(
          memory: memory, frames: frames, directoryPointers: s.pointee.directoryPointers, readsOnes: readingOnes,
          setsBits: settingBits,
          wrote: { [unowned self] in self.noteWrite(to: $0, width: 8) }))
      let result = walk.translate(address, for: access)
      return RecordedWalk(result: result, references: walk.port.references)
    }
  }
}
