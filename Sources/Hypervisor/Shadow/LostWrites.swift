/// Guest frames that TLBs may still let somebody write, although the shadow entry that let them is gone: what the guest
/// takes away, it invalidates itself, sooner or later. Should such a frame become a guarded table, it has to be flushed.
struct LostWrites {
  /// For each frame, 2 MiB and 1 GiB: the flush before which an entry was lost last.
  private var lost: [ContiguousArray<UInt64>]
  /// Flushes of every processor, from 1.
  private var flushes: UInt64 = 1

  init(guestFrames: UInt64) {
    lost = (0..<3).map { ContiguousArray(repeating: 0, count: Int(guestFrames >> UInt64(9 * $0)) + 1) }
  }

  private func place(_ gfn: UInt64, _ level: Int) -> Int { Int(gfn >> UInt64(9 * (level - 1))) }

  mutating func note(_ gfn: UInt64, level: Int) { lost[level - 1][place(gfn, level)] = flushes }

  func contains(_ gfn: UInt64) -> Bool { (1...3).contains { lost[$0 - 1][place(gfn, $0)] == flushes } }

  mutating func flushed() { flushes &+= 1 }
}
