import Machine
import Support
import Testing

/// Instructions that fault: with which code and address, and what they leave as it was.
struct FaultTests {
  struct Fault: CustomTestStringConvertible, Sendable {
    var name: String
    var code: [UInt8]
    var rbx: UInt64
    var exception: GuestException
    var cpl: UInt8 = 0
    var testDescription: String { name }

    static func page(_ code: UInt32, _ address: UInt64) -> GuestException {
      GuestException(vector: 14, errorCode: code, address: address)
    }
  }

  static let faults = [
    Fault(name: "load from nothing", code: [0x8a, 0x03], rbx: 0x50_0123, exception: Fault.page(0, 0x50_0123)),
    Fault(name: "store to nothing", code: [0x88, 0x03], rbx: 0x50_0123, exception: Fault.page(2, 0x50_0123)),
    Fault(name: "update of nothing", code: [0x00, 0x03], rbx: 0x50_0123, exception: Fault.page(2, 0x50_0123)),
    Fault(name: "store to a read-only page", code: [0x88, 0x03], rbx: 0x60_0001, exception: Fault.page(3, 0x60_0001)),
    Fault(
      name: "user load of a supervisor page", code: [0x8a, 0x03], rbx: 0x60_0001, exception: Fault.page(5, 0x60_0001),
      cpl: 3),
    Fault(
      name: "user store to a supervisor page", code: [0x88, 0x03], rbx: 0x60_0001, exception: Fault.page(7, 0x60_0001),
      cpl: 3),
    // The second page is named by its first byte.
    Fault(name: "load across", code: [0x48, 0x8b, 0x03], rbx: 0x40_1ffd, exception: Fault.page(0, 0x40_2000)),
    Fault(name: "store across", code: [0x48, 0x89, 0x03], rbx: 0x40_1ffd, exception: Fault.page(2, 0x40_2000)),
    Fault(name: "update across", code: [0x48, 0x01, 0x03], rbx: 0x40_1ffd, exception: Fault.page(2, 0x40_2000)),
    Fault(
      name: "load across from below", code: [0x48, 0x8b, 0x03], rbx: 0x3f_fffd, exception: Fault.page(0, 0x3f_fffd)),
    Fault(
      name: "user fetch of nothing", code: [0xff, 0xe3], rbx: 0x50_0000,
      exception: Fault.page(0x14, 0x50_0000), cpl: 3),
    Fault(name: "load that is not canonical", code: [0x8a, 0x03], rbx: 1 << 47, exception: .generalProtection(0)),
    Fault(
      name: "load that ends beyond", code: [0x48, 0x8b, 0x03], rbx: (1 << 47) - 4, exception: .generalProtection(0)),
    // mov rbp, rbx; mov al, [rbp]
    Fault(
      name: "stack load that is not canonical", code: [0x48, 0x89, 0xdd, 0x8a, 0x45, 0x00], rbx: 1 << 47,
      exception: .stack(0)),
    Fault(name: "jump that is not canonical", code: [0xff, 0xe3], rbx: 1 << 47, exception: .generalProtection(0)),
  ]

  @Test(arguments: faults) func `an access faults with the right code and address`(fault: Fault) {
    let machine = EventTests.machine(fault.code, cpl: fault.cpl)
    machine[Slot.rbx] = fault.rbx
    machine[Slot.rax] = 0x1122_3344_5566_7788
    let before = machine.guest.word(atPhysical: 0x20_1ff8)
    machine.run()
    #expect(machine.lastException == fault.exception)
    if fault.exception.vector == 14 { #expect(machine.processor.state.cr2 == fault.exception.address) }
    #expect(machine.guest.word(atPhysical: 0x20_1ff8) == before)
  }

  @Test func `alignment comes before a canonical address, for FXSAVE between those of the area's begin and end`() {
    let end: UInt64 = 1 << 47
    let exchange: [UInt8] = [0x48, 0x0f, 0xc7, 0x4d, 0x00]  // cmpxchg16b [rbp]
    let save: [UInt8] = [0x48, 0x0f, 0xae, 0x45, 0x00]  // fxsave64 [rbp]
    let cases: [([UInt8], UInt64, GuestException)] = [
      (exchange, end, .stack(0)), (exchange, end + 8, .generalProtection(0)), (save, end + 8, .stack(0)),
      (save, end - 8, .generalProtection(0)), (save, end - 16, .stack(0)),
    ]
    for (code, address, exception) in cases {
      for locked in [false, true] where !locked || code == exchange {
        let machine = EventTests.machine((locked ? [0xf0] : []) + code)
        machine[Slot.rbp] = address
        machine.run(1)
        #expect(machine.lastException == exception, "\(code), \(address)")
      }
    }
  }

  @Test func `a push below a canonical stack raises SS, not GP`() {
    for code in [[0x50], [0xe8, 0, 0, 0, 0], [0x9c], [0xc8, 0, 0, 0]] as [[UInt8]] {
      let machine = EventTests.machine(code)
      machine.setGate(12, stack: 1)
      machine[Slot.rsp] = 0xffff_8000_0000_0000
      machine.run()
      #expect(machine.lastException == .stack(0), "\(code)")
    }
  }

  // MARK: Instructions that fault leave no trace

  struct Attempt: CustomTestStringConvertible, Sendable {
    var name: String
    var code: [UInt8]
    /// RSP and RBX where they are not in memory that is there.
    var rsp: UInt64 = 0x40_0800
    var rbx: UInt64 = 0x50_0000
    var testDescription: String { name }
  }

  static let attempts = [
    Attempt(name: "push rax", code: [0x50], rsp: 0x40_0000), Attempt(name: "pop rax", code: [0x58], rsp: 0x50_0000),
    Attempt(name: "push [rbx]", code: [0xff, 0x33]), Attempt(name: "pop [rbx]", code: [0x8f, 0x03]),
    Attempt(name: "pop rsp from nothing", code: [0x5c], rsp: 0x50_0000),
    Attempt(name: "xchg [rbx], rax", code: [0x48, 0x87, 0x03]),
    Attempt(name: "xadd [rbx], rax", code: [0x48, 0x0f, 0xc1, 0x03]),
    Attempt(name: "cmpxchg [rbx], rcx", code: [0x48, 0x0f, 0xb1, 0x0b]),
    Attempt(name: "cmpxchg of a read-only page that differs", code: [0x48, 0x0f, 0xb1, 0x0b], rbx: 0x60_0000),
    Attempt(name: "cmpxchg16b [rbx]", code: [0x48, 0x0f, 0xc7, 0x0b], rbx: 0x60_0000),
    Attempt(name: "mov [rbx], rax across", code: [0x48, 0x89, 0x03], rbx: 0x40_1ffc),
    Attempt(name: "add [rbx], rax across", code: [0x48, 0x01, 0x03], rbx: 0x40_1ffc),
    Attempt(name: "adc [rbx], rax", code: [0x48, 0x11, 0x03]), Attempt(name: "inc [rbx]", code: [0xff, 0x03]),
    Attempt(name: "neg [rbx]", code: [0xf7, 0x1b]), Attempt(name: "shl [rbx], 3", code: [0xc1, 0x23, 0x03]),
    Attempt(name: "bts [rbx], eax", code: [0x0f, 0xab, 0x03]),
    Attempt(name: "cmp [rbx], rax", code: [0x48, 0x39, 0x03]),
    Attempt(name: "test [rbx], rax", code: [0x48, 0x85, 0x03]),
    Attempt(name: "add rax, [rbx]", code: [0x48, 0x03, 0x03]),
    Attempt(name: "sbb rax, [rbx]", code: [0x48, 0x1b, 0x03]),
    Attempt(name: "imul rax, [rbx]", code: [0x48, 0x0f, 0xaf, 0x03]),
    Attempt(name: "mul [rbx]", code: [0x48, 0xf7, 0x23]), Attempt(name: "div by zero", code: [0x31, 0xc9, 0xf7, 0xf1]),
    Attempt(name: "movsb from nothing", code: [0xa4]),
    Attempt(name: "stosb to nothing", code: [0x48, 0x89, 0xdf, 0xaa]),
    Attempt(name: "lodsb from nothing", code: [0xac]), Attempt(name: "cmpsb", code: [0xa6]),
    Attempt(name: "call without a stack", code: [0xe8, 0, 0, 0, 0], rsp: 0x40_0000),
    Attempt(name: "call rax without a stack", code: [0xff, 0xd0], rsp: 0x40_0000),
    Attempt(name: "call [rbx]", code: [0xff, 0x13]), Attempt(name: "ret from nothing", code: [0xc3], rsp: 0x50_0000),
    Attempt(name: "ret 8 from nothing", code: [0xc2, 8, 0], rsp: 0x50_0000),
    Attempt(name: "leave", code: [0x48, 0x89, 0xdd, 0xc9]),
    Attempt(name: "enter", code: [0xc8, 0x10, 0, 1], rsp: 0x40_0008),
    Attempt(name: "enter to below", code: [0xc8, 0, 0x10, 0], rsp: 0x40_0800),
    Attempt(name: "pushfq", code: [0x9c], rsp: 0x40_0000), Attempt(name: "popfq", code: [0x9d], rsp: 0x50_0000),
    Attempt(name: "iretq", code: [0x48, 0xcf], rsp: 0x50_0000), Attempt(name: "lss", code: [0x48, 0x0f, 0xb2, 0x03]),
    Attempt(name: "xlatb", code: [0xd7]), Attempt(name: "push gs", code: [0x0f, 0xa8], rsp: 0x40_0000),
    Attempt(name: "jump of no address", code: [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xe0]),
    Attempt(name: "undefined", code: [0x0f, 0x0b]), Attempt(name: "interrupt of no gate", code: [0xcd, 0xff]),
  ]

  @Test(arguments: attempts) func `an instruction that faults leaves registers, flags and memory alone`(
    attempt: Attempt
  ) {
    let machine = EventTests.machine(attempt.code)
    // All handlers on a stack of their own; vector 255 has no gate.
    for vector in 0..<32 as Range<UInt8> { machine.setGate(vector, stack: 1) }
    machine.setGate(0xff, isPresent: false)
    var random = RepeatableRandom(seed: 4)
    machine.update { state in
      for slot in 0..<16 { state.slots[slot] = random.next() }
      state.slots[Int(Slot.rsp)] = attempt.rsp
      state.slots[Int(Slot.rbx)] = attempt.rbx
      state.slots[Int(Slot.rsi)] = attempt.rbx
      state.slots[Int(Slot.rdi)] = 0x40_0100
      state.rflags = Flag.carry | Flag.overflow | Flag.adjust | Flag.sign
    }
    for offset in stride(from: 0, to: 0x2000 as UInt64, by: 8) {
      machine.guest.setWord(random.next(), atPhysical: 0x20_0000 + offset)
    }
    // Everything before the last instruction is preparation.
    let last =
      attempt.name.contains("div") || attempt.name.contains("leave") || attempt.name.contains("stosb")
        || attempt.name.contains("no address") ? 1 as UInt64 : 0
    if last != 0 { machine.run(last) }
    let memory = (0..<0x400).map { machine.guest.word(atPhysical: 0x20_0000 + UInt64($0) * 8) }
    let before = machine.processor.state
    machine.run()
    let after = machine.processor.state
    #expect(machine.processor.recentlyDelivered.count == 1)
    #expect(machine.processor.recentlyDelivered.first?.rip == before.rip)
    for slot in 0..<16 where slot != Int(Slot.rsp) { #expect(after.slots[slot] == before.slots[slot], "slot \(slot)") }
    // The frame on the other stack: [error code,] RIP, CS, RFLAGS, RSP, SS.
    let words = machine.stackWords(6)
    let frame = words[0] == before.rip && words[1] == 8 ? words : Array(words.dropFirst())
    #expect(frame[0] == before.rip)
    #expect(frame[2] & ~Flag.resume == before.rflags)
    #expect(frame[3] == before.slots[Int(Slot.rsp)])
    let now = (0..<0x400).map { machine.guest.word(atPhysical: 0x20_0000 + UInt64($0) * 8) }
    // Only what was pushed before the fault may lie below the stack pointer.
    let top = before.slots[Int(Slot.rsp)]
    for (index, (was, value)) in zip(memory, now).enumerated() where was != value {
      let address = 0x40_0000 + UInt64(index) * 8
      #expect(address < top && address + 64 >= top, "memory changed at \(address)")
    }
  }

  @Test func `a repetition that faults keeps the elements that it has done`() {
    // rep movsb from 0x400000 to 0x401ff8, the ninth element of which is not there
    let machine = EventTests.machine([0xf3, 0xa4])
    machine.update { state in
      state.slots[Int(Slot.rsi)] = 0x40_0000
      state.slots[Int(Slot.rdi)] = 0x40_1ff8
      state.slots[Int(Slot.rcx)] = 100
    }
    machine.guest.setWord(0x0807_0605_0403_0201, atPhysical: 0x20_0000)
    machine.run()
    #expect(machine.lastException == Fault.page(2, 0x40_2000))
    #expect(machine[Slot.rcx] == 92 && machine[Slot.rsi] == 0x40_0008 && machine[Slot.rdi] == 0x40_2000)
    #expect(machine.guest.word(atPhysical: 0x20_1ff8) == 0x0807_0605_0403_0201)
    #expect(machine.processor.recentlyDelivered.first?.rip == 0x1000)
  }
}
