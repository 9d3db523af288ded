import Machine
import Support
import Testing

/// INIT, the start-up interrupt and NMI (SDM vol. 3, 9.4, 6.7, table 9-1).
struct StartUpTests {
  typealias Place = TinyMachine.Place

  /// - Parameter index: of two processors; nil: the only one.
  private static func machine(_ code: [UInt8], index: Int? = nil) -> TinyMachine {
    let guest = GuestMemory { map(0x1000, to: 0x1000, pages: 2, .writable) }
    var options = ProcessorOptions()
    if let index { (options.index, options.count) = (index, 2) }
    let machine = TinyMachine(guest, code: code, at: 0x1000, options: options)
    machine.installHandlers()
    return machine
  }

  // MARK: Start-up

  @Test func `all but the bootstrap processor wait to be started`() {
    let first = Self.machine([0x90, 0xf4], index: 0)
    #expect(!first.processor.awaitsStartUp)
    let second = Self.machine([0x90, 0xf4], index: 1)
    #expect(second.processor.awaitsStartUp)
    #expect(second.run() == .waits)
    #expect(second.processor.instructionsRetired == 0)
  }

  @Test func `a start-up interrupt begins in real mode at the vector's page`() {
    let machine = Self.machine([], index: 1)
    // mov ax, cs; hlt
    machine.guest.write([0x8c, 0xc8, 0xf4], atPhysical: 0x9_f000)
    machine.bus.latched = .initialize
    #expect(machine.run() == .waits)
    #expect(machine.bus.latched == [])
    #expect(machine.processor.awaitsStartUp)
    machine.bus.startUpVector = 0x9f
    machine.bus.latched = .startUp
    #expect(machine.processor.isCalled)
    #expect(machine.run() == .waits)
    #expect(!machine.processor.awaitsStartUp)
    #expect(machine.processor.state.isHalted)
    #expect(machine[Slot.rax] == 0x9f00)
    #expect(machine.processor.state[.cs].base == 0x9_f000)
    #expect(machine.processor.state.rip == 3)
  }

  @Test func `a start-up interrupt says nothing to a processor that does not wait for it`() {
    let machine = Self.machine([0x90, 0x90, 0xf4], index: 0)
    machine.bus.startUpVector = 0x9f
    machine.bus.latched = .startUp
    machine.run(1)
    #expect(machine.processor.state.rip == 0x1001)
    // It is gone, too: it must not start the processor after a later INIT.
    #expect(machine.bus.latched == [])
  }

  @Test func `nothing but INIT and start-up reaches a processor that waits for start-up`() {
    let machine = Self.machine([], index: 1)
    machine.update { $0.rflags = Flag.interrupt }
    machine.bus.latched = .nonMaskable
    #expect(!machine.processor.isCalled)
    #expect(machine.run() == .waits)
    #expect(machine.bus.latched == .nonMaskable)
  }

  @Test func `INIT leaves registers as after a reset, and model-specific and vector registers as they are`() {
    let machine = Self.machine([0x90, 0xf4], index: 1)
    machine.update { state in
      state.awaitsStartUp = false
      state.rflags = Flag.interrupt | Flag.carry
      for slot in 0..<16 { state.slots[slot] = 0x1234_5678_9abc_def0 }
      state.cr0 |= CR0.cacheDisable
      state.cr2 = 0x1000

      state.debugRegisters[0] = 0x1000
      state.debugRegisters[7] = 0x402
      state.vector.xmm[3] = Vector128(1, 2)
      state.vector.mxcsr = 0x1f
      state.lstar = 0x1111
      state.kernelGSBase = 0x2222
      state.tscOffset = 55
      state.xcr0 = 3
      state.blocksNonMaskable = true
    }
    machine.bus.latched = .initialize
    #expect(machine.run() == .waits)
    let state = machine.processor.state
    #expect(state.awaitsStartUp && !state.isHalted && !state.blocksNonMaskable)
    #expect(state.rip == 0xfff0)
    #expect(state[.cs] == Segment(selector: 0xf000, base: 0xffff_0000, limit: 0xffff, attributes: 0x9b))
    #expect(state[.ss] == Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x93))
    #expect(state.rflags == Flag.one)
    for slot in 0..<16 where slot != Int(Slot.rdx) { #expect(state.slots[slot] == 0) }
    #expect(state.slots[Int(Slot.rdx)] == 0x5_06e3, "the signature")
    #expect(state.cr0 == CR0.extensionType | CR0.cacheDisable)
    #expect([state.cr2, state.cr3, state.cr4, state.efer] == [0, 0, 0, 0])
    #expect(state.debugRegisters[0] == 0 && state.debugRegisters[6] == 0xffff_0ff0 && state.debugRegisters[7] == 0x400)
    #expect(state.gdtr.limit == 0xffff && state.idtr.base == 0)
    #expect(state.vector.xmm[3] == Vector128(1, 2) && state.vector.mxcsr == 0x1f)
    #expect([state.lstar, state.kernelGSBase, state.tscOffset, state.xcr0] == [0x1111, 0x2222, 55, 3])
  }

  // MARK: NMI

  /// inc ebx; iretq
  private static let handler: [UInt8] = [0xff, 0xc3, 0x48, 0xcf]

  @Test func `NMI comes with interrupts off, wakes from HLT, and is told from a maskable interrupt`() {
    // hlt; mov ecx, 1; hlt
    let machine = Self.machine([0xf4, 0xb9, 0x01, 0x00, 0x00, 0x00, 0xf4])
    machine.setHandler(2, Self.handler)
    machine.run(1)
    #expect(machine.processor.state.isHalted)
    machine.bus.latched = .nonMaskable
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rbx] == 1 && machine[Slot.rcx] == 1)
    #expect(machine.bus.latched == [])
  }

  @Test func `another NMI waits until IRET`() {
    let machine = Self.machine([0x90, 0x90, 0xf4])
    machine.setHandler(2, Self.handler)
    machine.bus.latched = .nonMaskable
    machine.run(1)
    #expect(machine[Slot.rbx] == 1)
    machine.bus.latched = .nonMaskable
    #expect(!machine.processor.canTakeNonMaskable)
    machine.run(1)
    #expect(machine.bus.latched == .nonMaskable, "IRET has ended, the second comes before the next instruction")
    #expect(machine.processor.canTakeNonMaskable)
    machine.run(1)
    #expect(machine.bus.latched == [])
    #expect(machine[Slot.rbx] == 2)
  }

  @Test func `an IRET that raises an exception ends the blocking`() {
    let machine = Self.machine([0x90, 0x90, 0xf4])
    // push 1; iretq: the frame's first word is no canonical RIP with a null CS behind it.
    machine.setHandler(2, [0x6a, 0x00, 0x6a, 0x00, 0x48, 0xcf])
    machine.bus.latched = .nonMaskable
    machine.run(2)
    #expect(!machine.processor.canTakeNonMaskable)
    #expect(machine.run() == .haltedForEver, "the handler of #GP")
    #expect(machine.lastException?.vector == 13)
    #expect(machine.processor.canTakeNonMaskable)
  }

  @Test func `MOV SS holds NMI off for one instruction`() {
    // mov ss, eax; nop; hlt
    let machine = Self.machine([0x8e, 0xd0, 0x90, 0xf4])
    machine.setHandler(2, Self.handler)
    machine[Slot.rax] = UInt64(TinyMachine.Selector.kernelData)
    machine.run(1)
    machine.bus.latched = .nonMaskable
    machine.run(1)
    #expect(machine[Slot.rbx] == 0 && machine.processor.state.rip == 0x1003)
    machine.run(1)
    #expect(machine[Slot.rbx] == 1)
  }

  // MARK: CPUID

  @Test func `CPUID tells the processors apart`() {
    for (count, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (16, 4)] as [(Int, UInt64)] {
      for index in 0..<count {
        var options = ProcessorOptions()
        (options.index, options.count) = (index, count)
        let guest = GuestMemory { map(0x1000, to: 0x1000) }
        let machine = TinyMachine(guest, code: [0x0f, 0xa2, 0xf4], at: 0x1000, options: options)
        func leaf(_ leaf: UInt64, _ subleaf: UInt64) -> [UInt64] {
          machine.update { state in
            state.awaitsStartUp = false
            state.rip = 0x1000
            state.slots[Int(Slot.rax)] = leaf
            state.slots[Int(Slot.rcx)] = subleaf
          }
          machine.run(1)
          return [Slot.rax, Slot.rbx, Slot.rcx, Slot.rdx].map { machine[$0] }
        }
        #expect(leaf(1, 0)[1] >> 24 == UInt64(index))
        #expect(leaf(1, 0)[1] >> 16 & 0xff == UInt64(count))
        #expect(leaf(1, 0)[3] >> 28 & 1 == (count > 1 ? 1 : 0))
        #expect(leaf(0xb, 0) == [0, 1, 0x100, UInt64(index)])
        #expect(leaf(0xb, 1) == [bits, UInt64(count), 0x201, UInt64(index)])
        #expect(leaf(0xb, 2) == [0, 0, 2, UInt64(index)])
      }
    }
  }
}
