/// Finds the least recently used way of a set that is too wide to be searched at every replacement: a fully associative
/// TLB of 72 entries.
///
/// The ways are sorted by their stamps once, and taken from the front as victims are needed. Stamps only grow, so a way
/// whose stamp has not changed since the sorting is older than all that come after it, and older than all that were
/// used or filled since; one whose stamp has changed is passed over. The answer is that of a search through all stamps,
/// ties included: the ways with the newest stamp at the sorting stay out, so that what is filled later is younger than
/// anything in the queue.
///
/// Safety: the header and its buffer of `ways` elements belong to the owner of the array, who calls `deallocate`.
struct VictimQueue {
  private struct Candidate {
    var stamp: UInt64
    var way: Int
    @inline(__always) static func < (left: Candidate, right: Candidate) -> Bool {
      left.stamp < right.stamp || left.stamp == right.stamp && left.way < right.way
    }
  }

  private struct Header {
    let ways: Int
    let order: UnsafeMutablePointer<Candidate>
    /// The next candidate, and the end of the queue.
    var next: UnsafeMutablePointer<Candidate>
    var end: UnsafeMutablePointer<Candidate>
  }

  /// One pointer, so that an array without a queue is asked for it by one comparison.
  private let header: UnsafeMutablePointer<Header>

  init(ways: Int) {
    let order = UnsafeMutablePointer<Candidate>.allocate(capacity: ways)
    for way in 0..<ways { (order + way).initialize(to: Candidate(stamp: 0, way: way)) }
    header = .allocate(capacity: 1)
    header.initialize(to: Header(ways: ways, order: order, next: order, end: order))
  }

  func deallocate() {
    header.pointee.order.deallocate()
    header.deallocate()
  }

  /// Stamps went back: a way was emptied, or all were replaced.
  func forget() {
    header.pointee.next = header.pointee.order
    header.pointee.end = header.pointee.order
  }

  /// The way with the lowest stamp, the first of equals.
  @inline(__always) func victim(_ stamps: UnsafeMutablePointer<UInt64>) -> Int {
    let next = header.pointee.next
    if next < header.pointee.end, stamps[next.pointee.way] == next.pointee.stamp { return next.pointee.way }
    return sought(stamps)
  }

  /// The same, past the ways that were used since.
  @inline(never) private func sought(_ stamps: UnsafeMutablePointer<UInt64>) -> Int {
    while header.pointee.next < header.pointee.end {
      let candidate = header.pointee.next.pointee
      if stamps[candidate.way] == candidate.stamp { return candidate.way }
      header.pointee.next += 1
    }
    sort(stamps)
    return header.pointee.order.pointee.way
  }

  /// The victim is given a new stamp at once: it need not be passed over.
  @inline(__always) func take() { header.pointee.next += 1 }

  /// By insertion: the ways mostly stand in order from the last time.
  @inline(never) private func sort(_ stamps: UnsafeMutablePointer<UInt64>) {
    let order = header.pointee.order
    var last = Candidate(stamp: 0, way: -1)
    for place in 0..<header.pointee.ways {
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
    var end = header.pointee.ways
    while end > 0 && order[end &- 1].stamp == last.stamp { end &-= 1 }
    header.pointee.next = order
    header.pointee.end = order + end
  }

  @inline(__always) private func insert(_ candidate: Candidate, at place: Int) {
    let order = header.pointee.order
    var hole = place
    while hole > 0 && candidate < order[hole &- 1] {
      order[hole] = order[hole &- 1]
      hole &-= 1
    }
    order[hole] = candidate
  }
}
