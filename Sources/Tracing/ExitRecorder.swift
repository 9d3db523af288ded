import Machine

/// Writes down every exit of a machine's processors, in the order in which they happen. The end of an assisted instruction is none: no hardware hands it over.
final class ExitRecorder {
  private let limit: Int
  private let processors: Int
  /// A processor holds its observer weakly.
  private var watchers: [Watcher] = []
  private var encoder: ExitEncoder
  private let hash = RunningHash()
  private var count: UInt64 = 0
  private var kept: [TracedExit] = []

  /// - Parameter limit: how many exits to keep; the hash goes over all.
  init(_ processors: [Processor], keeping limit: Int) {
    self.limit = min(max(limit, 0), ExitSequence.greatestLimit)
    self.processors = processors.count
    encoder = ExitEncoder(processors: processors.count)
    watchers = processors.map { Watcher($0, self) }
  }

  /// What is told by one of the processors.
  private final class Watcher: MachineObserver {
    private unowned let processor: Processor
    private unowned let recorder: ExitRecorder

    init(_ processor: Processor, _ recorder: ExitRecorder) {
      (self.processor, self.recorder) = (processor, recorder)
      processor.observer = self
    }

    func exited(_ exit: VMExit, at clock: UInt64, retired: UInt64) {
      var traced = TracedExit(exit, rip: processor.state.rip, clock: clock, retired: retired)
      traced.processor = UInt64(processor.index)
      recorder.add(traced)
    }
  }

  private func add(_ traced: TracedExit) {
    hash.add(encoder.encode(traced))
    count += 1
    if kept.count < limit { kept.append(traced) }
  }

  /// What was written down so far.
  var sequence: ExitSequence {
    var sequence = ExitSequence()
    sequence.processors = processors
    sequence.count = count
    sequence.kept = kept
    sequence.reasons = encoder.reasons
    sequence.sha256 = hash.text
    return sequence
  }
}
