import Machine

/// What the host does to the guest's memory behind its back, at random and the same every time (`host.churn`): frames are
/// unmapped, as by a scan for what is not used; moved to other host frames, as by compaction, migration and swapping; and
/// write-protected, as for sharing and dirty logging. The guest must not notice.
struct HostChurn {
  /// What is done to a frame.
  enum Kind: Int, CaseIterable {
    case unmap, move, protect
  }

  /// Cycles between two frames.
  let interval: UInt64
  private(set) var next: UInt64
  /// SplitMix64.
  private var state: UInt64 = 0x6368_7572_6e21_0001
  /// How many frames were treated, by `Kind`.
  private(set) var counts: [UInt64] = [0, 0, 0]

  init(interval: UInt64) {
    self.interval = max(interval, 1)
    next = self.interval
  }

  mutating func schedule(after clock: UInt64) { next = (clock / interval &+ 1) &* interval }

  mutating func note(_ kind: Kind) { counts[kind.rawValue] += 1 }

  mutating func random(below limit: UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return (z ^ z >> 31) % max(limit, 1)
  }
}

extension Hypervisor {
  /// Treats a frame where it is time to.
  func churnHost() {
    guard var churn, processor.clock >= churn.next else { return }
    // What an instruction is being helped with stays where it is.
    guard virtualProcessors.allSatisfy({ $0.assist == nil && $0.watched.isEmpty }) else { return }
    churn.schedule(after: processor.clock)
    let kind = HostChurn.Kind.allCases[Int(churn.random(below: UInt64(HostChurn.Kind.allCases.count)))]
    let start = churn.random(below: guest.frames)
    if let gfn = guest.map.firstMapped(from: start) {
      lockTables()
      work(.hostChurn, .lookup)
      switch kind {
      case .unmap: dropTranslations(of: gfn)
      case .move: move(gfn)
      case .protect: writeProtect(gfn)
      }
      churn.note(kind)
    }
    self.churn = churn
  }

  /// Takes away every translation to a guest frame; what the guest accesses next it gets back by a fault.
  private func dropTranslations(of gfn: UInt64) {
    if hasShadows {
      for level in 1...3 {
        while true {
          let slot = shadows.rmap.first(shadows.rmap.list(mapping: gfn, level: level))
          guard slot >= 0 else { break }
          change(slot, to: .none, for: .hostChurn)
        }
      }
      takeWalks(of: gfn, for: .hostChurn)
    }
    if nested != nil, changeNested({ $0.unmap(GuestPhysical(gfn << 12), $1, &$2) }) { work(.hostChurn, .protect) }
    flushNestedEverywhere()
  }

  /// Gives a guest frame another host frame. A large host page that it is part of is none any more.
  private func move(_ gfn: UInt64) {
    let address = GuestPhysical(gfn << 12)
    guard let mapped = guest.map.lookup(address) else { return }
    let old = mapped.address.pageBase
    let bytes = memory.read(old, count: 4096)
    guard let (new, _) = allocator.allocate(guestFrame: gfn) else { return }
    let first = gfn & ~(mapped.size.bytes >> 12 &- 1)
    for frame in first..<first + mapped.size.bytes >> 12 where mapped.size != .page4K {
      let each = GuestPhysical(frame << 12)
      if let known = guest.map.lookup(each) { guest.map.map(each, to: known.address.pageBase, size: .page4K) }
    }
    if !mutated("moved-frame-kept") { dropTranslations(of: gfn) }
    guest.map.map(address, to: new, size: .page4K)
    // Whoever keeps something of either frame's bytes hears of it.
    _ = memory.write(bytes, at: new)
    _ = memory.write(repeatElement(0, count: 4096), at: old)
    allocator.release(old)
    work(.hostChurn, .populate)
  }

  /// Takes away the permission to write a guest frame; the next write gets it back by a fault, and so does the hardware
  /// where it is to set A and D.
  func writeProtect(_ gfn: UInt64) {
    if hasShadows { _ = takeWrites(to: gfn, for: .hostChurn) }
    if nested != nil, setNestedWritable(GuestPhysical(gfn << 12), false) { work(.hostChurn, .protect) }
    flushNestedEverywhere()
  }
}
