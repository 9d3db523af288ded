import Machine
import Testing

@testable import Hypervisor

/// What makes shadow tables hard, the same under every kind of paging and every policy.
@Suite struct HardCaseTests {
  /// Frames for a second set of tables, and for what else a test wants.
  private enum Second {
    static let root: UInt64 = 0x4_0000
    static let pointers: UInt64 = 0x4_1000
    static let directory: UInt64 = 0x4_2000
    static let table: UInt64 = 0x4_3000

    /// Maps everything as the first tables do, with entries of its own.
    static func build(_ guest: TinyGuest) {
      guest.set(root, pointers | 7)
      guest.set(pointers, directory | 7)
      guest.set(directory, table | 7)
      for page in UInt64(0)..<512 { guest.set(table + 8 * page, guest.word(Place.table + 8 * page)) }
    }

    static func entry(of address: UInt64) -> UInt64 { table + (address >> 12) * 8 }
  }

  /// Adds error code and CR2 to a list at R15, and returns behind the instruction, a load or store of three bytes.
  private static let logging: [UInt8] = [
    0x41, 0x58, 0x4d, 0x89, 0x07,  // pop r8; mov [r15], r8
    0x41, 0x0f, 0x20, 0xd0, 0x4d, 0x89, 0x47, 0x08,  // mov r8, cr2; mov [r15 + 8], r8
    0x49, 0x83, 0xc7, 0x10,  // add r15, 16
    0x48, 0x83, 0x04, 0x24, 0x03,  // add qword [rsp], 3
    0x48, 0xcf,  // iretq
  ]
  private static let log = Place.data + 0x6000

  /// What `logging` noted: error codes.
  private static func errors(_ guest: TinyGuest) -> [UInt64] {
    let end = guest.processor.state.slots[15]
    return stride(from: log, to: max(end, log), by: 16).map(guest.word)
  }

  private static func startLog(_ code: inout Code) {
    code.raw(0x49, 0xbf)
    for byte in 0..<8 { code.bytes.append(UInt8(truncatingIfNeeded: log >> UInt64(8 * byte))) }
  }

  private static func loadCR3(_ code: inout Code, _ value: UInt64) {
    code.rax(value)
    code.raw(0x0f, 0x22, 0xd8)
  }

  @Test func `one table under two directory entries that permit different things`() throws {
    try expectSame(
      Code {
        Self.startLog(&$0)
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
      }, handler: Self.logging
    ) { guest in
      #expect(Self.errors(guest) == [3, 3, 3, 3, 3, 3])
      #expect((UInt64(0)..<3).map { guest.word(Place.data + $0 << 12) } == [1, 2, 3])
    }
  }

  @Test func `EFER.NXE is switched while pages have XD`() throws {
    try expectSame(
      Code {
        Self.startLog(&$0)
        $0.store(Place.entry(of: Place.window), Place.data | 3 | 1 << 63)
        $0.invalidate(Place.window)
        for bits in [EFER.noExecute, 0, EFER.noExecute, 0] {
          $0.rcx(0xc000_0080)
          $0.rdx(0)
          $0.rax(EFER.longModeEnable | bits)
          $0.raw(0x0f, 0x30)
          // What TLBs hold of reserved bits is not flushed by the write.
          $0.invalidate(Place.window)
          $0.load(Place.window)
          $0.store(Place.window, bits)
        }
      }, handler: Self.logging
    ) { guest in
      #expect(Self.errors(guest) == [9, 11, 9, 11])
      #expect(guest.word(Place.data) == EFER.noExecute)
    }
  }

  @Test func `CR0.WP, SMEP and SMAP are switched while tables change`() throws {
    let paging = CR0.protectionEnable | CR0.extensionType | CR0.paging
    try expectSame(
      Code {
        Self.startLog(&$0)
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
      }, handler: Self.logging, levels: [4]
    ) { guest in
      // With WP two stores of three fail; with SMAP nothing of the user's is touched.
      #expect(Self.errors(guest).filter { $0 & 2 != 0 }.count == 2 + 0 + 3 + 2 + 2 + 0 + 3 + 2)
      #expect(guest.word(Place.data + 0x1000) == 0x701)
    }
  }

  @Test func `PCIDs keep what a load of CR3 does not flush`() throws {
    let keep: UInt64 = 1 << 63
    try expectSame(
      Code {
        Self.loadCR3(&$0, Place.root)
        $0.cr4(CR4.physicalAddressExtension | CR4.pcid)
        for time in UInt64(0)..<3 {
          Self.loadCR3(&$0, Place.root | 1 | keep)
          $0.load(Place.window)
          $0.raw(0x50)
          // The other space's entry is changed, and invalidated there by INVPCID type 0 before anybody uses it.
          $0.store(Second.entry(of: Place.window), (Place.data + (time + 1) << 12) | 0x63)
          $0.store(Place.data + 0x7000, 2)
          $0.store(Place.data + 0x7008, Place.window)
          $0.rbx(Place.data + 0x7000)
          $0.rcx(0)
          $0.raw(0x66, 0x0f, 0x38, 0x82, 0x0b)
          Self.loadCR3(&$0, Second.root | 2 | keep)
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
          Self.loadCR3(&$0, Place.root)
          for word in UInt64(0)..<6 { $0.store(Second.table + 8 * word, 0x4141_4141_4141_4141 &* time) }
          Self.loadCR3(&$0, Place.root)
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
}
