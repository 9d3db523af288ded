import Machine
import Testing

@testable import Hypervisor

/// Tiny guests that end the same, register by register and byte by byte, however their memory is virtualised; and after
/// every exit all invariants hold.
@Suite struct EquivalenceTests {
  @Test func `a store to a page table remaps a page once it is invalidated`() throws {
    try expectSame(
      Code {
        $0.store(Place.data + 0x1000, 0xbeef)
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
        $0.invalidate(Place.window)
        $0.load(Place.window)
      }
    ) { guest in #expect(guest.rax == 0xbeef) }
  }

  @Test func `PUSH into a live page table`() throws {
    try expectSame(
      Code {
        $0.store(Place.data + 0x2000, 0x1234)
        $0.load(Place.window)
        $0.rsp(Place.entry(of: Place.window) + 8)
        $0.rax((Place.data + 0x2000) | 3)
        $0.raw(0x50)
        $0.invalidate(Place.window)
        $0.load(Place.window)
      }
    ) { guest in #expect(guest.rax == 0x1234) }
  }

  @Test func `XCHG with a live page-table entry gives the old one`() throws {
    try expectSame(
      Code {
        $0.load(Place.window)
        $0.rbx(Place.entry(of: Place.window))
        $0.rax((Place.data + 0x3000) | 3)
        $0.raw(0x48, 0x87, 0x03)
      }
    ) { guest in #expect(guest.rax == Place.data | 0x23) }
  }

  @Test func `REP STOSQ over live page-table entries`() throws {
    try expectSame(
      Code {
        $0.store(Place.data + 0x5000, 0x77)
        for page in UInt64(0)..<4 { $0.load(Place.window + page << 12) }
        $0.rdi(Place.entry(of: Place.window))
        $0.rcx(6)
        $0.rax((Place.data + 0x5000) | 3)
        $0.raw(0xf3, 0x48, 0xab)
        for page in UInt64(0)..<4 { $0.invalidate(Place.window + page << 12) }
        $0.load(Place.window + 0x3000)
      }
    ) { guest in #expect(guest.rax == 0x77) }
  }

  @Test func `CMPXCHG16B over two live page-table entries`() throws {
    try expectSame(
      Code {
        $0.store(Place.data + 0x6000, 0x99)
        $0.rbx(Place.window)
        $0.raw(0x48, 0x8b, 0x0b)
        // RDX:RAX compares, RCX:RBX is stored.
        $0.rax(Place.data | 0x23)
        $0.rdx((Place.data + 0x1000) | 3)
        $0.rbx((Place.data + 0x6000) | 3)
        $0.rcx((Place.data + 0x6000) | 3)
        $0.rdi(Place.entry(of: Place.window))
        $0.raw(0x48, 0x0f, 0xc7, 0x0f)
        $0.invalidate(Place.window)
        $0.invalidate(Place.window + 0x1000)
        $0.load(Place.window + 0x1000)
      }
    ) { guest in #expect(guest.rax == 0x99) }
  }

  @Test func `a store across two live page-table entries changes both`() throws {
    try expectSame(
      Code {
        $0.load(Place.window)
        $0.load(Place.window + 0x1000)
        $0.store(Place.entry(of: Place.window) + 4, 0x0003_7003_0000_0000)
        $0.invalidate(Place.window + 0x1000)
        $0.load(Place.window)
      }
    ) { _ in }
  }

  @Test func `a store across a page boundary into a page table`() throws {
    try expectSame(
      Code {
        $0.load(0)
        $0.store(Place.table - 4, 0x0000_3003_0000_0000)
        $0.invalidate(0)
        $0.load(0)
      }
    ) { _ in }
  }

  @Test func `an upper table is changed`() throws {
    try expectSame(
      Code {
        // A second page table, at the data pages, that maps the window's pages there to the code.
        $0.store(Place.data, Place.code | 3)
        $0.store(Place.directory + 16, Place.data | 7)
        $0.load(0x40_0000)
        $0.store(Place.directory + 16, 0)
        $0.invalidate(0x40_0000)
        $0.load(0x40_0000)
      }
    ) { guest in #expect(guest.processor.state.cr2 == 0x40_0000) }
  }

  @Test func `five levels translate 57 bits, and an address beyond is not canonical`() throws {
    // Both differ from an address of the first 48 bits in bits 56:48 only.
    let low: UInt64 = 0x0055_0000_0010_0000
    let high: UInt64 = 0xffaa_0000_0010_0000
    try expectSame(
      Code {
        for address in [low, high] { $0.store(Place.root + (address >> 48 & 511) * 8, Place.fourthTable | 7) }
        $0.store(low, 0x1111)
        $0.load(high)
        $0.raw(0x50)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
        $0.invalidate(low)
        $0.store(low, 0x2222)
        $0.invalidate(high)
        $0.load(high)
        $0.raw(0x50)
        $0.load(0x0155_0000_0010_0000)
      }, levels: [5]
    ) { guest in
      #expect(guest.word(Place.stack - 8) == 0x1111 && guest.word(Place.stack - 16) == 0x2222)
      #expect(guest.word(Place.data) == 0x1111 && guest.word(Place.data + 0x1000) == 0x2222)
      #expect(guest.processor.recentlyDelivered.last?.event.vector == 13)
    }
  }

  @Test func `CR4.LA57 cannot be changed in long mode`() throws {
    try expectSame(
      Code {
        // mov rax, cr4; xor rax, LA57; mov cr4, rax.
        $0.raw(0x0f, 0x20, 0xe0)
        $0.raw(0x48, 0x35, 0x00, 0x10, 0x00, 0x00)
        $0.raw(0x0f, 0x22, 0xe0)
      }
    ) { guest in
      #expect(guest.processor.recentlyDelivered.last?.event.vector == 13)
      #expect(guest.processor.state.cr4 & CR4.la57 == (guest.mode == .levels5 ? CR4.la57 : 0))
    }
  }

  @Test func `a table that maps itself`() throws {
    try expectSame(
      Code {
        // The root's last entry is the root: its entries can be reached as a page.
        $0.store(Place.root + 511 * 8, Place.root | 3)
        $0.load(0xffff_ffff_ffff_f000)
        $0.load(0xffff_ff80_0000_0000)
        $0.store(0xffff_ff80_0000_0000 + (Place.window >> 12) * 8, (Place.data + 0x4000) | 3)
        $0.invalidate(Place.window)
        $0.load(Place.window)
        $0.store(Place.window, 0x55)
        $0.load(Place.data + 0x4000)
      }, levels: [4]
    ) { guest in #expect(guest.rax == 0x55) }
    // With five levels the way leads once more through the root.
    try expectSame(
      Code {
        $0.store(Place.root + 511 * 8, Place.root | 3)
        $0.load(0xffff_ffff_ffff_f000)
        $0.load(0xffff_0000_0000_0000)
        $0.store(0xffff_0000_0000_0000 + (Place.window >> 12) * 8, (Place.data + 0x4000) | 3)
        $0.invalidate(Place.window)
        $0.load(Place.window)
        $0.store(Place.window, 0x55)
        $0.load(Place.data + 0x4000)
      }, levels: [5]
    ) { guest in #expect(guest.rax == 0x55) }
  }

  @Test func `A and D are what hardware sets`() throws {
    try expectSame(
      Code {
        $0.load(Place.window)
        $0.store(Place.window + 0x1000, 1)
        $0.load(Place.window + 0x2000)
        $0.store(Place.window + 0x2000, 1)
        // Cleared, and set again once it is invalidated.
        $0.store(Place.entry(of: Place.window + 0x1000), (Place.data + 0x1000) | 3)
        $0.invalidate(Place.window + 0x1000)
        $0.load(Place.window + 0x1000)
      }
    ) { guest in
      #expect(guest.word(Place.entry(of: Place.window)) & 0x60 == 0x20)
      #expect(guest.word(Place.entry(of: Place.window + 0x1000)) & 0x60 == 0x20)
      #expect(guest.word(Place.entry(of: Place.window + 0x2000)) & 0x60 == 0x60)
      #expect(guest.word(Place.entry(of: Place.window + 0x3000)) & 0x60 == 0)
    }
  }

  @Test func `an exception on cold IDT, GDT, TSS and exception stack is delivered once`() throws {
    try expectSame(Code { $0.raw(0x0f, 0x0b) }) { guest in
      // UD2 itself is what the frame returns to, on the stack of the interrupt stack table.
      #expect(guest.word(Place.exceptionStack - 40) == Place.code)
      #expect(guest.processor.state.slots[Int(Slot.rsp)] == Place.exceptionStack - 40)
    }
  }

  @Test func `a page fault of the guest's own has its error code and CR2`() throws {
    try expectSame(
      Code {
        $0.store(Place.entry(of: Place.window), 0)
        $0.invalidate(Place.window)
        $0.store(Place.window + 0x123, 1)
      }
    ) { guest in
      #expect(guest.processor.state.cr2 == Place.window + 0x123)
      #expect(guest.word(Place.exceptionStack - 48) == 2)
    }
  }

  @Test func `an exception stack that is not mapped makes a double fault, then a triple fault`() throws {
    for kind in Kind.allCases {
      let guest = try TinyGuest(kind, Code { $0.raw(0x0f, 0x0b) }.bytes)
      guest.set(Place.entry(of: Place.exceptionStack - 0x1000), UInt64(0))
      #expect(guest.run() == .tripleFault, "\(kind)")
      #expect(guest.processor.state.cr2 == Place.exceptionStack - 8, "\(kind)")
      #expect(guest.violations == [], "\(kind)")
    }
  }

  @Test func `an exception stack in a page-table page`() throws {
    try expectSame(
      Code { $0.raw(0x0f, 0x0b) },
      prepare: { $0.set(Place.task + 36, Place.table + 0x1000 - 0x100) },
      check: { _ in }
    )
  }

  @Test func `MOV from CR3 gives the guest's own value`() throws {
    try expectSame(
      Code {
        $0.rax(Place.root | 0x18)
        $0.raw(0x0f, 0x22, 0xd8, 0x31, 0xc0, 0x0f, 0x20, 0xd8)
      }
    ) { guest in #expect(guest.rax == Place.root | 0x18) }
  }

  @Test func `CR3 that points to no memory ends in a triple fault`() throws {
    for kind in Kind.allCases {
      let guest = try TinyGuest(
        kind,
        Code {
          $0.rax(0x1_0000_0000)
          $0.raw(0x0f, 0x22, 0xd8)
        }.bytes)
      #expect(guest.run() == .tripleFault, "\(kind)")
    }
  }

  @Test func `without CR0.WP a supervisor writes to read-only pages, and users still read them`() throws {
    try expectSame(
      Code {
        $0.store(Place.entry(of: Place.window), Place.data | 5)
        $0.invalidate(Place.window)
        $0.load(Place.window)
        $0.raw(0x0f, 0x20, 0xc0)
        $0.raw(0x48, 0x0f, 0xba, 0xf0, 0x10)
        $0.raw(0x0f, 0x22, 0xc0)
        $0.store(Place.window, 0x42)
        $0.load(Place.window)
        $0.raw(0x0f, 0x20, 0xc0)
        $0.raw(0x48, 0x0f, 0xba, 0xe8, 0x10)
        $0.raw(0x0f, 0x22, 0xc0)
        $0.load(Place.window)
        $0.store(Place.window, 0x43)
      }
    ) { guest in
      #expect(guest.word(Place.data) == 0x42)
      #expect(guest.word(Place.exceptionStack - 48) == 3)
    }
  }

  @Test func `without CR0.WP but with SMAP a write does not open the page to reads without AC`() throws {
    try expectSame(
      Code {
        $0.store(Place.entry(of: Place.window), Place.data | 5)
        $0.invalidate(Place.window)
        $0.raw(0x0f, 0x20, 0xe0, 0x48, 0x0f, 0xba, 0xe8, 0x15, 0x0f, 0x22, 0xe0)
        $0.raw(0x0f, 0x20, 0xc0, 0x48, 0x0f, 0xba, 0xf0, 0x10, 0x0f, 0x22, 0xc0)
        // PUSHFQ; OR DWORD [RSP], AC; POPFQ
        $0.raw(0x9c, 0x81, 0x0c, 0x24, 0, 0, 4, 0, 0x9d)
        $0.store(Place.window, 0x42)
        $0.raw(0x9c, 0x81, 0x24, 0x24, 0xff, 0xff, 0xfb, 0xff, 0x9d)
        $0.load(Place.window)
      }
    ) { guest in
      #expect(guest.word(Place.data) == 0x42)
      #expect(guest.word(Place.exceptionStack - 48) == 1)
    }
  }

  @Test func `a page of 2 MiB is read, written, and changed`() throws {
    try expectSame(
      Code {
        $0.store(Place.directory + 24, 0x20_0000 | 0x83)
        $0.load(0x60_0000)
        $0.store(0x60_5008, 7)
        $0.load(0x60_6008)
        $0.store(Place.directory + 24, 0x40_0000 | 0x83)
        $0.invalidate(0x60_5000)
        $0.load(0x60_5008)
      }
    ) { guest in #expect(guest.word(Place.directory + 24) & 0x60 == 0x20) }
  }

  @Test func `INVLPG by one address drops all pieces of a page of 2 MiB`() throws {
    try expectSame(
      Code {
        $0.store(Place.directory + 24, 0x20_0000 | 0x83)
        $0.store(0x60_6008, 7)
        $0.load(0x60_5008)
        $0.store(Place.directory + 24, 0x40_0000 | 0x83)
        $0.invalidate(0x60_5000)
        $0.load(0x60_6008)
      }
    ) { guest in #expect(guest.rax == 0) }
  }

  @Test func `a large page whose frames become tables`() throws {
    try expectSame(
      Code {
        $0.store(Place.directory + 24, 0x20_0000 | 0x83)
        // A page table built through the large page, used, then changed through the large page.
        $0.store(0x60_1000, (Place.data + 0x1000) | 3)
        $0.store(Place.directory + 32, 0x20_1000 | 3)
        $0.store(0x80_0000, 0x31)
        $0.store(0x60_1000, (Place.data + 0x2000) | 3)
        $0.invalidate(0x80_0000)
        $0.store(0x80_0000, 0x32)
      }
    ) { guest in
      #expect(guest.word(Place.data + 0x1000) == 0x31)
      #expect(guest.word(Place.data + 0x2000) == 0x32)
    }
  }

  @Test func `a freed table is used for data`() throws {
    try expectSame(
      Code {
        $0.store(Place.data, Place.code | 3)
        $0.store(Place.directory + 16, Place.data | 7)
        $0.load(0x40_0000)
        $0.store(Place.directory + 16, 0)
        $0.invalidate(0x40_0000)
        for word in UInt64(0)..<16 { $0.store(Place.data + 8 * word, 0x0123_4567_89ab_cd00 + word) }
      }
    ) { _ in }
  }

  @Test(arguments: Kind.allCases.filter { $0 != .native })
  func `an event that is half delivered at a limit is known to be`(kind: Kind) throws {
    // PUSHFQ; OR QWORD [RSP], 100H; POPFQ; two NOPs, of which the first is followed by a debug trap. Its gate and its stack
    // are touched for the first time.
    let code: [UInt8] = [0x9c, 0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x90, 0x90, 0xf4]
    var halves = 0
    for instructions in 1..<6 as Range<UInt64> {
      let native = try TinyGuest(.native, code)
      let guest = try TinyGuest(kind, code)
      let hypervisor = try #require(guest.hypervisor)
      let ends = [native.run(retiredLimit: instructions), guest.run(retiredLimit: instructions)]
      guard ends[0] == .limit, ends[1] == .limit else { continue }
      let isEqual = guest.architecture == native.architecture
      #expect(isEqual || hypervisor.isInBetween(0), "after \(instructions)")
      if hypervisor.isInBetween(0) { halves += 1 }
    }
    // One large page of the host's is populated with the first fetch, and nothing is left to fault.
    #expect(halves > 0 || kind == .nested2M)
  }
}
