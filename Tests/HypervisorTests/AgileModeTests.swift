import Machine
import Testing

@testable import Hypervisor

/// A second root, of which everything is the first one's but the root.
private let otherRoot = Second.root

/// Loads of CR3 for which agile paging needs no exit, while the guest switches the modes that make another shadow of the
/// same tables.
@Suite struct AgileModeTests {
  private static let withoutWP = CR0.protectionEnable | CR0.extensionType | CR0.paging
  private static let withWP = withoutWP | CR0.writeProtect
  private static let keep: UInt64 = 1 << 63

  private static func shareTables(_ guest: TinyGuest) { guest.set(otherRoot, guest.word(Place.root)) }

  @Test(arguments: [false, true])
  func `a root of another CR0.WP is not loaded without an exit`(hasContexts: Bool) throws {
    let (first, second) = hasContexts ? (Place.root | 1, otherRoot | 2) : (Place.root, otherRoot)
    try expectSame(
      Code {
        FaultLog.start(&$0)
        $0.store(Place.entry(of: Place.window), Place.data | 1)
        $0.invalidate(Place.window)
        if hasContexts { $0.cr4(CR4.physicalAddressExtension | CR4.pcid) }
        for _ in 0..<5 {
          for root in [second, first] {
            $0.cr3(root)
            $0.load(Place.window)
          }
          for _ in 0..<2 {
            $0.cr0(Self.withoutWP)
            $0.cr0(Self.withWP)
          }
          for root in [second, first] { $0.cr3(root) }
          $0.cr0(Self.withoutWP)
          $0.cr3(second)
          $0.store(Place.window, 5)
          $0.cr0(Self.withWP)
          $0.store(Place.window, 6)
        }
      }, handler: FaultLog.handler, levels: [4], prepare: Self.shareTables
    ) { guest in #expect(FaultLog.errors(guest) == [3, 3, 3, 3, 3] && guest.word(Place.data) == 5) }
  }

  @Test func `WP, NXE and SMEP are switched between loads of CR3`() throws {
    try expectSame(
      Code {
        FaultLog.start(&$0)
        for (page, bits) in [(0, 1), (1, 5), (2, 3 | 1 << 63), (3, 7)] as [(UInt64, UInt64)] {
          $0.store(Place.entry(of: Place.window + page << 12), (Place.data + page << 12) | bits)
        }
        $0.cr3(otherRoot)
        $0.cr3(Place.root)
        for time in UInt64(0)..<8 {
          $0.cr0(time & 1 == 0 ? Self.withWP : Self.withoutWP)
          $0.cr3(time & 2 == 0 ? otherRoot : Place.root)
          $0.efer(time & 2 == 0 ? EFER.noExecute : 0)
          $0.cr3(time & 1 == 0 ? otherRoot : Place.root)
          $0.cr4(CR4.physicalAddressExtension | (time & 4 == 0 ? 0 : CR4.smep))
          $0.cr3(time & 4 == 0 ? otherRoot : Place.root)
          for page in UInt64(0)..<4 { $0.store(Place.window + page << 12, time << 8 | page) }
        }
      }, handler: FaultLog.handler, levels: [4], prepare: Self.shareTables
    ) { guest in
      // With WP the read-only pages refuse, every other time; without NXE the one that has XD does, twice out of four times.
      let round: [UInt64] = [3, 3, 3, 3, 11, 11]
      #expect(FaultLog.errors(guest) == round + round)
      #expect((UInt64(0)..<4).map { guest.word(Place.data + $0 << 12) } == [0x700, 0x701, 0x502, 0x703])
    }
  }

  @Test func `a root that has a flush due when PCIDs begin is not loaded without it`() throws {
    let table = Second.table
    try expectSame(
      Code {
        for root in [Place.root, otherRoot, Place.root] { $0.cr3(root) }
        // A table that nobody has used.
        $0.store(Place.directory + 16, table | 7)
        $0.cr3(otherRoot)
        $0.store(Place.window, Place.data | 0x63)
        $0.cr3(Place.root)
        // Its shadow takes from the other root's translations that they may write it.
        $0.load(0x40_0000)
        $0.cr4(CR4.physicalAddressExtension | CR4.pcid)
        $0.cr3(otherRoot | Self.keep)
        $0.store(Place.window, (Place.data + 0x1000) | 0x63)
        $0.invalidate(0x40_0000)
        $0.load(0x40_0000)
      }, levels: [4],
      prepare: { guest in
        Self.shareTables(guest)
        guest.set(table, Place.data | 0x63)
        guest.set(Place.entry(of: Place.window), table | 0x63)
        guest.set(Place.data + 0x1000, UInt64(0x22))
      },
      check: { guest in #expect(guest.rax == 0x22) }
    )
  }

  @Test func `a PCID of before means nothing while there are none, and nothing of that time afterwards`() throws {
    let (without, with) = (CR4.physicalAddressExtension, CR4.physicalAddressExtension | CR4.pcid)
    try expectSame(
      Code {
        for time in UInt64(0)..<3 {
          $0.cr4(with)
          // 8 is a PCID now, and PWT afterwards.
          $0.cr3(Place.root | 8 | (time == 0 ? 0 : Self.keep))
          $0.load(Place.window)
          $0.raw(0x50)
          $0.cr3(Place.root | Self.keep)
          $0.cr4(without)
          for _ in 0..<2 {
            $0.cr3(Place.root | 8)
            $0.load(Place.window)
            $0.raw(0xe6, 0x11)
            $0.load(Place.window)
          }
          $0.store(Place.entry(of: Place.window), (Place.data + (1 + time) << 12) | 0x63)
          $0.cr3(Place.root)
        }
      }, levels: [4],
      prepare: { guest in for page in UInt64(0)..<4 { guest.set(Place.data + page << 12, 0x10 + page) } },
      check: { guest in #expect((UInt64(1)...3).map { guest.word(Place.stack - 8 * $0) } == [0x10, 0x11, 0x12]) }
    )
  }

  @Test(arguments: [Kind.agile, .agileStay])
  func `loads of CR3 go on without exits in every mode`(kind: Kind) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        for bits in [EFER.noExecute, 0, EFER.noExecute, 0] {
          $0.efer(bits)
          for _ in 0..<4 { for root in [otherRoot, Place.root] { $0.cr3(root) } }
        }
      }.bytes)
    Self.shareTables(guest)
    #expect(guest.run() == .haltedForEver)
    // The first load of the other root in each of the two modes.
    #expect(try #require(guest.hypervisor).statistics[.controlRegister3].count == 2)
    #expect(guest.processor.counters.controlRegister3Loads == 30 && guest.violations == [])
  }

  // MARK: Without paging

  @Test(arguments: [Kind.agile, .agileStay, .agileBackAMD], LegacyEquivalenceTests.modes)
  func `a guest that does not page has nested tables alone, and only its CR0 is intercepted`(
    kind: Kind, mode: PagingMode
  ) throws {
    let entry = LegacyEquivalenceTests.entry(Place.window, mode)
    let paging = LegacyEquivalenceTests.paging
    let features = mode == .narrow ? CR4.pageSizeExtensions : CR4.physicalAddressExtension
    let code = Code32 {
      $0.store(Place.data + 0x1000, 0x22)
      $0.show(Place.window)
      $0.control(0, paging & ~CR0.paging)
      $0.control(4, 0)
      $0.control(3, 0)
      // A table that may be guarded, and a page that nobody has used.
      $0.store(entry, (Place.data + 0x1000) | 3)
      $0.store(0x40_0000, 1)
      $0.control(3, Place.root)
      $0.control(4, features | CR4.pageGlobal)
      $0.control(0, paging)
      $0.show(Place.window)
      $0.control(4, features)
      $0.control(3, Place.root)
    }
    let guest = try TinyGuest(kind, code.bytes, mode: mode)
    let hypervisor = try #require(guest.hypervisor)
    var unpaged: [ExitReason] = []
    let after = hypervisor.afterExit
    var pages = 0
    hypervisor.afterExit = {
      after?($0)
      guard guest.processor.state.cr0 & CR0.paging == 0 else { return }
      unpaged.append($0.reason)
      pages += hypervisor.shadows.pool.live.reduce(0) { $0 + (hypervisor.shadows.pool[$1].role.isDirect ? 1 : 0) }
    }
    #expect(guest.run() == .haltedForEver && guest.violations == [])
    // Nested violations, and a write to a guarded table that is emulated.
    let others = unpaged.filter { $0 != .nestedFault }
    #expect(others == (kind == .agile ? [.controlRegister0] : [.controlRegister0, .assisted]))
    #expect(pages == 0)
    #expect(guest.exits.filter { $0.reason == .controlRegister0 }.count == 2)
    #expect(guest.exits.filter { $0.reason == .controlRegister4 }.count == 1)
    // The second value that was shown is the new page's.
    #expect(guest.word(Place.stack - 8) & 0xffff_ffff == 0x22)
  }

  @Test(arguments: LegacyEquivalenceTests.modes, [10, 1000] as [UInt64])
  func `what is walked without paging pays for no shadow table`(mode: PagingMode, patience: UInt64) throws {
    let code = Code32 {
      for page in UInt64(0)..<8 { $0.show(Place.window + page << 12) }
      $0.control(0, LegacyEquivalenceTests.paging & ~CR0.paging)
      // All of memory, a page at a time: MOV EAX, [EBX]; ADD EBX, 4096; CMP EBX, the end; JB.
      $0.ebx(0)
      $0.raw(0x8b, 0x03, 0x81, 0xc3, 0, 0x10, 0, 0, 0x81, 0xfb, 0, 0, 0x80, 0, 0x72, 0xf0)
      $0.control(0, LegacyEquivalenceTests.paging)
      for _ in 0..<100 {
        $0.raw(0xe6, 0x11)
        $0.show(Place.window)
      }
    }
    let guest = try TinyGuest(.agile, code.bytes, mode: mode) {
      ($0.agile.interval, $0.agile.patience) = (20_000, patience)
    }
    let hypervisor = try #require(guest.hypervisor)
    let after = hypervisor.afterExit
    var walked: [UInt64] = []
    hypervisor.afterExit = {
      after?($0)
      if $0.reason == .controlRegister0 { walked.append(guest.processor.ledger[.walkHost]) }
    }
    #expect(guest.run(retiredLimit: 100_000) == .haltedForEver && guest.violations == [])
    let statistics = hypervisor.statistics
    try #require(walked.count == 2)
    #expect(statistics.looks > 0 && walked[1] - walked[0] > 1_000_000)
    // The walks of the guest's tables do, where it takes little.
    #expect((statistics.cameBack > 0) == (patience == 10))
  }

  // MARK: Host frames

  /// Runs until some pages have been used, write-protects the host frame of a table that the hardware goes on in by its
  /// host address, and runs on.
  ///
  /// - Parameter isRoot: whether the address space begins in the table; else a switching entry leads there.
  private func protect(_ kind: Kind, _ table: UInt64, isRoot: Bool) throws {
    let guest = try TinyGuest(
      kind, Code { for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) } }.bytes)
    let hypervisor = try #require(guest.hypervisor)
    if !isRoot {
      #expect(guest.run(retiredLimit: 2) == .limit)
      #expect(hypervisor.goNested(table >> 12))
      hypervisor.enter()
    }
    #expect(guest.run(retiredLimit: 6) == .limit)
    let crossings = guest.processor.counters.crossings
    #expect(crossings > 0)
    // Of a root's entries all that are used have A set by then.
    if isRoot { guest.set(table, guest.word(table) & ~0x20) }
    let physical = GuestPhysical(table)
    func leaf() -> UInt64? { hypervisor.nested?.leaf(for: physical, guest.memory)?.entry }
    if leaf() == nil {
      let mapped = try #require(hypervisor.guest.map.lookup(physical))
      _ = hypervisor.nested?.map(physical, to: mapped, guest.memory, &hypervisor.allocator)
    }
    func isWritable() -> Bool { leaf().map { $0 & EPTBit.write != 0 } ?? true }
    hypervisor.writeProtect(table >> 12)
    #expect(!isWritable())
    hypervisor.enter()
    func entries() -> [UInt64] { (UInt64(0)..<512).map { guest.word(table + 8 * $0) } }
    let before = entries()
    #expect(guest.run(retiredLimit: 8) == .limit)
    #expect(entries() != before && isWritable(), "A was set in a frame that the host lets nobody write")
    #expect(guest.run() == .haltedForEver)
    #expect(guest.processor.counters.crossings > crossings && guest.violations == [])
    #expect(hypervisor.checkInvariants() == [])
  }

  @Test func `a switching entry does not lead to a table that the host protects`() throws {
    try protect(.agileStay, Place.table, isRoot: false)
  }

  @Test func `nor is a root the guest's own table while the host protects it`() throws {
    try protect(.agile, Place.root, isRoot: true)
  }
}
