import ArgumentParser
import Debugger
import Devices
import Emulator
import Foundation
import GDBStub

/// The options by which gdb is served.
struct GDBOptions: ParsableArguments {
  @Option(
    name: .customLong("gdb"), parsing: .unconditional,
    help: ArgumentHelp(
      "Serve gdb: `target remote [HOST]:PORT` there. Port 0: one that is free.", valueName: "[host:]port"))
  var address: String?

  @Flag(help: "Wait for gdb before the first instruction.")
  var wait = false

  /// Where to listen, if anywhere.
  var endpoint: Endpoint? {
    get throws {
      guard let address else {
        guard !wait else { throw SetupError.usage("wait: there is no --gdb to wait for") }
        return nil
      }
      do {
        return try Endpoint(address)
      } catch {
        throw SetupError.usage(error.description)
      }
    }
  }
}

/// A server with the session that it serves.
final class GDBService {
  let service: Service
  let server: Server

  /// - Parameter quiet: nothing is said of where it listens.
  init(
    _ session: Session, _ endpoint: Endpoint, symbols: [UInt8]? = nil, quiet: Bool,
    prepare: (Prompt) -> Void, seeToInterruption: (() -> Void)? = nil
  ) throws {
    let stopRequest = session.machine.processor.stopRequest
    do {
      server = try Server(endpoint) { stopRequest.raise() }
    } catch {
      throw SetupError(.input, error.description)
    }
    service = Service(
      Stub(session, symbols: symbols, prepare: prepare), server.mailbox,
      isInterrupted: { Interruption.wasRequested }, seeToInterruption: seeToInterruption)
    if !quiet { Diagnostics.say("gdb: target remote \(server.address)\n") }
  }
}

/// A guest that runs by itself, or as gdb says while that is there.
struct ServedRun {
  let outcome: RunOutcome
  let statistics: Statistics

  init(
    _ configuration: Configuration, _ guest: GuestImage, _ endpoint: Endpoint, waits: Bool, quiet: Bool
  ) throws {
    // A guest that waits for input must not keep gdb waiting.
    final class Attention { var isWanted: () -> Bool = { false } }
    let attention = Attention()
    let input = HostInput(isInterrupted: { Interruption.wasRequested || attention.isWanted() })
    let console = SessionConsole(source: CapturedConsole(input: input))
    console.output = { _ = Diagnostics.writeBytes($0, to: STDOUT_FILENO) }
    input.beforeWaiting = { console.flush() }
    let machine = try VirtualMachine(configuration, guest: guest, console: console)
    let session = Session(machine, console: console)
    let gdb = try GDBService(session, endpoint, quiet: quiet, prepare: Debug.giveFiles)
    attention.isWanted = { [unowned service = gdb.service] in service.isWanted }
    Terminal.enter()
    defer { Terminal.leave() }
    outcome = Interruption.whileWatching(machine) { gdb.service.run(waits: waits) }
    gdb.server.close()
    console.flush()
    var statistics = machine.statistics
    statistics.outcome = Statistics.Outcome(outcome)
    self.statistics = statistics
  }
}
