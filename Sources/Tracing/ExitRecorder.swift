import Machine

/// Writes down every exit of a processor. The end of an assisted instruction is none: no hardware hands it over.
final class ExitRecorder: MachineObserver {
  private unowned let processor: Processor
  private let limit: Int
  private var encoder = ExitEncoder()
  private let hash = RunningHash()
  private var count: UInt64 = 0
  private var kept: [TracedExit] = []

  /// - Parameter limit: how many exits to keep; the hash goes over all.
  init(_ processor: Processor, keeping limit: Int) {
    self.processor = processor
    self.limit = min(max(limit, 0), ExitSequence.greatestLimit)
  }

  func exited(_ exit: VMExit, at clock: UInt64, retired: UInt64) {
    let traced = TracedExit(exit, rip: processor.state.rip, clock: clock, retired: retired)
    hash.add(encoder.encode(traced))
    count += 1
    if kept.count < limit { kept.append(traced) }
  }

  /// What was written down so far.
  var sequence: ExitSequence {
    var sequence = ExitSequence()
    sequence.count = count
    sequence.kept = kept
    sequence.reasons = encoder.reasons
    sequence.sha256 = hash.text
    return sequence
  }
}
