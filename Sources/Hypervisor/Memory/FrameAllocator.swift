import Machine

/// What a host frame is used for.
enum FrameUse: UInt32 {
  case free = 0
  /// Memory of the guest; the number is its guest frame (gfn).
  case guest = 1
  /// A shadow table; the number is its shadow page's index.
  case shadowTable = 2
  /// A nested table.
  case nestedTable = 3
}

/// Hands out the host's frames and knows what each is used for.
///
/// Single frames come from below and large runs from above, so that neither breaks the other up; what is given back is
/// used again first. Everything depends on the order of requests only.
///
/// Invariants: `counts[use]` is the number of frames whose owner has that use, `tableCounts[kind]` the number of those that
/// hold a table of that kind; the sum over the kinds is `tables`.
struct FrameAllocator {
  /// By host frame: use in bits 31:30, number in 29:0.
  private var owners: ContiguousArray<UInt32>
  /// By host frame that holds a table: its kind.
  private var kinds: ContiguousArray<TableKind>
  /// Frames given back, the last one on top.
  private var returned: ContiguousArray<UInt32> = []
  /// The next frame never given out, and the end of those not taken by large runs.
  private var next: UInt64
  private var limit: UInt64
  private(set) var counts: [UInt64] = [0, 0, 0, 0]
  /// The most frames that tables ever took.
  private(set) var peakTables: UInt64 = 0
  /// Frames in tables of each kind, now and at most.
  private(set) var tableCounts = TableCounts()
  private(set) var peakTableCounts = TableCounts()

  private static let numberMask: UInt32 = 0x3fff_ffff

  /// - Parameter capacity: bytes of host memory from address 0. Frame 0 is never given out, so that address 0 means
  ///   nothing.
  init(capacity: UInt64) {
    limit = min(capacity >> 12, UInt64(FrameAllocator.numberMask))
    next = min(1, limit)
    owners = ContiguousArray(repeating: 0, count: Int(limit))
    kinds = ContiguousArray(repeating: .empty, count: Int(limit))
  }

  /// Frames in tables now.
  var tables: UInt64 { counts[Int(FrameUse.shadowTable.rawValue)] + counts[Int(FrameUse.nestedTable.rawValue)] }
  /// Frames that back guest memory.
  var guestFrames: UInt64 { counts[Int(FrameUse.guest.rawValue)] }

  /// Takes one frame for a frame of the guest's memory. Its bytes are zero unless it was used before (`isRecycled`).
  mutating func allocate(guestFrame: UInt64) -> (address: HostPhysical, isRecycled: Bool)? {
    take(.guest, number: guestFrame)
  }

  /// Takes one frame for a table. Its bytes are zero unless it was used before (`isRecycled`).
  mutating func allocate(_ kind: TableKind, number: UInt64) -> (address: HostPhysical, isRecycled: Bool)? {
    guard let taken = take(kind.use, number: number) else { return nil }
    kinds[Int(taken.address.frame)] = kind
    tableCounts[kind] += 1
    peakTableCounts[kind] = max(peakTableCounts[kind], tableCounts[kind])
    return taken
  }

  private mutating func take(_ use: FrameUse, number: UInt64) -> (address: HostPhysical, isRecycled: Bool)? {
    let frame: UInt64
    let recycled = returned.popLast()
    if let recycled {
      frame = UInt64(recycled)
    } else {
      guard next < limit else { return nil }
      frame = next
      next += 1
    }
    assign(frame, use, number)
    return (HostPhysical(frame << 12), recycled != nil)
  }

  /// Takes a contiguous, aligned run for a large host page of the guest. Its bytes are zero.
  mutating func allocateRun(_ size: PageSize, firstGuestFrame: UInt64) -> HostPhysical? {
    let frames = size.bytes >> 12
    guard limit >= frames else { return nil }
    let start = (limit - frames) & ~(frames - 1)
    guard start >= next else { return nil }
    // What alignment leaves above the run serves single frames.
    for frame in start + frames..<limit { returned.append(UInt32(frame)) }
    limit = start
    for index in 0..<frames { assign(start + index, .guest, firstGuestFrame + index) }
    return HostPhysical(start << 12)
  }

  /// Gives a frame back.
  mutating func release(_ address: HostPhysical) {
    let frame = address.frame
    guard frame < UInt64(owners.count), owners[Int(frame)] != 0 else { return }
    counts[Int(owners[Int(frame)] >> 30)] -= 1
    if owner(of: address).use != .guest { tableCounts[kinds[Int(frame)]] -= 1 }
    owners[Int(frame)] = 0
    returned.append(UInt32(frame))
  }

  /// What an address is used for, and the number that was given with it.
  func owner(of address: HostPhysical) -> (use: FrameUse, number: UInt64) {
    guard address.frame < UInt64(owners.count) else { return (.free, 0) }
    let owner = owners[Int(address.frame)]
    return (FrameUse(rawValue: owner >> 30) ?? .free, UInt64(owner & FrameAllocator.numberMask))
  }

  private mutating func assign(_ frame: UInt64, _ use: FrameUse, _ number: UInt64) {
    owners[Int(frame)] = use.rawValue << 30 | UInt32(truncatingIfNeeded: number) & FrameAllocator.numberMask
    counts[Int(use.rawValue)] += 1
    peakTables = max(peakTables, tables)
  }
}
