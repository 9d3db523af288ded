/// What repeated string instructions need of the executor: the price of an element, the next deadline, and runs of
/// elements inside a page.
extension Processor {
  /// Charges one element of a string instruction to `execute`, whose base cost it is.
  @inline(__always) func chargeElement() { s.pointee.executed &+= costs.stringElement }

  /// Whether a repetition has to be broken off.
  @inline(__always) var deadlineReached: Bool {
    s.pointee.executed >= s.pointee.executedDeadline || stopRequest.isRaised
  }

  /// How many elements fit before the deadline; one at least, since an element that has begun is done.
  var elementsBeforeDeadline: Int {
    guard s.pointee.executedDeadline > s.pointee.executed else { return 1 }
    let cycles = s.pointee.executedDeadline - s.pointee.executed
    return Int(clamping: max(cycles / max(costs.stringElement, 1), 1))
  }

  /// A run of elements that begins at an address and stays in its page, where reads hit; nil where they have to be made
  /// one by one. The TLB way is stamped as if they had been; the caller counts the accesses of the elements that it
  /// does.
  func readableRun(_ address: UInt64, width: Int, maximum count: Int) -> (
    pointer: UnsafeMutableRawPointer, elements: Int
  )? {
    run(address, width, count) { $0.readTag }
  }

  /// The same for writes.
  func writableRun(_ address: UInt64, width: Int, maximum count: Int) -> (
    pointer: UnsafeMutableRawPointer, elements: Int
  )? {
    run(address, width, count) { $0.writeTag }
  }

  private func run(_ address: UInt64, _ width: Int, _ count: Int, _ tag: (DirectEntry) -> UInt64) -> (
    pointer: UnsafeMutableRawPointer, elements: Int
  )? {
    let entry = direct[DirectCache.index(address)]
    guard tag(entry) == address & ~0xfff,
      let pointer = UnsafeMutableRawPointer(bitPattern: UInt(entry.addend &+ address))
    else { return nil }
    let elements = min(count, (4096 - Int(address & 0xfff)) / width)
    guard elements > 0 else { return nil }
    entry.stamp.pointee = stamp
    return (pointer, elements)
  }
}
