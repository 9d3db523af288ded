import Machine
import Support
import Testing

/// The breakpoints of DR0 to DR3, and alignment checks.
struct BreakpointTests {
  typealias Place = TinyMachine.Place

  /// A breakpoint register: what it waits for (R/W0 of DR7: 0 execution, 1 writes, 2 ports, 3 reads and writes) and how
  /// long it is (LEN0: 0, 1, 2, 3 are 1, 2, 8, 4 bytes).
  struct Breakpoint: Sendable {
    var number = 0
    var address: UInt64
    var kind: UInt64
    var length: UInt64 = 0
  }

  static func machine(
    _ code: [UInt8], _ breakpoints: Breakpoint..., flags: UInt64 = 0, cpl: UInt8 = 0
  ) -> TinyMachine {
    let machine = EventTests.machine(code, cpl: cpl)
    machine.update { state in
      state.rflags = flags
      for breakpoint in breakpoints {
        let number = UInt64(breakpoint.number)
        state.debugRegisters[breakpoint.number] = breakpoint.address
        state.debugRegisters[7] |=
          2 << (2 * number) | (breakpoint.kind | breakpoint.length << 2) << (16 + 4 * number)
      }
    }
    return machine
  }

  static func events(_ machine: TinyMachine) -> [UInt64] {
    machine.processor.recentlyDelivered.filter { $0.event == .exception(.debug) }.map(\.rip)
  }

  static func causes(_ machine: TinyMachine) -> UInt64 { machine.processor.state.debugRegisters[6] & 0xf00f }

  /// An access to an address below 2 GiB by MOV with AL, AX, EAX or RAX, in eight bytes: where there is no prefix a NOP
  /// comes first.
  static func move(_ address: UInt64, width: Int, write: Bool) -> [UInt8] {
    let prefix: [UInt8] = width == 2 ? [0x66] : width == 8 ? [0x48] : [0x90]
    let opcode: UInt8 = (write ? 0x88 : 0x8a) | (width == 1 ? 0 : 1)
    return prefix + [opcode, 0x04, 0x25] + (0..<4).map { UInt8(truncatingIfNeeded: address >> (8 * $0)) }
  }

  // MARK: Data

  struct Touch: CustomTestStringConvertible, Sendable {
    var breakpoint: Breakpoint
    var address: UInt64
    var width: Int
    var write: Bool
    var hits: Bool
    var testDescription: String {
      "\(width) bytes at \(String(address, radix: 16)), \(write ? "write" : "read"): \(breakpoint)"
    }
  }

  static let touches: [Touch] = {
    func touch(
      _ kind: UInt64, _ length: UInt64, _ at: UInt64, _ address: UInt64, _ width: Int, _ write: Bool, _ hits: Bool
    ) -> Touch {
      Touch(
        breakpoint: Breakpoint(address: 0x40_0000 + at, kind: kind, length: length), address: 0x40_0000 + address,
        width: width, write: write, hits: hits)
    }
    return [
      touch(1, 3, 0x10, 0x10, 4, true, true), touch(1, 3, 0x10, 0x10, 4, false, false),
      touch(3, 3, 0x10, 0x10, 4, false, true), touch(3, 3, 0x10, 0x10, 4, true, true),
      touch(2, 3, 0x10, 0x10, 4, true, false), touch(0, 0, 0x10, 0x10, 4, true, false),
      // One byte in common is enough; none is not.
      touch(1, 3, 0x10, 0x13, 1, true, true), touch(1, 3, 0x10, 0x14, 1, true, false),
      touch(1, 3, 0x10, 0x0f, 1, true, false), touch(1, 3, 0x10, 0x0d, 4, true, true),
      touch(1, 0, 0x13, 0x10, 4, true, true), touch(1, 0, 0x13, 0x10, 2, true, false),
      touch(1, 2, 0x10, 0x17, 2, true, true), touch(1, 2, 0x10, 0x18, 8, true, false),
      // Low bits that the length covers do not count.
      touch(1, 3, 0x12, 0x10, 1, true, true), touch(1, 1, 0x13, 0x12, 1, true, true),
      touch(1, 2, 0x1f, 0x18, 1, true, true),
      // Across two pages.
      touch(1, 0, 0x1000, 0xffe, 4, true, true), touch(3, 0, 0xfff, 0xffc, 8, false, true),
    ]
  }()

  @Test(arguments: touches) func `a data breakpoint traps behind the access that touches it`(touch: Touch) {
    let code = Self.move(touch.address, width: touch.width, write: touch.write)
    let machine = Self.machine(code + [0x90, 0x90], touch.breakpoint)
    machine.guest.setWord(0x1122_3344_5566_7788, atPhysical: 0x20_0010)
    machine[Slot.rax] = 0x55
    machine.run(3)
    #expect(Self.events(machine) == (touch.hits ? [0x1000 + UInt64(code.count)] : []))
    #expect(Self.causes(machine) == (touch.hits ? 1 : 0))
    // The access has been made.
    if touch.write {
      #expect(machine.guest.word(atPhysical: touch.address - 0x20_0000) & 0xff == 0x55)
    }
  }

  @Test func `what is enabled in the middle of a run counts from the next instruction on`() {
    // mov [0x400010], eax; mov dr7, rbx; mov [0x400010], eax; mov dr7, rcx; mov [0x400010], eax; hlt
    let store = Self.move(0x40_0010, width: 8, write: true)
    let code = store + [0x0f, 0x23, 0xfb] + store + [0x0f, 0x23, 0xf9] + store + [0xf4]
    let machine = Self.machine(code)
    machine.setHandler(1, [0x48, 0xcf])
    machine.update { state in
      state.debugRegisters[2] = 0x40_0010
      state.slots[Int(Slot.rbx)] = 0x400 | 1 << 4 | 0xd << 24
      state.slots[Int(Slot.rcx)] = 0x400
    }
    #expect(machine.run() == .haltedForEver)
    #expect(Self.events(machine) == [0x1000 + 2 * UInt64(store.count) + 3])
    #expect(Self.causes(machine) == 4)
  }

  @Test func `pushes, updates and strings touch breakpoints`() {
    // push rax; add [0x4007f8], rax; call rdx; stosb; movsb
    for (code, rip) in [
      ([0x50, 0x90], 0x1001), ([0x48, 0x01, 0x04, 0x25, 0xf8, 0x07, 0x40, 0x00, 0x90], 0x1008),
      ([0xff, 0xd2, 0x90], 0x1000), ([0xaa, 0x90], 0x1001), ([0xa4, 0x90], 0x1001),
    ] as [([UInt8], UInt64)] {
      let machine = Self.machine(code, Breakpoint(number: 1, address: 0x40_07f8, kind: 1, length: 2))
      machine.update { state in
        state.slots[Int(Slot.rsp)] = 0x40_0800
        state.slots[Int(Slot.rdi)] = 0x40_07f8
        state.slots[Int(Slot.rsi)] = 0x40_0000
        state.slots[Int(Slot.rdx)] = 0x1000
      }
      machine.run(1)
      #expect(Self.events(machine) == [rip], "\(code)")
      #expect(Self.causes(machine) == 2, "\(code)")
    }
  }

  @Test func `a repetition traps behind the element that touches, with RF set`() {
    let machine = Self.machine([0xf3, 0xaa, 0x90], Breakpoint(address: 0x40_0003, kind: 1))
    machine.update { state in
      state.slots[Int(Slot.rdi)] = 0x40_0000
      state.slots[Int(Slot.rcx)] = 10
    }
    machine.run()
    #expect(Self.events(machine) == [0x1000])
    #expect(machine[Slot.rcx] == 6 && machine[Slot.rdi] == 0x40_0004)
    #expect(machine.stackWords(3)[2] & Flag.resume != 0)
  }

  @Test func `an instruction that touches a breakpoint and faults is not trapped`() {
    // push [0x400010] with a stack that is not there; the handlers have another.
    let machine = Self.machine(
      [0xff, 0x34, 0x25, 0x10, 0x00, 0x40, 0x00], Breakpoint(address: 0x40_0010, kind: 3, length: 2))
    for vector in [1, 14] as [UInt8] { machine.setGate(vector, stack: 1) }
    machine[Slot.rsp] = 0x50_0000
    machine.run()
    #expect(machine.processor.recentlyDelivered.map(\.event.vector) == [14])
  }

  @Test func `a breakpoint and TF make one trap`() {
    let machine = Self.machine(
      Self.move(0x40_0010, width: 8, write: true), Breakpoint(number: 3, address: 0x40_0010, kind: 1), flags: Flag.trap)
    machine.run(1)
    #expect(Self.events(machine) == [0x1008])
    #expect(Self.causes(machine) == 0x4008)
  }

  @Test func `the frame of an event can touch a breakpoint: the trap comes at the handler's entry`() {
    let machine = Self.machine([0x0f, 0x0b], Breakpoint(address: Place.stack - 8, kind: 1, length: 2))
    machine.run()
    #expect(machine.processor.recentlyDelivered.map(\.event.vector) == [6, 1])
    #expect(Self.events(machine) == [Place.handlers + 6 * 16])
  }

  @Test func `so it does where an interrupt's frame touches one`() {
    let machine = Self.machine(
      [0x90, 0x90], Breakpoint(address: Place.stack - 8, kind: 1, length: 2), flags: Flag.interrupt)
    machine.bus.timetable = [(0, 0x20)]
    machine.setHandler(0x20, [0x90, 0x90])
    machine.run()
    #expect(machine.processor.recentlyDelivered.map(\.event.vector) == [0x20, 1])
    #expect(Self.events(machine) == [Place.handlers + 0x20 * 16])
  }

  @Test func `a debug exception whose own delivery raises it again locks the processor up`() {
    // The descriptor of the gate for vector 1, in whose delivery it is read again and again.
    let machine = Self.machine([0x90, 0x90], Breakpoint(address: Place.idt + 16, kind: 3, length: 2), flags: Flag.trap)
    machine.setGate(1, stack: 1)
    #expect(machine.run() == .lockedUp)
    #expect(machine.run() == .lockedUp)
    #expect(machine.processor.state.retired == 1)
  }

  @Test func `an alignment check in the delivery of one, to ring 3, locks the processor up`() {
    // push eax
    let machine = ProtectedMachine.make([0x50, 0x90], cpl: 3)
    let handler = Place.handlers + 17 * 16
    let gate = handler & 0xffff | UInt64(TinyMachine.Selector.userCode) << 16 | 0xee00 << 32 | (handler >> 16) << 48
    machine.guest.setWord(gate, atPhysical: Place.idt + 17 * 8)
    machine.update { state in
      state.cr0 |= CR0.alignmentMask
      state.rflags = Flag.alignmentCheck
      state.slots[Int(Slot.rsp)] = 0x5002
    }
    #expect(machine.run() == .lockedUp)
    #expect(machine.lastException == nil && machine.processor.state.rip == 0x1000)
  }

  @Test func `a breakpoint touched by MOV SS waits for the next instruction`() {
    // mov ss, [0x400010]; nop; nop
    let machine = Self.machine(
      [0x8e, 0x14, 0x25, 0x10, 0x00, 0x40, 0x00, 0x90, 0x90], Breakpoint(address: 0x40_0010, kind: 3, length: 1))
    machine.guest.setWord(0x10, atPhysical: 0x20_0010)
    machine.run(1)
    #expect(Self.events(machine) == [])
    let snapshot = machine.processor.snapshot()
    machine.processor.restore(snapshot)
    machine.run(1)
    #expect(Self.events(machine) == [0x1008])
    #expect(Self.causes(machine) == 1)
  }

  // MARK: Instructions

  @Test func `an instruction breakpoint faults before the instruction, and RF holds it off for one`() {
    // nop; inc eax; jmp back to the INC
    let machine = Self.machine([0x90, 0xff, 0xc0, 0xeb, 0xfc], Breakpoint(number: 2, address: 0x1001, kind: 0))
    // or byte [rsp + 18], 1, which is RF of the frame; iretq
    machine.setHandler(1, [0x80, 0x4c, 0x24, 0x12, 0x01, 0x48, 0xcf])
    machine.run(1)
    #expect(Self.events(machine) == [])
    machine.run(1)
    #expect(Self.events(machine) == [0x1001] && machine[Slot.rax] == 0)
    #expect(Self.causes(machine) == 4)
    machine.run(3)
    // Executed once; the jump to it meets it again.
    #expect(machine[Slot.rax] == 1 && Self.events(machine) == [0x1001])
    machine.run(1)
    #expect(machine[Slot.rax] == 1 && Self.events(machine) == [0x1001, 0x1001])
  }

  @Test func `an instruction breakpoint pushes RF as it is, an ordinary fault pushes it set`() {
    let breakpoint = Self.machine([0x90], Breakpoint(address: 0x1000, kind: 0))
    breakpoint.run(1)
    #expect(breakpoint.stackWords(3)[2] & Flag.resume == 0)
    let detect = Self.machine([0x0f, 0x21, 0xc0])
    detect.update { $0.debugRegisters[7] |= 1 << 13 }
    detect.run(1)
    #expect(detect.stackWords(3)[2] & Flag.resume != 0)
  }

  @Test func `an instruction breakpoint comes before the fault of its fetch, and not behind MOV SS`() {
    let fetch = Self.machine([0xff, 0xe3], Breakpoint(address: 0x50_0000, kind: 0))
    fetch[Slot.rbx] = 0x50_0000
    fetch.run(2)
    #expect(fetch.processor.recentlyDelivered.first?.event == .exception(.debug))
    // mov eax, 0x10; mov ss, eax; nop
    let stack = Self.machine(
      [0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0, 0x90, 0x90], Breakpoint(address: 0x1007, kind: 0))
    stack.run(3)
    #expect(Self.events(stack) == [])
  }

  @Test func `a trap of the instruction before comes before an instruction breakpoint`() {
    let machine = Self.machine([0x90, 0x90], Breakpoint(address: 0x1001, kind: 0), flags: Flag.trap)
    machine.setHandler(1, [0x48, 0xcf])
    machine.run(1)
    #expect(Self.causes(machine) == 0x4000)
    machine.run(2)
    #expect(Self.events(machine) == [0x1001, 0x1001])
    #expect(Self.causes(machine) == 0x4001)
  }

  @Test func `a guest that is watched takes the same time`() {
    func run(_ breakpoints: Breakpoint...) -> [UInt64] {
      let machine = EventTests.machine(EventTests.busy, figures: EventTests.figures)
      machine.update { state in
        for breakpoint in breakpoints {
          state.debugRegisters[breakpoint.number] = breakpoint.address
          state.debugRegisters[7] |= 1 | breakpoint.kind << 16
        }
      }
      machine.run(200)
      let state = machine.processor.state
      return [state.executed, state.charged, state.accesses, machine.processor.counters.dataMisses]
    }
    let plain = run()
    #expect(run(Breakpoint(address: 0x40_1800, kind: 3)) == plain)
    #expect(run(Breakpoint(address: 0x1800, kind: 0)) == plain)
  }

  // MARK: Ports

  @Test func `a port breakpoint traps behind IN and OUT, with CR4.DE only`() {
    for code in [[0xe4, 0x42], [0xe6, 0x42], [0xe5, 0x40], [0xe7, 0x3f]] as [[UInt8]] {
      for extensions in [0, CR4.debuggingExtensions] {
        let machine = Self.machine(code + [0x90], Breakpoint(address: 0x42, kind: 2))
        machine.update { $0.cr4 |= extensions }
        machine.run(1)
        #expect(Self.events(machine) == (extensions == 0 ? [] : [0x1002]), "\(code)")
      }
    }
    let other = Self.machine([0xe4, 0x43, 0x90], Breakpoint(address: 0x42, kind: 2))
    other.update { $0.cr4 |= CR4.debuggingExtensions }
    other.run(1)
    #expect(Self.events(other) == [])
  }

  // MARK: Alignment

  static func user(_ code: [UInt8]) -> TinyMachine {
    let machine = EventTests.machine(code, cpl: 3)
    machine.update { state in
      state.cr0 |= CR0.alignmentMask
      state.rflags = Flag.alignmentCheck
      state.slots[Int(Slot.rsp)] = 0x40_0800
    }
    return machine
  }

  @Test(arguments: [1, 2, 4, 8], [false, true])
  func `an access of ring 3 that is not aligned faults where it is checked`(width: Int, write: Bool) {
    for offset in 0..<8 as Range<UInt64> {
      let code = Self.move(0x40_0010 + offset, width: width, write: write)
      let isAligned = offset % UInt64(width) == 0
      let machine = Self.user(code + [0x90])
      machine[Slot.rax] = 0x1234
      machine.run(2)
      #expect(machine.lastException == (isAligned ? nil : .alignmentCheck), "\(offset)")
      if !isAligned {
        #expect(machine.stackWords(1) == [0])
        // Nothing has been written.
        #expect(machine.guest.word(atPhysical: 0x20_0010) == 0)
      }
      // CR0.AM, EFLAGS.AC and CPL 3 are all needed.
      for unchecked in 0..<3 {
        let machine = Self.user(code + [0x90])
        if unchecked == 2 { machine.enterRing(0) }
        machine.update { state in
          if unchecked == 0 { state.cr0 &= ~CR0.alignmentMask }
          if unchecked == 1 { state.rflags = 0 }
        }
        machine.run(2)
        #expect(machine.lastException == nil)
      }
    }
  }

  @Test func `stack accesses are checked, and POPF begins and ends it`() {
    let push = Self.user([0x50])
    push[Slot.rsp] = 0x40_0804
    push.run(1)
    #expect(push.lastException == .alignmentCheck)
    // mov eax, [0x400011]; popfq; mov eax, [0x400011], AC by POPF
    let access = Array(Self.move(0x40_0011, width: 4, write: false).dropFirst())
    let flags = Self.user(access + [0x9d] + access)
    flags.guest.setWord(Flag.alignmentCheck, atPhysical: 0x20_0800)
    flags.update { $0.rflags = 0 }
    flags.run()
    #expect(flags.lastException == .alignmentCheck)
    #expect(flags.processor.recentlyDelivered.map(\.rip) == [0x1000 + UInt64(access.count) + 1])
  }

  @Test func `a page fault comes before an alignment check`() {
    for address in [0x50_0001, 0x40_1ffd] as [UInt64] {
      let machine = Self.user(Self.move(address, width: 8, write: true))
      machine.run(1)
      #expect(machine.lastException?.vector == 14, "\(address)")
    }
  }

  @Test func `what the processor reads for itself is not checked`() {
    // int 0x30, a gate of ring 3 in a table at an odd address
    let machine = Self.user([0xcd, 0x30])
    machine.setGate(0x30, privilege: 3)
    for at in 0..<16 as Range<UInt64> {
      let byte = machine.guest.word(atPhysical: Place.idt + 0x300 + at) & 0xff
      machine.guest.write([UInt8(byte)], atPhysical: 0x20_0301 + at)
    }
    machine.update { $0.idtr = DescriptorTable(base: 0x40_0001, limit: 0xfff) }
    machine.run(1)
    #expect(machine.lastException == nil)
    #expect(machine.processor.recentlyDelivered.map(\.event.vector) == [0x30])
  }
}
