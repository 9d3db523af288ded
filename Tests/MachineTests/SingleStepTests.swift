import Machine
import Support
import Testing

/// Which instructions a single-step trap follows, and which it does not (SDM vol. 3, 17.3.1.4 and 6.8.3).
struct SingleStepTests {
  /// Two pages of user code at 0x1000, with TF set; the handler of #DB returns.
  static func machine(_ code: [UInt8], flags: UInt64 = Flag.trap, cpl: UInt8 = 0) -> TinyMachine {
    let machine = EventTests.machine(code, cpl: cpl)
    machine.setHandler(1, [0x48, 0xcf])
    machine.update { $0.rflags = flags }
    return machine
  }

  /// RIP of the single-step traps so far.
  static func traps(_ machine: TinyMachine) -> [UInt64] {
    machine.processor.recentlyDelivered.filter { $0.event == .exception(.debug) }.map(\.rip)
  }

  @Test(arguments: [[0xcd, 0x30], [0xcc], [0xf1]] as [[UInt8]])
  func `a software interrupt is not followed by a trap in its handler`(interrupt: [UInt8]) {
    let machine = Self.machine(interrupt + [0x90, 0x90])
    // nop; iretq, but for INT1, which has the handler of the traps.
    for vector in [3, 0x30] as [UInt8] { machine.setHandler(vector, [0x90, 0x48, 0xcf]) }
    let isInterrupt1 = interrupt == [0xf1]
    machine.run(isInterrupt1 ? 2 : 3)
    // The delivery clears TF, which the frame has; IRETQ sets it again and is not trapped itself.
    #expect(Self.traps(machine) == [])
    #expect(machine.processor.recentlyDelivered.count == 1)
    #expect(machine.processor.state.rflags & Flag.trap != 0)
    machine.run(1)
    #expect(Self.traps(machine) == [0x1000 + UInt64(interrupt.count) + 1])
  }

  @Test(arguments: [[0xf1], [0x2e, 0xf1], [0x2e, 0x2e, 0xf1]] as [[UInt8]])
  func `INT1 takes a trap that MOV SS has held off with it, whatever its prefixes and its gate`(interrupt: [UInt8]) {
    // mov ss, [0x1100], watched by DR0; then INT1 from ring 3, whose gate is for ring 0.
    let machine = Self.machine([0x8e, 0x14, 0x25, 0x00, 0x11, 0, 0] + interrupt + [0x90], flags: 0, cpl: 3)
    machine.guest.write([0x1b, 0], atPhysical: 0x1100)
    machine.setHandler(1, [0x90, 0x90])
    machine.update { state in
      state.debugRegisters[0] = 0x1100
      state.debugRegisters[7] = 0x400 | 1 | 3 << 16
    }
    machine.run(3)
    #expect(machine.processor.recentlyDelivered.map(\.event) == [.privilegedSoftware(length: UInt8(interrupt.count))])
    #expect(machine.processor.state.debugRegisters[6] == 0xffff_0ff1)
    #expect(machine.stackWords(1) == [0x1007 + UInt64(interrupt.count)])
  }

  @Test func `SYSCALL traps by the TF that SFMASK leaves`() {
    for mask in [0, Flag.trap] {
      let machine = Self.machine([0x0f, 0x05])
      machine.guest.write([0x90, 0x90], atPhysical: 0x1100)
      machine.update { state in
        state.star = UInt64(TinyMachine.Selector.kernelCode) << 32
        state.lstar = 0x1100
        state.sfmask = mask
      }
      machine.run(2)
      #expect(Self.traps(machine) == (mask == 0 ? [0x1100] : []))
      #expect(machine[11] & Flag.trap != 0)
    }
  }

  @Test func `SYSRET traps by the TF that it sets`() {
    for (before, after) in [(0, Flag.trap), (Flag.trap, 0)] {
      let machine = Self.machine([0x48, 0x0f, 0x07], flags: before)
      machine.guest.write([0x90, 0x90], atPhysical: 0x1100)
      machine.update { state in
        state.star = UInt64(TinyMachine.Selector.kernelData) << 48
        state.slots[Int(Slot.rcx)] = 0x1100
        state.slots[11] = after
      }
      machine.run(1)
      #expect(Self.traps(machine) == (after == 0 ? [] : [0x1100]))
    }
  }

  @Test func `IRET that clears TF is trapped, IRET that sets it is not`() {
    for (before, after) in [(0, Flag.trap), (Flag.trap, 0)] {
      let machine = Self.machine([0x48, 0xcf], flags: before)
      machine.guest.write([0x90, 0x90], atPhysical: 0x1100)
      machine[Slot.rsp] = 0x40_0800
      for (index, word) in [0x1100, 8, after, 0x40_1000, 0x10].enumerated() {
        machine.guest.setWord(word, atPhysical: 0x20_0800 + UInt64(index) * 8)
      }
      machine.run(1)
      #expect(Self.traps(machine) == (after == 0 ? [0x1100] : []))
      machine.run(1)
      #expect(Self.traps(machine) == (after == 0 ? [0x1100] : [0x1101]))
    }
  }

  @Test func `MOV SS is not followed by a trap, STI is`() {
    // mov eax, 0x10; mov ss, eax; nop; nop
    let stack = Self.machine([0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0, 0x90, 0x90])
    stack.run(6)
    #expect(Self.traps(stack) == [0x1005, 0x1008, 0x1009])
    // sti; nop
    let interrupts = Self.machine([0xfb, 0x90])
    interrupts.run(1)
    #expect(Self.traps(interrupts) == [0x1001])
  }

  @Test func `POP SS is not followed by a trap`() {
    // pop ss; nop; nop, as 32-bit code in compatibility mode.
    let machine = Self.machine([0x17, 0x90, 0x90])
    machine.guest.setWord(0x10, atPhysical: 0x20_0800)
    machine.update { state in
      state[.cs] = Segment(selector: 8, base: 0, limit: .max, attributes: 0xc09b)
      state.slots[Int(Slot.rsp)] = 0x40_0800
    }
    machine.run(2)
    #expect(Self.traps(machine) == [0x1002])
  }

  @Test func `the shadow of MOV SS is kept by a snapshot`() {
    let machine = Self.machine([0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0, 0x90, 0x90], flags: 0)
    machine.run(2)
    let snapshot = machine.processor.snapshot()
    machine.run(1)
    machine.processor.restore(snapshot)
    machine.update { $0.rflags = Flag.trap }
    machine.run(1)
    #expect(Self.traps(machine) == [0x1008])
  }
}
