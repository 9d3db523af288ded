import Machine
import Testing

@testable import Hypervisor

/// What reaches the hypervisor by devices, ports, interrupts and single-stepping ends as it does natively.
@Suite struct ExitEquivalenceTests {
  @Test func `device registers are read once and written once`() throws {
    try expectSame(
      Code {
        $0.load(0x20_0010)
        $0.store(0x20_0018, 0x55)
        // ADD [RBX], RAX
        $0.raw(0x48, 0x01, 0x03)
        $0.rbx(0x20_0020)
        $0.raw(0x8a, 0x03)
        $0.raw(0x66, 0x89, 0x03)
      }
    ) { guest in #expect(guest.bus.registers.count == 6) }
  }

  @Test func `an NMI whose delivery faults holds off the next one`() throws {
    // INC ECX; OUT the port, AL; NOP; HLT
    try expectSame(
      Code {
        $0.rcx(0)
        $0.raw(0xe6, UInt8(RecordingBus.nonMaskablePort))
        $0.raw(0x90)
      }, handler: [0xff, 0xc1, 0xe6, UInt8(RecordingBus.nonMaskablePort), 0x90, 0xf4],
      prepare: { $0.set(Place.idt + 32, $0.word(Place.idt + 32) & ~(1 << 47)) },
      check: { guest in #expect(guest.processor.state.slots[Int(Slot.rcx)] == 1) }
    )
  }

  @Test func `an access across memory and a device reaches each with its part`() throws {
    // The device's page begins at 2 MiB, behind the last page of memory.
    try expectSame(
      Code {
        $0.store(0x1f_fff8, 0x8877_6655_4433_2211)
        $0.load(0x1f_fffc)
        $0.raw(0x48, 0x89, 0xc6)
        $0.store(0x1f_fffc, 0x1122_3344_5566_7788)
      }
    ) { guest in
      #expect(guest.processor.state.slots[Int(Slot.rsi)] == 0x5566_7788_8877_6655)
      #expect(guest.word(0x1f_fff8) == 0x5566_7788_4433_2211)
      #expect(
        guest.bus.registers == [
          .init(address: Place.device, width: 4), .init(address: Place.device, width: 4, written: 0x1122_3344),
        ])
    }
  }

  @Test func `vectors reach device registers and page tables in halves`() throws {
    try expectSame(
      Code {
        // MOVUPS XMM1, [RDI]; MOVUPS [RDI + 0x18], XMM1
        $0.rdi(0x20_0010)
        $0.raw(0x0f, 0x10, 0x0f)
        $0.raw(0x0f, 0x11, 0x4f, 0x18)
        // Two entries at once: MOVQ XMM2, RAX; PUNPCKLQDQ XMM2, XMM2; MOVAPS [RDI], XMM2
        $0.store(Place.data + 0x1000, 0x77)
        $0.load(Place.window)
        $0.rax((Place.data + 0x1000) | 3)
        $0.raw(0x66, 0x48, 0x0f, 0x6e, 0xd0, 0x66, 0x0f, 0x6c, 0xd2)
        $0.rdi(Place.entry(of: Place.window))
        $0.raw(0x0f, 0x29, 0x17)
        $0.bytes += [0x0f, 0x01, 0x3c, 0x25, 0, 0, 0x10, 0]  // INVLPG
        $0.load(Place.window)
      },
      prepare: { guest in
        var state = guest.processor.state
        state.cr4 |= CR4.osFXSR
        guest.processor.state = state
        guest.processor.refresh()
      },
      check: { guest in
        #expect(guest.bus.registers.map(\.address).count == 4 && guest.rax == 0x77)
        #expect(guest.processor.state.vector.xmm[1].y == 0x1122_3344_5566_7788)
      }
    )
  }

  @Test func `code in device space is no instruction`() throws {
    try expectSame(
      Code {
        $0.rax(0x20_0000)
        $0.raw(0xff, 0xe0)
      }
    ) { guest in #expect(guest.word(Place.exceptionStack - 40) == 0x20_0000) }
  }

  @Test func `ports merge into the accumulator`() throws {
    try expectSame(
      Code {
        $0.rax(0xffff_ffff_ffff_ffff)
        $0.raw(0xe4, 0x10)
        $0.raw(0x66, 0xe5, 0x10)
        $0.raw(0xe6, 0x11)
        $0.raw(0xe5, 0x12)
      }
    ) { guest in #expect(guest.rax == 0xa1b2_c3d4) }
  }

  @Test func `string input and output reach the port for every element`() throws {
    try expectSame(
      Code {
        $0.rdi(Place.data)
        $0.rcx(3)
        $0.rdx(0x70)
        $0.raw(0xf3, 0x6d)
        $0.bytes += [0x48, 0xbe, 0, 0, 3, 0, 0, 0, 0, 0]
        $0.rcx(2)
        $0.raw(0xf3, 0x66, 0x6f)
      }
    ) { guest in #expect(guest.bus.ports.count == 5) }
  }

  @Test func `an interrupt wakes HLT`() throws {
    try expectSame(
      Code { $0.raw(0xfb, 0xf4, 0x90) }, handler: [0xf4], prepare: { $0.bus.deadline = 2_000_000 },
      check: { guest in #expect(guest.word(Place.exceptionStack - 40) == Place.code + 2) }
    )
  }

  @Test func `a pending interrupt waits for STI and the instruction after it`() throws {
    try expectSame(
      Code { $0.raw(0x90, 0x90, 0xfb, 0x90, 0x90) }, handler: [0xf4], prepare: { $0.bus.pending = 0x41 },
      check: { guest in #expect(guest.word(Place.exceptionStack - 40) == Place.code + 4) }
    )
  }

  @Test func `single-stepping traps behind instructions that exit`() throws {
    // The handler returns once, then the code halts: PUSHFQ; OR TF; POPFQ; OUT.
    try expectSame(
      Code {
        $0.raw(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d)
        $0.raw(0xe6, 0x11)
      }
    ) { guest in #expect(guest.word(Place.exceptionStack - 40) == Place.code + 11) }
  }

  @Test func `a software interrupt through a stack in a page table is not trapped in its handler`() throws {
    // The handler of all vectors halts, so that RIP tells who was delivered last. PUSHFQ; OR TF; POPFQ; INT 0x30.
    try expectSame(
      Code {
        $0.raw(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d)
        $0.raw(0xcd, 0x30)
      }, prepare: { $0.set(Place.task + 36, Place.table + 0x1000 - 0x100) },
      check: { guest in
        #expect(guest.processor.recentlyDelivered.map(\.event) == [.software(vector: 0x30, length: 2)])
        #expect(guest.processor.state.debugRegisters[6] & 1 << 14 == 0)
      }
    )
  }

  @Test func `elements of a repeated port instruction are trapped one by one`() throws {
    // PUSHFQ; OR TF; POPFQ; REP OUTSB; PUSHFQ; AND not TF; POPFQ. The handler counts: INC RBX; IRETQ.
    try expectSame(
      Code {
        $0.rcx(3)
        $0.rdx(0x70)
        $0.bytes += [0x48, 0xbe, 0, 0, 3, 0, 0, 0, 0, 0]
        $0.raw(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d)
        $0.raw(0xf3, 0x6e)
        $0.raw(0x9c, 0x81, 0x24, 0x24, 0xff, 0xfe, 0xff, 0xff, 0x9d)
      }, handler: [0x48, 0xff, 0xc3, 0x48, 0xcf]
    ) { guest in
      #expect(guest.bus.ports.count == 3)
      // Three elements, and the three instructions that clear TF.
      #expect(guest.processor.state.slots[Int(Slot.rbx)] == 6)
    }
  }

  @Test func `breakpoints hit alike on instructions that the hypervisor completes`() throws {
    // OUT to a watched port, a store to a watched page-table entry, a repeated OUTS; the handler counts in RBP.
    try expectSame(
      Code {
        $0.raw(0xe6, 0x11)
        $0.store(Place.entry(of: Place.window), Place.data | 3)
        $0.rcx(3)
        $0.rdx(0x11)
        $0.bytes += [0x48, 0xbe, 0, 0, 3, 0, 0, 0, 0, 0]
        $0.raw(0xf3, 0x6e)
        $0.load(0x20_0010)
        $0.raw(0x90)
      }, handler: [0x48, 0xff, 0xc5, 0x48, 0xcf],
      prepare: { guest in
        var state = guest.processor.state
        state.cr4 |= CR4.debuggingExtensions
        state.debugRegisters[0] = 0x11
        state.debugRegisters[1] = Place.entry(of: Place.window)
        state.debugRegisters[2] = 0x20_0010
        // Ports; writes of eight bytes; reads and writes of eight bytes.
        state.debugRegisters[7] = 0x400 | 0x15 | 0x2 << 16 | 0x9 << 20 | 0xb << 24
        guest.processor.state = state
        guest.processor.refresh()
      },
      check: { guest in
        #expect(guest.processor.state.slots[Int(Slot.rbp)] == 6)
        #expect(guest.processor.state.debugRegisters[6] & 0xf00f == 4)
      }
    )
  }

  @Test func `an NMI in an NMI's handler waits for IRET`() throws {
    // The handler counts in RBX, raises the second NMI in the first, and returns.
    try expectSame(
      Code {
        $0.raw(0xe6, 0x66)
        $0.raw(0x90)
      }, handler: [0x48, 0xff, 0xc3, 0x48, 0x83, 0xfb, 0x01, 0x75, 0x02, 0xe6, 0x66, 0x90, 0x48, 0xcf]
    ) { guest in
      #expect(guest.processor.state.slots[Int(Slot.rbx)] == 2)
      #expect(guest.processor.recentlyDelivered.map(\.event) == [.nonMaskable, .nonMaskable])
      #expect(guest.processor.recentlyDelivered.map(\.rip) == [Place.code + 2, Place.code + 2])
      #expect(!guest.processor.state.blocksNonMaskable)
    }
  }

  @Test func `an IRET with a fault of the guest's own lets NMIs come again`() throws {
    // INC RBX; CMP RBX, 2; JE second; JA third; MOV RSP, nowhere; IRETQ; second: OUT; NOP; third: HLT
    try expectSame(
      Code { $0.raw(0xe6, 0x66) },
      handler: [
        0x48, 0xff, 0xc3, 0x48, 0x83, 0xfb, 0x02, 0x74, 0x0b, 0x77, 0x0c, 0x48, 0xc7, 0xc4, 0x00, 0x00, 0x40, 0x00,
        0x48,
        0xcf, 0xe6, 0x66, 0x90, 0xf4,
      ]
    ) { guest in
      #expect(guest.processor.state.slots[Int(Slot.rbx)] == 3)
      #expect(guest.processor.recentlyDelivered.map(\.event.vector) == [2, 14, 2])
    }
  }

  @Test func `PCIDs keep translations apart`() throws {
    try expectSame(
      Code {
        $0.raw(0x0f, 0x20, 0xe0, 0x48, 0x0f, 0xba, 0xe8, 0x11, 0x0f, 0x22, 0xe0)
        $0.load(Place.window)
        $0.rax(Place.root | 1)
        $0.raw(0x0f, 0x22, 0xd8)
        $0.store(Place.data + 0x1000, 0x66)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 3)
        $0.load(Place.window)
        $0.rax(Place.root)
        $0.raw(0x0f, 0x22, 0xd8)
        $0.load(Place.window)
      }
    ) { guest in #expect(guest.rax == 0x66) }
  }
}
