import Machine
import Support
import Testing

/// Switches of tasks by hardware (SDM vol. 3, 7.3), without paging.
struct TaskSwitchTests {
  typealias Place = TinyMachine.Place
  /// The other task's state.
  private static let other: UInt64 = 0x3000

  private static func setTask(
    _ machine: TinyMachine, type: UInt64 = 0x89, limit: UInt64 = 0x67, privilege: UInt64 = 0
  ) {
    machine.guest.setWord(limit | other << 16 | (type | privilege << 5) << 40, atPhysical: Place.gdt + 0x30)
  }

  /// Code at 0x1000, and another task that would begin at 0x1800 with a NOP and an IRET.
  private static func machine(_ code: [UInt8], cpl: UInt8 = 0) -> TinyMachine {
    let machine = ProtectedMachine.make(code, cpl: cpl)
    setTask(machine)
    machine.guest.write([0x90, 0xcf, 0x90], atPhysical: 0x1800)
    set(machine, [(0x20, 0x1800), (0x24, 2), (0x28, 0x1234_5678), (0x38, 0x5000)])
    set(machine, [(0x48, 0x10), (0x4c, 0x08), (0x50, 0x10), (0x54, 0x10), (0x58, 0), (0x5c, 0x10), (0x60, 0)])
    machine.update { $0.rflags = Flag.carry }
    return machine
  }

  private static func set(_ machine: TinyMachine, _ fields: [(offset: UInt64, value: UInt32)]) {
    for field in fields {
      machine.guest.write(
        (0..<4).map { UInt8(truncatingIfNeeded: field.value >> ($0 * 8)) }, atPhysical: other + field.offset)
    }
  }

  private static func field(_ machine: TinyMachine, _ address: UInt64) -> UInt64 {
    machine.guest.word(atPhysical: address) & 0xffff_ffff
  }

  private static func type(_ machine: TinyMachine, _ selector: UInt64) -> UInt64 {
    machine.guest.word(atPhysical: Place.gdt + selector) >> 40 & 0x1f
  }

  private static let call: [UInt8] = [0x9a, 0xf4, 0xf4, 0xf4, 0xf4, 0x30, 0x00, 0x90]
  private static let jump: [UInt8] = [0xea, 0xf4, 0xf4, 0xf4, 0xf4, 0x30, 0x00, 0x90]

  @Test func `CALL saves the old task and links the new one to it, IRET goes back`() {
    let machine = Self.machine(Self.call)
    machine.update { $0.debugRegisters[7] = 0x7ff }
    machine.run(2)
    var state = machine.processor.state
    #expect(state.tr.selector == 0x30 && state.tr.base == Self.other && state.rip == 0x1801)
    #expect(machine[Slot.rax] == 0x1234_5678 && machine[Slot.rsp] == 0x5000)
    #expect(state.rflags == Flag.one | Flag.nestedTask)
    #expect(state.cr0 & CR0.taskSwitched != 0 && state.debugRegisters[7] == 0x6aa)
    #expect(state[.cs] == Segment(selector: 0x08, base: 0, limit: .max, attributes: 0xc09b))
    #expect(state[.fs] == .null && state[.gs].limit == .max)
    #expect(Self.type(machine, 0x28) == 0xb && Self.type(machine, 0x30) == 0xb)
    #expect(Self.field(machine, Self.other) & 0xffff == 0x28)
    #expect(Self.field(machine, Place.task + 0x20) == 0x1007)
    #expect(Self.field(machine, Place.task + 0x24) == Flag.one | Flag.carry)
    #expect(Self.field(machine, Place.task + 0x4c) & 0xffff == 0x08)
    machine.run(2)
    state = machine.processor.state
    #expect(state.tr.selector == 0x28 && state.rip == 0x1008 && state.rflags == Flag.one | Flag.carry)
    #expect(Self.type(machine, 0x28) == 0xb && Self.type(machine, 0x30) == 9)
    #expect(Self.field(machine, Self.other + 0x20) == 0x1802)
    #expect(Self.field(machine, Self.other + 0x24) == Flag.one)
    #expect(machine.lastException == nil)
  }

  @Test func `JMP leaves the old task and links nothing, a task gate leads to the same`() {
    for selector in [0x30, 0x38] as [UInt8] {
      var code = Self.jump
      code[5] = selector
      let machine = Self.machine(code)
      machine.guest.setWord(0x30 << 16 | 0x85 << 40, atPhysical: Place.gdt + 0x38)
      machine.run(2)
      #expect(machine.processor.state.tr.selector == 0x30 && machine.processor.state.rflags == Flag.one)
      #expect(Self.type(machine, 0x28) == 9 && Self.type(machine, 0x30) == 0xb)
      #expect(Self.field(machine, Self.other) & 0xffff == 0)
    }
  }

  @Test func `an exception through a task gate finds its error code on the new task's stack`() {
    // mov ds, ax: a selector with no descriptor.
    let machine = Self.machine([0x8e, 0xd8])
    machine.guest.setWord(0x30 << 16 | 0x85 << 40, atPhysical: Place.idt + 13 * 8)
    machine[Slot.rax] = 0x70
    machine.run(1)
    #expect(machine.lastException == .generalProtection(0x70))
    #expect(machine.processor.state.tr.selector == 0x30 && machine[Slot.rsp] == 0x4ffc)
    #expect(Self.field(machine, 0x4ffc) == 0x70)
    #expect(Self.field(machine, Place.task + 0x20) == 0x1000)
    #expect(Self.field(machine, Place.task + 0x24) == Flag.one | Flag.carry | Flag.resume)
    #expect(Self.field(machine, Self.other) & 0xffff == 0x28)
  }

  @Test func `an interrupt that switches tasks completes before the next instruction`() {
    let machine = Self.machine([0xfb, 0x90, 0x90])
    machine.guest.setWord(0x30 << 16 | 0x85 << 40, atPhysical: Place.idt + 0x1f * 8)
    machine.bus.timetable = [(0, 0x1f)]
    machine.run(3)
    #expect(machine.processor.state.tr.selector == 0x30 && machine.processor.state.rip == 0x1801)
    #expect(machine.processor.state.rflags & Flag.interrupt == 0)
  }

  @Test func `nothing comes between the halves of a task switch`() {
    let machine = Self.machine([0x90])
    machine.update { $0.rflags = Flag.interrupt }
    #expect(machine.processor.canTakeInterrupt && machine.processor.canTakeNonMaskable)
    machine.update { $0.taskSwitch = PendingTaskSwitch(isActive: true) }
    #expect(!machine.processor.canTakeInterrupt && !machine.processor.canTakeNonMaskable)
  }

  @Test func `a task that is not there, busy, too small or not for the ring is refused, and nothing has changed`() {
    func refused(cpl: UInt8 = 0, _ change: (TinyMachine) -> Void) -> GuestException? {
      let machine = Self.machine(Self.call, cpl: cpl)
      change(machine)
      machine.run(1)
      #expect(machine.processor.state.tr.selector == 0x28)
      return machine.lastException
    }
    #expect(refused { Self.setTask($0, type: 0x8b) } == .generalProtection(0x30))
    #expect(refused { Self.setTask($0, type: 0x09) } == .segmentNotPresent(0x30))
    #expect(refused { Self.setTask($0, limit: 0x66) } == .invalidTSS(0x30))
    #expect(refused(cpl: 3) { _ in } == .generalProtection(0x30))
    // IRET with NT to a task that is not busy.
    let machine = Self.machine([0xcf])
    machine.guest.write([0x30, 0x00], atPhysical: Place.task)
    machine.update { $0.rflags = Flag.nestedTask }
    machine.run(1)
    #expect(machine.lastException == .invalidTSS(0x30))
  }

  @Test func `what the new task's selectors lack is an exception of the new task`() {
    let cases: [(field: UInt64, value: UInt32, exception: GuestException)] = [
      (0x4c, 0x10, .invalidTSS(0x10)), (0x4c, 0, .invalidTSS(0)), (0x50, 0x08, .invalidTSS(0x08)),
      (0x50, 0, .invalidTSS(0)), (0x54, 0x28, .invalidTSS(0x28)), (0x60, 0x10, .invalidTSS(0x10)),
      (0x4c, 0x50, .segmentNotPresent(0x50)), (0x50, 0x58, .stack(0x58)), (0x48, 0x58, .segmentNotPresent(0x58)),
    ]
    for one in cases {
      let machine = Self.machine(Self.call)
      machine.guest.setWord(0x00cf_1b00_0000_ffff, atPhysical: Place.gdt + 0x50)
      machine.guest.setWord(0x00cf_1300_0000_ffff, atPhysical: Place.gdt + 0x58)
      // Its handler is a task too, so that no stack of the new one is needed; it stops.
      machine.guest.setWord(0x0000_8900_0000_0067 | 0x3800 << 16, atPhysical: Place.gdt + 0x68)
      for offset in stride(from: 0 as UInt64, to: 0x68, by: 8) {
        machine.guest.setWord(machine.guest.word(atPhysical: Self.other + offset), atPhysical: 0x3800 + offset)
      }
      machine.guest.write([0x00, 0x19], atPhysical: 0x3820)
      machine.guest.write([0xf4], atPhysical: 0x1900)
      for vector in 10...13 as ClosedRange<UInt64> {
        machine.guest.setWord(0x68 << 16 | 0x85 << 40, atPhysical: Place.idt + vector * 8)
      }
      Self.set(machine, [(one.field, one.value)])
      machine.run()
      #expect(machine.lastException == one.exception, "\(one)")
      #expect(machine.processor.state.rip == 0x1901 && Self.field(machine, 0x3800) & 0xffff == 0x30, "\(one)")
    }
  }

  @Test func `the flag T traps before the task's first instruction`() {
    let machine = Self.machine(Self.jump)
    Self.set(machine, [(0x64, 1)])
    machine.run()
    #expect(machine.lastException == .debug && machine.processor.state.debugRegisters[6] & 0xe00f == 0x8000)
    #expect(Self.field(machine, machine[Slot.rsp]) == 0x1800)
  }

  @Test func `a task state of 16 bits has 16-bit fields`() {
    let machine = Self.machine(Self.call)
    Self.setTask(machine, type: 0x81, limit: 0x2b)
    machine.guest.write([UInt8](repeating: 0, count: 0x68), atPhysical: Self.other)
    for (offset, value) in [
      (0x0e, 0x1800), (0x10, 2), (0x12, 0x4321), (0x1a, 0x5000), (0x22, 0x10), (0x24, 0x08), (0x26, 0x10), (0x28, 0x10),
    ] as [(UInt64, UInt16)] {
      machine.guest.write([UInt8(value & 0xff), UInt8(value >> 8)], atPhysical: Self.other + offset)
    }
    machine.run(4)
    #expect(machine.processor.state.tr.selector == 0x28 && machine.processor.state.rip == 0x1008)
    #expect(machine.guest.word(atPhysical: Self.other + 0x0e) & 0xffff == 0x1802)
    #expect(machine.guest.word(atPhysical: Self.other + 0x12) & 0xffff == 0x4321)
    #expect(machine.lastException == nil)
  }
}

/// Virtual-8086 mode (SDM vol. 3, chapter 20), without paging.
struct Virtual8086Tests {
  typealias Place = TinyMachine.Place

  /// IRETD at 0x1000 to code at 0x200:0, with a stack at 0x400:0x100.
  private static func machine(_ code: [UInt8], privilegeLevel: UInt64 = 0) -> TinyMachine {
    let machine = ProtectedMachine.make([0xcf])
    machine.guest.write(code, atPhysical: 0x2000)
    // No I/O permission bitmap.
    machine.guest.write([0x68, 0x00], atPhysical: Place.task + 0x66)
    let flags = Flag.one | Flag.virtual8086 | Flag.carry | privilegeLevel << 12
    let frame: [UInt64] = [0, 0x200, flags, 0x100, 0x400, 0x111, 0x222, 0x333, 0x444]
    for (index, value) in frame.enumerated() {
      machine.guest.write(
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) },
        atPhysical: machine[Slot.rsp] + 4 * UInt64(index))
    }
    machine.run(1)
    return machine
  }

  private static func frame(_ machine: TinyMachine, _ count: UInt64) -> [UInt64] {
    (0..<count).map { machine.guest.word(atPhysical: machine[Slot.rsp] + 4 * $0) & 0xffff_ffff }
  }

  @Test func `IRET enters it, with segments of 64 KiB`() {
    // mov ax, ds; mov [0x10], ax; push cs
    let machine = Self.machine([0x8c, 0xd8, 0xa3, 0x10, 0x00, 0x0e])
    var state = machine.processor.state
    #expect(state.cpl == 3 && state.rip == 0 && state[.cs].base == 0x2000 && machine[Slot.rsp] == 0x100)
    #expect(state.rflags == Flag.one | Flag.virtual8086 | Flag.carry)
    #expect(
      [.es, .ds, .fs, .gs].map { state[$0].selector } == [0x111, 0x222, 0x333, 0x444] && state[.ds].limit == 0xffff)
    machine.run(3)
    state = machine.processor.state
    #expect(machine.lastException == nil && machine[Slot.rsp] == 0xfe)
    #expect(machine.guest.word(atPhysical: 0x2230) & 0xffff == 0x222)
    #expect(machine.guest.word(atPhysical: 0x40fe) & 0xffff == 0x200)
  }

  @Test func `an exception leaves it for ring 0, all segments on the stack, and IRET goes back`() {
    // ud2
    let machine = Self.machine([0x0f, 0x0b, 0x90])
    machine.guest.write([0x83, 0x04, 0x24, 0x02, 0xcf], atPhysical: Place.handlers + 6 * 16)
    machine.run(1)
    let state = machine.processor.state
    #expect(state.cpl == 0 && state.rflags & Flag.virtual8086 == 0 && state[.cs].selector == 0x08)
    #expect([.es, .ds, .fs, .gs].allSatisfy { state[$0] == .null })
    let flags = Flag.one | Flag.virtual8086 | Flag.carry | Flag.resume
    #expect(Self.frame(machine, 9) == [2, 0x200, flags, 0x100, 0x400, 0x111, 0x222, 0x333, 0x444])
    machine.run(2)
    #expect(machine.processor.state.rflags & Flag.virtual8086 != 0)
    #expect(machine.processor.state.rip == 3 && machine.processor.state[.gs].selector == 0x444)
  }

  @Test(arguments: [[0xcd, 0x06], [0xfa], [0xfb], [0x9c], [0x9d], [0xcf], [0xf4], [0xe4, 0x10]] as [[UInt8]])
  func `what depends on IOPL or needs ring 0 is #GP`(code: [UInt8]) {
    let machine = Self.machine(code)
    machine.run(0)
    machine.run()
    #expect(machine.lastException == .generalProtection(0), "\(code)")
    // With IOPL 3 only HLT, and a port that no bitmap permits, are.
    let free = Self.machine(code, privilegeLevel: 3)
    free.run(1)
    let stays = code == [0xf4] || code == [0xe4, 0x10]
    #expect((free.lastException == .generalProtection(0)) == stays, "\(code)")
  }

  @Test func `a handler that is not ring 0's is refused`() {
    let machine = Self.machine([0x0f, 0x0b])
    // Conforming code.
    machine.guest.setWord(0x00cf_9f00_0000_ffff, atPhysical: Place.gdt + 0x40)
    let target = Place.handlers
    machine.guest.setWord(
      target & 0xffff | 0x40 << 16 | 0x8e << 40 | (target >> 16) << 48, atPhysical: Place.idt + 6 * 8)
    machine.run()
    // EXT: the program has not asked for it.
    #expect(machine.lastException == .generalProtection(0x41))
  }
}
