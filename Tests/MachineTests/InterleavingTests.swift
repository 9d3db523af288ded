import Machine
import Support
import Testing

/// Which processor runs, for how long, and when devices are told of the time.
struct InterleavingTests {
  /// Deadlines that a test sets; remembers when it was told of them, and who may be interrupted.
  private final class Bus: DeviceBus {
    var deadlines: [UInt64] = []
    private(set) var told: [UInt64] = []
    var pending: [Int: UInt8] = [:]
    /// Processors that an NMI waits for.
    private var nonMaskable: Set<Int> = []
    /// What a deadline raises: a processor's interrupt.
    var raises: (processor: Int, vector: UInt8)?

    func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32 { 0 }
    /// Interrupts the processor that is written, with vector 0x21, or by an NMI where bit 8 is set.
    func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64) {
      if value & 0x100 != 0 { nonMaskable.insert(Int(value & 0xff)) } else { pending[Int(value & 0xff)] = 0x21 }
    }
    func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64 { 0 }
    func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64) {}
    func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64? { nil }
    func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool { false }
    func taskPriority(processor: Int) -> UInt8 { 0 }
    func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64) {}
    func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64) {}
    var nextDeadline: UInt64 { deadlines.min() ?? .max }
    func advance(to now: UInt64) {
      guard deadlines.contains(where: { $0 <= now }) else { return }
      deadlines.removeAll { $0 <= now }
      told.append(now)
      if let raises { pending[raises.processor] = raises.vector }
    }
    func signals(processor: Int) -> ProcessorSignals {
      let interrupt: ProcessorSignals = pending[processor] == nil ? [] : .interrupt
      return nonMaskable.contains(processor) ? interrupt.union(.nonMaskable) : interrupt
    }
    func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8 {
      if signal == .nonMaskable { nonMaskable.remove(processor) }
      return 0
    }
    func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8 { pending.removeValue(forKey: processor) ?? 0xff }
    var shutdown: Shutdown? { nil }
  }

  /// Several processors, each with a page of code of its own, over one memory.
  private final class Group {
    let bus = Bus()
    let machines: [TinyMachine]
    var interleaving: Interleaving
    /// Who ran, and the clocks afterwards.
    private(set) var turns: [(processor: Int, clocks: [UInt64])] = []

    init(_ codes: [[UInt8]], quantum: UInt64, clock: ClockSource = .cycles, ticks: UInt64 = 1, simple: UInt64 = 1) {
      let guest = GuestMemory { map(0x1000, to: 0x1000, pages: 15, .writable) }
      let bus = bus
      machines = codes.enumerated().map { index, code in
        var options = ProcessorOptions()
        (options.index, options.count, options.clock, options.ticks) = (index, codes.count, clock, ticks)
        let machine = TinyMachine(
          guest, code: code, at: 0x1000 * UInt64(index + 1), profile: .flat([.executeSimple: simple]), options: options,
          anyBus: bus)
        machine.installHandlers(mapped: index == 0)
        machine.update { $0.awaitsStartUp = false }
        return machine
      }
      interleaving = Interleaving(processors: codes.count, quantum: quantum)
    }

    func run(clockLimit: UInt64 = .max, retiredLimit: UInt64 = .max) -> RunResult {
      let processors = machines.map(\.processor)
      return interleaving.run(processors, bus, clockLimit: clockLimit, retiredLimit: retiredLimit) {
        let result = processors[$0].run(clockLimit: $1, retiredLimit: $2)
        turns.append(($0, processors.map(\.guestTime)))
        return result
      }
    }
  }

  /// jmp to itself; and the same with a PAUSE.
  private static let spin: [UInt8] = [0xeb, 0xfe]
  private static let pausing: [UInt8] = [0xf3, 0x90, 0xeb, 0xfc]

  @Test(arguments: [1, 10, 333] as [UInt64], [ClockSource.cycles, .instructions])
  func `the processor furthest behind runs next, to a quantum ahead`(quantum: UInt64, clock: ClockSource) {
    let group = Group([Self.spin, Self.spin, Self.spin], quantum: quantum, clock: clock)
    #expect(group.run(retiredLimit: 9000) == .limit)
    var before: [UInt64] = [0, 0, 0]
    for turn in group.turns {
      #expect(before[turn.processor] == before.min())
      #expect(before.firstIndex(of: before.min()!) == turn.processor, "the first of several")
      // A jump costs a few cycles, and the first one its fetch.
      let spread = turn.clocks.max()! - turn.clocks.min()!
      #expect(spread <= quantum + 1000)
      if clock == .instructions { #expect(spread <= quantum) }
      before = turn.clocks
    }
    #expect(group.machines.reduce(0) { $0 + $1.processor.instructionsRetired } == 9000)
    // Nobody is left behind.
    for machine in group.machines { #expect(machine.processor.instructionsRetired > 1500) }
  }

  @Test(arguments: [1, 10, 333] as [UInt64], [20, 1000] as [UInt64])
  func `of instructions that take many ticks each processor is a quantum and one of them ahead at most`(
    quantum: UInt64, ticks: UInt64
  ) {
    let group = Group([Self.spin, Self.spin, Self.spin], quantum: quantum, clock: .instructions, ticks: ticks)
    group.bus.deadlines = [12_345, 50_000]
    #expect(group.run(retiredLimit: 9000) == .limit)
    for turn in group.turns { #expect(turn.clocks.max()! - turn.clocks.min()! < quantum + ticks) }
    for machine in group.machines {
      #expect(machine.processor.instructionsRetired > 2000)
      #expect(machine.processor.guestTime == machine.processor.instructionsRetired * ticks)
    }
    // Each at the first boundary of the last processor at or after it.
    #expect(group.bus.told == [12_345, 50_000])
  }

  @Test func `PAUSE lets a processor that is behind go on`() {
    let group = Group([Self.pausing, Self.spin], quantum: 1000, clock: .instructions)
    #expect(group.run(retiredLimit: 10_000) == .limit)
    for turn in group.turns where turn.processor == 0 {
      // PAUSE is the second instruction of the loop at most.
      #expect(turn.clocks[0] <= turn.clocks[1] + 2)
    }
  }

  @Test func `devices are told of a deadline when the last processor has come to it, and to the tick`() {
    let group = Group([Self.spin, Self.spin], quantum: 500, clock: .instructions)
    group.bus.deadlines = [1234, 5000]
    var seen = 0
    for limit in stride(from: UInt64(100), through: 12_000, by: 100) {
      #expect(group.run(retiredLimit: limit) == .limit)
      let clocks = group.machines.map(\.processor.guestTime)
      if group.bus.told.count > seen {
        seen = group.bus.told.count
        #expect(clocks.min()! >= group.bus.told[seen - 1])
      }
      if let next = group.bus.deadlines.min() { #expect(clocks.max()! <= next) }
    }
    #expect(group.bus.told == [1234, 5000])
  }

  @Test func `a processor in HLT is idle until the interrupt that wakes it`() {
    // sti; hlt; cli; jmp to itself: woken at 700 by a device, with 0x20 whose handler returns.
    let group = Group([[0xfb, 0xf4, 0xfa, 0xeb, 0xfe], Self.spin], quantum: 50)
    group.machines[0].setHandler(0x20, [0x48, 0xcf])
    group.bus.deadlines = [70_000]
    group.bus.raises = (0, 0x20)
    #expect(group.run(clockLimit: 60_000) == .limit)
    #expect(group.machines[0].processor.clock < 10_000, "time has not been charged yet")
    let processors = group.machines.map(\.processor)
    let behind = processors[1].clock - processors[0].clock
    #expect(group.interleaving.pendingIdle(of: 0, processors) == behind)
    #expect(group.run(clockLimit: 80_000) == .limit)
    let ledger = processors[0].ledger
    #expect(group.machines[0].processor.state.rip == 0x1003)
    #expect(ledger[.idle] > 60_000 && ledger[.idle] < 71_000)
    #expect(group.interleaving.pendingIdle(of: 0, processors) == 0)
    let (first, second) = (processors[0].clock, processors[1].clock)
    #expect(max(first, second) - min(first, second) < 1000)
  }

  @Test func `what one processor does to another's pins ends its slice`() {
    // Processor 0 sleeps; 1 runs 100 times around a loop, interrupts it and spins.
    let sleeper: [UInt8] = [0xfb, 0xf4, 0xeb, 0xfd]
    let sender: [UInt8] = [0xb9, 100, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xb0, 0x00, 0xe6, 0x40, 0xeb, 0xfe]
    let group = Group([sleeper, sender], quantum: 1_000_000, clock: .instructions)
    group.machines[0].setHandler(0x21, [0xff, 0xc3, 0x48, 0xcf])
    #expect(group.run(retiredLimit: 1000) == .limit)
    #expect(group.machines[0][Slot.rbx] == 1)
    // It slept until the port was written, after 1 + 200 + 2 instructions, and then executed four: the handler's two, a
    // jump, and HLT again.
    #expect(group.turns.prefix(3).map(\.processor) == [0, 1, 0])
    #expect(group.turns[1].clocks[1] == 203)
    #expect(group.turns[2].clocks[0] == 207)
  }

  @Test func `a processor sleeps as long as another's instructions take`() {
    let sleeper: [UInt8] = [0xfb, 0xf4, 0xeb, 0xfd]
    let sender: [UInt8] = [0xb9, 100, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xb0, 0x00, 0xe6, 0x40, 0xeb, 0xfe]
    let group = Group([sleeper, sender], quantum: 1_000_000, clock: .instructions, ticks: 64)
    group.machines[0].setHandler(0x21, [0xff, 0xc3, 0x48, 0xcf])
    #expect(group.run(retiredLimit: 1000) == .limit)
    #expect(group.turns[1].clocks[1] == 203 * 64)
    #expect(group.turns[2].clocks[0] == 207 * 64)
  }

  @Test func `an NMI that waits when a slice ends is taken first, so that the next one is not lost`() {
    // Both send the first processor an NMI, with mov eax, 0x100; out 0x40, eax, and spin.
    let sender: [UInt8] = [0xb8, 0x00, 0x01, 0x00, 0x00, 0xe7, 0x40, 0xeb, 0xfe]
    let group = Group([sender, sender], quantum: 1000, clock: .instructions)
    group.machines[0].setHandler(2, [0xff, 0xc3, 0x48, 0xcf])
    #expect(group.run(retiredLimit: 1000) == .limit)
    #expect(group.turns.prefix(2).map(\.processor) == [0, 1])
    #expect(group.machines[0][Slot.rbx] == 2)
  }

  @Test func `a loop that takes no time does not keep others from running`() {
    // cmp byte [0x3000], 0; je back; hlt, and mov byte [0x3000], 1; hlt: nothing costs anything.
    let waiting: [UInt8] = [0x80, 0x3c, 0x25, 0x00, 0x30, 0x00, 0x00, 0x00, 0x74, 0xf6, 0xf4]
    let group = Group([waiting, [0xc6, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x01, 0xf4]], quantum: 100, simple: 0)
    #expect(group.run(retiredLimit: 1_000_000) == .haltedForEver)
    #expect(group.machines.map(\.processor.state.isHalted) == [true, true])
    #expect(group.machines.map(\.processor.clock) == [0, 0])
  }

  @Test func `when all wait, time passes to the next deadline, or the machine stands`() {
    let sleeper: [UInt8] = [0xfb, 0xf4, 0xeb, 0xfd]
    let group = Group([sleeper, sleeper], quantum: 100)
    #expect(group.run() == .waitsForNothing)
    group.bus.deadlines = [90_000]
    group.bus.raises = (1, 0x21)
    group.machines[1].setHandler(0x21, [0xff, 0xc3, 0x48, 0xcf])
    #expect(group.run(clockLimit: 50_000) == .limit)
    #expect(group.machines.map(\.processor.clock) == [50_000, 50_000])
    #expect(group.run() == .waitsForNothing)
    #expect(group.machines[1][Slot.rbx] == 1)
    #expect(group.machines[1].processor.clock >= 90_000)

    let off = Group([[0xf4], [0xf4]], quantum: 100)
    #expect(off.run() == .haltedForEver)
  }
}
