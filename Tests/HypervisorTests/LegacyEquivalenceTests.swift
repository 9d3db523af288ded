import Machine
import Testing

@testable import Hypervisor

/// Machine code of 32-bit protected mode, one instruction a call.
struct Code32 {
  var bytes: [UInt8] = []

  private mutating func add(_ opcode: UInt8, _ value: UInt64) {
    bytes += [opcode] + (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  mutating func raw(_ opcode: UInt8...) { bytes += opcode }
  mutating func eax(_ value: UInt64) { add(0xb8, value) }
  mutating func ebx(_ value: UInt64) { add(0xbb, value) }
  mutating func ecx(_ value: UInt64) { add(0xb9, value) }
  mutating func edi(_ value: UInt64) { add(0xbf, value) }
  mutating func esp(_ value: UInt64) { add(0xbc, value) }
  /// MOV [address], value.
  mutating func store(_ address: UInt64, _ value: UInt64) {
    ebx(address)
    eax(value)
    raw(0x89, 0x03)
  }
  /// MOV EAX, [address]; PUSH EAX.
  mutating func show(_ address: UInt64) {
    ebx(address)
    raw(0x8b, 0x03, 0x50)
  }
  mutating func invalidate(_ address: UInt64) {
    ebx(address)
    raw(0x0f, 0x01, 0x3b)
  }
  /// MOV to CR0, CR3, CR4.
  mutating func control(_ number: UInt8, _ value: UInt64) {
    eax(value)
    raw(0x0f, 0x22, 0xc0 | number << 3)
  }
  /// JMP to a register that holds the address.
  mutating func jump(_ address: UInt64) {
    ebx(address)
    raw(0xff, 0xe3)
  }

  init(_ build: (inout Code32) -> Void) {
    build(&self)
    raw(0xf4)
  }
}

/// Guests with 32-bit and with PAE paging, the same under every kind of paging.
@Suite struct LegacyEquivalenceTests {
  static let modes: [PagingMode] = [.narrow, .pae]
  static let paging = CR0.protectionEnable | CR0.extensionType | CR0.writeProtect | CR0.paging

  /// Where the entry for an address of the first 2 MiB is.
  static func entry(_ address: UInt64, _ mode: PagingMode) -> UInt64 {
    Place.table + (address >> 12) * (mode == .narrow ? 4 : 8)
  }

  /// Runs the code in a mode; `shown` gets what was pushed, first things first.
  private func expectSame(
    _ mode: PagingMode, handler: [UInt8] = [0xf4], except exceptions: [Kind] = [], _ build: (inout Code32) -> Void,
    check: (TinyGuest, [UInt32]) -> Void
  ) throws {
    func checkShown(_ guest: TinyGuest) {
      let shown = (UInt64(1)...8).map { number in
        UInt32(truncatingIfNeeded: guest.word((Place.stack - 4 * number) & ~7) >> (number & 1 == 1 ? 32 : 0))
      }
      check(guest, shown)
    }
    try HypervisorTests.expectSame(Code32(build).bytes, handler, mode, { _ in }, checkShown, except: exceptions)
  }

  private func fault(_ guest: TinyGuest) -> GuestException? {
    guard case .exception(let exception) = guest.processor.recentlyDelivered.last?.event else { return nil }
    return exception
  }

  @Test(arguments: modes) func `a store to a page table remaps a page once it is invalidated`(mode: PagingMode) throws {
    try expectSame(mode) {
      $0.store(Place.data + 0x1000, 0xbeef)
      $0.show(Place.window)
      $0.store(Self.entry(Place.window, mode), (Place.data + 0x1000) | 0x63)
      $0.invalidate(Place.window)
      $0.show(Place.window)
    } check: { _, shown in
      #expect(shown[0] == 0 && shown[1] == 0xbeef)
    }
  }

  @Test(arguments: modes) func `A and D are what hardware sets`(mode: PagingMode) throws {
    try expectSame(mode) {
      $0.show(Place.window)
      $0.store(Place.window + 0x1000, 7)
      $0.show(Self.entry(Place.window, mode))
      $0.show(Self.entry(Place.window + 0x1000, mode))
      $0.show(Self.entry(Place.window + 0x2000, mode))
    } check: { _, shown in
      #expect(shown[1] == UInt32(Place.data | 0x23) && shown[2] == UInt32((Place.data + 0x1000) | 0x63))
      #expect(shown[3] == UInt32((Place.data + 0x2000) | 3))
    }
  }

  @Test(arguments: modes) func `PUSH and REP STOSD into a live page table`(mode: PagingMode) throws {
    let width: UInt64 = mode == .narrow ? 4 : 8
    try expectSame(mode) {
      $0.store(Place.data + 0x5000, 0x77)
      for page in UInt64(0)..<4 { $0.show(Place.window + page << 12) }
      $0.edi(Self.entry(Place.window, mode))
      $0.ecx(mode == .narrow ? 3 : 1)
      $0.eax((Place.data + 0x5000) | 3)
      $0.raw(0xf3, 0xab)
      $0.esp(Self.entry(Place.window, mode) + 3 * width + 4)
      $0.raw(0x50)
      $0.esp(Place.stack - 16)
      for page in UInt64(0)..<4 { $0.invalidate(Place.window + page << 12) }
      $0.show(Place.window)
      $0.show(Place.window + 0x3000)
    } check: { _, shown in
      #expect(shown[4] == 0x77 && shown[5] == 0x77)
    }
  }

  @Test(arguments: modes) func `page tables that are reached through themselves`(mode: PagingMode) throws {
    // The last entry of the directory is the directory.
    let isNarrow = mode == .narrow
    let directory = isNarrow ? Place.root : Place.directory
    let tables: UInt64 = isNarrow ? 0xffc0_0000 : 0x3fe0_0000
    try expectSame(mode) {
      $0.store(Place.data + 0x4000, 0x5a5a)
      $0.store(directory + (isNarrow ? 0xffc : 0xff8), directory | 3)
      $0.show(tables + (isNarrow ? 0x3f_f000 : 0x1f_f000))
      $0.show(Place.window)
      $0.store(tables + (Place.window >> 12) * (isNarrow ? 4 : 8), (Place.data + 0x4000) | 3)
      $0.invalidate(Place.window)
      $0.show(Place.window)
    } check: { _, shown in
      #expect(shown[0] & ~0xfff == UInt32(Place.table) && shown[2] == 0x5a5a)
    }
  }

  @Test func `both halves of a table of 1024 entries, and two entries at once`() throws {
    let (low, high): (UInt64, UInt64) = (0x1f_f000, 0x20_0000)
    let entry = Self.entry(low, .narrow)
    try expectSame(.narrow) {
      $0.store(Place.data, 0x1111)
      $0.store(Place.data + 0x1000, 0x2222)
      $0.show(low)
      $0.show(high)
      $0.store(entry, Place.data | 0x63)
      $0.store(entry + 4, (Place.data + 0x1000) | 0x63)
      $0.invalidate(low)
      $0.invalidate(high)
      $0.show(low)
      $0.show(high)
      // Across two entries: the upper half of one's address, the lower bits of the other.
      $0.show(Place.window)
      $0.show(Place.window + 0x1000)
      $0.store(Self.entry(Place.window, .narrow) + 2, 0x1063_0003)
      $0.invalidate(Place.window)
      $0.invalidate(Place.window + 0x1000)
      $0.show(Place.window + 0x1000)
    } check: { _, shown in
      #expect(shown[2] == 0x1111 && shown[3] == 0x2222)
    }
  }

  @Test func `every quadrant of a page directory`() throws {
    let bases: [UInt64] = [0x4000_0000, 0x8000_0000, 0xc000_0000, 0xffc0_0000]
    try expectSame(.narrow) {
      $0.store(Place.data, 0x3333)
      for base in bases {
        $0.store(Place.root + (base >> 22) * 4, Place.table | 7)
        $0.show(base + Place.window)
      }
      $0.store(Place.root + (bases[2] >> 22) * 4, 0)
      $0.invalidate(bases[2] + Place.window)
      $0.show(bases[1] + Place.window)
      $0.show(bases[2] + Place.window)
    } check: { guest, shown in
      #expect(shown[0..<5] == [0x3333, 0x3333, 0x3333, 0x3333, 0x3333])
      #expect(guest.processor.state.cr2 == bases[2] + Place.window)
    }
  }

  @Test func `a page of 4 MiB is read, written and replaced, and INVLPG drops all of it`() throws {
    let large: UInt64 = 0x80_0000
    try expectSame(.narrow) {
      $0.store(Place.data, 0x4444)
      $0.store(Place.root + (large >> 22) * 4, 0x83)
      $0.show(large + Place.data)
      $0.store(large + Place.data + 0x1000, 0x5555)
      $0.show(Place.data + 0x1000)
      // The second half of the page, then another page in its place.
      $0.store(large + 0x30_0000, 0x6666)
      $0.store(large + 0x10, 0x7777)
      $0.store(Place.root + (large >> 22) * 4, 0x40_0083)
      $0.invalidate(large + 0x1000)
      $0.show(large + 0x30_0000)
      $0.store(large + 0x30_0000, 0x8888)
      $0.store(Place.root + (large >> 22) * 4, 0x83)
      $0.invalidate(large + 0x3f_f000)
      $0.show(large + 0x10)
      $0.show(large + 0x30_0000)
      $0.show(Place.root + (large >> 22) * 4)
    } check: { guest, shown in
      #expect(shown[0] == 0x4444 && shown[1] == 0x5555 && shown[2] == 0 && shown[4] == 0x6666)
      #expect(shown[5] == 0xa3 && guest.word(0x70_0000) == 0x8888)
    }
  }

  @Test func `without CR4.PSE the same entry leads to a table`() throws {
    let large: UInt64 = 0x80_0000
    try expectSame(.narrow) {
      $0.store(Place.data, 0x9999)
      $0.store(Place.root + (large >> 22) * 4, Place.table | 0x83)
      $0.control(4, 0)
      $0.show(large + Place.window)
      $0.control(4, CR4.pageSizeExtensions)
      $0.invalidate(large)
      // Bits 21:13 say where beyond 4 GiB the page would be: 0x4000 is bit 33.
      $0.show(large + 0x1230)
    } check: { guest, shown in
      #expect(shown[0] == 0x9999 && shown[1] == 0x5566_7788)
      #expect(guest.bus.registers.first?.address == 0x2_0000_1230)
    }
  }

  @Test(arguments: modes) func `without CR0.WP a supervisor writes to read-only pages`(mode: PagingMode) throws {
    try expectSame(mode) {
      $0.store(Self.entry(Place.window, mode), Place.data | 0x5)
      $0.invalidate(Place.window)
      $0.control(0, Self.paging & ~CR0.writeProtect)
      $0.store(Place.window, 0xaaaa)
      $0.show(Place.window)
      $0.control(0, Self.paging)
      $0.store(Place.window, 0xbbbb)
    } check: { guest, shown in
      #expect(shown[0] == 0xaaaa && guest.word(Place.data) == 0xaaaa)
      #expect(fault(guest)?.errorCode == 3 && guest.processor.state.cr2 == Place.window)
    }
  }

  @Test func `XD of PAE paging forbids fetches, and is reserved without NXE`() throws {
    for enabled in [true, false] {
      try expectSame(.pae) {
        $0.store(Place.data, 0xf4f4_f4f4)
        if !enabled {
          $0.ecx(0xc000_0080)
          $0.raw(0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30)
        }
        $0.store(Self.entry(Place.window, .pae) + 4, 0x8000_0000)
        $0.invalidate(Place.window)
        $0.jump(Place.window)
      } check: { guest, _ in
        #expect(fault(guest)?.errorCode == (enabled ? 0x11 : 9) && guest.processor.state.cr2 == Place.window)
      }
    }
  }

  @Test func `bits 62 to 52 of PAE's entries are reserved`() throws {
    for bit in UInt64(52)...62 {
      try expectSame(.pae) {
        $0.show(Place.window)
        $0.store(Self.entry(Place.window, .pae) + 4, 1 << (bit - 32))
        $0.invalidate(Place.window)
        $0.show(Place.window)
      } check: { guest, _ in
        #expect(fault(guest)?.errorCode == 9)
      }
    }
  }

  // MARK: PDPTEs

  /// Where PDPTEs are read by every walk instead (APM vol. 2, 15.25.10).
  private static let unloaded: [Kind] = [.nestedAMD]

  @Test func `PDPTEs are what was loaded, whatever memory says`() throws {
    let high: UInt64 = 0x4000_0000
    try expectSame(.pae, except: Self.unloaded) {
      $0.store(Place.data, 0x1234)
      $0.store(Place.root + 8, Place.directory | 1)
      // Not loaded yet: the page fault's handler writes CR3.
      $0.show(high + Place.window)
      $0.store(Place.root + 8, 0)
      $0.show(high + Place.window)
      $0.control(3, Place.root)
      $0.show(high + Place.window)
    } check: { _, _ in
    }
    // add dword [esp + 4], 0 would be a gate's business: here the handler loads CR3 and tries again, once.
    let handler: [UInt8] = [
      0x83, 0xc4, 0x04,  // add esp, 4
      0xff, 0x05, 0x00, 0x80, 0x03, 0x00,  // inc dword [0x38000]
      0x83, 0x3d, 0x00, 0x80, 0x03, 0x00, 0x01,  // cmp dword [0x38000], 1
      0x74, 0x01, 0xf4,  // je +1; hlt
      0x0f, 0x20, 0xda, 0x0f, 0x22, 0xda,  // mov edx, cr3; mov cr3, edx
      0xcf,  // iretd
    ]
    try expectSame(.pae, handler: handler, except: Self.unloaded) {
      $0.store(Place.data, 0x1234)
      $0.store(Place.root + 8, Place.directory | 1)
      $0.show(high + Place.window)
      $0.store(Place.root + 8, 0)
      $0.show(high + Place.window)
      $0.control(3, Place.root)
      $0.show(high + Place.window)
    } check: { guest, shown in
      #expect(shown[0] == 0x1234 && shown[1] == 0x1234)
      #expect(guest.word(0x3_8000) & 0xff == 2 && guest.processor.state.cr2 == high + Place.window)
    }
  }

  @Test(arguments: [1, 2, 5, 6, 7, 8, 63] as [UInt64])
  func `a PDPTE with a reserved bit is not loaded`(bit: UInt64) throws {
    try expectSame(.pae, except: Self.unloaded) {
      $0.store(Place.root + 16, ((1 << bit) & 0xffff_ffff) | Place.directory | 1)
      $0.store(Place.root + 20, (1 << bit) >> 32)
      $0.store(Place.root + 8, Place.directory | 1)
      $0.control(3, Place.root | 8)
    } check: { guest, _ in
      #expect(fault(guest)?.vector == 13 && guest.processor.state.cr3 == Place.root)
      #expect(guest.processor.state.directoryPointers == DirectoryPointers(Place.directory | 1))
    }
  }

  @Test func `a PDPTE that is not present may say anything else`() throws {
    try expectSame(.pae, except: Self.unloaded) {
      $0.store(Place.root + 16, 0xffff_fffe)
      $0.control(3, Place.root)
      $0.show(0x8000_0000)
    } check: { guest, _ in
      #expect(fault(guest)?.errorCode == 0 && guest.processor.state.cr2 == 0x8000_0000)
    }
  }

  @Test func `PDPTEs outside memory cannot be loaded, in any way`() throws {
    for number: UInt8 in [3, 4, 0] {
      try expectSame(.pae, except: Self.unloaded) {
        if number != 3 {
          // The write to CR3 without paging loads nothing; the later write does.
          $0.control(0, Self.paging & ~CR0.paging)
          $0.control(3, Place.device)
          $0.control(0, Self.paging)
        } else {
          $0.control(3, Place.device)
        }
      } check: { guest, _ in
        #expect(fault(guest)?.vector == 13)
        #expect(guest.processor.state.cr0 & CR0.paging == (number == 3 ? CR0.paging : 0))
      }
    }
  }

  @Test(arguments: [CR4.pageGlobal, CR4.pageSizeExtensions, CR4.smep])
  func `writes of CR4 that change how pages are found load PDPTEs`(bit: UInt64) throws {
    try expectSame(.pae, except: Self.unloaded) {
      $0.store(Place.data, 0xcdcd)
      $0.store(Place.root + 8, Place.directory | 1)
      $0.control(4, CR4.physicalAddressExtension | bit)
      $0.show(0x4000_0000 + Place.window)
      // Another bit does not.
      $0.store(Place.root + 8, 0)
      $0.control(4, CR4.physicalAddressExtension | bit | CR4.timeStampDisable)
      $0.show(0x4000_0000 + Place.window)
    } check: { guest, shown in
      #expect(shown[0] == 0xcdcd && shown[1] == 0xcdcd && fault(guest) == nil)
    }
  }

  // MARK: From mode to mode

  /// From 32-bit to PAE paging and back, without paging between and by CR4.PAE alone.
  @Test func `a guest changes its mode of paging`() throws {
    // PAE tables at 0xb000 (PDPTEs), 0xc000 and 0xd000; the same addresses, the window at other pages.
    try expectSame(.narrow) {
      $0.store(Place.data, 0xe1)
      $0.store(Place.data + 0x1000, 0xe2)
      $0.store(0xb000, 0xc001)
      $0.store(0xc000, 0xd003)
      for page in stride(from: UInt64(0), to: 0x30, by: 1) { $0.store(0xd000 + page * 8, page << 12 | 3) }
      $0.store(0xd000 + (Place.window >> 12) * 8, (Place.data + 0x1000) | 3)
      $0.store(0xd000 + (Place.data >> 12) * 8, Place.data | 3)
      $0.show(Place.window)
      $0.control(0, Self.paging & ~CR0.paging)
      $0.control(3, 0xb000)
      $0.control(4, CR4.physicalAddressExtension)
      $0.control(0, Self.paging)
      $0.show(Place.window)
      $0.store(Place.window, 0xe3)
      $0.control(0, Self.paging & ~CR0.paging)
      $0.control(4, CR4.pageSizeExtensions)
      $0.control(3, Place.root)
      $0.control(0, Self.paging)
      $0.show(Place.window)
      $0.show(Place.data + 0x1000)
    } check: { _, shown in
      #expect(shown[0..<4] == [0xe1, 0xe2, 0xe1, 0xe3])
    }
  }

  @Test(arguments: modes) func `a page fault of the guest's own has its error code and CR2`(mode: PagingMode) throws {
    try expectSame(mode) {
      $0.store(Self.entry(Place.window, mode), Place.data | 1)
      $0.invalidate(Place.window)
      $0.show(Place.window)
      $0.store(Place.window + 4, 1)
    } check: { guest, _ in
      #expect(fault(guest)?.errorCode == 3 && guest.processor.state.cr2 == Place.window + 4)
    }
  }

  @Test(arguments: modes) func `a freed table is used for data, and a table lies where there is no memory`(
    mode: PagingMode
  ) throws {
    let directory = mode == .narrow ? Place.root : Place.directory
    let at = mode == .narrow ? UInt64(0x0140_0000) : 0x00a0_0000
    let entry = directory + (mode == .narrow ? (at >> 22) * 4 : (at >> 21) * 8)
    try expectSame(mode) {
      $0.store(Place.data + 0x3000, Place.data | 3)
      $0.store(entry, (Place.data + 0x3000) | 7)
      $0.show(at)
      $0.store(entry, 0)
      $0.invalidate(at)
      for number in UInt64(0)..<8 { $0.store(Place.data + 0x3000 + number * 4, number) }
      $0.store(entry, Place.device | 7)
      $0.show(at)
    } check: { guest, shown in
      // Ones have reserved bits, but for 32-bit paging, where they map the last page below 4 GiB.
      #expect(guest.processor.state.cr2 == (mode == .narrow ? 0 : at))
      #expect(guest.bus.registers.map(\.address) == (mode == .narrow ? [0xffff_f000] : []))
      #expect(mode == .pae || shown[1] == 0x5566_7788)
    }
  }
}
