import Devices
import Support
import Testing

@testable import Emulator

/// A whole machine goes back to a snapshot and does the same again, under every kind of paging, with the timer running,
/// output written and input half read.
@Suite struct VirtualMachineTests {
  private struct Result: Equatable {
    var outcome: RunOutcome
    var statistics: Statistics
    var output: String
  }

  private let input = Array("abcq".utf8)

  private func machine(_ paging: PagingKind, _ console: BufferConsole) throws -> VirtualMachine {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 16 << 20
    return try VirtualMachine(configuration, guest: GuestImage(name: "echo", bytes: EchoGuest.image), console: console)
  }

  private func finish(_ machine: VirtualMachine, _ console: BufferConsole) -> Result {
    let outcome = machine.run()
    return Result(outcome: outcome, statistics: machine.statistics, output: console.text)
  }

  private func reference(_ paging: PagingKind) throws -> Result {
    let console = BufferConsole(input: input)
    let result = finish(try machine(paging, console), console)
    #expect(result.outcome == .shutdown(.debugExit(12)))
    #expect(result.output == "...a...b...c...q")
    return result
  }

  /// A machine in the middle: after the second byte, before the third.
  private func middle(_ paging: PagingKind) throws -> (VirtualMachine, BufferConsole) {
    let console = BufferConsole(input: input)
    let machine = try machine(paging, console)
    let outcome = machine.run(until: .init(cycles: 23_000_000))
    #expect(outcome == .limit(.cycles(23_000_000)))
    #expect(console.text == "...a...b.")
    #expect(machine.devices.state.serial.consumed == 2)
    #expect(machine.devices.nextDeadline != .max)
    return (machine, console)
  }

  @Test("restored, twice, a machine does the same again", arguments: PagingKind.all)
  func sameMachine(_ paging: PagingKind) throws {
    let reference = try reference(paging)
    let (machine, console) = try middle(paging)
    let statistics = machine.statistics
    let snapshot = machine.snapshot()
    #expect(machine.statistics == statistics, "taking a snapshot changes nothing")
    for _ in 0..<3 {
      #expect(finish(machine, console) == reference)
      machine.restore(snapshot)
      #expect(machine.statistics == statistics)
    }
  }

  @Test("a fresh machine goes on from another's snapshot", arguments: PagingKind.all)
  func freshMachine(_ paging: PagingKind) throws {
    let reference = try reference(paging)
    let (machine, _) = try middle(paging)
    let snapshot = machine.snapshot()
    // What the first one does afterwards is nothing to the second.
    _ = machine.run()
    for _ in 0..<2 {
      let console = BufferConsole(input: input)
      let fresh = try self.machine(paging, console)
      fresh.restore(snapshot)
      var result = finish(fresh, console)
      result.output = "...a...b." + result.output
      #expect(result == reference)
    }
  }

  @Test("a snapshot of a restored machine is as good", arguments: PagingKind.all)
  func secondGeneration(_ paging: PagingKind) throws {
    let reference = try reference(paging)
    let (machine, console) = try middle(paging)
    machine.restore(machine.snapshot())
    _ = machine.run(until: .init(cycles: 31_000_000))
    #expect(console.text == "...a...b...c.")
    let later = machine.snapshot()
    _ = machine.run()
    machine.restore(later)
    #expect(finish(machine, console) == reference)
  }

  @Test("automatic snapshots change no cycle", arguments: PagingKind.all, [100_003, 1_000_000] as [UInt64])
  func everySoOften(_ paging: PagingKind, _ interval: UInt64) throws {
    var reference = try reference(paging)
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 16 << 20
    configuration.snapshotEvery = interval
    let console = BufferConsole(input: input)
    let machine = try VirtualMachine(
      configuration, guest: GuestImage(name: "echo", bytes: EchoGuest.image), console: console)
    reference.statistics.config["snapshot.every"] = .number(interval)
    #expect(finish(machine, console) == reference)
    #expect(machine.snapshotsTaken == reference.statistics.instructions / interval)
  }

  @Test("automatic snapshots leave limits where they are")
  func limits() throws {
    var configuration = try Configuration(pagings: [.nested])
    configuration.snapshotEvery = 1000
    configuration.maxInstructions = 2500
    let machine = try VirtualMachine(configuration, guest: GuestImage.find("hello"), console: BufferConsole())
    #expect(machine.run(until: .init(instructions: 1500)) == .limit(.instructions(1500)))
    #expect(machine.processor.state.retired == 1500)
    #expect(machine.run() == .limit(.instructions(2500)))
    #expect(machine.processor.state.retired == 2500)
    #expect(machine.snapshotsTaken == 2)
  }
}

/// A console at which somebody types a byte each time that the machine has nothing else to do.
private final class TypingConsole: Console {
  private let text: [UInt8]
  private var typed = 0
  private(set) var output = ""

  init(_ text: String) { self.text = Array(text.utf8) }

  func write(_ byte: UInt8, at index: Int) { output.unicodeScalars.append(Unicode.Scalar(byte)) }
  func byte(at index: Int) -> UInt8? { index < typed ? text[index] : nil }
  func isExhausted(at index: Int) -> Bool { false }

  func awaitByte(at index: Int) -> Bool {
    typed = min(index + 1, text.count)
    return index < typed
  }
}

@Suite struct WaitingGuestTests {
  @Test("a guest that halted until somebody types goes on then", arguments: PagingKind.all)
  func typed(_ paging: PagingKind) throws {
    for (text, outcome) in [("abq", RunOutcome.shutdown(.debugExit(113))), ("ab", .waitsForNothing)] {
      let console = TypingConsole(text)
      let machine = try VirtualMachine(
        try Configuration(pagings: [paging]), guest: GuestImage(name: "echo", bytes: EchoGuest.haltingImage),
        console: console)
      #expect(machine.run() == outcome)
      #expect(console.output == ">" + text)
    }
  }
}

@Suite struct WalkStatisticsTests {
  @Test("walks are told by the level at which they begin and by their references", arguments: PagingKind.all)
  func histograms(_ paging: PagingKind) throws {
    let machine = try VirtualMachine(
      try Configuration(pagings: [paging]), guest: GuestImage.find("paging-tour"), console: BufferConsole())
    _ = machine.run()
    let walks = machine.statistics.walks
    #expect(walks.count > 0)
    #expect(walks.byLevel.values.reduce(0, +) == walks.count)
    #expect(Set(walks.byLevel.keys) == ["1", "2", "3", "root"])
    #expect(walks.byReferences.values.reduce(0, +) == walks.count)
    let references = walks.byReferences.reduce(0) { $0 + UInt64($1.key)! * $1.value }
    #expect(references == walks.references)
    #expect(walks.byLevel["root"] == walks.count - walks.pagingStructureCacheHits)
  }
}
