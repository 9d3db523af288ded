import Emulator
import Foundation

/// Control-C: the first stops the machine that runs, so that it ends in good order; a second ends the process.
enum Interruption {
  /// The machine to stop. The handler only reads it, and it changes only between runs.
  nonisolated(unsafe) private static var machine: VirtualMachine?
  nonisolated(unsafe) private static var count: sig_atomic_t = 0

  /// Control-C stops the machine however often it is pressed, and never ends the process: somebody sits at a prompt.
  nonisolated(unsafe) static var isPatient = false

  /// What was requested has been seen to.
  static func clear() { count = 0 }

  /// Whether Control-C was pressed.
  static var wasRequested: Bool { count > 0 }

  /// Sees to signals for as long as the work takes.
  static func whileWatching<Result>(_ watched: VirtualMachine, _ work: () throws -> Result) rethrows -> Result {
    machine = watched
    install()
    defer { machine = nil }
    return try work()
  }

  private static func install() {
    // A parent may have started this process from a thread that blocks signals, and the mask is inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    signal(SIGINT) { _ in
      Interruption.count += 1
      guard Interruption.count == 1 || Interruption.isPatient else {
        Terminal.leave()
        _exit(130)
      }
      Interruption.machine?.requestStop()
    }
    // A closed pipe is seen where it is written to.
    signal(SIGPIPE, SIG_IGN)
    for ending in [SIGTERM, SIGHUP, SIGQUIT] {
      signal(ending) { number in
        Terminal.leave()
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}
