import Machine
import Testing

@testable import Hypervisor

/// What makes shadow tables hard, the same under every kind of paging and every policy.
@Suite struct HardCaseTests {
  @Test func `one table under two directory entries that permit different things`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        $0.store(Place.directory + 16, Place.table | 7)
        $0.store(Place.directory + 24, Place.table | 5)
        for time in UInt64(1)..<4 {
          $0.store(0x40_0000 + Place.window, time)
          $0.load(0x60_0000 + Place.window)
          $0.raw(0x50)
          $0.store(0x60_0000 + Place.window, 9)
          $0.store(Place.entry(of: Place.window), (Place.data + time << 12) | 3)
          for base in [0, 0x40_0000, 0x60_0000] as [UInt64] { $0.invalidate(base + Place.window) }
          $0.store(0x60_0000 + Place.window, 9)
          $0.load(0x40_0000 + Place.window)
        }
      }, handler: FaultLog.handler
    ) { guest in
      #expect(FaultLog.errors(guest) == [3, 3, 3, 3, 3, 3])
      #expect((UInt64(0)..<3).map { guest.word(Place.data + $0 << 12) } == [1, 2, 3])
    }
  }

  @Test func `EFER.NXE is switched while pages have XD`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        $0.store(Place.entry(of: Place.window), Place.data | 3 | 1 << 63)
        $0.invalidate(Place.window)
        for bits in [EFER.noExecute, 0, EFER.noExecute, 0] {
          $0.efer(bits)
          // What TLBs hold of reserved bits is not flushed by the write.
          $0.invalidate(Place.window)
          $0.load(Place.window)
          $0.store(Place.window, bits)
        }
      }, handler: FaultLog.handler
    ) { guest in
      #expect(FaultLog.errors(guest) == [9, 11, 9, 11])
      #expect(guest.word(Place.data) == EFER.noExecute)
    }
  }

  @Test func `CR0.WP, SMEP and SMAP are switched while tables change`() throws {
    let paging = CR0.protectionEnable | CR0.extensionType | CR0.paging
    try expectSame(
      Code {
        FaultLog.start(&$0)
        for time in UInt64(0)..<8 {
          $0.cr0(paging | (time & 1 == 0 ? CR0.writeProtect : 0))
          $0.cr4(
            CR4.physicalAddressExtension | (time & 2 != 0 ? CR4.smap : 0) | (time & 4 != 0 ? CR4.smep : 0))
          // Of the user and read-only, of the supervisor and read-only, of the user and writable.
          for (page, bits) in [(0, 5), (1, 1), (2, 7)] as [(UInt64, UInt64)] {
            let address = Place.window + page << 12
            $0.store(Place.entry(of: address), (Place.data + page << 12) | bits)
            $0.invalidate(address)
            $0.load(address)
            $0.store(address, time << 8 | page)
            $0.load(address)
          }
        }
      }, handler: FaultLog.handler, levels: [4]
    ) { guest in
      // With WP two stores of three fail; with SMAP nothing of the user's is touched.
      #expect(FaultLog.errors(guest).filter { $0 & 2 != 0 }.count == 2 + 0 + 3 + 2 + 2 + 0 + 3 + 2)
      #expect(guest.word(Place.data + 0x1000) == 0x701)
    }
  }

  @Test func `PCIDs keep what a load of CR3 does not flush`() throws {
    let keep: UInt64 = 1 << 63
    try expectSame(
      Code {
        $0.cr3(Place.root)
        $0.cr4(CR4.physicalAddressExtension | CR4.pcid)
        for time in UInt64(0)..<3 {
          $0.cr3(Place.root | 1 | keep)
          $0.load(Place.window)
          $0.raw(0x50)
          // The other space's entry is changed, and invalidated there by INVPCID type 0 before anybody uses it.
          $0.store(Second.entry(of: Place.window), (Place.data + (time + 1) << 12) | 0x63)
          $0.store(Place.data + 0x7000, 2)
          $0.store(Place.data + 0x7008, Place.window)
          $0.rbx(Place.data + 0x7000)
          $0.rcx(0)
          $0.raw(0x66, 0x0f, 0x38, 0x82, 0x0b)
          $0.cr3(Second.root | 2 | keep)
          $0.load(Place.window)
          $0.store(Place.window, 0x100 + time)
        }
        // All of one PCID, then all but globals.
        for (type, page) in [(1, 5), (3, 6)] as [(UInt64, UInt64)] {
          $0.store(Second.entry(of: Place.window), (Place.data + page << 12) | 0x63)
          $0.rcx(type)
          $0.rbx(Place.data + 0x7000)
          $0.raw(0x66, 0x0f, 0x38, 0x82, 0x0b)
          $0.store(Place.window, 0x200 + page)
        }
      }, levels: [4], prepare: Second.build
    ) { guest in
      #expect((UInt64(1)..<4).map { guest.word(Place.data + $0 << 12) } == [0x100, 0x101, 0x102])
      #expect(guest.word(Place.data + 0x5000) == 0x205 && guest.word(Place.data + 0x6000) == 0x206)
    }
  }

  @Test func `global pages go when CR4.PGE is switched`() throws {
    try expectSame(
      Code {
        $0.cr4(CR4.physicalAddressExtension | CR4.pageGlobal)
        for time in UInt64(0)..<3 {
          $0.store(Place.entry(of: Place.window), (Place.data + time << 12) | 0x103)
          $0.cr4(CR4.physicalAddressExtension)
          $0.cr4(CR4.physicalAddressExtension | CR4.pageGlobal)
          $0.store(Place.window, time + 7)
        }
      }, levels: [4]
    ) { guest in #expect((UInt64(0)..<3).map { guest.word(Place.data + $0 << 12) } == [7, 8, 9]) }
  }

  @Test func `a large page is split and put together again`() throws {
    let large: UInt64 = 0x60_0000
    try expectSame(
      Code {
        for time in UInt64(0)..<3 {
          $0.store(Place.directory + 24, 0x20_0083)
          for page in UInt64(0)..<8 { $0.invalidate(large + page << 12) }
          $0.store(large + 0x5000, 1 + time)
          $0.store(large + 0x6000, 2 + time)
          // The table has 0x5000 elsewhere.
          $0.store(Second.table + 5 * 8, (Place.data + 0x5000) | 3)
          $0.store(Second.table + 6 * 8, 0x20_6003)
          $0.store(Place.directory + 24, Second.table | 7)
          for page in UInt64(0)..<8 { $0.invalidate(large + page << 12) }
          $0.store(large + 0x5000, 3 + time)
          $0.load(large + 0x6000)
          $0.raw(0x50)
        }
        $0.load(Place.directory + 24)
      }
    ) { guest in
      #expect(guest.word(0x20_5000) == 3 && guest.word(Place.data + 0x5000) == 5 && guest.rax == Second.table | 0x27)
      #expect((UInt64(1)...3).map { guest.word(Place.stack - 8 * $0) } == [2, 3, 4])
    }
  }

  @Test func `tables are written through an alias, by locked instructions`() throws {
    let alias = Place.window + 0x7000
    let entry = alias + (Place.entry(of: Place.window) & 0xfff)
    try expectSame(
      Code {
        $0.store(Place.entry(of: alias), Place.table | 3)
        $0.load(Place.window)
        $0.rbx(entry)
        $0.rax(0x1000)
        $0.raw(0xf0, 0x48, 0x0f, 0xc1, 0x03)  // LOCK XADD [RBX], RAX
        $0.raw(0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x10, 0x00)  // INVLPG [window]
        $0.store(Place.window, 0x31)
        $0.rbx(entry)
        $0.raw(0xf0, 0x48, 0x0f, 0xba, 0x33, 0x01)  // LOCK BTR QWORD [RBX], 1: W
        $0.raw(0xf0, 0x80, 0x63, 0x00, 0xdf)  // LOCK AND BYTE [RBX], ~A
        $0.raw(0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x10, 0x00)
        $0.load(Place.window)
        $0.raw(0x50)
        $0.rbx(entry)
        $0.raw(0x48, 0x8b, 0x0b, 0x48, 0x89, 0xc8)  // MOV RCX, [RBX]; MOV RAX, RCX
        $0.raw(0x48, 0x8b, 0x03, 0x48, 0x8d, 0x88, 0x02, 0x10, 0x00, 0x00)  // MOV RAX, [RBX]; LEA RCX, [RAX + 0x1002]
        $0.raw(0xf0, 0x48, 0x0f, 0xb1, 0x0b)  // LOCK CMPXCHG [RBX], RCX
        $0.raw(0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x10, 0x00)
        $0.store(Place.window, 0x32)
        // One byte of the address, and a word across two entries.
        $0.rbx(entry + 1)
        $0.rax(0x30)
        $0.raw(0x88, 0x03)
        $0.raw(0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x10, 0x00)
        $0.load(Place.window)
      }
    ) { guest in
      #expect(guest.word(Place.data + 0x1000) == 0x31 && guest.word(Place.data + 0x2000) == 0x32)
      #expect(guest.word(Place.stack - 8) == 0x31)
    }
  }

  @Test func `a write that CR0.WP lets through goes to what becomes a table by the same instruction`() throws {
    // The store's first half goes to a read-only page of the user's, where SMAP keeps it from posing as a supervisor's: the
    // very table by which the second half's page is found. It makes that a device's.
    let table = Place.data + 0x1000
    try expectSame(
      Code {
        $0.cr0(CR0.protectionEnable | CR0.extensionType | CR0.paging)
        $0.cr4(CR4.physicalAddressExtension | CR4.smap)
        $0.raw(0x0f, 0x01, 0xcb)  // STAC
        $0.store(0x5f_effc, 0x33_0000_0100)
        $0.invalidate(0x5f_f000)
        $0.load(0x5f_f008)
      }, levels: [4],
      prepare: { guest in
        guest.set(Place.directory + 16, table | 7)
        guest.set(table + 510 * 8, table | 5)
        guest.set(table + 511 * 8, (Place.data + 0x2000) | 7)
      },
      check: { guest in
        #expect(guest.word(table + 511 * 8) == 1 << 40 | (Place.data + 0x2000) | 0x67)
        #expect(guest.word(Place.data + 0x2000) == 0x33)
        #expect(guest.bus.registers == [.init(address: 1 << 40 | (Place.data + 0x2008), width: 8)])
      }
    )
  }

  @Test func `a frame is a table and data by turns`() throws {
    try expectSame(
      Code {
        for time in UInt64(1)..<5 {
          $0.store(Second.table, (Place.data + time << 12) | 3)
          $0.store(Place.directory + 16, Second.table | 7)
          $0.store(0x40_0000, time)
          if time & 1 == 0 { $0.store(Place.directory + 16, 0) }
          $0.cr3(Place.root)
          for word in UInt64(0)..<6 { $0.store(Second.table + 8 * word, 0x4141_4141_4141_4141 &* time) }
          $0.cr3(Place.root)
        }
        $0.store(Second.table + 8, Place.data | 1)
        $0.store(Place.directory + 16, Second.table | 7)
        $0.load(0x40_1000)
      }
    ) { guest in #expect((UInt64(1)..<5).map { guest.word(Place.data + $0 << 12) } == [1, 2, 3, 4]) }
  }

  @Test func `a large page of a device's`() throws {
    try expectSame(
      Code {
        $0.store(Place.directory + 40, Place.device | 0x83)
        $0.load(0xa0_0010)
        $0.store(0xa0_1018, 0x55)
        $0.store(Place.directory + 40, 0x20_0083)
        $0.invalidate(0xa0_0010)
        $0.store(0xa0_0010, 0x66)
      }
    ) { guest in
      #expect(guest.bus.registers.map(\.address) == [Place.device + 0x10, Place.device + 0x1018])
      #expect(guest.word(0x20_0010) == 0x66)
    }
  }

  @Test func `a large page of memory and of a device's`() throws {
    let end: UInt64 = 0x7f_0000
    try expectSame(
      Code {
        $0.store(Place.directory + 24, 0x60_0083)
        $0.store(0x60_0010, 0x11)
        $0.store(0x7e_f010, 0x12)
        // The first and the last register, a store and a load, and memory between.
        $0.load(end + 0x18)
        $0.load(0x60_0010)
        $0.raw(0x50)
        $0.store(0x7f_fff8, 0x55)
        $0.load(0x7e_f010)
        $0.raw(0x50)
        // The device's part is named, and all of the page is another one.
        $0.store(Place.directory + 24, 0x20_0083)
        $0.invalidate(end + 0x18)
        $0.store(end + 0x18, 0x66)
        $0.store(0x60_0010, 0x67)
        // And back again by the memory's.
        $0.store(Place.directory + 24, 0x60_0083)
        $0.invalidate(0x60_0010)
        $0.load(end + 0x20)
        $0.load(0x60_0010)
        $0.raw(0x50)
      }, memorySize: end
    ) { guest in
      #expect(guest.bus.registers.map(\.address) == [end + 0x18, 0x7f_fff8, end + 0x20])
      #expect(guest.bus.registers.map(\.written) == [nil, 0x55, nil])
      #expect((UInt64(1)...3).map { guest.word(Place.stack - 8 * $0) } == [0x11, 0x12, 0x11])
      #expect(guest.word(0x3f_0018) == 0x66 && guest.word(0x20_0010) == 0x67)
    }
  }
}
