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

  // MARK: Instructions across pages

  /// A loop over two pages with an instruction across them, a store to a page behind them, a device register and a
  /// repetition, which a timer interrupts over and over; a code TLB that cannot hold all of its pages.
  private static func crossing(_ options: ProcessorOptions) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 3, .writable)
      map(0x70_0000, to: 0xfe00_0000, .writable)
    }
    // mov eax, 0x3000; mov eax, [0x700000]; jmp 0x1ffd
    let start: [UInt8] = [0xb8, 0, 0x30, 0, 0, 0x8b, 0x04, 0x25, 0, 0, 0x70, 0, 0xe9, 0xec, 0x0f, 0, 0]
    let machine = TinyMachine(
      guest, code: start, at: 0x1000,
      profile: .flat(
        .commonCaches + .primes + [
          .tlbCode4KEntries: 2, .tlbCode4KWays: 2, .tlbData4KEntries: 4, .tlbData4KWays: 2, .tlbL2Entries: 6,
          .tlbL2Ways: 2, .pscPDE: 2,
        ]), options: options)
    machine.installHandlers()
    machine.setHandler(0x20, [0xff, 0xc2, 0x48, 0xcf])  // inc edx; iretq
    // mov edi, 0x3000; mov ecx, 9; rep stosb; mov [0x3100], eax; jmp 0x1000
    let rest: [UInt8] = [
      0xbf, 0, 0x30, 0, 0, 0xb9, 9, 0, 0, 0, 0xf3, 0xaa, 0x89, 0x04, 0x25, 0, 0x31, 0, 0, 0xe9, 0xeb, 0xef, 0xff, 0xff,
    ]
    machine.guest.write(rest, atPhysical: 0x1ffd)
    machine.update { $0.rflags = Flag.interrupt }
    machine.bus.timetable = (1...300).map { (UInt64($0) * 1009, 0x20) }
    return machine
  }

  @Test(arguments: [ClockSource.cycles, .instructions])
  func `instructions across pages are looked up once, however the run is cut`(clock: ClockSource) {
    func run(_ block: Int, _ next: (TinyMachine, UInt64) -> RunResult) -> Fingerprint {
      let machine = Self.crossing(Self.options(block: block, clock: clock))
      while machine.processor.state.retired < 3000 { _ = next(machine, 3000 - machine.processor.state.retired) }
      #expect(machine[Slot.rdx] > 1)
      return Fingerprint(machine.processor, memory: machine.guest.host)
    }
    let expected = run(64) { machine, rest in machine.run(rest) }
    for block in [1, 2, 3, 64] {
      for length in [1, 2, 3, 5, 64] as [UInt64] {
        let cut = run(block) { machine, rest in machine.run(min(rest, length)) }
        #expect(cut.differences(from: expected) == [], "blocks of \(block), \(length) instructions at a time")
      }
      for length in [1, 7, 100, 1000] as [UInt64] {
        let timed = run(block) { machine, rest in
          let processor = machine.processor
          return processor.run(clockLimit: processor.clock + length, retiredLimit: processor.state.retired + rest)
        }
        #expect(timed.differences(from: expected) == [], "blocks of \(block), \(length) cycles at a time")
      }
      let restored = run(block) { machine, rest in
        let memory = machine.guest.host.image()
        let saved = machine.processor.snapshot()
        machine.guest.host.restore(memory)
        machine.processor.restore(saved)
        return machine.run(min(rest, 37))
      }
      #expect(restored.differences(from: expected) == [], "blocks of \(block), from snapshot to snapshot")
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
