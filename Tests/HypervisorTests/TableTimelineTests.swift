import Machine
import Testing

@testable import Hypervisor

@Suite struct TableTimelineTests {
  private func counts(_ frames: Int) -> TableCounts {
    var counts = TableCounts()
    counts[.shadow1] = UInt32(frames)
    return counts
  }

  /// Takes samples as the hypervisor does: where one is due.
  private func timeline(_ changes: some Sequence<(clock: UInt64, frames: Int)>) -> TableTimeline {
    var timeline = TableTimeline()
    timeline.take(counts(0), at: 0)
    for change in changes where change.clock >= timeline.due { timeline.take(counts(change.frames), at: change.clock) }
    return timeline
  }

  @Test func `what does not change takes no samples, however long it lasts`() {
    let line = timeline((1...100_000).map { (clock: UInt64($0) * 1000, frames: $0 == 1 ? 7 : 8) })
    #expect(line.samples.map(\.clock) == [0, 5000])
    #expect(line.samples.map { $0.tables[.shadow1] } == [0, 8])
    #expect(line.interval == 4096)
  }

  @Test(arguments: [100, 4096, 5000, 1 << 20, 1 << 40])
  func `changes without end take a bounded number of samples, spread over the whole time`(step: UInt64) {
    let line = timeline((1...10_000).lazy.map { (clock: UInt64($0) * step, frames: $0) })
    #expect(line.samples.count <= TableTimeline.capacity && line.samples.count >= TableTimeline.capacity / 2 - 1)
    // A power of two, and the least that is enough.
    #expect(line.interval.nonzeroBitCount == 1)
    #expect(line.interval <= max(4096, 4 * 10_000 * step / UInt64(TableTimeline.capacity)))
    for (before, after) in zip(line.samples.dropFirst(), line.samples.dropFirst(2)) {
      #expect(before.clock / line.interval < after.clock / line.interval)
      #expect(after.clock - before.clock <= 2 * max(line.interval, step))
    }
    for sample in line.samples { #expect(UInt64(sample.tables[.shadow1]) * step == sample.clock, "a sample is the truth") }
    #expect(10_000 * step - (line.samples.last?.clock ?? 0) <= 2 * max(line.interval, step))
  }

  @Test func `the end of time is no trap`() {
    let line = timeline([(.max - 5000, 1), (.max - 1, 2), (.max, 3)])
    #expect(line.samples.first?.clock == 0 && line.samples.count <= 4)
  }

  @Test func `neighbours differ, also where what lay between them is gone`() {
    // Up and down again within an interval that becomes one.
    let line = timeline((1...1000).map { (clock: UInt64($0) * 4096, frames: $0 % 2) })
    for (before, after) in zip(line.samples, line.samples.dropFirst()) { #expect(before.tables != after.tables) }
    #expect(line.samples.count <= TableTimeline.capacity)
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
