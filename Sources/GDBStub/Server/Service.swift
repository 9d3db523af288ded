import Debugger
import Emulator
import Machine

/// Gives a session to gdb: takes its letters on the thread that owns the machine, and runs the machine as it says.
public final class Service {
  private let stub: Stub
  private let mailbox: Mailbox
  private let stopRequest: StopRequest
  private var connection: Connection?
  /// Whether somebody at this end wants to stop the guest.
  private let isInterrupted: () -> Bool
  /// Called when that has been done; nil: it is the end.
  private let seeToInterruption: (() -> Void)?
  /// gdb wants the machine's end.
  public private(set) var isKilled = false
  /// The guest has ended, and gdb went on all the same.
  private var outcome: RunOutcome?
  /// The machine is to run on without gdb.
  public private(set) var runsFree = false

  /// Milliseconds between two looks at whether somebody wants to stop.
  private static let period: Int32 = 100

  /// - Parameters:
  ///   - isInterrupted: whether somebody at this end wants to stop the guest.
  ///   - seeToInterruption: called when that has been done; nil: it is the end of the run.
  public init(
    _ stub: Stub, _ mailbox: Mailbox, isInterrupted: @escaping () -> Bool, seeToInterruption: (() -> Void)? = nil
  ) {
    self.seeToInterruption = seeToInterruption
    self.stub = stub
    self.mailbox = mailbox
    self.isInterrupted = isInterrupted
    stopRequest = stub.session.machine.processor.stopRequest
  }

  /// Readable while gdb has something to say.
  public var descriptor: Int32 { mailbox.descriptor }

  /// Whether gdb has something to say: a guest that waits for input is to wait no longer.
  public var isWanted: Bool { mailbox.hasUrgent }

  // MARK: Alone

  /// Runs the guest to its end, with gdb whenever it is there.
  ///
  /// - Parameter waits: not a single instruction is executed before gdb has come.
  public func run(waits: Bool) -> RunOutcome {
    runsFree = !waits
    while true {
      if isInterrupted() {
        connection?.send([Array("X02".utf8)])
        return .interrupted
      }
      if isKilled { return .interrupted }
      if let outcome { return outcome }
      if runsFree, connection == nil {
        letGo()
        // What else stops a run, a command of `monitor` has left behind.
        if case .ended(let outcome) = stub.session.resume() { return outcome }
      }
      guard let letter = mailbox.take(wait: runsFree ? 0 : Self.period) else { continue }
      handle(letter)
    }
  }

  // MARK: Beside a prompt

  /// Waits until gdb has come.
  public func awaitConnection() {
    while connection == nil, !isInterrupted() {
      if let letter = mailbox.take(wait: Self.period) { handle(letter) }
    }
  }

  /// Does all that gdb has asked for; between two requests the machine is somebody else's.
  public func serve() {
    while let letter = mailbox.take(wait: 0) { handle(letter) }
    stopRequest.clear()
  }

  /// Serves until gdb has gone.
  public func serveToEnd() {
    while connection != nil, !isKilled, !isInterrupted() {
      if let letter = mailbox.take(wait: Self.period) { handle(letter) }
    }
  }

  // MARK: Letters

  private func handle(_ letter: Mailbox.Letter) {
    switch letter {
    case .connected(let new):
      connection = new
      runsFree = false
      stub.connect()
    case .closed:
      // Whoever comes back finds the machine where it stands.
      connection = nil
      stub.disconnect()
    // What was to be stopped has stopped by itself.
    case .interrupt: break
    case .packet(let payload): handle(stub.answer(Request(payload)))
    }
    if letter.isUrgent { stopRequest.clear() }
  }

  private func handle(_ answer: Stub.Answer) {
    connection?.send(answer.packets)
    switch answer.consequence {
    case .nothing: break
    case .stopAcknowledging: connection?.stopAcknowledging()
    case .resume(let resumption): perform(resumption)
    case .detach: leave()
    case .kill:
      isKilled = true
      leave()
    case .end(let ending):
      outcome = ending
      leave()
    }
  }

  private func leave() {
    stub.disconnect()
    connection = nil
    runsFree = true
  }

  private func perform(_ resumption: Stub.Resumption) {
    while true {
      letGo()
      let stop = stub.perform(resumption)
      guard case .interrupted = stop else {
        connection?.send(stub.report(stop))
        return
      }
      if isInterrupted() {
        guard let seeToInterruption else { return }
        seeToInterruption()
        return stopped(stop)
      }
      switch mailbox.take(wait: 0) {
      case .interrupt: return stopped(stop)
      case .closed:
        // gdb was lost while the machine ran: it runs on.
        connection = nil
        stub.disconnect()
        runsFree = true
        return
      case .packet(let payload):
        stopped(stop)
        return handle(stub.answer(Request(payload)))
      case .connected(let new):
        connection = new
        stub.connect()
        return
      // Nobody knows why.
      case nil: continue
      }
    }
  }

  private func stopped(_ stop: Stop) { connection?.send(stub.report(stop)) }

  /// Before the machine runs: what was to stop it before is past, what has come since is not.
  private func letGo() {
    stopRequest.clear()
    if mailbox.hasUrgent || isInterrupted() { stopRequest.raise() }
  }
}
