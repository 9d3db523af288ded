import Devices
import Machine
import Testing

@testable import Emulator

/// Several processors in one machine: the guest `processors` starts them, lets them count together, interrupt one
/// another, and follow changed mappings and changed code, and fails if anything is lost or stale.
@Suite struct ProcessorsTests {
  private struct Result: Equatable {
    var outcome: RunOutcome
    var statistics: Statistics
    var output: String
  }

  private static func configuration(
    _ paging: PagingKind, _ cpus: Int, _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Configuration {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 16 << 20
    configuration.cpus = cpus
    configuration.append = "rounds=40 laps=5 changes=6"
    change(&configuration)
    return configuration
  }

  private static func machine(_ configuration: Configuration, _ console: BufferConsole) throws -> VirtualMachine {
    try VirtualMachine(configuration, guest: GuestImage.find("processors"), console: console)
  }

  private static func result(_ machine: VirtualMachine, _ console: BufferConsole, _ outcome: RunOutcome) -> Result {
    Result(outcome: outcome, statistics: machine.statistics, output: console.text)
  }

  private static func run(_ configuration: Configuration) throws -> Result {
    let console = BufferConsole()
    let machine = try machine(configuration, console)
    return result(machine, console, machine.run())
  }

  /// What the guest prints when all went well.
  private static func output(_ cpus: Int) -> String {
    """
    processors: \(cpus)
    counted together: \(40 * cpus)
    counted in turn: \(40 * cpus)
    interrupts passed: \(5 * cpus)
    mappings changed: 6
    code changed: 6

    """
  }

  @Test("the guest finds nothing wrong", arguments: PagingKind.all, [1, 2, 3, 4, 16])
  func works(_ paging: PagingKind, _ cpus: Int) throws {
    let result = try Self.run(Self.configuration(paging, cpus))
    #expect(result.outcome == .shutdown(.debugExit(0)))
    #expect(result.output == Self.output(cpus))
  }

  @Test("64 processors", arguments: PagingKind.all)
  func many(_ paging: PagingKind) throws {
    let result = try Self.run(
      Self.configuration(paging, 64) { $0.append = "rounds=2 laps=1 changes=1" })
    #expect(result.output.hasPrefix("processors: 64\ncounted together: 128\n"))
    #expect(result.outcome == .shutdown(.debugExit(0)))
  }

  @Test("the same again gives the same, however the code is cut", arguments: PagingKind.all, [2, 4])
  func deterministic(_ paging: PagingKind, _ cpus: Int) throws {
    let reference = try Self.run(Self.configuration(paging, cpus))
    #expect(try Self.run(Self.configuration(paging, cpus)) == reference)
    for length in [1, 3] {
      var other = try Self.run(Self.configuration(paging, cpus) { $0.blockLength = length })
      other.statistics.config["block.length"] = .number(64)
      #expect(other == reference, "blocks of \(length)")
    }
  }

  @Test("automatic snapshots change no cycle", arguments: PagingKind.all, [2, 4])
  func snapshots(_ paging: PagingKind, _ cpus: Int) throws {
    var reference = try Self.run(Self.configuration(paging, cpus))
    let interval: UInt64 = 997
    let result = try Self.run(Self.configuration(paging, cpus) { $0.snapshotEvery = interval })
    reference.statistics.config["snapshot.every"] = .number(interval)
    #expect(result == reference)
  }

  @Test("a fresh machine goes on from another's snapshot", arguments: PagingKind.all, [2, 4])
  func freshMachine(_ paging: PagingKind, _ cpus: Int) throws {
    let configuration = try Self.configuration(paging, cpus)
    let reference = try Self.run(configuration)
    let first = BufferConsole()
    let machine = try Self.machine(configuration, first)
    _ = machine.run(until: .init(instructions: reference.statistics.instructions / 2))
    let (snapshot, before) = (machine.snapshot(), first.text)
    _ = machine.run()
    let second = BufferConsole()
    let fresh = try Self.machine(configuration, second)
    fresh.restore(snapshot)
    var result = Self.result(fresh, second, fresh.run())
    result.output = before + result.output
    #expect(result == reference)
  }

  @Test("where a run is cut changes nothing", arguments: PagingKind.all)
  func pieces(_ paging: PagingKind) throws {
    let configuration = try Self.configuration(paging, 3)
    let reference = try Self.run(configuration)
    let console = BufferConsole()
    var machine = try Self.machine(configuration, console)
    var outcome = RunOutcome.interrupted
    for limit in sequence(first: UInt64(101), next: { $0 + 101 }) {
      outcome = machine.run(until: .init(instructions: limit))
      guard outcome == .limit(.instructions(limit)) else { break }
      #expect(machine.instructionsRetired == limit)
    }
    #expect(Self.result(machine, console, outcome) == reference)

    let again = BufferConsole()
    machine = try Self.machine(configuration, again)
    for limit in sequence(first: UInt64(7777), next: { $0 + 7777 }) {
      outcome = machine.run(until: .init(cycles: limit))
      guard outcome == .limit(.cycles(limit)) else { break }
    }
    #expect(Self.result(machine, again, outcome) == reference)
  }

  @Test("under the instruction clock processors take turns alike under every kind of paging", arguments: [2, 4])
  func turns(_ cpus: Int) throws {
    for quantum in [64, 1000] as [UInt64] {
      let results = try PagingKind.all.map { paging in
        try Self.run(
          Self.configuration(paging, cpus) {
            $0.clock = .instructions
            $0.quantum = quantum
          })
      }
      for result in results {
        #expect(result.output == Self.output(cpus))
        #expect(result.statistics.cpus.map(\.instructions) == results[0].statistics.cpus.map(\.instructions))
        let regions = result.statistics.regions.mapValues(\.instructions)
        #expect(regions == results[0].statistics.regions.mapValues(\.instructions))
      }
    }
  }

  @Test("the processors' accounts add up to the machine's", arguments: PagingKind.all)
  func accounts(_ paging: PagingKind) throws {
    let statistics = try Self.run(Self.configuration(paging, 4)).statistics
    #expect(statistics.cpus.count == 4)
    var sum = CycleLedger()
    for cpu in statistics.cpus { sum.add(cpu.causes.ledger) }
    #expect(sum == statistics.causes.ledger)
    #expect(statistics.cpus.reduce(0) { $0 + $1.instructions } == statistics.instructions)
    var regions = CycleLedger()
    for region in statistics.regions.values { regions.add(region.causes.ledger) }
    #expect(regions == statistics.causes.ledger)
    // Every processor entered every chapter once, and came back to 0.
    for mark in 1...5 { #expect(statistics.regions["\(mark)"]?.visits == 4) }
    #expect(statistics.regions["0"]?.visits == 20)
    // All share one time: clocks end within a slice and what a hypervisor does for one exit.
    let clocks = statistics.cpus.map(\.cycles)
    #expect((clocks.max() ?? 0) - (clocks.min() ?? 0) < 40_000)
    #expect(statistics.cpus.allSatisfy { $0.causes[.idle] > 0 })
  }

  @Test("shadow tables that lose an entry are flushed on the other processors, which leave the guest for it")
  func shootdown() throws {
    let one = try Self.run(Self.configuration(.shadow(.trace), 1)).statistics
    #expect(one.shadow.remoteTlbFlush == 0)
    #expect(one.causes[.shootdown] == 0 && one.causes[.shadowLock] == 0)
    let four = try Self.run(Self.configuration(.shadow(.trace), 4)).statistics
    // Each change of a mapping takes one entry away.
    #expect(four.shadow.remoteTlbFlush >= 6)
    let price = try Configuration().profile[.remoteFlush]
    #expect(four.causes[.shootdown] > 0 && four.causes[.shootdown] % price == 0)
    #expect(four.exits["external-interrupt"]?.count ?? 0 > 0)
    #expect(try Self.run(Self.configuration(.nested, 4)).statistics.causes[.shootdown] == 0)
  }

  @Test("limits hold for all processors together", arguments: PagingKind.all)
  func limits(_ paging: PagingKind) throws {
    let console = BufferConsole()
    let machine = try Self.machine(
      Self.configuration(paging, 2) {
        $0.maxInstructions = 12_345
      }, console)
    #expect(machine.run() == .limit(.instructions(12_345)))
    #expect(machine.instructionsRetired == 12_345)
    let other = try Self.machine(Self.configuration(paging, 2) { $0.maxCycles = 200_000 }, BufferConsole())
    #expect(other.run() == .limit(.cycles(200_000)))
    let clocks = other.processors.map(\.clock)
    #expect(clocks.contains { $0 >= 200_000 })
    #expect(clocks.allSatisfy { $0 < 240_000 })
  }
}
