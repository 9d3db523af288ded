import Machine

/// How the pages are found that the guest writes, as a migration's passes or a display's memory want them.
public enum DirtyLogging: String, CaseIterable, Sendable {
  case off
  /// A collection takes W away from the pages that were written; the first write to each faults, is noted, and gets it
  /// back (KVM without a log: `kvm_mmu_slot_remove_write_access`).
  case writeProtect = "write-protect"
  /// The hardware sets D; a collection looks at every nested entry and clears it.
  case accessedDirty = "accessed-dirty"
  /// The hardware writes down each page in whose entry it sets D, and exits when the log is full (Intel's PML; KVM and
  /// Xen). A collection clears the D of those.
  case modificationLog = "pml"
}

/// What can be chosen about it.
public struct DirtyLogOptions: Equatable, Sendable {
  public var method = DirtyLogging.off
  /// Cycles between two collections.
  public var interval: UInt64 = 1_000_000

  public init() {}
}

/// The pages that the guest has written since the last collection: a bit for each of its frames (KVM: `dirty_bitmap`).
///
/// Pages are of 4 KiB, however large those are that the host has: all nested entries are, while there is a log (KVM splits
/// large ones).
struct DirtyLog {
  let method: DirtyLogging
  private let interval: UInt64
  private(set) var next: UInt64
  private var bits: ContiguousArray<UInt64>
  /// The same as a list, in the order in which they were noted: of their first writes, but with
  /// `accessed-dirty`, which looks for them by address.
  private(set) var frames: [UInt64] = []

  init?(_ options: DirtyLogOptions, guestFrames: UInt64) {
    guard options.method != .off else { return nil }
    method = options.method
    interval = max(options.interval, 1)
    next = interval
    bits = ContiguousArray(repeating: 0, count: Int(guestFrames >> 6) + 1)
  }

  /// Whether a frame has been noted since the last collection.
  func contains(_ gfn: UInt64) -> Bool {
    gfn >> 6 < UInt64(bits.count) && bits[Int(gfn >> 6)] >> (gfn & 63) & 1 != 0
  }

  mutating func schedule(after clock: UInt64) { next = (clock / interval &+ 1) &* interval }

  /// - Returns: whether it is the frame's first write in this interval.
  mutating func insert(_ gfn: UInt64) -> Bool {
    guard gfn >> 6 < UInt64(bits.count), !contains(gfn) else { return false }
    bits[Int(gfn >> 6)] |= 1 << (gfn & 63)
    frames.append(gfn)
    return true
  }

  /// What was logged, and a new interval.
  mutating func take() -> [UInt64] {
    for gfn in frames { bits[Int(gfn >> 6)] = 0 }
    defer { frames = [] }
    return frames
  }
}

extension Hypervisor {
  /// Whether the first write to each page has to fault.
  var logsByFaults: Bool { dirtyLog?.method == .writeProtect }

  /// Notes that a frame was written.
  func noteDirty(_ gfn: UInt64, for cause: Cause) {
    guard dirtyLog != nil else { return }
    if dirtyLog!.insert(gfn) { counted.dirtyPages &+= 1 }
    work(cause, .dirtyNote)
  }

  /// Notes what the hardware has written down, and makes room for more.
  func emptyModificationLog(of one: VirtualProcessor, for cause: Cause) {
    guard one.controls.modificationLog != nil else { return }
    for gfn in writtenDown(by: one) { noteDirty(gfn, for: cause) }
    one.processor.modificationLogIndex = ModificationLog.entries - 1
  }

  /// The guest frames that the hardware has written down, in the order in which it has.
  private func writtenDown(by one: VirtualProcessor) -> [UInt64] {
    guard let log = one.controls.modificationLog else { return [] }
    // Entries are written from the end on; at the index none is yet, and beyond the log it says that all are.
    let index = one.processor.modificationLogIndex
    let first = index >= ModificationLog.entries ? 0 : index + 1
    return (first..<ModificationLog.entries).reversed().map { number in
      GuestPhysical(memory.word(at: log.advanced(by: UInt64(number) * 8))).frame
    }
  }

  /// Tells of each guest frame whether its first write since the last collection has been noted, by whomever; nil where
  /// nobody notes first writes.
  func firstWritesNoted() -> ((UInt64) -> Bool)? {
    guard let dirtyLog, dirtyLog.method != .accessedDirty else { return nil }
    let writtenDown = Set(virtualProcessors.flatMap { self.writtenDown(by: $0) })
    return { dirtyLog.contains($0) || writtenDown.contains($0) }
  }

  /// Collects, where it is time to.
  func collectDirtyPages() {
    if let due = dirtyLog?.next, processor.clock >= due { collectNow() }
  }

  /// Collects which pages were written, and has the next write to each of them told.
  func collectNow() {
    guard dirtyLog != nil, nested != nil else { return }
    lockTables()
    counted.dirtyCollections &+= 1
    var isChanged = false
    switch dirtyLog!.method {
    case .off: break
    case .writeProtect:
      for gfn in dirtyLog!.frames where setNestedWritable(GuestPhysical(gfn << 12), false) {
        work(.dirtyCollect, .protect)
        isChanged = true
      }
    case .accessedDirty:
      let (written, scanned) = nested!.collectWritten(memory)
      counted.dirtyScanned &+= scanned
      work(.dirtyCollect, .dirtyScan, times: scanned)
      for gfn in written { noteDirty(gfn, for: .dirtyCollect) }
      work(.dirtyCollect, .protect, times: UInt64(written.count))
      isChanged = !written.isEmpty
    case .modificationLog:
      for one in virtualProcessors {
        work(.dirtyCollect, .controlBlockRead)
        work(.dirtyCollect, .controlBlockWrite)
        emptyModificationLog(of: one, for: .dirtyCollect)
      }
      for gfn in dirtyLog!.frames where nested!.watchForWrites(GuestPhysical(gfn << 12), memory) {
        work(.dirtyCollect, .protect)
        isChanged = true
      }
    }
    let frames = dirtyLog!.take()
    dirtyLog!.schedule(after: processor.clock)
    if isChanged && !mutated("dirty-without-flush") { flushNestedEverywhere() }
    afterCollection?(frames)
  }
}
