/// Which threads a request is of. Processors are threads, numbered from 1.
public enum ThreadSelection: Equatable, Sendable {
  case all
  case any
  case one(Int)

  /// The processor's index, if one is named.
  var processor: Int? {
    guard case .one(let number) = self else { return nil }
    return number - 1
  }
}

/// How one thread, or all that no other action names, is to go on. Signals that a user wants to pass are dropped: a
/// processor has none.
public struct ResumeAction: Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    case run
    case step
    /// Steps while the program counter is in a range.
    case range(from: UInt64, to: UInt64)
    case stop
  }
  public var kind: Kind
  public var threads: ThreadSelection

  public init(_ kind: Kind, _ threads: ThreadSelection) {
    self.kind = kind
    self.threads = threads
  }
}

/// Where gdb wants to stop.
public struct BreakpointRequest: Hashable, Sendable {
  public enum Kind: UInt8, Sendable {
    case software, hardware, writeWatch, readWatch, accessWatch
  }
  public var kind: Kind
  public var address: UInt64
  /// The length of what is watched; of a code breakpoint the instruction's, which nobody here needs.
  public var length: UInt64

  public init(_ kind: Kind, _ address: UInt64, _ length: UInt64) {
    self.kind = kind
    self.address = address
    self.length = length
  }
}

/// A request of gdb's for a file: `vFile`.
public enum FileRequest: Equatable, Sendable {
  case setFileSystem
  case open(path: String)
  case status(Int)
  case read(Int, count: Int, offset: Int)
  case close(Int)
  /// What is not served: writing, deleting, links.
  case other
}

/// What gdb asks for.
public enum Request: Equatable, Sendable {
  case whyStopped
  case supported([String])
  case stopAcknowledging
  case readRegisters
  case writeRegisters([UInt8])
  case readRegister(Int)
  case writeRegister(Int, [UInt8])
  case readMemory(UInt64, count: Int)
  case readBinaryMemory(UInt64, count: Int)
  case writeMemory(UInt64, [UInt8])
  /// `Hg`: the thread that registers and memory are of; `Hc`: the one to go on.
  case selectThread(ThreadSelection, isForRunning: Bool)
  case isThreadAlive(ThreadSelection)
  case firstThreads, moreThreads, currentThread
  case threadText(ThreadSelection)
  case resume([ResumeAction])
  /// `c` and `s` with an address to go on from.
  case resumeAt(UInt64, ResumeAction.Kind)
  case resumeKinds
  case reverseStep, reverseContinue
  case insert(BreakpointRequest, conditions: [[UInt8]])
  case remove(BreakpointRequest)
  /// `qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH`
  case transfer(object: String, annex: String, offset: Int, length: Int)
  case isAttached
  case monitor(String)
  case emulatorFeatures
  case isMemoryPhysical
  case setMemoryPhysical(Bool)
  case stepFlagBits, stepFlags
  case setStepFlags(UInt64)
  case file(FileRequest)
  case symbolsOffered
  case detach, kill
  /// `vKill`, which wants an answer.
  case killProcess
  /// Something known that is written wrongly.
  case malformed
  /// Everything else: the empty answer says so.
  case unknown
}
