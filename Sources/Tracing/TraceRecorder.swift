import Devices
import Emulator

/// A machine whose run is written down. Being watched changes nothing in it.
public final class TraceRecorder {
  public let machine: VirtualMachine
  private let name: String
  private let console = BufferConsole()
  private let recorder: ExitRecorder

  /// Makes the machine, ready for its first instruction; it gets no input.
  /// - Parameters:
  ///   - name: what the trace will be called.
  ///   - limit: how many exits to keep.
  public init(
    _ name: String, _ configuration: Configuration, guest: GuestImage, keeping limit: Int = ExitSequence.usualLimit
  ) throws(SetupError) {
    self.name = name
    machine = try VirtualMachine(configuration, guest: guest, console: console)
    recorder = ExitRecorder(machine.processors, keeping: limit)
  }

  /// The trace of a run that ended.
  public func trace(_ outcome: RunOutcome) -> Trace {
    var statistics = machine.statistics
    statistics.outcome = Statistics.Outcome(outcome)
    return Trace(name: name, statistics: statistics, output: console.output, exits: recorder.sequence)
  }
}
