/// Finds the least recently used way of a set that is too wide to be searched at every replacement: a fully associative
/// TLB of 72 entries.
///
/// The ways are sorted by their stamps once, and taken from the front as victims are needed. Stamps only grow, so a way
/// whose stamp has not changed since the sorting is older than all that come after it, and older than all that were
/// used or filled since; one whose stamp has changed is passed over. The answer is that of a search through all stamps,
/// ties included: the ways with the newest stamp at the sorting stay out, so that what is filled later is younger than
/// anything in the queue.
///
/// Safety: the buffers have `ways` and two elements, and belong to the owner of the array, who calls `deallocate`.
struct VictimQueue {
  private struct Candidate {
    var stamp: UInt64
    var way: Int
    @inline(__always) static func < (left: Candidate, right: Candidate) -> Bool {
      left.stamp < right.stamp || left.stamp == right.stamp && left.way < right.way
    }
  }

  private let ways: Int
  private let order: UnsafeMutablePointer<Candidate>
  /// The place of the next candidate, and the end of the queue.
  private let bounds: UnsafeMutablePointer<(next: Int, end: Int)>

  init(ways: Int) {
    self.ways = ways
    order = .allocate(capacity: ways)
    for way in 0..<ways { (order + way).initialize(to: Candidate(stamp: 0, way: way)) }
    bounds = .allocate(capacity: 1)
    bounds.initialize(to: (0, 0))
  }

  func deallocate() {
    order.deallocate()
    bounds.deallocate()
  }

  /// Stamps went back: a way was emptied, or all were replaced.
  func forget() { bounds.pointee = (0, 0) }

  /// The way with the lowest stamp, the first of equals.
  @inline(__always) func victim(_ stamps: UnsafeMutablePointer<UInt64>) -> Int {
    while bounds.pointee.next < bounds.pointee.end {
      let candidate = order[bounds.pointee.next]
      if stamps[candidate.way] == candidate.stamp { return candidate.way }
      bounds.pointee.next &+= 1
    }
    sort(stamps)
    return order[0].way
  }

  /// The victim is given a new stamp at once: it need not be passed over.
  @inline(__always) func take() { bounds.pointee.next &+= 1 }

  /// By insertion: the ways mostly stand in order from the last time.
  @inline(never) private func sort(_ stamps: UnsafeMutablePointer<UInt64>) {
    var last = Candidate(stamp: 0, way: -1)
    for place in 0..<ways {
      let way = order[place].way
      let candidate = Candidate(stamp: stamps[way], way: way)
      if last < candidate {
        order[place].stamp = candidate.stamp
        last = candidate
      } else {
        insert(candidate, at: place)
        last = order[place]
      }
    }
    var end = ways
    while end > 0 && order[end &- 1].stamp == last.stamp { end &-= 1 }
    bounds.pointee = (0, end)
  }

  @inline(__always) private func insert(_ candidate: Candidate, at place: Int) {
    var hole = place
    while hole > 0 && candidate < order[hole &- 1] {
      order[hole] = order[hole &- 1]
      hole &-= 1
    }
    order[hole] = candidate
  }
}
