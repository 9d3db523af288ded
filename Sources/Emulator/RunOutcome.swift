import Machine

/// Why a run ended.
public enum RunOutcome: Equatable, Sendable {
  /// A limit that a user set.
  public enum Limit: Equatable, Sendable {
    case instructions(UInt64)
    case cycles(UInt64)
  }

  /// The guest asked for the end.
  case shutdown(Shutdown)
  /// The processor halted with interrupts off.
  case haltedForEver
  /// Every processor waits for an interrupt that nothing can bring.
  case waitsForNothing
  case limit(Limit)
  /// The guest could not handle an exception; the message says where.
  case tripleFault(String)
  /// The guest's exceptions raise each other without end; the message says where.
  case lockedUp(String)
  /// The guest did what Penumbra does not support; the message names it.
  case unsupported(String)
  /// `--check-invariants` found one broken: a defect of Penumbra's own; the message names it.
  case violated(String)
  /// Stopped from outside.
  case interrupted
  /// Something has happened that a debugger wants to see (`Processor.setPauses`, `requestPause`).
  case paused

  /// The process's exit status. A guest's own are odd, Penumbra's are even.
  public var exitStatus: Int32 {
    switch self {
    // As QEMU's isa-debug-exit, of which the system passes on the low eight bits.
    case .shutdown(.debugExit(let value)): Int32(value << 1 & 0xff | 1)
    case .shutdown(.powerOff), .shutdown(.reset), .haltedForEver: 0
    case .tripleFault, .lockedUp, .unsupported: 2
    case .waitsForNothing, .limit: 4
    case .violated: 70
    case .interrupted, .paused: 130
    }
  }

  /// The name in statistics: `debug-exit`, `limit`, ...
  public var name: String {
    switch self {
    case .shutdown(.debugExit): "debug-exit"
    case .shutdown(.powerOff): "power-off"
    case .shutdown(.reset): "reset"
    case .haltedForEver: "halted"
    case .waitsForNothing: "waits-for-nothing"
    case .limit: "limit"
    case .tripleFault: "triple-fault"
    case .lockedUp: "locked-up"
    case .unsupported: "unsupported"
    case .violated: "violated"
    case .interrupted: "interrupted"
    case .paused: "paused"
    }
  }

  /// What happened, for people, in a line or a few.
  public var message: String {
    switch self {
    case .shutdown(.debugExit(let value)): "the guest wrote \(value) to the debug-exit port"
    case .shutdown(.powerOff): "the guest powered off"
    case .shutdown(.reset): "the guest reset the machine"
    case .haltedForEver: "the guest halted with interrupts off"
    case .waitsForNothing: "the guest waits for an interrupt that nothing can bring"
    case .limit(.instructions(let count)): "the limit of \(count) instructions was reached"
    case .limit(.cycles(let count)): "the limit of \(count) cycles was reached"
    case .tripleFault(let message): message.isEmpty ? "triple fault" : message
    case .lockedUp(let message): message.isEmpty ? "locked up" : message
    case .unsupported(let message): message.isEmpty ? "the guest did what is not supported" : message
    case .violated(let message): "invariant broken: \(message)"
    case .interrupted: "interrupted"
    case .paused: "paused"
    }
  }
}
