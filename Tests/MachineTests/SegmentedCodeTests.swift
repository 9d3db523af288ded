import Machine
import Support
import Testing

/// Code of 16 and 32 bits in segments that end: what is checked, and what comes first. Where nothing else is said the
/// answers are those of a processor of AMD's.
struct SegmentedCodeTests {
  /// Where the segments begin, and the pages that they have.
  enum Place {
    static let code: UInt64 = 0x40_0000, data: UInt64 = 0x50_0000, stack: UInt64 = 0x60_0000
    static let dataFrame: UInt64 = 0x8000, stackFrame: UInt64 = 0xc000
  }

  /// Attributes of segments of ring 3.
  enum Attributes {
    static let code16: UInt16 = 0x00fb, code32: UInt16 = 0x40fb
    static let data: UInt16 = 0x40f3, readOnly: UInt16 = 0x40f1, data16: UInt16 = 0x00f3
  }

  /// A program of ring 3 at an offset in CS, with two pages of data, the third absent, and ESP in the middle of one.
  static func machine(
    _ code: [UInt8], at offset: UInt64 = 0x100, _ attributes: UInt16 = Attributes.code32, limit: UInt32 = 0xffff,
    vendor: Vendor = .amd, cpl: UInt8 = 3
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(Place.code, to: 0x1000, pages: 4, .user)
      map(Place.data, to: Place.dataFrame, pages: 2, .user, .writable)
      map(Place.stack, to: Place.stackFrame, .user, .writable)
    }
    guest.write(code, atPhysical: 0x1000 + offset)
    let machine = TinyMachine(guest, cpl: cpl, profile: .flat(vendor: vendor))
    machine.installHandlers()
    // A stack of their own: the program's lies in a segment.
    for vector in 0..<32 as Range<UInt8> { machine.setGate(vector, stack: 1) }
    machine.update { state in
      let level = UInt16(cpl) << 5
      state.rip = offset
      state[.cs] = Segment(
        selector: 8 | UInt16(cpl), base: Place.code, limit: limit, attributes: attributes & ~0x60 | level)
      for register in [SegmentRegister.ds, .es] {
        state[register] = Segment(
          selector: 0x10 | UInt16(cpl), base: Place.data, limit: 0xffff, attributes: Attributes.data & ~0x60 | level)
      }
      state[.ss] = Segment(
        selector: 0x10 | UInt16(cpl), base: Place.stack, limit: 0xffff, attributes: Attributes.data & ~0x60 | level)
      state.slots[Int(Slot.rsp)] = 0x800
    }
    return machine
  }

  private static func limitData(_ machine: TinyMachine, _ limit: UInt32, _ attributes: UInt16 = Attributes.data) {
    machine.update { $0[.ds] = Segment(selector: 0x13, base: Place.data, limit: limit, attributes: attributes) }
  }

  private static func checkFault(
    _ machine: TinyMachine, _ exception: GuestException?, at rip: UInt64, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let last = machine.processor.recentlyDelivered.last
    guard let exception else {
      #expect(last == nil, comment, sourceLocation: sourceLocation)
      return
    }
    #expect(machine.lastException == exception, comment, sourceLocation: sourceLocation)
    #expect(last?.rip == rip, comment, sourceLocation: sourceLocation)
  }

  // MARK: Branches

  /// NOP, and a branch to 2 GiB behind; JNE is taken.
  static let farBranches: [[UInt8]] = [
    [0xe9, 0xff, 0xff, 0xff, 0x7f], [0x0f, 0x85, 0xff, 0xff, 0xff, 0x7f], [0xe8, 0xff, 0xff, 0xff, 0x7f],
  ]

  @Test(arguments: farBranches, [Vendor.amd, .intel])
  func `a relative branch to an address that is not canonical faults before it`(branch: [UInt8], vendor: Vendor) {
    let place: UInt64 = 0x7fff_ffff_e000
    for levels in [4, 5] {
      let guest = GuestMemory(levels: levels) {
        map(place, to: 0x1000, .user)
        map(0x20_0000, to: 0x2000, .user, .writable)
      }
      let machine = TinyMachine(
        guest, code: [0x90] + branch, at: place, physical: 0x1000, cpl: 3, profile: .flat(vendor: vendor))
      machine.installHandlers()
      machine[Slot.rsp] = 0x20_0800
      machine.run(1)
      machine.run(1)
      let target = place &+ 1 &+ UInt64(branch.count) &+ 0x7fff_ffff
      if levels == 4 {
        Self.checkFault(machine, .generalProtection(0), at: place + 1)
        #expect(machine.stackWords(6)[4] == 0x20_0800)
        #expect(guest.word(atPhysical: 0x27f8) == 0)
      } else {
        // The branch is done; nothing is at its target.
        machine.run(1)
        #expect(machine.lastException?.address == target && machine.processor.recentlyDelivered.last?.rip == target)
      }
    }
  }

  @Test func `a conditional branch to an address that is not canonical may be not taken`() {
    let place: UInt64 = 0x7fff_ffff_e000
    let guest = GuestMemory { map(place, to: 0x1000, .user) }
    // je
    let machine = TinyMachine(
      guest, code: [0x0f, 0x84, 0xff, 0xff, 0xff, 0x7f, 0x90], at: place, physical: 0x1000, cpl: 3)
    machine.run(2)
    #expect(machine.lastException == nil && machine.processor.state.rip == place + 7)
  }

  @Test func `what AMD's processors find wrong with a call first is that it cannot push`() {
    let place: UInt64 = 0x7fff_ffff_e000
    for (vendor, exception) in [(Vendor.amd, UInt8(14)), (.intel, 13)] {
      let guest = GuestMemory { map(place, to: 0x1000, .user) }
      let machine = TinyMachine(
        guest, code: Self.farBranches[2], at: place, physical: 0x1000, cpl: 3, profile: .flat(vendor: vendor))
      machine.installHandlers()
      machine[Slot.rsp] = 0x20_0800
      machine.run(1)
      #expect(machine.lastException?.vector == exception && machine.processor.recentlyDelivered.last?.rip == place)
    }
  }

  @Test(arguments: [0xfff, 0x10ff] as [UInt32])
  func `a relative branch beyond the limit of the code segment faults before it`(limit: UInt32) {
    // Each behind CMP EAX, EAX: JMP and JE to 0x2000 behind, which lie in pages of the segment and beyond it.
    for branch in [[0xe9], [0x0f, 0x84]] as [[UInt8]] {
      let machine = Self.machine([0x39, 0xc0] + branch + [0x00, 0x20, 0x00, 0x00], limit: limit)
      machine.run(3)
      Self.checkFault(machine, .generalProtection(0), at: 0x102, "\(branch)")
      // The comparison, and the handler's HLT.
      #expect(machine.processor.state.retired == 2)
      let saved = machine.stackWords(4)[3]
      #expect(saved & Flag.zero != 0)
    }
    // JNE is not taken, and JMP within it is.
    let passed = Self.machine([0x39, 0xc0, 0x0f, 0x85, 0x00, 0x20, 0x00, 0x00, 0xeb, 0x02], limit: limit)
    passed.run(3)
    #expect(passed.processor.state.rip == 0x10c && passed.lastException == nil)
  }

  @Test func `code that runs on beyond the limit faults behind it`() {
    let machine = Self.machine([0x90, 0x90, 0x90, 0x90], at: 0x1fe, limit: 0x1ff)
    machine.run(3)
    Self.checkFault(machine, .generalProtection(0), at: 0x200)
  }

  // MARK: Parts of an operand

  @Test(arguments: [0xa3, 0xab, 0xb3, 0xbb] as [UInt8])
  func `a bit string's limit is checked where the bit is`(opcode: UInt8) {
    // bt [ebx], ecx
    func run(ebx: UInt64, ecx: UInt64) -> TinyMachine {
      let machine = Self.machine([0x0f, opcode, 0x0b])
      Self.limitData(machine, 0x7ff)
      machine[Slot.rbx] = ebx
      machine[Slot.rcx] = ecx & 0xffff_ffff
      machine.run(1)
      return machine
    }
    let back = UInt64(bitPattern: -0x800 * 8)
    Self.checkFault(run(ebx: 0x900, ecx: back), nil, at: 0)
    Self.checkFault(run(ebx: 0x7f0, ecx: 0x20 * 8), .generalProtection(0), at: 0x100)
    Self.checkFault(run(ebx: 0x900, ecx: 3), .generalProtection(0), at: 0x100)
    Self.checkFault(run(ebx: 0x7fc, ecx: 3), nil, at: 0)
  }

  @Test func `of a far pointer the offset is read before the selector's place is looked at`() {
    // les eax, [ebx]; call far [ebx]: the offset is in an absent page, the selector beyond the limit.
    for code in [[0xc4, 0x03], [0xff, 0x1b]] as [[UInt8]] {
      let machine = Self.machine(code)
      Self.limitData(machine, 0x2103)
      machine[Slot.rbx] = 0x2100
      machine.run(1)
      #expect(machine.lastException?.vector == 14)
      let present = Self.machine(code)
      Self.limitData(present, 0x1103)
      present[Slot.rbx] = 0x1100
      present.run(1)
      Self.checkFault(present, .generalProtection(0), at: 0x100)
    }
  }

  // MARK: ARPL

  @Test func `ARPL wants a segment that may be written, on AMD's processors where it writes`() {
    for vendor in [Vendor.amd, .intel] {
      for level in [0, 3] as [UInt64] {
        // arpl [ebx], ax
        let machine = Self.machine([0x63, 0x03], vendor: vendor)
        Self.limitData(machine, 0xffff, Attributes.readOnly)
        machine[Slot.rax] = level
        machine.run(1)
        Self.checkFault(machine, vendor == .amd && level == 0 ? nil : .generalProtection(0), at: 0x100)
      }
    }
  }

  @Test func `POPA of AMD's processors has loaded what it has read when it faults`() {
    for vendor in [Vendor.amd, .intel] {
      let machine = Self.machine([0x61], vendor: vendor)
      machine.guest.setWord(0x2222_2222_1111_1111, atPhysical: Place.stackFrame + 0xff8)
      machine[Slot.rsp] = 0xff8
      machine.run(1)
      #expect(machine.lastException?.vector == 14)
      #expect(machine[Slot.rdi] == (vendor == .amd ? 0x1111_1111 : 0))
      #expect(machine[Slot.rsi] == (vendor == .amd ? 0x2222_2222 : 0) && machine[Slot.rbp] == 0)
      #expect(machine.stackWords(6)[4] == 0xff8)
    }
  }

  @Test func `POP to memory reads the stack before it looks at the segment that it writes`() {
    // pop [ebx], at the top of an absent page
    let machine = Self.machine([0x8f, 0x03])
    Self.limitData(machine, 0xffff, Attributes.readOnly)
    machine[Slot.rsp] = 0x1000
    machine.run(1)
    #expect(machine.lastException?.vector == 14)
    let present = Self.machine([0x8f, 0x03])
    Self.limitData(present, 0xffff, Attributes.readOnly)
    present.run(1)
    Self.checkFault(present, .generalProtection(0), at: 0x100)
  }

  @Test func `a near CALL beyond the limit wants to push first on AMD's processors`() {
    for (vendor, exception) in [(Vendor.amd, UInt8(14)), (.intel, 13)] {
      let machine = Self.machine([0xe8, 0x00, 0x00, 0x01, 0x00], vendor: vendor)
      machine[Slot.rsp] = 0x3000
      machine.run(1)
      #expect(machine.lastException?.vector == exception)
    }
  }

  @Test func `a far CALL beyond the limit has pushed on AMD's processors`() {
    for vendor in [Vendor.amd, .intel] {
      // call 0x30:0x10000000, to a segment of one page
      let machine = Self.machine([0x9a, 0x00, 0x00, 0x00, 0x10, 0x30, 0x00], vendor: vendor, cpl: 0)
      machine.guest.setWord(0x0040_9b00_0000_0fff, atPhysical: TinyMachine.Place.gdt + 0x30)
      machine.run(1)
      #expect(machine.lastException == .generalProtection(0))
      let pushed = machine.guest.word(atPhysical: Place.stackFrame + 0x7f8)
      #expect(pushed == (vendor == .amd ? 0x8_0000_0107 : 0))
    }
  }

  @Test func `of bounds the lower one is read before the upper one's place is looked at`() {
    let machine = Self.machine([0x62, 0x03])
    Self.limitData(machine, 0x2003)
    machine[Slot.rbx] = 0x2000
    machine.run(1)
    #expect(machine.lastException?.vector == 14)
  }

  @Test func `RET to an outer ring reads the stack before the code segment on AMD's processors`() {
    for (vendor, exception) in [(Vendor.amd, UInt8(14)), (.intel, 13)] {
      // retf at ring 0; the descriptor of the selector lies beyond the GDT.
      let machine = Self.machine([0xcb], vendor: vendor, cpl: 0)
      machine.guest.setWord(0x8003_0000_0100, atPhysical: Place.stackFrame + 0xff8)
      machine[Slot.rsp] = 0xff8
      machine.run(1)
      #expect(machine.lastException?.vector == exception)
    }
  }

  @Test func `ARPL of AMD's processors reads before it writes`() {
    for (vendor, error) in [(Vendor.amd, UInt32(4)), (.intel, 6)] {
      let machine = Self.machine([0x63, 0x03], vendor: vendor)
      machine[Slot.rbx] = 0x2000
      machine.run(1)
      #expect(machine.lastException?.errorCode == error)
      // A page that may not be written.
      for level in [0, 3] as [UInt64] {
        let machine = Self.machine([0x63, 0x03], vendor: vendor)
        machine.guest.map(map(Place.data, to: Place.dataFrame, .user))
        machine[Slot.rax] = level
        machine.run(1)
        #expect(machine.lastException?.errorCode == (vendor == .amd && level == 0 ? nil : 7))
      }
    }
  }

  // MARK: Alignment

  @Test func `AMD's processors look at the alignment before the page`() {
    // mov eax, [ebx], in an absent page and across into one
    for (vendor, exception) in [(Vendor.amd, UInt8(17)), (.intel, 14)] {
      for address in [0x2001, 0x1ffe] as [UInt64] {
        let machine = Self.machine([0x8b, 0x03], vendor: vendor)
        machine.update {
          $0.cr0 |= CR0.alignmentMask
          $0.rflags = Flag.alignmentCheck
          $0.slots[Int(Slot.rbx)] = address
        }
        machine.run(1)
        #expect(machine.lastException?.vector == exception, "\(vendor) \(address)")
      }
    }
  }

  @Test func `ENTER looks at the alignment of the stack pointer that it leaves`() {
    for (locals, exception) in [(UInt8(4), nil), (3, GuestException.alignmentCheck)] {
      let machine = Self.machine([0xc8, locals, 0x00, 0x00])
      machine.update {
        $0.cr0 |= CR0.alignmentMask
        $0.rflags = Flag.alignmentCheck
      }
      machine.run(1)
      Self.checkFault(machine, exception, at: 0x100)
    }
  }

  // MARK: ENTER, LOOP, single steps

  @Test func `ENTER on a 16-bit stack leaves all of the old stack pointer's upper half in EBP`() {
    for level in [0, 1] as [UInt8] {
      // enter 16, level with an operand size of 32 bits
      let machine = Self.machine([0x66, 0xc8, 0x10, 0x00, level], Attributes.code16)
      machine.update {
        $0[.ss] = Segment(selector: 0x13, base: Place.stack, limit: 0xffff, attributes: Attributes.data16)
        $0.slots[Int(Slot.rsp)] = 0x1234_0800
        $0.slots[Int(Slot.rbp)] = 0x5678_9abc
      }
      machine.run(1)
      #expect(machine.lastException == nil)
      #expect(machine[Slot.rbp] == 0x1234_07fc)
      #expect(machine[Slot.rsp] == 0x1234_07ec - UInt64(level) * 4)
      #expect(machine.guest.word(atPhysical: Place.stackFrame + 0x7fc) & 0xffff_ffff == 0x5678_9abc)
      if level == 1 {
        #expect(machine.guest.word(atPhysical: Place.stackFrame + 0x7f8) & 0xffff_ffff == 0x1234_07fc)
      }
    }
  }

  @Test(arguments: [0xe0, 0xe1] as [UInt8])
  func `F2 and F3 choose between LOOPNE and LOOPE on AMD's processors`(opcode: UInt8) {
    for (vendor, prefixes) in [(Vendor.amd, [[0xf2], [0xf3], [0xf2, 0xf3], []]), (.intel, [[0xf2], [0xf3]])]
      as [(Vendor, [[UInt8]])]
    {
      for prefix in prefixes {
        let machine = Self.machine(prefix + [opcode, 0x10], vendor: vendor)
        machine.update {
          $0.slots[Int(Slot.rcx)] = 5
          $0.rflags = Flag.zero
        }
        machine.run(1)
        let takesEqual = vendor == .amd && !prefix.isEmpty ? prefix.last == 0xf3 : opcode == 0xe1
        let next = 0x102 + UInt64(prefix.count)
        #expect(machine.processor.state.rip == next + (takesEqual ? 0x10 : 0), "\(vendor) \(prefix)")
      }
    }
  }

  @Test func `RF in the image of a single-step trap between two elements is Intel's`() {
    for vendor in [Vendor.amd, .intel] {
      // rep movsb
      let machine = Self.machine([0xf3, 0xa4], vendor: vendor)
      machine.update {
        $0.slots[Int(Slot.rcx)] = 3
        $0.rflags = Flag.trap
      }
      machine.run(1)
      Self.checkFault(machine, .debug, at: 0x100)
      #expect((machine.stackWords(3)[2] & Flag.resume == 0) == (vendor == .amd))
    }
  }

  // MARK: What comes before an operand's segment

  /// Instructions with an operand at SS:[EBX], beyond the limit.
  private static func withoutPlace(_ bytes: [UInt8], cpl: UInt8 = 3, _ change: (inout ProcessorState) -> Void)
    -> GuestException?
  {
    let machine = Self.machine([0x36] + bytes, cpl: cpl)
    machine.update { state in
      state.slots[Int(Slot.rbx)] = 0x1_0000
      state.cr4 |= CR4.osFXSR | CR4.osXMMExceptions | CR4.osXSAVE
      state.xcr0 = 7
      change(&state)
    }
    machine.run(1)
    return machine.lastException
  }

  static let waiting: [[UInt8]] = [
    // FLD, FST, FNSTENV, FRSTOR, FXSAVE, FXRSTOR, LDMXCSR, XSAVE
    [0xd9, 0x03], [0xdd, 0x13], [0xd9, 0x33], [0xdd, 0x23], [0x0f, 0xae, 0x03], [0x0f, 0xae, 0x0b], [0x0f, 0xae, 0x13],
    [0x0f, 0xae, 0x23],
    // MOVUPS to and from, MOVSD, MOVQ, ADDPS, ADDSD, CVTSI2SD, PADDD, PSHUFD, UCOMISD, VADDPS, VMOVUPS
    [0x0f, 0x10, 0x03], [0x0f, 0x11, 0x03], [0xf2, 0x0f, 0x10, 0x03], [0x66, 0x0f, 0xd6, 0x03], [0x0f, 0x58, 0x03],
    [0xf2, 0x0f, 0x58, 0x03], [0xf2, 0x0f, 0x2a, 0x03], [0x66, 0x0f, 0xfe, 0x03], [0x66, 0x0f, 0x70, 0x03, 0x1b],
    [0x66, 0x0f, 0x2e, 0x03], [0xc5, 0xf8, 0x58, 0x03], [0xc5, 0xf8, 0x10, 0x03],
  ]

  @Test(arguments: waiting)
  func `an x87 or vector unit that is switched off comes before an operand beyond the limit`(bytes: [UInt8]) {
    #expect(Self.withoutPlace(bytes) { _ in } == .stack(0))
    #expect(Self.withoutPlace(bytes) { $0.cr0 |= CR0.taskSwitched } == .deviceNotAvailable)
  }

  @Test func `privilege comes before an operand beyond the limit`() {
    // LLDT, LTR, LGDT, LIDT, LMSW
    for bytes in [
      [0x0f, 0x00, 0x13], [0x0f, 0x00, 0x1b], [0x0f, 0x01, 0x13], [0x0f, 0x01, 0x1b], [0x0f, 0x01, 0x33],
    ] as [[UInt8]] {
      #expect(Self.withoutPlace(bytes) { _ in } == .generalProtection(0))
      #expect(Self.withoutPlace(bytes, cpl: 0) { _ in } == .stack(0))
    }
    // SLDT, SGDT
    for bytes in [[0x0f, 0x00, 0x03], [0x0f, 0x01, 0x03]] as [[UInt8]] {
      #expect(Self.withoutPlace(bytes) { _ in } == .stack(0))
      #expect(Self.withoutPlace(bytes) { $0.cr4 |= CR4.umip } == .generalProtection(0))
    }
  }

  // MARK: Frames

  @Test func `a frame beyond the stack's limit comes before its alignment`() {
    // RETF and IRET
    for (bytes, words) in [([0xcb], 2), ([0xcf], 3)] as [([UInt8], UInt64)] {
      let machine = Self.machine(bytes)
      machine.update { state in
        state.cr0 |= CR0.alignmentMask
        state.rflags |= Flag.alignmentCheck
        state.slots[Int(Slot.rsp)] = 0x1_0001 &- 4 &* words
      }
      machine.run(1)
      Self.checkFault(machine, .stack(0), at: 0x100)
    }
  }

  @Test func `a near CALL beyond the limit finds its push misaligned first on AMD's processors`() {
    for (vendor, exception) in [(Vendor.amd, UInt8(17)), (.intel, 13)] {
      let machine = Self.machine([0xe8, 0x00, 0x00, 0x01, 0x00], vendor: vendor)
      machine.update { state in
        state.cr0 |= CR0.alignmentMask
        state.rflags |= Flag.alignmentCheck
        state.slots[Int(Slot.rsp)] = 0x802
      }
      machine.run(1)
      #expect(machine.lastException?.vector == exception)
    }
  }

  @Test func `POP to memory below the base of its segment wraps at 4 GiB`() {
    // pop [ebx], in data that expand down
    let machine = Self.machine([0x8f, 0x03])
    machine.update { state in
      state[.ds] = Segment(selector: 0x13, base: Place.data + 0x100, limit: 0xffff, attributes: 0x40f7)
    }
    machine[Slot.rbx] = 0xffff_ff40
    machine.guest.setWord(0x1234_5678, atPhysical: Place.stackFrame + 0x800)
    machine.run(1)
    #expect(machine.lastException == nil)
    #expect(machine.guest.word(atPhysical: Place.dataFrame + 0x40) & 0xffff_ffff == 0x1234_5678)
  }
}
