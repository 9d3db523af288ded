import Support
import Testing

@testable import Machine

/// System instructions as code meets them: privileges, descriptor tables, control registers, transfers between rings.
struct SystemInstructionTests {
  typealias Place = TinyMachine.Place

  /// Code at 0x1000 in a page of either ring, a user's data at 0x40_0000, and the system's pages.
  private static func machine(
    _ code: [UInt8], cpl: UInt8 = 0, vendor: Vendor = .intel, features: [String]? = nil,
    figures: [CostKey: UInt64] = [:]
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, .user)
      map(0x40_0000, to: 0x20_0000, pages: 2, .writable, .user)
      map(0xffff_8000_0000_0000, to: 0x30_0000)
    }
    let machine = TinyMachine(
      guest, code: code, at: 0x1000, cpl: cpl, profile: .flat(figures, vendor: vendor, name: "test"),
      features: FeatureSet(names: features ?? FeatureSet.known.map(\.name)))
    machine.installHandlers()
    machine.update { $0.slots[Int(Slot.rsp)] = 0x40_0800 }
    return machine
  }

  /// Executes one instruction with RAX, RCX and RDX given; the exception that it raised, if it did.
  @discardableResult private static func execute(
    _ machine: TinyMachine, rax: UInt64? = nil, rcx: UInt64? = nil, rdx: UInt64? = nil
  ) -> GuestException? {
    machine.update { state in
      state.rip = 0x1000
      state.isHalted = false
      if let rax { state.slots[Int(Slot.rax)] = rax }
      if let rcx { state.slots[Int(Slot.rcx)] = rcx }
      if let rdx { state.slots[Int(Slot.rdx)] = rdx }
    }
    let (ring, stack) = (machine.processor.state.cpl, machine[Slot.rsp])
    let before = machine.processor.counters.exceptions
    let retired = machine.processor.state.retired
    machine.run(1)
    guard machine.processor.counters.exceptions != before, machine.processor.recentlyDelivered.last?.rip == 0x1000,
      machine.processor.state.rip == (machine.lastException.map { Place.handlers + UInt64($0.vector) * 16 + 1 } ?? 0)
    else {
      #expect(machine.processor.state.retired == retired + 1)
      return nil
    }
    machine.enterRing(ring)
    machine.update { $0.slots[Int(Slot.rsp)] = stack }
    return machine.lastException
  }

  // MARK: Delivery and return

  @Test func `a fault of ring 3 is delivered on the stack of ring 0, and IRETQ goes back`() {
    // mov al, [0]: #PF; its handler pops the error code and returns to a NOP put in its place.
    let machine = Self.machine(
      [0x8a, 0x04, 0x25, 0, 0, 0, 0], cpl: 3, figures: [.faultDelivery: 100, .stackSwitch: 30])
    machine.update { $0.rflags = Flag.interrupt | Flag.carry | Flag.alignmentCheck }
    machine.setHandler(14, [0x90, 0x48, 0x83, 0xc4, 0x08, 0x48, 0xcf])
    machine.run(1)
    var state = machine.processor.state
    #expect(state.cpl == 0 && state[.cs].selector == 0x08 && state[.ss].selector == 0 && state.cr2 == 0)
    #expect(state.rip == Place.handlers + 14 * 16 + 1)
    #expect(state.slots[Int(Slot.rsp)] == Place.stack - 48)
    // RF is set in the image of a fault; IF is clear behind an interrupt gate, AC stays.
    let flags = Flag.one | Flag.interrupt | Flag.carry | Flag.alignmentCheck | Flag.resume
    #expect(machine.stackWords(6) == [4, 0x1000, 0x23, flags, 0x40_0800, 0x1b])
    #expect(state.rflags == Flag.one | Flag.carry | Flag.alignmentCheck)
    #expect(machine.processor.ledger[.fault] == 130)
    machine.run(2)
    state = machine.processor.state
    #expect(state.cpl == 3 && state.rip == 0x1000 && state.slots[Int(Slot.rsp)] == 0x40_0800)
    #expect(state[.cs].selector == 0x23 && state[.ss].selector == 0x1b)
    // RF spares the next instruction a breakpoint, and is gone when that begins.
    #expect(state.rflags == flags)
    machine.guest.write([0x90], atPhysical: 0x1000)
    machine.processor.hostMemoryChanged(at: HostPhysical(0x1000), count: 1)
    machine.run(1)
    #expect(machine.processor.state.rip == 0x1001 && machine.processor.state.rflags == flags & ~Flag.resume)
  }

  @Test func `a frame is aligned to 16 bytes, and an IST entry names another stack`() {
    let machine = Self.machine([0x0f, 0x0b])
    machine[Slot.rsp] = 0x40_080c
    machine.run(1)
    #expect(machine[Slot.rsp] == 0x40_0800 - 40)
    let second = Self.machine([0x0f, 0x0b])
    second.setGate(6, stack: 1)
    second.run(1)
    #expect(second[Slot.rsp] == Place.otherStack - 40 && second.processor.state[.ss].selector == 0x10)
  }

  @Test func `a trap gate leaves IF, an interrupt gate clears it`() {
    for (type, expected) in [(0xf, Flag.interrupt), (0xe, 0)] as [(UInt64, UInt64)] {
      let machine = Self.machine([0xcc])
      machine.setGate(3, type: type)
      machine.update { $0.rflags = Flag.interrupt }
      machine.run(1)
      #expect(machine.processor.state.rflags & Flag.interrupt == expected)
    }
  }

  @Test func `INT n of ring 3 wants a gate of its privilege`() {
    let machine = Self.machine([0xcd, 0x21], cpl: 3)
    #expect(Self.execute(machine) == .generalProtection(0x21 << 3 | 2))
    machine.setGate(0x21, privilege: 3)
    machine.update {
      $0.rip = 0x1000
      $0.isHalted = false
    }
    machine.run(1)
    #expect(machine.processor.state.cpl == 0 && machine.stackWords(1) == [0x1002])
    #expect(machine.processor.recentlyDelivered.last?.event == .software(vector: 0x21, length: 2))
  }

  // MARK: System calls

  @Test func `SYSCALL and SYSRET change rings and keep what they say`() {
    let machine = Self.machine([0x0f, 0x05], cpl: 3)
    machine.guest.write([0x48, 0x0f, 0x07], atPhysical: 0x30_0000)
    machine.update { state in
      // SYSRET's base 0x13: CS 0x23, SS 0x1b.
      state.star = 0x0013_0008 << 32
      state.lstar = 0xffff_8000_0000_0000
      state.sfmask = Flag.interrupt
      state.rflags = Flag.interrupt | Flag.carry
    }
    machine.run(1)
    var state = machine.processor.state
    #expect(state.cpl == 0 && state.rip == 0xffff_8000_0000_0000 && state.slots[Int(Slot.rcx)] == 0x1002)
    #expect(state.slots[11] == Flag.one | Flag.interrupt | Flag.carry && state.rflags == Flag.one | Flag.carry)
    #expect(state[.cs].selector == 0x08 && state[.ss].selector == 0x10 && state.codeSize == .bits64)
    #expect(state.slots[Int(Slot.rsp)] == 0x40_0800)
    machine.run(1)
    state = machine.processor.state
    #expect(state.cpl == 3 && state.rip == 0x1002 && state[.cs].selector == 0x23 && state[.ss].selector == 0x1b)
    #expect(state.rflags == Flag.one | Flag.interrupt | Flag.carry)
  }

  @Test func `SYSRET to an address that is not canonical faults in ring 0 on Intel, in ring 3 on AMD`() {
    let code: [UInt8] = [0x48, 0x0f, 0x07]
    let intel = Self.machine(code)
    #expect(Self.execute(intel, rcx: 1 << 63) == .generalProtection(0))
    let amd = Self.machine(code, vendor: .amd)
    amd.update {
      $0.star = 0x0013_0008 << 32
      $0.slots[Int(Slot.rcx)] = 1 << 63
      $0.slots[11] = 2
    }
    amd.run(2)
    #expect(amd.lastException == .generalProtection(0))
    #expect(amd.stackWords(3)[2] == 0x23)
  }

  // MARK: Control registers

  @Test func `CR0 takes what the manual allows`() {
    let machine = Self.machine([0x0f, 0x22, 0xc0])
    for value in [0x1, 0x8000_0000, 0xa001_0001, 1 << 32 | 0x8001_0033] as [UInt64] {
      #expect(Self.execute(machine, rax: value) == .generalProtection(0), "\(String(value, radix: 16))")
    }
    #expect(Self.execute(machine, rax: 0x8001_0033) == nil)
    #expect(machine.processor.state.cr0 == 0x8001_0033)
  }

  @Test func `CR4 takes the bits of the features that there are`() {
    let machine = Self.machine([0x0f, 0x22, 0xe0], features: ["pcid"])
    let pae = CR4.physicalAddressExtension
    for value in [0, pae | CR4.protectionKeys, pae | CR4.la57, pae | CR4.smep, pae | CR4.smap, pae | CR4.umip] {
      #expect(Self.execute(machine, rax: value) == .generalProtection(0), "\(String(value, radix: 16))")
    }
    // PCIDE wants bits 11:0 of CR3 clear when it is set.
    machine.update { $0.cr3 |= 8 }
    #expect(Self.execute(machine, rax: pae | CR4.pcid) == .generalProtection(0))
    machine.update { $0.cr3 &= ~0xfff }
    #expect(Self.execute(machine, rax: pae | CR4.pcid) == nil)
  }

  @Test func `CR3 takes addresses that exist, and bit 63 only with PCIDs`() {
    let machine = Self.machine([0x0f, 0x22, 0xd8])
    let root = machine.guest.tables.root
    for value in [1 << 63 | root, 1 << 46 | root] as [UInt64] {
      #expect(Self.execute(machine, rax: value) == .generalProtection(0))
    }
    machine.update { $0.cr4 |= CR4.pcid }
    #expect(Self.execute(machine, rax: 1 << 63 | root | 5) == nil)
    #expect(machine.processor.state.cr3 == root | 5)
  }

  @Test func `CR8 has four bits`() {
    let machine = Self.machine([0x44, 0x0f, 0x22, 0xc0])
    #expect(Self.execute(machine, rax: 16) == .generalProtection(0))
    #expect(Self.execute(machine, rax: 15) == nil && machine.bus.taskPriority == 15)
  }

  static let privileged: [(name: String, code: [UInt8])] = [
    ("mov rax, cr0", [0x0f, 0x20, 0xc0]), ("mov cr3, rax", [0x0f, 0x22, 0xd8]), ("clts", [0x0f, 0x06]), ("hlt", [0xf4]),
    ("lgdt", [0x0f, 0x01, 0x13]), ("lidt", [0x0f, 0x01, 0x1b]), ("ltr", [0x0f, 0x00, 0xd8]),
    ("lldt", [0x0f, 0x00, 0xd0]),
    ("invlpg", [0x0f, 0x01, 0x3b]), ("wbinvd", [0x0f, 0x09]), ("rdmsr", [0x0f, 0x32]), ("wrmsr", [0x0f, 0x30]),
    ("swapgs", [0x0f, 0x01, 0xf8]), ("sysret", [0x48, 0x0f, 0x07]), ("lmsw", [0x0f, 0x01, 0xf0]), ("cli", [0xfa]),
    ("sti", [0xfb]), ("in", [0xec]), ("out", [0xee]), ("mov rax, dr7", [0x0f, 0x21, 0xf8]),
  ]

  @Test(arguments: privileged) func `ring 3 may not`(instruction: (name: String, code: [UInt8])) {
    let machine = Self.machine(instruction.code, cpl: 3)
    #expect(Self.execute(machine) == .generalProtection(0))
  }

  // MARK: Model-specific registers

  @Test func `EFER keeps LME while paging is on, and a register that is not there is told`() {
    let write = Self.machine([0x0f, 0x30])
    #expect(Self.execute(write, rax: 0x801, rcx: UInt64(MSR.efer), rdx: 0) == .generalProtection(0))
    #expect(Self.execute(write, rax: 0x901, rcx: UInt64(MSR.efer), rdx: 0) == nil)
    #expect(Self.execute(write, rax: 0, rcx: UInt64(MSR.lstar), rdx: 0x8000_0000) == .generalProtection(0))
    let read = Self.machine([0x0f, 0x32])
    #expect(Self.execute(read, rcx: 0x1234) == .generalProtection(0))
    #expect(read.processor.counters.unknownMSRs.accesses.map(\.number) == [0x1234])
  }

  @Test func `the time stamp counter is the ledger, and TSD keeps it from ring 3`() {
    let machine = Self.machine([0x0f, 0x31], cpl: 3, figures: [.executeReadTimeStamp: 9])
    #expect(Self.execute(machine) == nil && machine[Slot.rax] == 9)
    #expect(Self.execute(machine) == nil && machine[Slot.rax] == 18)
    machine.update { $0.cr4 |= CR4.timeStampDisable }
    #expect(Self.execute(machine) == .generalProtection(0))
  }

  // MARK: Segments and descriptor tables

  @Test func `LTR marks its descriptor busy and wants one that is not`() {
    let machine = Self.machine([0x0f, 0x00, 0xd8])
    machine.guest.setWord(0x0000_8900_0000_0067 | Place.task << 16, atPhysical: Place.gdt + 0x28)
    #expect(Self.execute(machine, rax: 0x28) == nil)
    #expect(machine.processor.state.tr.base == Place.task && machine.processor.state.tr.type == 11)
    #expect(machine.guest.word(atPhysical: Place.gdt + 0x28) >> 40 & 0xf == 11)
    #expect(Self.execute(machine, rax: 0x28) == .generalProtection(0x28))
  }

  @Test func `SGDT and LIDT move ten bytes`() {
    // sgdt [rcx]; lidt [rcx]
    let store = Self.machine([0x0f, 0x01, 0x01])
    #expect(Self.execute(store, rcx: 0x40_0000) == nil)
    #expect(store.guest.word(atPhysical: 0x20_0000) == Place.gdt << 16 | 0x37)
    let load = Self.machine([0x0f, 0x01, 0x19])
    load.guest.setWord(0x3_0000_0fff, atPhysical: 0x20_0000)
    #expect(Self.execute(load, rcx: 0x40_0000) == nil)
    #expect(load.processor.state.idtr == DescriptorTable(base: 0x30000, limit: 0xfff))
  }

  @Test func `UMIP keeps the tables' addresses from ring 3`() {
    let machine = Self.machine([0x0f, 0x01, 0x01], cpl: 3)
    #expect(Self.execute(machine, rcx: 0x40_0000) == nil)
    machine.update { $0.cr4 |= CR4.umip }
    #expect(Self.execute(machine, rcx: 0x40_0000) == .generalProtection(0))
  }

  @Test func `a segment register takes what its privilege allows`() {
    let ds = Self.machine([0x8e, 0xd8])
    #expect(Self.execute(ds, rax: 0x1b) == nil && ds.processor.state[.ds].selector == 0x1b)
    #expect(Self.execute(ds, rax: 0) == nil && !ds.processor.state[.ds].isPresent)
    #expect(Self.execute(ds, rax: 0x100) == .generalProtection(0x100))
    let ss = Self.machine([0x8e, 0xd0])
    #expect(Self.execute(ss, rax: 0x1b) == .generalProtection(0x18))
    #expect(Self.execute(ss, rax: 0) == nil)
    let user = Self.machine([0x8e, 0xd8], cpl: 3)
    #expect(Self.execute(user, rax: 0x10) == .generalProtection(0x10))
  }

  @Test func `IRETW in 64-bit mode takes all of RSP from the frame, zero-extended`() {
    let machine = Self.machine([0x66, 0xcf])
    machine.guest.write(
      [0x1000, 0x08, 0x02, 0x5900, 0x10].flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }, atPhysical: 0x20_0800)
    #expect(Self.execute(machine) == nil)
    #expect(machine[Slot.rsp] == 0x5900)
  }

  @Test func `LAR, LSL and VERW describe a selector`() {
    let rights = Self.machine([0x0f, 0x02, 0xd8])
    #expect(Self.execute(rights, rax: 0x20) == nil)
    #expect(rights[Slot.rbx] == 0xaf_fb00 && rights.processor.state.rflags & Flag.zero != 0)
    let limit = Self.machine([0x0f, 0x03, 0xd8])
    #expect(Self.execute(limit, rax: 0x20) == nil && limit[Slot.rbx] == 0xffff_ffff)
    let verify = Self.machine([0x0f, 0x00, 0xe8])
    #expect(Self.execute(verify, rax: 0x20) == nil && verify.processor.state.rflags & Flag.zero == 0)
    #expect(Self.execute(verify, rax: 0x10) == nil && verify.processor.state.rflags & Flag.zero != 0)
  }

  @Test func `SWAPGS exchanges the bases`() {
    let machine = Self.machine([0x0f, 0x01, 0xf8])
    machine.update { state in
      state[.gs].base = 0x1111
      state.kernelGSBase = 0x2222
    }
    #expect(Self.execute(machine) == nil)
    #expect(machine.processor.state[.gs].base == 0x2222 && machine.processor.state.kernelGSBase == 0x1111)
  }

  // MARK: Far transfers

  @Test func `a far call and its return through memory`() {
    // rex.w call far [rcx], to a far return
    let machine = Self.machine([0x48, 0xff, 0x19])
    machine.guest.setWord(0xffff_8000_0000_0000, atPhysical: 0x20_0000)
    machine.guest.setWord(0x08, atPhysical: 0x20_0008)
    machine.guest.write([0x48, 0xcb], atPhysical: 0x30_0000)
    #expect(Self.execute(machine, rcx: 0x40_0000) == nil)
    #expect(machine.processor.state.rip == 0xffff_8000_0000_0000 && machine[Slot.rsp] == 0x40_07f0)
    machine.run(1)
    #expect(machine.processor.state.rip == 0x1003 && machine[Slot.rsp] == 0x40_0800)
  }

  @Test func `a call gate leads ring 3 to ring 0, and the return leads back`() {
    let machine = Self.machine([0x48, 0xff, 0x19], cpl: 3)
    // A 64-bit call gate of DPL 3 at 0x30, 16 bytes.
    let target: UInt64 = 0xffff_8000_0000_0000
    machine.guest.setWord(
      target & 0xffff | 0x08 << 16 | 0xec << 40 | (target >> 16 & 0xffff) << 48, atPhysical: Place.gdt + 0x38)
    machine.guest.setWord(target >> 32, atPhysical: Place.gdt + 0x40)
    machine.guest.setWord(0, atPhysical: 0x20_0000)
    machine.guest.setWord(0x3b, atPhysical: 0x20_0008)
    machine.guest.write([0x48, 0xcb], atPhysical: 0x30_0000)
    machine.update { $0.gdtr.limit = 0x47 }
    machine.update { $0.slots[Int(Slot.rcx)] = 0x40_0000 }
    machine.run(1)
    #expect(machine.processor.state.cpl == 0 && machine.processor.state.rip == target)
    #expect(machine[Slot.rsp] == Place.stack - 32)
    machine.run(1)
    #expect(machine.processor.state.cpl == 3 && machine.processor.state.rip == 0x1003)
    #expect(machine[Slot.rsp] == 0x40_0800)
  }

  // MARK: Ports

  @Test func `the permission bitmap decides for ring 3`() {
    // in al, dx; in eax, dx
    let byte = Self.machine([0xec], cpl: 3)
    let wide = Self.machine([0xed], cpl: 3)
    for machine in [byte, wide] {
      machine.update { $0.tr.limit = 0x88 + 0x20 }
      machine.guest.write([0x88, 0x00], atPhysical: Place.task + 0x66)
      machine.guest.setWord(1 << 0x13, atPhysical: Place.task + 0x88)
    }
    #expect(Self.execute(byte, rdx: 0x12) == nil)
    #expect(Self.execute(byte, rdx: 0x13) == .generalProtection(0))
    #expect(Self.execute(wide, rdx: 0x10) == .generalProtection(0))
    #expect(Self.execute(wide, rdx: 0x14) == nil)
    // Beyond the bitmap's end.
    #expect(Self.execute(byte, rdx: 0x200) == .generalProtection(0))
    byte.update { $0.rflags = Flag.ioPrivilege }
    #expect(Self.execute(byte, rdx: 0x200) == nil)
  }

  // MARK: CPUID and debug registers

  @Test func `CPUID shows the features that it was given, and no hypervisor`() {
    let machine = Self.machine(
      [0x0f, 0xa2], features: ["nx", "lm", "pcid", "smep", "fpu", "mmx"], figures: [.physicalBits: 40])
    func leaf(_ number: UInt64) -> [UInt64] {
      Self.execute(machine, rax: number, rcx: 0)
      return [machine[Slot.rax], machine[Slot.rbx], machine[Slot.rcx], machine[Slot.rdx]]
    }
    #expect(leaf(1)[2] == 1 << 17 && leaf(1)[3] == 1 << 23 | 1)
    #expect(leaf(7)[1] == 1 << 7)
    #expect(leaf(0x8000_0001)[3] == 1 << 29 | 1 << 20)
    #expect(leaf(0x8000_0008)[0] == 48 << 8 | 40)
    // Beyond the highest leaf Intel repeats it.
    #expect(leaf(0x4000_0000) == leaf(7))
  }

  @Test func `general detect guards the debug registers once`() {
    let machine = Self.machine([0x0f, 0x21, 0xc0])
    machine.update { $0.debugRegisters[7] |= 1 << 13 }
    #expect(Self.execute(machine) == .debug)
    #expect(machine.processor.state.debugRegisters[6] & 1 << 13 != 0)
    #expect(machine.processor.state.debugRegisters[7] & 1 << 13 == 0)
    #expect(Self.execute(machine) == nil)
  }

  // MARK: Long mode is entered

  @Test func `long mode is entered step by step from 32-bit code`() {
    // mov cr4, ecx; mov cr0, eax; jmp 0x08:0x1020
    let machine = Self.machine([0x0f, 0x22, 0xe1, 0x0f, 0x22, 0xc0, 0xea, 0x20, 0x10, 0, 0, 0x08, 0])
    func protectedMode() {
      machine.update { state in
        state.cr0 = CR0.protectionEnable | CR0.extensionType
        state.cr4 = 0
        state.efer = EFER.longModeEnable
        state[.cs] = Segment(selector: 0x30, base: 0, limit: .max, attributes: 0xc09b)
        state.rip = 0x1000
        state.slots[Int(Slot.rcx)] = CR4.physicalAddressExtension
        state.slots[Int(Slot.rax)] = 0x8000_0011
      }
    }
    protectedMode()
    machine.run(2)
    #expect(machine.processor.state.isLongMode && machine.processor.state.codeSize == .bits32)
    #expect(machine.processor.state.efer & EFER.longModeActive != 0)
    machine.run(1)
    #expect(machine.processor.state.codeSize == .bits64 && machine.processor.state.rip == 0x1020)

    // Without EFER.LME and CR4.PAE it is 32-bit paging.
    protectedMode()
    machine.update {
      $0.efer = 0
      $0.slots[Int(Slot.rcx)] = 0
    }
    #expect(machine.run(2) == .limit)
    #expect(machine.processor.state.cr0 & CR0.paging != 0 && !machine.processor.state.isLongMode)
    #expect(machine.processor.plan.levels == 2)
  }

  @Test func `a fault of 32-bit ring 3 is delivered through 32-bit gates`() {
    let machine = Self.machine([0x0f, 0x0b])
    let code: UInt64 = 0x00cf_9b00_0000_ffff
    let data: UInt64 = 0x00cf_9300_0000_ffff
    let ring3: UInt64 = 0x6000_0000_0000
    for (index, descriptor) in [code, data, code | ring3, data | ring3].enumerated() {
      machine.guest.setWord(descriptor, atPhysical: Place.gdt + 8 + UInt64(index) * 8)
    }
    // A 32-bit interrupt gate for #UD; ESP0 and SS0.
    let target = Place.handlers + 6 * 16
    machine.guest.setWord(target & 0xffff | 8 << 16 | 0x8e << 40 | (target >> 16) << 48, atPhysical: Place.idt + 6 * 8)
    machine.guest.setWord(0x10 << 32 | Place.stack, atPhysical: Place.task + 4)
    machine.update { state in
      state.cr0 = CR0.protectionEnable | CR0.extensionType
      state.cr4 = 0
      state.efer = 0
      state.cpl = 3
      state[.cs] = Segment(selector: 0x1b, base: 0, limit: .max, attributes: 0xc0fb)
      state[.ss] = Segment(selector: 0x23, base: 0, limit: .max, attributes: 0xc0f3)
      state.slots[Int(Slot.rsp)] = 0x20_0800
      state.rflags = Flag.interrupt
    }
    machine.run(1)
    let state = machine.processor.state
    #expect(state.cpl == 0 && state[.ss].selector == 0x10 && state.slots[Int(Slot.rsp)] == Place.stack - 20)
    let frame = (0..<5).map {
      machine.guest.word(atPhysical: state.slots[Int(Slot.rsp)] + UInt64($0) * 4) & 0xffff_ffff
    }
    #expect(frame == [0x1000, 0x1b, Flag.one | Flag.interrupt | Flag.resume, 0x20_0800, 0x23])
  }
}
