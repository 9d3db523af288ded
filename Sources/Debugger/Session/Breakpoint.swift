import Emulator
import Machine

/// Where or at what a run stops.
public struct Breakpoint: Sendable {
  public enum Kind: Equatable, Sendable {
    /// Before the instruction at a linear address.
    case code(UInt64)
    /// After an access.
    case watch(Watch)
    case catching(CatchPoint)
  }

  /// Memory to watch.
  public struct Watch: Equatable, Sendable {
    public enum Access: String, Sendable { case write, read, access }
    public var access: Access
    public var address: UInt64
    public var length: UInt64
    /// A guest-physical address; else a linear one.
    public var isPhysical: Bool

    public init(access: Access, address: UInt64, length: UInt64, isPhysical: Bool) {
      self.access = access
      self.address = address
      self.length = length
      self.isPhysical = isPhysical
    }
  }

  public var number: Int
  public var kind: Kind
  public var isEnabled = true
  /// It goes once it has stopped a run.
  public var isTemporary = false
  /// How the user named the place.
  public var text: String
  public var condition: Expression?
  public var conditionText: String?
  /// A condition of a front end's own.
  public var predicate: (@Sendable (Session) -> Bool)?
  /// Commands to do after a stop.
  public var commands: [String] = []
  /// How often it has stopped a run, and how many more times it is passed over.
  public var hits = 0
  public var ignored = 0
  /// What a watched stretch held last.
  var value: [UInt8]?

  public init(number: Int, kind: Kind, text: String) {
    self.number = number
    self.kind = kind
    self.text = text
  }
}

/// An event to stop at.
public enum CatchPoint: Equatable, Sendable {
  /// The delivery of an exception or interrupt; nil: any exception.
  case exception(UInt8?)
  /// Any interrupt from outside.
  case interrupt
  /// An exit to the hypervisor; nil: any.
  case exit(ExitReason?)
  /// A write of a control register; nil: any.
  case controlRegister(Int?)
  case invalidation
  /// A store to a table that CR3 leads to.
  case tableWrite
  case mode
  /// An access to an I/O port; nil: any.
  case port(UInt16?)
  case modelSpecificRegister(UInt32?)
  case systemCall
}

/// Why a run has stopped at a breakpoint.
public struct BreakpointHit: Sendable {
  public var number: Int
  public var kind: Breakpoint.Kind
  public var text: String
  /// What happened, for people.
  public var detail: String
  public var isTemporary = false
  public var commands: [String] = []

  /// In a line, for people.
  public var report: String {
    let title =
      switch kind {
      case .code: isTemporary ? "Temporary breakpoint" : "Breakpoint"
      case .watch: "Watchpoint"
      case .catching: "Catchpoint"
      }
    return "\(title) \(number), \(text)\(detail.isEmpty ? "" : ": \(detail)")"
  }
}

/// Why a run has ended for now.
public enum Stop: Sendable {
  /// Every step asked for was made.
  case stepped
  case breakpoint([BreakpointHit])
  /// A step has led into a handler.
  case delivered(Event, from: UInt64)
  /// The place that `finish`, `until` or a time travel wanted.
  case arrived
  /// Control-C.
  case interrupted
  /// The guest has ended.
  case ended(RunOutcome)
  /// Back at the first instruction.
  case beginning
}
