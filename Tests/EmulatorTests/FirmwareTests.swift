import Devices
import Support
import Testing

@testable import Emulator

/// What firmware has left for a guest that goes back to real mode.
@Suite struct FirmwareTests {
  private func run(_ paging: PagingKind, until condition: VirtualMachine.StopCondition = .end) throws -> RunOutcome {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 16 << 20
    let guest = GuestImage(name: "real-mode", bytes: RealModeGuest.image)
    return try VirtualMachine(configuration, guest: guest, console: BufferConsole()).run(until: condition)
  }

  /// Two seconds from the first tick on are 36.4 ticks of 18.2 Hz; the first alarm comes after one of them.
  @Test(
    "in real mode firmware's handlers serve the timer, the clock, the keyboard and the coprocessor",
    arguments: PagingKind.all)
  func handlers(_ paging: PagingKind) throws {
    #expect(try run(paging) == .shutdown(.debugExit(36)))
  }
}
