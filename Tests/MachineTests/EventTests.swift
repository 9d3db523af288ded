import Machine
import Support
import Testing

/// Interrupts, traps and faults: when they come, what they leave behind.
struct EventTests {
  typealias Place = TinyMachine.Place
  private typealias Fault = FaultTests.Fault

  static func machine(
    _ code: [UInt8], figures: [CostKey: UInt64] = [:], cpl: UInt8 = 0, blockLength: Int = 64,
    clock: ClockSource = .cycles, ticks: UInt64 = 1
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 2, .user)
      map(0x40_0000, to: 0x20_0000, pages: 2, .writable, .user)
      map(0x60_0000, to: 0x21_0000)
      // Device registers.
      map(0x70_0000, to: 0xfe00_0000, .writable)
    }
    var options = ProcessorOptions()
    options.blockLength = blockLength
    (options.clock, options.ticks) = (clock, ticks)
    let machine = TinyMachine(guest, code: code, at: 0x1000, cpl: cpl, profile: .flat(figures), options: options)
    machine.installHandlers()
    machine.update { state in
      state.rflags = Flag.interrupt
      if cpl == 3 { state.slots[Int(Slot.rsp)] = 0x40_1000 }
    }
    return machine
  }

  // MARK: Timers

  /// Loads that walk, device registers, a division, a branch, repeated moves: a block whose cycles are charged in many
  /// places.
  static let busy: [UInt8] =
    [0xbb, 0x00, 0x00, 0x40, 0x00]  // mov ebx, 0x400000
    + [0x8b, 0x03]  // mov eax, [rbx]
    + [0x90, 0x90]  // nop; nop
    + [0x8b, 0x83, 0x00, 0x10, 0x00, 0x00]  // mov eax, [rbx + 0x1000]
    + [0xb9, 0x05, 0x00, 0x00, 0x00]  // mov ecx, 5
    + [0x31, 0xd2]  // xor edx, edx
    + [0xf7, 0xf1]  // div ecx
    + [0xeb, 0x00]  // jmp next
    + [0x48, 0x8d, 0x7b, 0x40]  // lea rdi, [rbx + 64]
    + [0xf3, 0xaa]  // rep stosb
    + [0x90]  // nop
    + [0x8b, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00]  // mov eax, [0x700000]
    + [0x90, 0x90, 0x90]  // nop; nop; nop
    + [0x89, 0x03]  // mov [rbx], eax
    + [0xeb, 0xfe]  // jmp here

  static let figures: [CostKey: UInt64] = [
    .executeSimple: 3, .executeDivide: 23, .executeStringSetup: 11, .executeStringElement: 5, .cacheMemory: 17,
    .deviceAccess: 41, .tlbData4KEntries: 16, .tlbData4KWays: 4,
  ]

  @Test(arguments: [1, 2, 7, 64])
  func `a timer interrupts at the first instruction boundary at or after its deadline`(blockLength: Int) {
    // Where the boundaries are: step by step, without a timer. Elements of a repetition are boundaries too.
    let stepped = Self.machine(Self.busy, figures: Self.figures, blockLength: 1)
    var boundaries: [(clock: UInt64, rip: UInt64, count: UInt64)] = []
    while boundaries.count < 40 {
      let state = stepped.processor.state
      if boundaries.last.map({ $0.clock != state.clock || $0.rip != state.rip }) ?? true {
        boundaries.append((state.clock, state.rip, state.slots[1]))
      }
      _ = stepped.processor.run(clockLimit: state.clock + 1, retiredLimit: state.retired + 1)
    }
    for time in 1...boundaries[35].clock {
      let machine = Self.machine(Self.busy, figures: Self.figures, blockLength: blockLength)
      machine.bus.timetable = [(time, 0x20)]
      machine.run(60)
      let rip = machine.processor.recentlyDelivered.first?.rip
      // During the fetch of the first instruction, a walk of four references: it is not executed any more.
      guard time > 17 * 4 else {
        #expect(rip == 0x1000)
        continue
      }
      let expected = boundaries.first { $0.clock >= time }
      #expect(rip == expected?.rip, "deadline \(time)")
      #expect(machine[Slot.rcx] == expected?.count, "deadline \(time)")
      #expect(machine.bus.acknowledged.first?.time == expected?.clock, "deadline \(time)")
    }
  }

  @Test(arguments: [ClockSource.cycles, .instructions])
  func `a device register tells the time of the instruction that reads it, however the code is cut`(clock: ClockSource)
  {
    // nop; nop; mov eax, [0x700000]; nop; mov ecx, [0x700000]; jmp here
    let code: [UInt8] =
      [
        0x90, 0x90, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00, 0x90, 0x8b, 0x0c, 0x25, 0x00, 0x00, 0x70, 0x00, 0xeb,
        0xfe,
      ]
    let times = [1, 2, 3, 64].map { length in
      let machine = Self.machine(
        code, figures: [.executeSimple: 7, .deviceAccess: 5], blockLength: length, clock: clock)
      machine.run(8)
      return [machine[Slot.rax], machine[Slot.rcx]]
    }
    let expected: [UInt64] = clock == .cycles ? [19, 38] : [2, 4]
    for time in times { #expect(time == expected) }
  }

  @Test(arguments: [1, 64], [ClockSource.cycles, .instructions])
  func `a timer that is set in the middle of a block interrupts in it`(blockLength: Int, clock: ClockSource) {
    // mov eax, 2; mov [0x700000], eax; nop...
    let code: [UInt8] =
      [0xb8, 0x02, 0x00, 0x00, 0x00, 0x89, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00] + Array(repeating: 0x90, count: 30)
    let machine = Self.machine(code, figures: [.executeSimple: 1], blockLength: blockLength, clock: clock)
    // A handler that stops the machine; the limit is too far off to cut the block.
    #expect(machine.run() == .haltedForEver)
    // The write is at time 1; it is over at 2, the first NOP at 3.
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x100d)
  }

  @Test func `the instruction after STI is not interrupted`() {
    // cli; sti; nop; nop
    let machine = Self.machine([0xfa, 0xfb, 0x90, 0x90, 0x90], figures: [.executeSimple: 1])
    machine.bus.timetable = [(1, 0x20)]
    machine.run()
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1003)
  }

  @Test func `STI with interrupts on holds nothing off`() {
    let machine = Self.machine([0x90, 0xfb, 0x90, 0x90], figures: [.executeSimple: 1])
    machine.bus.timetable = [(2, 0x20)]
    machine.run()
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1002)
  }

  @Test func `the instruction after MOV SS is not interrupted`() {
    // mov eax, 0x10; mov ss, eax; nop; nop
    let machine = Self.machine(
      [0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0, 0x90, 0x90, 0x90],
      figures: [.executeSimple: 1, .executeLoadSegment: 1])
    machine.bus.timetable = [(2, 0x20)]
    machine.run()
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1008)
  }

  @Test(arguments: [
    [0xfa, 0xfb],  // cli; sti
    [0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0],  // mov eax, 0x10; mov ss, eax
  ])
  func `what STI and MOV SS hold off comes before the handler of a fault in the next instruction`(code: [UInt8]) {
    // ud2
    let machine = Self.machine(code + [0x0f, 0x0b], figures: [.executeSimple: 1, .executeLoadSegment: 1])
    machine.bus.timetable = [(UInt64(code.count < 7 ? 1 : 2), 0x20)]
    // A trap gate, which leaves IF.
    machine.setGate(6, type: 0xf)
    machine.setHandler(6, [0x90, 0x90, 0xf4])
    machine.run()
    #expect(
      machine.processor.recentlyDelivered.map(\.rip) == [0x1000 + UInt64(code.count), Place.handlers + 6 * 16])
  }

  @Test func `an NMI whose delivery faults holds off the next one until IRET`() {
    // jmp here
    let machine = Self.machine([0xeb, 0xfe])
    machine.setGate(2, isPresent: false)
    // nop; nop; add rsp, 8; iretq
    machine.setHandler(11, [0x90, 0x90, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf])
    let absent = Event.exception(.segmentNotPresent(2 << 3 | 3))
    machine.bus.latched = .nonMaskable
    machine.run(1)
    machine.bus.latched = .nonMaskable
    machine.run(2)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [absent])
    machine.run(2)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [absent, absent])
    #expect(machine.processor.recentlyDelivered.allSatisfy { $0.rip == 0x1000 })
  }

  @Test func `HLT waits for the next interrupt and goes on behind itself`() {
    let machine = Self.machine([0xf4, 0x90], figures: [.executeSimple: 1, .wake: 7, .interruptDelivery: 100])
    machine.bus.timetable = [(1000, 0x20)]
    machine.setHandler(0x20, [0x48, 0xcf])  // iretq
    machine.run(2)
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1001)
    #expect(machine.processor.ledger[.idle] == 1007)
    #expect(machine.processor.ledger[.interrupt] == 100)
    #expect(machine.processor.state.rip == 0x1001)
    #expect(machine.processor.counters.wakes == 1)
  }

  @Test func `STI and HLT wake up`() {
    let machine = Self.machine([0xfa, 0xfb, 0xf4, 0x90])
    machine.bus.timetable = [(500, 0x20)]
    #expect(machine.run() == .haltedForEver)
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1003)
  }

  @Test func `HLT with interrupts off never ends`() {
    let machine = Self.machine([0xfa, 0xf4])
    machine.bus.timetable = [(500, 0x20)]
    #expect(machine.run() == .haltedForEver)
    #expect(machine.run() == .haltedForEver)
  }

  @Test func `HLT without anything that could interrupt waits for nothing`() {
    #expect(Self.machine([0xf4]).run() == .waitsForNothing)
  }

  @Test func `POPF opens the window for a pending interrupt at once`() {
    // pushfq; cli; nop; popfq; nop
    let machine = Self.machine([0x9c, 0xfa, 0x90, 0x9d, 0x90, 0x90], figures: [.executeSimple: 1])
    machine.bus.timetable = [(2, 0x20)]
    machine.run()
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1004)
  }

  // MARK: Single steps

  @Test func `TF traps after every instruction`() {
    // nop; mov eax, [0x400000]; mov eax, [0x700000], a device register; xor eax, eax; nop; out 0xf4, al
    let code: [UInt8] =
      [0x90, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00, 0x31, 0xc0, 0x90]
      + [0xe6, 0xf4]
    let machine = Self.machine(code)
    machine.setHandler(1, [0x48, 0xcf])
    machine.update { $0.rflags = Flag.trap }
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(machine.processor.recentlyDelivered.map(\.rip) == [0x1001, 0x1008, 0x100f, 0x1011, 0x1012, 0x1014])
    #expect(machine.processor.recentlyDelivered.allSatisfy { $0.event == .exception(.debug) })
    #expect(machine.processor.state.debugRegisters[6] & 1 << 14 != 0)
    // The handler runs without TF, which the frame has.
    #expect(machine.processor.state.rflags & Flag.trap == 0 && machine.stackWords(3)[2] & Flag.trap != 0)
  }

  @Test func `TF traps after every element of a repetition`() {
    let machine = Self.machine([0xf3, 0xaa, 0x90])
    machine.setHandler(1, [0x48, 0xcf])
    machine.update { state in
      state.rflags = Flag.trap
      state.slots[Int(Slot.rcx)] = 3
      state.slots[Int(Slot.rdi)] = 0x40_0000
    }
    machine.run(5)
    #expect(machine.processor.recentlyDelivered.map(\.rip) == [0x1000, 0x1000, 0x1002, 0x1003])
  }

  @Test func `an instruction that sets TF does not trap itself`() {
    // pushfq; or qword [rsp], 0x100; popfq; nop; nop
    let machine = Self.machine([0x9c, 0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x90, 0x90])
    machine.run()
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x100b)
  }

  // MARK: Double and triple faults

  @Test func `a page fault whose handler is not present is a double fault`() {
    let machine = Self.machine([0x8a, 0x03])
    machine[Slot.rbx] = 0x50_0000
    machine.setGate(14, isPresent: false)
    machine.run()
    #expect(machine.lastException == .doubleFault)
    #expect(machine.processor.state.rip == TinyMachine.Place.handlers + 8 * 16 + 1)
    #expect(machine.stackWords(2) == [0, 0x1000])
    #expect(machine.processor.state.cr2 == 0x50_0000)
  }

  @Test func `a page fault on a stack that is not there is a double fault, on a stack of its own`() {
    let machine = Self.machine([0x8a, 0x03])
    machine.setGate(8, stack: 1)
    machine.update { state in
      state.slots[Int(Slot.rbx)] = 0x50_0000
      state.slots[Int(Slot.rsp)] = 0x51_0000
    }
    machine.run()
    #expect(machine.lastException == .doubleFault)
    #expect(machine[Slot.rsp] == TinyMachine.Place.otherStack - 48)
    // CR2 has the second fault's address.
    #expect(machine.processor.state.cr2 == 0x50_fff8)
  }

  @Test func `a double fault that cannot be delivered ends the machine`() {
    let machine = Self.machine([0x8a, 0x03])
    machine.update { state in
      state.slots[Int(Slot.rbx)] = 0x50_0000
      state.slots[Int(Slot.rsp)] = 0x51_0000
    }
    #expect(machine.run() == .tripleFault)
    #expect(machine.run() == .tripleFault)
  }

  @Test(arguments: [1, 64])
  func `nothing is executed after an interrupt whose delivery ends in a triple fault`(blockLength: Int) {
    // inc eax; mov ebx, 0x400000; mov [rbx], eax; jmp here
    let machine = Self.machine(
      [0xff, 0xc0, 0xbb, 0x00, 0x00, 0x40, 0x00, 0x89, 0x03, 0xeb, 0xfe], blockLength: blockLength)
    machine.update { $0.idtr.limit = 0 }
    machine.bus.timetable = [(0, 0x20)]
    #expect(machine.run() == .tripleFault)
    #expect(machine.processor.state.retired == 0)
    #expect(machine[Slot.rax] == 0)
    #expect(machine.processor.counters.walks == 0)
  }

  @Test func `a fault in the delivery of an interrupt is just that fault`() {
    let machine = Self.machine([0x90, 0xeb, 0xfe])
    machine.bus.timetable = [(0, 0x20)]
    machine.setGate(0x20, isPresent: false)
    machine.run()
    // EXT is set: the program did not ask for it.
    #expect(machine.lastException == .segmentNotPresent(0x20 << 3 | 3))
  }

  @Test(arguments: [
    (Event.interrupt(3), GuestException.stack(0), Event.exception(.stack(0)) as Event?),
    (.exception(.divide), .generalProtection(0), .exception(.doubleFault)),
    (.exception(.divide), Fault.page(0, 0), .exception(Fault.page(0, 0))),
    (.exception(Fault.page(0, 0)), .generalProtection(0), .exception(.doubleFault)),
    (.exception(Fault.page(0, 0)), Fault.page(2, 0), .exception(.doubleFault)),
    (.exception(.debug), .generalProtection(0), .exception(.generalProtection(0))),
    (.exception(.doubleFault), .generalProtection(0), nil), (.exception(.doubleFault), Fault.page(0, 0), nil),
    (.software(vector: 14, length: 2), Fault.page(0, 0), .exception(Fault.page(0, 0))),
  ])
  func `two events combine by the manual's table`(first: Event, second: GuestException, result: Event?) {
    #expect(Processor.combine(first: first, second: second) == result)
  }
}
