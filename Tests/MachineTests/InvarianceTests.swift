import Machine
import Support
import Testing

/// However a run is cut and looked at, it ends in the same state, to the cycle and to the last TLB entry.
@Suite(.serialized) struct InvarianceTests {
  static let guests: [(name: String, parameters: String)] = [
    ("hello", "cut me as you like"), ("paging-tour", ""),
    ("context-switch", "spaces=2 tasks=2 pages=4 switches=40 warmup=4 mode=user"),
    ("context-switch", "spaces=2 tasks=2 pages=4 switches=6 warmup=2 switch=timer hz=1000"),
    ("page-table-storm", "rounds=1 pages=32"),
  ]

  /// Every figure another prime; TLBs so small that code and data compete for them.
  static let profile = CostProfile.flat(
    .commonTLBs + .commonStructureCaches + .commonCaches + .primes + [
      .frequency: 200_000_000, .tlbData4KEntries: 12, .tlbData4KWays: 4, .tlbCode4KEntries: 3, .tlbCode4KWays: 1,
      .tlbL2Entries: 36, .tlbL2Ways: 12, .cacheL2Bytes: 16 << 10, .cacheL2Ways: 4, .cacheL3Bytes: 96 << 10,
      .cacheL3Ways: 3,
    ])

  static func options(block: Int = 64, clock: ClockSource = .cycles) -> ProcessorOptions {
    var options = ProcessorOptions()
    options.blockLength = block
    options.clock = clock
    return options
  }

  private struct Outcome {
    var result: RunResult
    var text: String
    var state: Fingerprint
    var instructions: UInt64
  }

  /// Runs a guest to its end, `run` by `run`.
  private static func outcome(
    _ guest: (name: String, parameters: String), _ options: ProcessorOptions,
    by next: (NativeGuest) -> RunResult = { $0.processor.run() }
  ) throws -> Outcome {
    let machine = try NativeGuest(guest.name, guest.parameters, profile: profile, options: options)
    var result = RunResult.limit
    while result == .limit && machine.processor.state.retired < 50_000_000 { result = next(machine) }
    return Outcome(
      result: result, text: machine.console.text,
      state: Fingerprint(machine.processor, memory: machine.memory), instructions: machine.processor.state.retired)
  }

  private static func compare(_ outcome: Outcome, _ expected: Outcome, _ how: String) {
    #expect(outcome.result == expected.result, "\(how)")
    #expect(outcome.text == expected.text, "\(how)")
    let differences = outcome.state.differences(from: expected.state)
    #expect(differences == [], "\(how)")
  }

  @Test(arguments: guests.indices, [ClockSource.cycles, .instructions])
  func `a run is the same however it is cut`(index: Int, clock: ClockSource) throws {
    let guest = Self.guests[index]
    let expected = try Self.outcome(guest, Self.options(clock: clock))
    guard case .shutdown = expected.result else {
      Issue.record("\(guest) ends with \(expected.result): \(expected.text.suffix(200))")
      return
    }
    for length in [1, 2, 7] {
      Self.compare(
        try Self.outcome(guest, Self.options(block: length, clock: clock)), expected, "blocks of \(length)")
    }

    for length in [1, 3, 17, 1000] as [UInt64] {
      let cut = try Self.outcome(guest, Self.options(clock: clock)) { machine in
        machine.processor.run(retiredLimit: machine.processor.state.retired + length)
      }
      Self.compare(cut, expected, "\(length) instructions at a time")
    }
    var random = RepeatableRandom(seed: 1)
    let ragged = try Self.outcome(guest, Self.options(block: 5, clock: clock)) { machine in
      machine.processor.run(retiredLimit: machine.processor.state.retired + UInt64.random(in: 1...1000, using: &random))
    }
    Self.compare(ragged, expected, "1 to 1000 instructions at a time, blocks of 5")

    let timed = try Self.outcome(guest, Self.options(clock: clock)) { machine in
      machine.processor.run(clockLimit: machine.processor.clock + UInt64.random(in: 1...5000, using: &random))
    }
    Self.compare(timed, expected, "1 to 5000 cycles at a time")
  }

  @Test(arguments: guests.indices)
  func `a run is the same when it is looked at`(index: Int) throws {
    let guest = Self.guests[index]
    let expected = try Self.outcome(guest, Self.options())
    var random = RepeatableRandom(seed: 2)
    let watched = try Self.outcome(guest, Self.options()) { machine in
      let processor = machine.processor
      for _ in 0..<4 {
        let address = [processor.state.rip, processor.state.slots[4], random.next() >> 34][Int(random.next() % 3)]
        guard GuestVirtual(address).isCanonical(bits: 48) else { continue }
        _ = processor.peek(GuestVirtual(address), Access(.write, .supervisor))
        _ = processor.peek(GuestVirtual(address), Access(.read, .user))
      }
      _ = (processor.ledger, processor.regions, processor.counters, processor.snapshot())
      return processor.run(retiredLimit: processor.state.retired + UInt64.random(in: 1...2000, using: &random))
    }
    Self.compare(watched, expected, "peeked at")
  }

  @Test(arguments: guests.indices, [1, 64])
  func `a run goes on from a snapshot as it went on before`(index: Int, block: Int) throws {
    let guest = Self.guests[index]
    let expected = try Self.outcome(guest, Self.options())
    var random = RepeatableRandom(seed: 3)
    for _ in 0..<3 {
      let point = UInt64.random(in: 1...expected.instructions, using: &random)
      var saved: NativeGuest.Snapshot?
      let restored = try Self.outcome(guest, Self.options(block: block)) { machine in
        if machine.processor.state.retired < point { return machine.processor.run(retiredLimit: point) }
        if let saved {
          machine.restore(saved)
          return machine.processor.run()
        }
        saved = machine.snapshot()
        _ = machine.processor.run(retiredLimit: point + 20_000)
        return .limit
      }
      Self.compare(restored, expected, "restored at \(point)")
    }
  }

  @Test func `a guest that is restored over and over repeats itself`() throws {
    let guest = Self.guests[2]
    let machine = try NativeGuest(guest.name, guest.parameters, profile: Self.profile, options: Self.options())
    _ = machine.processor.run(retiredLimit: 5000)
    let saved = machine.snapshot()
    _ = machine.processor.run(retiredLimit: 9000)
    let first = Fingerprint(machine.processor, memory: machine.memory)
    for _ in 0..<3 {
      machine.restore(saved)
      _ = machine.processor.run(retiredLimit: 9000)
      let again = Fingerprint(machine.processor, memory: machine.memory)
      #expect(again.differences(from: first) == [])
    }
  }
}
