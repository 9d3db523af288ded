import Machine
import Support
import Testing

/// Interrupts and the ends of segments without paging: real mode, and protected mode with its call gates.
struct RealModeTests {
  /// Code in real mode at CS:IP 0x100:0, a stack at 0x300:0x800, the vector table at 0.
  static func machine(_ code: [UInt8]) -> TinyMachine {
    let machine = TinyMachine(GuestMemory { map(0x1000, to: 0x1000) }, code: code, at: 0x1000)
    machine.update { state in
      state.cr0 = CR0.extensionType
      state.cr4 = 0
      state.efer = 0
      let selectors: [(SegmentRegister, UInt16)] = [(.cs, 0x100), (.ss, 0x300), (.ds, 0), (.es, 0)]
      for (register, selector) in selectors {
        state[register] = Segment(
          selector: selector, base: UInt64(selector) << 4, limit: 0xffff, attributes: register == .cs ? 0x9b : 0x93)
      }
      state.rip = 0
      state.slots[Int(Slot.rsp)] = 0x800
      state.idtr = DescriptorTable(base: 0, limit: 0x3ff)
    }
    return machine
  }

  private static func setVector(_ machine: TinyMachine, _ vector: UInt64, _ selector: UInt16, _ offset: UInt16) {
    machine.guest.write(
      [UInt8(offset & 0xff), UInt8(offset >> 8), UInt8(selector & 0xff), UInt8(selector >> 8)],
      atPhysical: vector * 4)
  }

  private static func words(_ machine: TinyMachine, _ count: UInt64) -> [UInt64] {
    let pointer = 0x3000 + (machine[Slot.rsp] & 0xffff)
    return (0..<count).map { machine.guest.word(atPhysical: pointer + 2 * $0) & 0xffff }
  }

  @Test func `INT n goes through the vector table, and IRET comes back`() {
    let machine = Self.machine([0xcd, 0x11])
    Self.setVector(machine, 0x11, 0x200, 0x10)
    machine.guest.write([0xcf], atPhysical: 0x2010)
    machine.update { $0.rflags = Flag.interrupt | Flag.trap | Flag.carry | Flag.alignmentCheck }
    machine.run(1)
    var state = machine.processor.state
    #expect(state[.cs].selector == 0x200 && state[.cs].base == 0x2000 && state.rip == 0x10 && state.cpl == 0)
    #expect(Self.words(machine, 3) == [2, 0x100, Flag.one | Flag.interrupt | Flag.trap | Flag.carry])
    #expect(state.rflags == Flag.one | Flag.carry)
    machine.run(1)
    state = machine.processor.state
    #expect(state[.cs].selector == 0x100 && state.rip == 2 && machine[Slot.rsp] == 0x800)
    #expect(state.rflags == Flag.one | Flag.interrupt | Flag.trap | Flag.carry)
  }

  @Test func `an exception of real mode has no error code`() {
    // mov ax, [0xffff]: beyond the limit.
    let machine = Self.machine([0xa1, 0xff, 0xff])
    Self.setVector(machine, 13, 0x200, 0)
    machine.guest.write([0xf4], atPhysical: 0x2000)
    machine.run(1)
    #expect(machine.lastException?.vector == 13)
    #expect(machine[Slot.rsp] == 0x7fa && Self.words(machine, 2) == [0, 0x100])
  }

  @Test func `a vector beyond the table's limit is #GP, and that again ends in shutdown`() {
    let machine = Self.machine([0xcd, 0x40])
    Self.setVector(machine, 13, 0x200, 0)
    machine.guest.write([0xf4], atPhysical: 0x2000)
    machine.update { $0.idtr = DescriptorTable(base: 0, limit: 0x3f) }
    machine.run(1)
    #expect(machine.lastException?.vector == 13 && machine.processor.state[.cs].selector == 0x200)
    let none = Self.machine([0xcd, 0x40])
    none.update { $0.idtr = DescriptorTable(base: 0, limit: 0) }
    #expect(none.run(1) == .tripleFault)
  }

  @Test func `code does not run past the end of its segment`() {
    let machine = Self.machine([])
    Self.setVector(machine, 13, 0x200, 0)
    machine.guest.write([0xf4], atPhysical: 0x2000)
    // Three NOPs up to the very end: the fourth instruction would be at 0x10000.
    machine.guest.write([0x90, 0x90, 0x90, 0x90], atPhysical: 0x1_0ffd)
    machine.update { $0.rip = 0xfffd }
    machine.run(4)
    #expect(machine.lastException?.vector == 13)
    // What is pushed is IP of the instruction that is not there, in 16 bits.
    #expect(Self.words(machine, 2) == [0, 0x100])
    // An instruction whose last byte lies beyond: mov ax, 1 at 0xfffe.
    let crossing = Self.machine([])
    Self.setVector(crossing, 13, 0x200, 0)
    crossing.guest.write([0xf4], atPhysical: 0x2000)
    crossing.guest.write([0xb8, 0x01, 0x00], atPhysical: 0x1_0ffe)
    crossing.update { $0.rip = 0xfffe }
    crossing.run(1)
    #expect(crossing.lastException?.vector == 13 && Self.words(crossing, 1) == [0xfffe])
  }

  @Test(arguments: [0x1004, 0x1005, 0x1006, 0x1fff] as [UInt32])
  func `a limit within a page stops code at the byte`(limit: UInt32) {
    // nop; mov eax, 1 at 0x1000: its last byte is at 0x1005.
    let machine = ProtectedMachine.make([0x90, 0xb8, 1, 0, 0, 0, 0x90])
    machine.update { $0[.cs].limit = limit }
    machine.run(3)
    let faulted = machine.lastException == .generalProtection(0)
    #expect(faulted == (limit < 0x1006))
    if limit == 0x1004 { #expect(machine.guest.word(atPhysical: machine[Slot.rsp] + 4) & 0xffff_ffff == 0x1001) }
    if limit == 0x1005 { #expect(machine.guest.word(atPhysical: machine[Slot.rsp] + 4) & 0xffff_ffff == 0x1006) }
  }

  /// Instructions with DS:0xffe or DS:0xffc as their operand, which reach as far as they are wide.
  static let reaching: [(code: [UInt8], width: UInt32, writes: Bool)] = [
    ([0x8a, 0x03], 1, false), ([0x66, 0x8b, 0x03], 2, false), ([0x8b, 0x03], 4, false), ([0x89, 0x03], 4, true),
    ([0xc6, 0x03, 0x01], 1, true), ([0x01, 0x03], 4, true), ([0x39, 0x03], 4, false), ([0x0f, 0xb7, 0x03], 2, false),
    ([0xff, 0x03], 4, true), ([0x66, 0xff, 0x03], 2, true), ([0x0f, 0xc7, 0x0b], 8, true), ([0xd3, 0x23], 4, true),
    ([0xf7, 0x23], 4, false), ([0x0f, 0xba, 0x23, 0x01], 4, false), ([0x0f, 0xba, 0x2b, 0x01], 4, true),
    ([0xff, 0x33], 4, false), ([0x8f, 0x03], 4, true), ([0x87, 0x03], 4, true), ([0x0f, 0x01, 0x03], 6, true),
    ([0x66, 0x0f, 0x6f, 0x03], 16, false), ([0x66, 0x0f, 0x7f, 0x03], 16, true),
    ([0x0f, 0x00, 0x23], 2, false),
  ]

  @Test(arguments: reaching)
  func `an operand has to lie within its segment to its last byte`(code: [UInt8], width: UInt32, writes: Bool) {
    func run(_ change: (inout Segment) -> Void) -> GuestException? {
      let machine = ProtectedMachine.make(code)
      machine.update { state in
        state.slots[Int(Slot.rbx)] = 0x2000
        state.cr4 = CR4.osFXSR
        change(&state[.ds])
      }
      machine.run(1)
      return machine.lastException
    }
    #expect(run { $0.limit = 0x2000 + width - 1 } == nil)
    #expect(run { $0.limit = 0x2000 + width - 2 } == .generalProtection(0))
    // Read-only data, and code that may be executed only.
    #expect(run { $0.attributes = 0xc091 } == (writes ? .generalProtection(0) : nil))
    #expect(run { $0.attributes = 0xc099 } == .generalProtection(0))
    // Expand-down: what lies above the limit.
    #expect(run { ($0.attributes, $0.limit) = (0xc097, 0x1fff) } == nil)
    #expect(run { ($0.attributes, $0.limit) = (0xc097, 0x2000) } == .generalProtection(0))
  }

  @Test func `INVLPG accesses nothing, and no limit stops it`() {
    let machine = ProtectedMachine.make([0x0f, 0x01, 0x3b])
    machine.update { state in
      state.slots[Int(Slot.rbx)] = 0x2000
      state[.ds].limit = 0
    }
    machine.run(1)
    #expect(machine.lastException == nil)
  }

  @Test func `in real mode code may be written, and an operand's last byte counts`() {
    // mov cs:[0x10], ax.
    let machine = Self.machine([0x2e, 0xa3, 0x10, 0x00])
    machine[Slot.rax] = 0x1234
    machine.run(1)
    #expect(machine.lastException == nil && machine.guest.word(atPhysical: 0x1010) & 0xffff == 0x1234)
    // mov ax, ss:[0xffff] is #SS.
    let stack = Self.machine([0x36, 0xa1, 0xff, 0xff])
    Self.setVector(stack, 12, 0x200, 0)
    stack.guest.write([0xf4], atPhysical: 0x2000)
    stack.run(1)
    #expect(stack.lastException?.vector == 12)
  }

  @Test func `AMD has SYSCALL and SYSRET in legacy mode, by STAR alone`() {
    let machine = ProtectedMachine.make([0x0f, 0x05], cpl: 3, vendor: .amd)
    machine.guest.write([0x0f, 0x07], atPhysical: 0x1800)
    machine.update { state in
      state.efer = EFER.systemCall
      state.star = 0x001b_0008 << 32 | 0x1800
      state.rflags = Flag.interrupt | Flag.carry
    }
    machine.run(1)
    var state = machine.processor.state
    #expect(state.cpl == 0 && state.rip == 0x1800 && machine[Slot.rcx] == 0x1002)
    #expect(state[.cs].selector == 0x08 && state[.ss].selector == 0x10 && state.rflags == Flag.one | Flag.carry)
    machine.run(1)
    state = machine.processor.state
    #expect(state.cpl == 3 && state.rip == 0x1002 && state[.cs].selector == 0x1b && state[.ss].selector == 0x23)
    #expect(state.rflags == Flag.one | Flag.carry | Flag.interrupt)
    let intel = ProtectedMachine.make([0x0f, 0x05], cpl: 3)
    intel.update { $0.efer = EFER.systemCall }
    intel.run(1)
    #expect(intel.lastException == .invalidOpcode)
  }

  // MARK: Call gates of protected mode

  @Test func `a call gate to an inner ring changes the stack and copies parameters`() {
    // call far 0x53:0, from ring 3; the gate has two parameters.
    let machine = ProtectedMachine.make([0x9a, 0, 0, 0, 0, 0x53, 0], cpl: 3)
    ProtectedMachine.setGate(machine, 0x50, target: 0x1800, parameters: 2, privilege: 3)
    machine.guest.write([0xca, 0x08, 0x00], atPhysical: 0x1800)
    machine.guest.setWord(0x2222_2222_1111_1111, atPhysical: 0x7000)
    machine[Slot.rsp] = 0x7000
    machine.run(1)
    let state = machine.processor.state
    #expect(state.cpl == 0 && state.rip == 0x1800 && state[.cs].selector == 0x08 && state[.ss].selector == 0x10)
    let frame = (0..<6).map { machine.guest.word(atPhysical: machine[Slot.rsp] + 4 * $0) & 0xffff_ffff } as [UInt64]
    #expect(frame == [0x1007, 0x23, 0x1111_1111, 0x2222_2222, 0x7000, 0x1b])
    // RET 8 releases the parameters on both stacks.
    machine.run(1)
    #expect(machine.processor.state.cpl == 3 && machine.processor.state.rip == 0x1007 && machine[Slot.rsp] == 0x7008)
  }

  @Test func `a call gate of the same ring keeps the stack, one that is not for the ring is refused`() {
    let same = ProtectedMachine.make([0x9a, 0, 0, 0, 0, 0x50, 0])
    ProtectedMachine.setGate(same, 0x50, target: 0x1800, parameters: 2, privilege: 0)
    let before = same[Slot.rsp]
    same.run(1)
    #expect(same.processor.state.rip == 0x1800 && same[Slot.rsp] == before - 8)
    let refused = ProtectedMachine.make([0x9a, 0, 0, 0, 0, 0x53, 0], cpl: 3)
    ProtectedMachine.setGate(refused, 0x50, target: 0x1800, parameters: 0, privilege: 0)
    refused.run(1)
    #expect(refused.lastException == .generalProtection(0x50))
    let absent = ProtectedMachine.make([0x9a, 0, 0, 0, 0, 0x50, 0])
    ProtectedMachine.setGate(absent, 0x50, target: 0x1800, parameters: 0, privilege: 0, isPresent: false)
    absent.run(1)
    #expect(absent.lastException == .segmentNotPresent(0x50))
  }
}

/// Protected mode without paging: flat 32-bit segments of both rings, a 32-bit task state, gates that stop the machine.
enum ProtectedMachine {
  typealias Place = TinyMachine.Place

  static func make(_ code: [UInt8], cpl: UInt8 = 0, vendor: Vendor = .intel) -> TinyMachine {
    let machine = TinyMachine(
      GuestMemory { map(0x1000, to: 0x1000) }, code: code, at: 0x1000, profile: .flat(vendor: vendor, name: "test"))
    // Null, code, data; data and code of ring 3; the task.
    let descriptors: [UInt64] = [
      0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00cf_fb00_0000_ffff,
      0x0000_8b00_0000_0067 | Place.task << 16,
    ]
    for (index, descriptor) in descriptors.enumerated() {
      machine.guest.setWord(descriptor, atPhysical: Place.gdt + UInt64(index) * 8)
    }
    for vector in 0..<32 as Range<UInt64> {
      let target = Place.handlers + vector * 16
      machine.guest.setWord(
        target & 0xffff | 8 << 16 | 0x8e << 40 | (target >> 16) << 48, atPhysical: Place.idt + vector * 8)
      machine.guest.write([0xf4], atPhysical: target)
    }
    machine.guest.setWord(Place.stack | 0x10 << 32, atPhysical: Place.task + 4)
    machine.update { state in
      state.cr0 = CR0.protectionEnable | CR0.extensionType
      state.cr4 = 0
      state.efer = 0
      state.cpl = cpl
      state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x7f)
      state.idtr = DescriptorTable(base: Place.idt, limit: 0xff)
      state.tr = Segment(selector: 0x28, base: Place.task, limit: 0x67, attributes: 0x8b)
      let level = UInt16(cpl) << 5
      state[.cs] = Segment(selector: cpl == 0 ? 0x08 : 0x23, base: 0, limit: .max, attributes: 0xc09b | level)
      for register in [SegmentRegister.ss, .ds, .es, .fs, .gs] {
        state[register] = Segment(selector: cpl == 0 ? 0x10 : 0x1b, base: 0, limit: .max, attributes: 0xc093 | level)
      }
      state.slots[Int(Slot.rsp)] = Place.otherStack
    }
    return machine
  }

  static func setGate(
    _ machine: TinyMachine, _ selector: UInt64, target: UInt64, parameters: UInt64, privilege: UInt64,
    isPresent: Bool = true
  ) {
    machine.guest.setWord(
      target & 0xffff | 8 << 16 | parameters << 32 | (isPresent ? 0x8c : 0x0c) << 40 | privilege << 45
        | (target >> 16) << 48, atPhysical: Place.gdt + selector)
  }
}
