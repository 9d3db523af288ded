import Machine
import Testing

@testable import Hypervisor

/// What each coherence policy does, and what it leaves alone.
@Suite struct PolicyTests {
  /// Changes the window's mapping by stores, each of them invalidated, from one page to another and back.
  private static func remap(_ code: inout Code, _ times: UInt64) {
    for page in UInt64(0)..<2 { code.store(Place.data + page << 12, page) }
    for time in 0..<times {
      code.store(Place.entry(of: Place.window), (Place.data + (time & 1) << 12) | 0x63)
      code.invalidate(Place.window)
      code.load(Place.window)
    }
  }

  private func run(_ kind: Kind, _ build: (inout Code) -> Void) throws -> TinyGuest {
    let guest = try TinyGuest(kind, Code(build).bytes)
    #expect(guest.run() == .haltedForEver)
    #expect(guest.violations == [])
    return guest
  }

  private func statistics(_ kind: Kind, _ build: (inout Code) -> Void) throws -> HypervisorStatistics {
    try #require(try run(kind, build).hypervisor).statistics
  }

  @Test func `a traced table is emulated at every write, an unsynchronised one faults at the first`() throws {
    var counts: [CoherencePolicy: [UInt64]] = [:]
    for (kind, policy) in [(Kind.shadow, CoherencePolicy.trace), (.unsync, .unsync), (.vtlb, .vtlb)] {
      counts[policy] = try ([2, 10] as [UInt64]).map { times in
        let statistics = try statistics(kind) { Self.remap(&$0, times) }
        #expect(statistics.unsynced == (policy == .unsync ? 1 : 0))
        return statistics.pfTaken
      }
      let writes = try statistics(kind) { Self.remap(&$0, 10) }.mmuPteWrite
      #expect(writes == (policy == .trace ? 10 : 0))
    }
    // Eight more changes. The trace emulates each and refills at once; INVLPG refills an entry of a table out of step;
    // a virtual TLB is filled by a fault.
    #expect(counts.mapValues { $0[1] - $0[0] } == [.trace: 8, .unsync: 0, .vtlb: 8])
  }

  @Test func `without eager fills INVLPG leaves the entry to the next fault`() throws {
    let more = try ([2, 10] as [UInt64]).map { times in try statistics(.unsyncLazy) { Self.remap(&$0, times) }.pfTaken }
    #expect(more[1] - more[0] == 8)
  }

  @Test func `a load of CR3 brings tables into step, and the next write takes them out again`() throws {
    let code: (inout Code) -> Void = {
      for time in UInt64(0)..<3 {
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + time << 12) | 0x63)
        $0.rax(Place.root)
        $0.raw(0x0f, 0x22, 0xd8)
        $0.load(Place.window)
      }
    }
    let statistics = try statistics(.unsync, code)
    #expect(statistics.unsynced == 3 && statistics.synced == 3 && statistics.mmuUnsync == 0)
    #expect(statistics.mmuPteWrite == 0)
  }

  @Test func `a stale entry of a table out of step is used until it is invalidated, as one of the TLB`() throws {
    for kind in [Kind.unsync, .vtlb] {
      let guest = try run(kind) {
        $0.store(Place.data + 0x1000, 0x22)
        $0.store(Place.data, 0x11)
        $0.load(Place.window)
        // A flush of the hypervisor's alone would not do: the entry itself is the old one.
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
        $0.load(Place.window)
        $0.raw(0x50)
        $0.invalidate(Place.window)
        $0.load(Place.window)
      }
      #expect(guest.word(Place.stack - 8) == 0x11 && guest.rax == 0x22, "\(kind)")
    }
  }

  @Test(arguments: Kind.allCases.filter(\.isShadow))
  func `with coherent TLBs nobody sees what the guest's tables no longer say`(kind: Kind) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        $0.store(Place.data + 0x1000, 0x22)
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x3)
        $0.load(Place.window)
        $0.raw(0x50)
        // Write permission, and D.
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x21)
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x23)
        $0.store(Place.window, 0x33)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x23)
        $0.store(Place.window, 0x44)
        $0.load(Place.entry(of: Place.window))
        $0.raw(0x50)
        $0.store(Place.directory, 0)
        $0.load(Place.window)
      }.bytes, isCoherent: true)
    // Nothing can be delivered without the tables.
    #expect(guest.run() == .tripleFault)
    #expect(guest.word(Place.stack - 8) == 0x22)
    #expect(guest.word(Place.stack - 16) == (Place.data + 0x1000) | 0x63, "\(kind)")
    #expect(guest.word(Place.data + 0x1000) == 0x44)
    #expect(guest.violations == [])
  }

  @Test func `a page fault of the guest's own drops the stale entry that raised it`() throws {
    // INC ECX; CMP ECX, 2; JE to the HLT; MOV RAX, [RBX]: as the fault has dropped the entry, the load faults again.
    try expectSame(
      Code {
        $0.rcx(0)
        $0.store(Place.entry(of: Place.window), Place.data | 0x21)
        $0.load(Place.window)
        // Without INVLPG: the entry that permits reading is still there, and refuses the store.
        $0.store(Place.entry(of: Place.window), 0)
        $0.store(Place.window, 1)
      }, handler: [0xff, 0xc1, 0x83, 0xf9, 0x02, 0x74, 0x03, 0x48, 0x8b, 0x03, 0xf4]
    ) { guest in #expect(guest.processor.state.slots[Int(Slot.rcx)] == 2, "\(guest.kind)") }
  }

  @Test(arguments: [Kind.unsync, .unsyncOne, .vtlb], [PagingMode.levels4, .narrow])
  func `a store across two tables ends, however few may be out of step`(kind: Kind, mode: PagingMode) throws {
    // Two tables beside each other, both halves of both in use where they have 1024 entries.
    let first = Place.data + 0x1000
    let width: UInt64 = mode == .narrow ? 4 : 8
    let span: UInt64 = mode == .narrow ? 0x40_0000 : 0x20_0000
    // MOV EDI, 0x3_1ffe; MOV [RDI], EAX; HLT, behind four loads
    var code: [UInt8] = []
    for address in [4 * span, 4 * span + span / 2, 5 * span, 5 * span + span / 2] {
      code += [0xbb] + (0..<4).map { UInt8(truncatingIfNeeded: address >> UInt64(8 * $0)) } + [0x8b, 0x03]
    }
    code += [0xbf] + (0..<4).map { UInt8(truncatingIfNeeded: (first + 0xffe) >> UInt64(8 * $0)) } + [0x89, 0x07, 0xf4]
    let guest = try TinyGuest(kind, code, mode: mode)
    let top = mode == .narrow ? Place.root : Place.directory
    for (number, table) in [(4, first), (5, first + 0x1000)] as [(UInt64, UInt64)] {
      set(guest, top + number * width, table | 7, width)
      for page in 0..<0x1000 / width { set(guest, table + page * width, Place.data | 0x63, width) }
    }
    let hypervisor = try #require(guest.hypervisor)
    #expect(hypervisor.run(clockLimit: 10_000_000) == .haltedForEver)
    #expect(guest.violations == [])
    if kind == .unsyncOne { #expect(hypervisor.statistics.mmuUnsync == (mode == .narrow ? 4 : 2)) }
  }

  private func set(_ guest: TinyGuest, _ address: UInt64, _ value: UInt64, _ width: UInt64) {
    guest.set(address, (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
  }

  @Test(arguments: Kind.allCases.filter(\.isShadow), [1, 2])
  func `a page-table entry that is written from outside is followed at once, by TLBs too`(kind: Kind, cpus: Int) throws
  {
    // MOV RAX, [RBX]; JMP back
    let guest = try TinyGuest(
      kind, Code { $0.rbx(Place.window) }.bytes.dropLast() + [0x48, 0x8b, 0x03, 0xeb, 0xfb], cpus: cpus)
    let hypervisor = try #require(guest.hypervisor)
    guest.set(Place.data, UInt64(0x11))
    guest.set(Place.data + 0x1000, UInt64(0x22))
    guest.set(Place.entry(of: Place.window), Place.data | 0x63)
    for index in 0..<cpus { #expect(hypervisor.run(index, retiredLimit: 100) == .limit) }
    let clocks = guest.processors.map(\.clock)
    guest.set(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
    #expect(hypervisor.virtualProcessors.allSatisfy { !$0.isFlushDue && !$0.isKicked })
    #expect(guest.processors.map(\.clock) == clocks)
    for index in 0..<cpus {
      #expect(hypervisor.run(index, retiredLimit: 200) == .limit)
      #expect(guest.processors[index].state.slots[Int(Slot.rax)] == 0x22)
    }
    #expect(guest.violations == [])
  }

  @Test(arguments: Kind.allCases.filter(\.isShadow))
  func `what becomes a table is written by nobody who held its frame before`(kind: Kind) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        // TLBs keep the window's page, since the guest does not invalidate it.
        $0.store(Place.window + 0x100, 1)
        $0.store(Place.entry(of: Place.window), 0)
        $0.store(Place.directory + 16, Place.data | 7)
        $0.load(0x40_0000)
        $0.load(0x40_1000)
        // The page is a table now.
        $0.store(Place.window + 8, (Place.data + 0x2000) | 0x63)
        $0.invalidate(0x40_1000)
        $0.load(0x40_1000)
      }.bytes)
    let hypervisor = try #require(guest.hypervisor)
    hypervisor.check = InvariantCheck(hypervisor)
    for entry in UInt64(0)..<2 { guest.set(Place.data + 8 * entry, (Place.data + 0x1000) | 0x63) }
    guest.set(Place.data + 0x2000, UInt64(0x22))
    guest.set(Place.entry(of: Place.window), Place.data | 0x63)
    #expect(guest.run() == .haltedForEver)
    #expect(guest.violations == [])
    // By the old entry, or not at all.
    let wasWritten = guest.processor.recentlyDelivered.isEmpty
    #expect((guest.word(Place.data + 8) == (Place.data + 0x2000) | 0x63) == wasWritten)
    if wasWritten { #expect(guest.rax == 0x22) }
  }

  @Test(arguments: Kind.allCases)
  func `what the processor reads for itself is no leave for the program, with coherent TLBs`(kind: Kind) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        $0.load(Place.gdt)
        // The page of descriptors becomes the supervisor's, which the guest does not tell.
        $0.store(Place.entry(of: Place.gdt), Place.gdt | 0x63)
        $0.rbx(Place.gdt)
        $0.rax(0x1b)
        $0.raw(0x8e, 0xd8)  // MOV DS, EAX
        $0.raw(0x48, 0x8b, 0x03)  // MOV RAX, [RBX]
      }.bytes, isCoherent: true)
    guest.set(Place.gdt + 0x18, 0x00cf_f300_0000_ffff)
    for page in [Place.code, Place.gdt, Place.table] { guest.set(Place.entry(of: page), page | 0x67) }
    var state = guest.processor.state
    state.cpl = 3
    state[.cs] = Segment(selector: 0x23, base: 0, limit: .max, attributes: 0xa0fb)
    state[.ss] = Segment(selector: 0x1b, base: 0, limit: .max, attributes: 0xc0f3)
    guest.processor.state = state
    guest.processor.refresh()
    #expect(guest.run() == .haltedForEver)
    let fault = GuestException(vector: 14, errorCode: 5, address: Place.gdt)
    #expect(guest.processor.recentlyDelivered.map(\.event) == [.exception(fault)], "\(kind)")
    #expect(guest.rax == 0x1b && guest.violations == [])
  }

  @Test func `upper tables stay protected, and so does a leaf table that is an upper one too`() throws {
    let statistics = try statistics(.unsync) {
      for number in UInt64(0)..<2 { $0.store(Place.directory + 8 * (16 + number), Place.table | 7) }
      $0.load(0x200_0000)
      // The page directory as a page table, through the last entry of the PDPT.
      $0.store(Place.pointers + 511 * 8, Place.pointers | 3)
      $0.load(0x7f_c000_0000)
      for number in UInt64(0)..<2 { $0.store(Place.directory + 8 * (20 + number), Place.table | 7) }
    }
    #expect(statistics.unsynced == 0 && statistics.mmuPteWrite == 5)
  }

  @Test func `an upper table that is written three times without a use is dropped`() throws {
    for (kind, floods) in [(Kind.shadow, 1), (.unsync, 1), (.vtlb, 0)] as [(Kind, UInt64)] {
      let statistics = try statistics(kind) {
        // A second directory at the data pages.
        $0.store(Place.data, Place.table | 7)
        $0.store(Place.pointers + 8, Place.data | 7)
        $0.load(0x4000_0000 + Place.code)
        for word in UInt64(0)..<5 { $0.store(Place.data + 8 * (word + 8), (word + 1) << 12) }
      }
      #expect(statistics.mmuFlooded == floods, "\(kind)")
      // The entry of the PDPT, and three writes before the directory is none any more.
      #expect(statistics.mmuPteWrite == (floods == 1 ? 4 : 0), "\(kind)")
    }
  }

  @Test func `clearing what is clear counts as writing, but not a store to an entry in use of what it holds`() throws {
    let cleared = try statistics(.shadow) {
      $0.store(Place.data, Place.table | 7)
      $0.store(Place.pointers + 8, Place.data | 7)
      $0.load(0x4000_0000 + Place.code)
      for word in UInt64(0)..<5 { $0.store(Place.data + 8 * (word + 8), 0) }
    }
    #expect(cleared.mmuFlooded == 1 && cleared.mmuPteWrite == 4)
    let rewritten = try statistics(.shadow) {
      $0.load(Place.data)
      for _ in 0..<5 { $0.store(Place.entry(of: Place.data), Place.data | 0x63) }
    }
    #expect(rewritten.mmuFlooded == 0 && rewritten.mmuPteWrite == 5)
  }

  @Test func `as many tables as the limit says are out of step`() throws {
    // Two tables that map the same pages, written by turns.
    let code: (inout Code) -> Void = {
      $0.store(Place.data + 0x1000, Place.data | 0x63)
      $0.store(Place.directory + 16, (Place.data + 0x1000) | 7)
      $0.load(0x40_0000)
      for time in UInt64(0)..<6 {
        $0.store(Place.entry(of: Place.window), (Place.data + time << 12) | 0x63)
        $0.store(Place.data + 0x1000 + 8 * time, Place.data | 0x63)
      }
    }
    let (one, any) = try (statistics(.unsyncOne, code), statistics(.unsync, code))
    #expect(any.unsynced == 2 && any.mmuUnsync == 2 && any.synced == 0)
    #expect(one.unsynced == 12 && one.mmuUnsync == 1 && one.synced == 11)
  }

  @Test func `a virtual TLB holds nothing after a flush, and loses one page by INVLPG`() throws {
    var pages: [Int] = []
    let guest = try TinyGuest(
      .vtlb,
      Code {
        for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) }
        $0.invalidate(Place.window)
        $0.rax(Place.root)
        $0.raw(0x0f, 0x22, 0xd8)
      }.bytes)
    guard let hypervisor = guest.hypervisor else { return }
    hypervisor.afterExit = { exit in
      let pool = hypervisor.shadows.pool
      if exit.reason == .controlRegister3 { pages.append(pool.count) }
      if exit.reason == .invalidatePage { pages.append(pool.live.reduce(0) { $0 + pool[$1].present }) }
    }
    #expect(guest.run() == .haltedForEver)
    // Three links, the code and its data, and seven pages of the window; then the root alone.
    #expect(pages == [3 + 1 + 7, 1])
  }

  @Test func `a fault fills the neighbours that were used before`() throws {
    let code: (inout Code) -> Void = {
      for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) }
      $0.rax(Place.root)
      $0.raw(0x0f, 0x22, 0xd8)
      for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) }
    }
    let (alone, around) = try (statistics(.vtlb, code), statistics(.vtlbAround, code))
    #expect(alone.pfTaken - around.pfTaken == 7)
  }
}

/// Guests that would fill any pool and never say that they are done with a table.
@Suite struct PoolPressureTests {
  private static let kinds: [Kind] = [
    .shadow, .unsync, .vtlb, .shadowSmallPool, .unsyncSmallPool, .vtlbSmallPool, .nested, .agile, .agileBackSmallPool,
  ]

  /// Runs a loop; its second half may cost no more than the first, and in the end registers and memory are what they are on
  /// the bare machine.
  ///
  /// - Parameter length: instructions in one round.
  private func expectLinear(
    _ kind: Kind, _ loop: [UInt8], times: UInt32, length: UInt64, prepare: (TinyGuest) -> Void = { _ in }
  ) throws {
    // MOV ECX, times; the loop; HLT
    let code = [0xb9] + (0..<4).map { UInt8(truncatingIfNeeded: times >> (8 * $0)) } + loop + [0xf4]
    let (guest, bare) = (try TinyGuest(kind, code), try TinyGuest(.native, code))
    let hypervisor = try #require(guest.hypervisor)
    hypervisor.afterExit = nil
    prepare(guest)
    #expect(guest.run(retiredLimit: UInt64(times) / 2 * length) == .limit)
    let half = guest.processor.clock
    #expect(hypervisor.checkInvariants() == [])
    #expect(guest.run(retiredLimit: .max) == .haltedForEver)
    #expect(hypervisor.checkInvariants() == [])
    #expect(guest.processor.clock - half <= half + half / 50, "\(kind)")
    expectBounded(guest)
    prepare(bare)
    #expect(bare.run(retiredLimit: .max) == .haltedForEver)
    for register in 0..<16 { #expect(guest.processor.state.slots[register] == bare.processor.state.slots[register]) }
    #expect(guest.processor.state.cr3 == bare.processor.state.cr3)
    // All tables are in the first 2 MiB, and so is what they map.
    #expect(guest.bytes(0, 2 << 20) == bare.bytes(0, 2 << 20), "\(kind)")
  }

  /// Shadow tables are as many as the pool has room for, nested ones as many as the guest's memory takes.
  private func expectBounded(_ guest: TinyGuest) {
    guard let hypervisor = guest.hypervisor else { return }
    let nested = hypervisor.nested == nil ? 0 : guest.memorySize >> 21 + 8
    let pool = hypervisor.shadows.pool
    #expect(pool.count <= pool.limit)
    #expect(hypervisor.statistics.peakTableBytes <= (UInt64(pool.limit) + 2 + nested) << 12, "\(guest.kind)")
  }

  @Test(arguments: kinds)
  func `ten thousand processes whose end nobody tells`(kind: Kind) throws {
    // root = 0x120000 + (ecx & 0x7f) << 12; [root] = pointers | 7; CR3 = root; load; [root + 8] = ecx; ecx -= 1
    let loop: [UInt8] = [
      0x89, 0xc8, 0x25, 0x7f, 0x00, 0x00, 0x00, 0xc1, 0xe0, 0x0c, 0x05, 0x00, 0x00, 0x12, 0x00, 0x89, 0xc7,
      0x48, 0xc7, 0x07, 0x07, 0x20, 0x00, 0x00, 0x0f, 0x22, 0xdf, 0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x03, 0x00,
      0x48, 0x89, 0x4f, 0x08, 0xff, 0xc9, 0x75, 0xd5,
    ]
    try expectLinear(kind, loop, times: 10_000, length: 11)
  }

  @Test(arguments: kinds)
  func `a hundred thousand page tables, one after another`(kind: Kind) throws {
    // [directory + 16] = (0x120000 + (ecx & 0x7f) << 12) | 7; INVLPG 0x400000; load from there; ecx -= 1
    let loop: [UInt8] = [
      0x89, 0xc8, 0x83, 0xe0, 0x7f, 0xc1, 0xe0, 0x0c, 0x05, 0x07, 0x00, 0x12, 0x00,
      0x48, 0x89, 0x04, 0x25, 0x10, 0x30, 0x00, 0x00, 0x0f, 0x01, 0x3c, 0x25, 0x00, 0x00, 0x40, 0x00,
      0x48, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00, 0xff, 0xc9, 0x75, 0xd7,
    ]
    try expectLinear(kind, loop, times: 100_000, length: 9) { guest in
      for table in UInt64(0)..<128 { guest.set(0x12_0000 + table << 12, Place.data | 3) }
    }
  }

  @Test(arguments: kinds)
  func `a hundred thousand page tables at the same time`(kind: Kind) throws {
    // RAX = 1 << 39 | RCX << 21; MOV RDX, [RAX]; ECX -= 1
    let loop: [UInt8] = [
      0x89, 0xc8, 0x48, 0xc1, 0xe0, 0x15, 0x48, 0x0f, 0xba, 0xe8, 0x27, 0x48, 0x8b, 0x10, 0xff, 0xc9, 0x75, 0xee,
    ]
    let count: UInt64 = 100_000
    let size: UInt64 = 512 << 20
    let (pointers, directories, tables): (UInt64, UInt64, UInt64) = (0xf0_0000, 0x100_0000, 0x200_0000)
    let guest = try TinyGuest(
      kind, [0xb9] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + loop + [0xf4], memory: size)
    let hypervisor = try #require(guest.hypervisor)
    hypervisor.afterExit = nil
    guest.set(Place.root + 8, pointers | 7)
    for directory in 0...count >> 9 { guest.set(pointers + directory * 8, (directories + directory << 12) | 7) }
    for table in 1...count {
      guest.set(directories + table * 8, (tables + table << 12) | 7)
      guest.set(tables + table << 12, Place.data | 3)
    }
    // The first half fills whatever is filled; of the second, neither half costs more than the other.
    var clocks: [UInt64] = []
    for part in UInt64(2)...4 {
      let result = guest.run(retiredLimit: part < 4 ? count * 6 * part / 4 : .max)
      #expect(result == (part < 4 ? .limit : .haltedForEver))
      clocks.append(guest.processor.clock)
    }
    #expect(clocks[2] - clocks[1] <= (clocks[1] - clocks[0]) * 11 / 10, "\(kind)")
    #expect(hypervisor.checkInvariants() == [])
    expectBounded(guest)
  }
}
