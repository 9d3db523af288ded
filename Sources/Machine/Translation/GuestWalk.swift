/// A walk of the guest's own tables in software, as a hypervisor does it, with the entries on its path.
///
/// It is a plain value: under shadow paging every page fault takes one.
public struct GuestWalk: Sendable {
  public internal(set) var result = GuestWalk.none
  /// The entries by level, 1 for a PTE, as they were read; 0 where the walk read none.
  public internal(set) var entries = InlineArray<6, UInt64>(repeating: 0)
  /// Where they are.
  public internal(set) var addresses = InlineArray<6, HostPhysical>(repeating: HostPhysical(0))
  /// The levels of the first entry and of the last one; 0 where none was read.
  public internal(set) var firstLevel = 0
  public internal(set) var lastLevel = 0

  private static let none = WalkResult.fault(
    PageFault(address: GuestVirtual(0), errorCode: 0, level: 0, entry: 0))

  /// How many entries were read.
  public var count: Int { firstLevel == 0 ? 0 : firstLevel &- lastLevel &+ 1 }

  /// The same walk with its references one by one.
  public var recorded: RecordedWalk {
    guard firstLevel > 0 else { return RecordedWalk(result: result, references: []) }
    let references = (lastLevel...firstLevel).reversed().map {
      WalkReference(dimension: .first, level: $0, address: addresses[$0], entry: entries[$0])
    }
    return RecordedWalk(result: result, references: references)
  }
}

/// The port of such a walk: guest-physical addresses are found in the hypervisor's frame map. Nothing is charged; the
/// hypervisor charges its work by `GuestWalk.count`.
private struct GuestWalkPort: WalkPort {
  // What references name lives as long as the walk, and counting them would cost as much as the walk does.
  unowned(unsafe) let processor: Processor
  let memory: Unmanaged<HostMemory>
  let frames: Unmanaged<FrameMap>
  /// Whether A and D bits are set, as the hardware's walk would have set them.
  let setsBits: Bool
  /// Whether a table that `frames` does not have is walked as it reads where there is no memory: as ones.
  let readsOnes: Bool
  var walk = GuestWalk()

  @inline(__always) mutating func read(
    _ address: HostPhysical, width: Int, dimension: Dimension, level: Int
  ) -> UInt64 {
    let entry = memory._withUnsafeGuaranteedRef { $0.entry(at: address, width: width) }
    walk.entries[level] = entry
    walk.addresses[level] = address
    if walk.firstLevel == 0 { walk.firstLevel = level }
    walk.lastLevel = level
    return entry
  }

  @inline(__always) func set(
    _ bits: UInt64, in entry: UInt64, at address: HostPhysical, width: Int, dimension: Dimension
  ) {
    guard setsBits else { return }
    // Code that was decoded from the frame is stale.
    processor.noteWrite(to: address, width: 8)
    memory._withUnsafeGuaranteedRef { $0.setEntry(entry | bits, at: address, width: width) }
  }

  func directoryPointer(for address: GuestVirtual) -> UInt64 { processor.s.pointee.directoryPointers[address] }

  @inline(__always) func hostFrame(of address: GuestPhysical) -> HostMapping? {
    if let found = frames._withUnsafeGuaranteedRef({ $0.lookup(address) }) { return found }
    return readsOnes
      ? HostMapping(address: HostPhysical(.max), writable: true, executable: true, size: .page4K) : nil
  }
}

extension Processor {
  /// Walks the guest's own tables in software, as a hypervisor does.
  ///
  /// - Parameters:
  ///   - frames: where the guest's frames are.
  ///   - settingBits: whether A and D are set as the hardware's walk would have set them.
  ///   - readingOnes: whether tables that are not in the map are outside memory, and read as ones.
  ///   - controls: other control bits than the guest's.
  public func walkGuest(
    _ address: GuestVirtual, _ access: Access, frames: FrameMap, settingBits: Bool = false, readingOnes: Bool = false,
    controls: PagingControls? = nil
  ) -> GuestWalk {
    var walk = PageWalk(
      plan: softwarePlanned, controls: controls ?? guestControls,
      port: GuestWalkPort(
        processor: self, memory: .passUnretained(memory), frames: .passUnretained(frames), setsBits: settingBits,
        readsOnes: readingOnes))
    walk.port.walk.result = walk.translate(address, for: access)
    return walk.port.walk
  }
}
