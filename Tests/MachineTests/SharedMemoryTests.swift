import Machine
import Support
import Testing

/// Several processors execute from one memory, each with decoded code and translations of its own.
struct SharedMemoryTests {
  /// Processors over one guest's memory: a page of code at 0x1000, which is writable, and a page of data.
  private static func processors(_ count: Int, blockLength: Int = 64) -> [TinyMachine] {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 2, .writable)
      map(0x8000, to: 0x8000, pages: 2, .writable)
    }
    let bus = ScriptedBus()
    return (0..<count).map { index in
      var options = ProcessorOptions()
      options.index = index
      options.count = count
      options.blockLength = blockLength
      let machine = TinyMachine(guest, at: 0x1000, options: options, bus: bus)
      machine.update { $0.awaitsStartUp = false }
      return machine
    }
  }

  /// mov eax, number; hlt
  private static func code(_ number: UInt8) -> [UInt8] { [0xb8, number, 0x00, 0x00, 0x00, 0xf4] }

  /// mov byte [0x1001], number; hlt
  private static func change(_ number: UInt8) -> [UInt8] {
    [0xc6, 0x04, 0x25, 0x01, 0x10, 0x00, 0x00, number, 0xf4]
  }

  private static func run(_ machine: TinyMachine, at rip: UInt64) -> RunResult {
    machine.update { state in
      state.rip = rip
      state.isHalted = false
    }
    return machine.run()
  }

  @Test(arguments: [1, 64])
  func `code that another processor has decoded is dropped by a store to it`(blockLength: Int) {
    let machines = Self.processors(3, blockLength: blockLength)
    machines[0].guest.write(Self.code(1), atPhysical: 0x1000)
    for number in 2...9 as ClosedRange<UInt8> {
      for machine in machines[1...] {
        #expect(Self.run(machine, at: 0x1000) == .waits)
        #expect(machine[Slot.rax] == UInt64(number - 1))
      }
      machines[0].guest.write(Self.change(number), atPhysical: 0x8000)
      machines[0].processor.hostMemoryChanged(at: HostPhysical(0x8000), count: 9)
      #expect(Self.run(machines[0], at: 0x8000) == .waits)
    }
  }

  @Test func `a page that a processor writes by hits is looked at once another decodes it`() {
    let machines = Self.processors(2)
    machines[0].guest.write(Self.code(1), atPhysical: 0x1000)
    machines[0].guest.write(Self.change(1), atPhysical: 0x8000)
    // The verdict: twice, so that the second store is a hit.
    for _ in 0..<2 { _ = Self.run(machines[0], at: 0x8000) }
    _ = Self.run(machines[1], at: 0x1000)
    #expect(machines[1][Slot.rax] == 1)
    machines[0].guest.write(Self.change(7), atPhysical: 0x8000)
    machines[0].processor.hostMemoryChanged(at: HostPhysical(0x8000), count: 9)
    _ = Self.run(machines[0], at: 0x8000)
    _ = Self.run(machines[1], at: 0x1000)
    #expect(machines[1][Slot.rax] == 7)
  }

  @Test func `what one processor forgets another still holds`() {
    let machines = Self.processors(2)
    machines[0].guest.write(Self.code(1), atPhysical: 0x1000)
    machines[0].guest.write(Self.change(5), atPhysical: 0x8000)
    for machine in machines { _ = Self.run(machine, at: 0x1000) }
    // A restored processor forgets all that it decoded.
    machines[0].processor.restore(machines[0].processor.snapshot())
    _ = Self.run(machines[0], at: 0x8000)
    _ = Self.run(machines[1], at: 0x1000)
    #expect(machines[1][Slot.rax] == 5)
  }

  @Test func `a processor that is gone is not told`() {
    let guest = GuestMemory { map(0x1000, to: 0x1000, pages: 2, .writable) }
    do {
      let machine = TinyMachine(guest, code: Self.code(1), at: 0x1000)
      machine.run()
    }
    let machine = TinyMachine(guest, code: Self.code(2), at: 0x1000)
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 2)
  }
}
