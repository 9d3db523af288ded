import Machine
import Testing

@testable import Hypervisor

@Suite struct TableTimelineTests {
  private func counts(_ frames: Int) -> TableCounts {
    var counts = TableCounts()
    counts[.shadow1] = UInt32(frames)
    return counts
  }

  /// Takes samples as the hypervisor does: where one is due, before a change is made.
  private func timeline(_ changes: some Sequence<(clock: UInt64, frames: Int)>) -> TableTimeline {
    var timeline = TableTimeline()
    timeline.take(counts(0), at: 0)
    var frames = 0
    for change in changes {
      if change.clock >= timeline.due { timeline.take(counts(frames), at: change.clock) }
      frames = change.frames
    }
    return timeline
  }

  /// What a time line says of a time.
  private func frames(_ timeline: TableTimeline, at clock: UInt64) -> UInt32? {
    timeline.samples.last { $0.clock <= clock }?.tables[.shadow1]
  }

  @Test func `what does not change takes no samples, however long it lasts`() {
    let line = timeline((1...100_000).map { (clock: UInt64($0) * 1000, frames: $0 < 9 ? 7 : 8) })
    #expect(line.samples.map(\.clock) == [0, 4096, 12288])
    #expect(line.samples.map { $0.tables[.shadow1] } == [0, 7, 8])
    #expect(line.interval == 4096)
  }

  @Test(arguments: [100, 4096, 5000, 1 << 20, 1 << 40] as [UInt64])
  func `changes without end take a bounded number of samples, of which each is the truth`(step: UInt64) {
    let line = timeline((1...10_000).lazy.map { (clock: UInt64($0) * step, frames: $0) })
    #expect(line.samples.count <= TableTimeline.capacity && line.samples.count >= TableTimeline.capacity / 2 - 1)
    #expect(line.interval.nonzeroBitCount == 1 && line.samples.allSatisfy { $0.clock % line.interval == 0 })
    #expect(line.interval <= max(4096, 4 * 10_000 * step / UInt64(TableTimeline.capacity)))
    // What there was at a time is what was made before it.
    for clock in stride(from: 0, to: line.due, by: Int(line.interval)) {
      #expect(frames(line, at: clock) == UInt32(clock == 0 ? 0 : (clock - 1) / step), "\(clock)")
    }
    #expect(line.due > 10_000 * step && line.due - 10_000 * step <= line.interval)
  }

  @Test func `what has not come yet is not foretold where samples are thinned out`() {
    for count in 60...140 {
      let line = timeline((1...count).map { (clock: UInt64($0) * 4096, frames: $0) })
      for clock in stride(from: 0, to: line.due, by: Int(line.interval)) {
        #expect(frames(line, at: clock) == UInt32(clock == 0 ? 0 : (clock - 1) / 4096), "\(count): \(clock)")
      }
      #expect(line.samples.last.map { $0.clock < line.due } ?? false)
    }
  }

  @Test func `a long rest after a burst is seen whole, though the burst's samples go`() {
    let burst = (1...200).map { (clock: UInt64($0) * 4096, frames: $0) }
    let rest: [(clock: UInt64, frames: Int)] = [(clock: 1 << 32, frames: 1), (clock: 1 << 33, frames: 2)]
    let line = timeline(burst + rest + (1...5000).map { (clock: 1 << 33 + UInt64($0) << 20, frames: 2 + $0 % 2) })
    #expect(line.interval > 200 * 4096)
    #expect(frames(line, at: line.interval) == 200)
    #expect(frames(line, at: 1 << 32 - 1) == 200)
    #expect(frames(line, at: 1 << 32 + line.interval) == 1)
    for (before, after) in zip(line.samples, line.samples.dropFirst()) { #expect(before.tables != after.tables) }
  }

  @Test func `the end of time is no trap`() {
    let line = timeline([(.max - 5000, 1), (.max - 1, 2), (.max, 3), (.max, 4)])
    #expect(line.samples.first?.clock == 0 && line.samples.count <= 4)
    let many = timeline((0...1000).map { (clock: .max - 5_000_000 + 5000 * UInt64($0), frames: $0) })
    #expect(many.samples.count <= TableTimeline.capacity)
  }
}

@Suite struct TableKindTests {
  @Test func `every kind has a name of its own, and the use that its name says`() {
    #expect(Set(TableKind.allCases.map(\.name)).count == TableKind.allCases.count)
    for kind in TableKind.allCases {
      #expect(kind.name.hasPrefix(kind.use == .shadowTable ? "shadow." : "nested."), "\(kind.name)")
    }
    #expect((1...5).map { TableKind.shadow(level: $0).name } == (1...5).map { "shadow.\($0)" })
    #expect((1...5).map { TableKind.nested(level: $0).name } == (1...5).map { "nested.\($0)" })
  }

  @Test func `frames are accounted by kind, now and at most, when they are given back too`() {
    var frames = FrameAllocator(capacity: 64 << 12)
    let tables = [TableKind.shadow1, .shadow1, .direct, .nested3].map { frames.allocate($0, number: 0)?.address }
    _ = frames.allocate(guestFrame: 1)
    for table in tables.dropFirst().compactMap(\.self) { frames.release(table) }
    // A frame that was one kind of table may become another.
    _ = frames.allocate(.shadow2, number: 0)
    _ = frames.allocate(guestFrame: 2)
    func all(_ counts: TableCounts) -> [String: UInt32] {
      Dictionary(uniqueKeysWithValues: TableKind.allCases.filter { counts[$0] != 0 }.map { ($0.name, counts[$0]) })
    }
    #expect(all(frames.tableCounts) == ["shadow.1": 1, "shadow.2": 1])
    #expect(all(frames.peakTableCounts) == ["shadow.1": 2, "shadow.2": 1, "shadow.direct": 1, "nested.3": 1])
    #expect(frames.tables == 2 && frames.peakTables == 4)
  }
}
