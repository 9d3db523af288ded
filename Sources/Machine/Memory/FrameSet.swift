/// A set of host frames: of those with tables that verdicts rest on, of those that are watched for writes.
///
/// Safety: the flags are freed with the set, and indexed by less than their number only.
final class FrameSet {
  private let flags: UnsafeMutableBufferPointer<Bool>

  init(frames: UInt64) {
    flags = .allocate(capacity: Int(frames))
    flags.initialize(repeating: false)
  }

  deinit { flags.deallocate() }

  @inline(__always) func contains(_ frame: UInt64) -> Bool { frame < UInt64(flags.count) && flags[Int(frame)] }

  @inline(__always) func insert(_ frame: UInt64) { if frame < UInt64(flags.count) { flags[Int(frame)] = true } }

  /// Whether it was there.
  func remove(_ frame: UInt64) -> Bool {
    guard contains(frame) else { return false }
    flags[Int(frame)] = false
    return true
  }
}
