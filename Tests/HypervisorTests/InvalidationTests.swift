import Machine
import Testing

@testable import Hypervisor

/// What a guest's invalidation reaches besides the entry that it seems to name, the same under every kind of paging (SDM
/// vol. 3, 4.10.4.1).
@Suite struct InvalidationTests {
  /// A page of 2 MiB at 1 GiB and at 512 GiB, of a directory whose entries stay as they are.
  private enum Large {
    static let near: UInt64 = 0x4000_0000
    static let far: UInt64 = 0x80_0000_0000
    static let memory: UInt64 = 0x20_0000

    /// The PDPTE above the one, and the PML4E above the other.
    static let pointer = Place.pointers + 8
    static func top(_ levels: Int) -> UInt64 { (levels == 5 ? Place.fourthTable : Place.root) + 8 }

    static func build(_ guest: TinyGuest) {
      guest.set(Second.directory, memory | 0x83)
      guest.set(pointer, Second.directory | 7)
      guest.set(Second.pointers, Second.directory | 7)
      guest.set(top(guest.mode == .levels5 ? 5 : 4), Second.pointers | 7)
    }
  }

  @Test func `INVLPG of a large page whose PDPTE forbids writes from now on`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        for page in UInt64(0)..<4 { $0.store(Large.near + page << 12, 1 + page) }
        $0.store(Large.pointer, Second.directory | 0x25)
        $0.invalidate(Large.near)
        for page in UInt64(0)..<4 { $0.store(Large.near + page << 12, 9) }
      }, handler: FaultLog.handler, prepare: Large.build
    ) { guest in
      #expect(FaultLog.errors(guest) == [3, 3, 3, 3])
      #expect((UInt64(0)..<4).map { guest.word(Large.memory + $0 << 12) } == [1, 2, 3, 4])
    }
  }

  @Test func `INVLPG of a large page whose PDPTE is gone`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        for page in UInt64(0)..<4 { $0.load(Large.near + page << 12) }
        $0.store(Large.pointer, 0)
        $0.invalidate(Large.near + 0x1000)
        for page in UInt64(0)..<4 { $0.load(Large.near + page << 12) }
      }, handler: FaultLog.handler, prepare: Large.build
    ) { guest in #expect(FaultLog.errors(guest) == [0, 0, 0, 0]) }
  }

  @Test(arguments: [4, 5])
  func `INVLPG of a large page whose PML4E has A clear, or leads elsewhere`(levels: Int) throws {
    let top = Large.top(levels)
    try expectSame(
      Code {
        for page in UInt64(0)..<4 { $0.store(Large.far + page << 12, 1 + page) }
        $0.store(top, Second.pointers | 7)
        $0.invalidate(Large.far + 0x3000)
        $0.load(Large.far)
        $0.load(top)
        $0.raw(0x50)
        // The same table lies below it again, by another directory.
        $0.store(Second.table, 0x40_0083)
        $0.store(Second.root, Second.table | 7)
        $0.store(top, Second.root | 7)
        $0.invalidate(Large.far + 0x1000)
        for page in UInt64(0)..<4 { $0.store(Large.far + page << 12, 0x11 + page) }
      }, levels: [levels], prepare: Large.build
    ) { guest in
      #expect(guest.word(Place.stack - 8) == Second.pointers | 0x27)
      #expect((UInt64(0)..<4).map { guest.word(Large.memory + $0 << 12) } == [1, 2, 3, 4])
      #expect((UInt64(0)..<4).map { guest.word(0x40_0000 + $0 << 12) } == [0x11, 0x12, 0x13, 0x14])
    }
  }

  @Test func `INVLPG of a large page that was in pieces while there was a table in it`() throws {
    let table: UInt64 = 0x20_8000
    try expectSame(
      Code {
        // The table is used, and then written like data.
        $0.store(Place.directory + 16, table | 7)
        $0.load(0x40_0000)
        for page in UInt64(0)..<4 { $0.store(Large.near + page << 12, 1 + page) }
        $0.store(Place.directory + 16, 0)
        for word in UInt64(0)..<3 { $0.store(Large.near + 0x8100 + 8 * word, 0x4141_4141) }
        for page in UInt64(0)..<4 { $0.load(Large.near + page << 12) }
        // Here it becomes whole, where the host's page is.
        $0.load(Large.near + 0x9000)
        $0.store(Second.directory, 0x40_0083)
        $0.invalidate(Large.near + 0x9000)
        for page in UInt64(0)..<4 { $0.store(Large.near + page << 12, 0x21 + page) }
      },
      prepare: { guest in
        Large.build(guest)
        guest.set(table, Place.data | 3)
      },
      check: { guest in
        #expect((UInt64(0)..<4).map { guest.word(Large.memory + $0 << 12) } == [1, 2, 3, 4])
        #expect((UInt64(0)..<4).map { guest.word(0x40_0000 + $0 << 12) } == [0x21, 0x22, 0x23, 0x24])
      }
    )
  }

  // MARK: Every mode of an address space

  private static let withoutWP = CR0.protectionEnable | CR0.extensionType | CR0.paging
  private static let withWP = withoutWP | CR0.writeProtect

  @Test func `a page fault drops what was used of its page with CR0.WP clear`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        $0.store(Place.entry(of: Place.window), Place.data | 1)
        $0.invalidate(Place.window)
        $0.cr0(Self.withoutWP)
        $0.store(Place.window, 0x11)
        $0.cr0(Self.withWP)
        // Nothing but the fault invalidates.
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x21)
        $0.store(Place.window, 9)
        $0.cr0(Self.withoutWP)
        $0.load(Place.window)
      }, handler: FaultLog.handler, prepare: { $0.set(Place.data + 0x1000, UInt64(0x22)) },
      check: { guest in
        #expect(FaultLog.errors(guest) == [3] && guest.rax == 0x22)
        #expect(guest.word(Place.data) == 0x11 && guest.word(Place.data + 0x1000) == 0x22)
      }
    )
  }

  @Test func `a page fault drops what was used of its page with EFER.NXE set otherwise`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        for (time, bits) in [0, EFER.noExecute, 0].enumerated() {
          let page = Place.data + UInt64(time) << 12
          $0.efer(bits)
          $0.load(Place.window)
          $0.efer(bits ^ EFER.noExecute)
          $0.store(Place.entry(of: Place.window), (page + 0x1000) | 0x21)
          $0.store(Place.window, 9)
          $0.efer(bits)
          $0.load(Place.window)
          $0.raw(0x50)
        }
      }, handler: FaultLog.handler,
      prepare: { guest in for page in UInt64(0)..<4 { guest.set(Place.data + page << 12, 0x10 + page) } },
      check: { guest in
        #expect(FaultLog.errors(guest) == [3, 3, 3])
        #expect((UInt64(1)...3).map { guest.word(Place.stack - 8 * $0) } == [0x11, 0x12, 0x13])
      }
    )
  }

  @Test func `a load of CR3 drops what was used of its address space with CR0.WP clear`() throws {
    try expectSame(
      Code {
        for root in [Second.root, Place.root, Second.root, Place.root] { $0.cr3(root) }
        for time in UInt64(0)..<3 {
          $0.cr0(Self.withoutWP)
          $0.load(Place.window)
          $0.cr0(Self.withWP)
          $0.store(Place.entry(of: Place.window), (Place.data + (1 + time) << 12) | 0x63)
          $0.cr3(Place.root)
          $0.cr0(Self.withoutWP)
          $0.load(Place.window)
          $0.raw(0x50)
        }
      },
      prepare: { guest in
        guest.set(Second.root, guest.word(Place.root))
        for page in UInt64(0)..<4 { guest.set(Place.data + page << 12, 0x10 + page) }
      },
      check: { guest in #expect((UInt64(1)...3).map { guest.word(Place.stack - 8 * $0) } == [0x11, 0x12, 0x13]) }
    )
  }
}
