import Machine
import Testing

@testable import Hypervisor

/// Work that exercises every part: tables written, pages faulted in, devices, ports, an interrupt, an address-space
/// switch.
private let busyCode = Code {
  for page in UInt64(0)..<8 { $0.store(Place.window + page << 12, page) }
  for page in UInt64(0)..<8 {
    $0.store(Place.entry(of: Place.window + page << 12), (Place.data + (7 - page) << 12) | 0x63)
    $0.invalidate(Place.window + page << 12)
  }
  $0.load(Place.window)
  $0.store(Place.data + 0x8000, Place.code | 3)
  $0.store(Place.directory + 16, (Place.data + 0x8000) | 7)
  $0.load(0x40_0000)
  $0.store(Place.directory + 16, 0)
  $0.invalidate(0x40_0000)
  for word in UInt64(0)..<8 { $0.store(Place.data + 0x8000 + 8 * word, word) }
  $0.load(0x20_0010)
  $0.store(0x20_0018, 0x55)
  $0.raw(0xe6, 0x11, 0xe4, 0x10)
  $0.rax(Place.root)
  $0.raw(0x0f, 0x22, 0xd8)
  $0.load(Place.window)
}

@Suite struct AccountingTests {
  @Test(arguments: Kind.allCases.filter { $0 != .native })
  func `every cause is its events times the profile's figures`(_ kind: Kind) throws {
    let guest = try TinyGuest(kind, busyCode.bytes)
    #expect(guest.run() == .haltedForEver)
    guard let hypervisor = guest.hypervisor else { return }
    let (ledger, statistics, counters) = (guest.processor.ledger, hypervisor.statistics, guest.processor.counters)
    let work = statistics.work
    for reason in ExitReason.allCases {
      let exits = reason == .assisted ? 0 : statistics[reason].count
      #expect(exits == counters.exits[Int(reason.rawValue)])
      #expect(ledger[.exitHardware(reason)] == exits * guest.profile[.exitRoundTrip], "\(reason)")
      #expect(ledger[.exitHandler(reason)] == work.cycles(.exitHandler(reason), at: guest.profile), "\(reason)")
      #expect(work[.exitBase, .exitHandler(reason)] == exits, "\(reason)")
    }
    for cause in [
      Cause.shadowFill, .shadowEmulate, .shadowRoot, .shadowWalk, .shadowReclaim, .shadowResync, .nestedFill,
      .agileSwitch, .agileScan, .flush,
    ] {
      #expect(ledger[cause] >= work.cycles(cause, at: guest.profile), "\(cause.name)")
      if cause != .flush { #expect(ledger[cause] == work.cycles(cause, at: guest.profile), "\(cause.name)") }
    }
    #expect(ledger[.inject] == counters.injections * guest.profile[.injectEvent])
    #expect(ledger.total == guest.processor.clock)

    // What was charged is what happened, as counted where it happens.
    var kinds = TableCounts()
    let outcomes = statistics.pfFixed + statistics.pfGuest + statistics.pfEmulate
    #expect(statistics.pfTaken > 0 && statistics.pfTaken == outcomes + work.total(.device))
    if hypervisor.hasShadows {
      let shadow = hypervisor.shadows
      #expect(work.total(.fill) == shadow.entriesMade)
      #expect(work.total(.zap) == shadow.entriesRemoved)
      #expect(work.total(.protect) == shadow.entriesProtected + (hypervisor.nested?.changes ?? 0))
      // A loader's work is not charged: the root that it makes is not among these.
      #expect(work.total(.allocate) == statistics.mmuCacheMiss - (kind == .agile ? 0 : 1))
      #expect(work.total(.emulate) == statistics.pfEmulate)
      #expect((statistics.pfEmulate > 0) == (kind.policy != .vtlb && kind != .agile))
      #expect((statistics.unsynced > 0) == (kind.policy == .unsync))
      if kind.isAgile {
        // The hardware itself does what the guest asks for; the hypervisor's flushes of nested tables reach everything.
        #expect(
          work.total(.flushAll) + work.total(.invalidateExtended) + counters.controlRegister3Loads
            == counters.flushesContext + counters.flushesAll)
        #expect(work.total(.flushPage) == 0)
      } else {
        #expect(work.total(.flushAll) == counters.flushesContext)
        #expect(work.total(.flushPage) == counters.flushesPage)
      }
      let nestedTables = hypervisor.nested?.tables ?? 0
      #expect(statistics.mmuShadowZapped + UInt64(shadow.pool.count) == statistics.mmuCacheMiss)
      #expect(statistics.tableBytes == (UInt64(shadow.pool.count + 1) + nestedTables) << 12)
      // By kind, as the shadow pages themselves say.
      kinds[.empty] = 1
      for index in shadow.pool.live {
        let role = shadow.pool[index].role
        kinds[role.isDirect ? .direct : .shadow(level: role.level)] += 1
      }
    }
    if let nested = hypervisor.nested {
      #expect(work.total(.nestedFill) == nested.leaves)
      #expect(work.total(.nestedAllocate) == nested.tables - 1)
      nested.countTables(at: nested.plan.root, level: nested.plan.levels, guest.memory, &kinds)
    }
    #expect(statistics.tables == kinds)
    #expect(work[.port, .exitHandler(.port)] == 2)

    // The time line begins with nothing and comes to what there is.
    let line = statistics.timeline
    #expect(line.samples.first?.clock == 0 && line.samples.count > 1)
    #expect(line.samples.last.map { $0.clock <= guest.processor.clock } ?? false)
    for sample in line.samples {
      for kind in TableKind.allCases { #expect(sample.tables[kind] <= statistics.peakTables[kind], "\(kind.name)") }
    }
  }

  @Test func `a guest entered twice from a snapshot ends the same`() throws {
    for kind in Kind.allCases where kind != .native {
      let guest = try TinyGuest(kind, busyCode.bytes)
      guard let hypervisor = guest.hypervisor else { continue }
      #expect(guest.run(retiredLimit: 60) == .limit)
      let saved = (hypervisor.snapshot(), guest.memory.image(), guest.processor.snapshot())
      #expect(guest.run() == .haltedForEver)
      let first = (guest.architecture, guest.allMemory, guest.processor.ledger, hypervisor.statistics.work)
      let (line, tables) = (hypervisor.statistics.timeline, hypervisor.statistics.tables)
      guest.memory.restore(saved.1)
      hypervisor.restore(saved.0)
      guest.processor.restore(saved.2)
      #expect(guest.run() == .haltedForEver)
      #expect(guest.architecture == first.0 && guest.allMemory == first.1, "\(kind)")
      #expect(guest.processor.ledger == first.2 && hypervisor.statistics.work == first.3, "\(kind)")
      #expect(hypervisor.statistics.timeline == line && hypervisor.statistics.tables == tables, "\(kind)")
      #expect(guest.violations == [])
    }
  }

  @Test func `too little host memory is refused`() throws {
    let memory = try HostMemory(low: 1 << 20)
    let profile = testProfile()
    let bus = RecordingBus()
    let processor = Processor(
      memory: memory, bus: bus, decoder: NoDecoder(), profile: profile, features: FeatureSet(names: []),
      options: ProcessorOptions())
    #expect(throws: HypervisorError.self) {
      _ = try Hypervisor(
        processor: processor, memory: memory, bus: bus, profile: profile,
        options: HypervisorOptions(kind: .nested, vendor: .intel, ramRanges: [0..<1 << 20]))
    }
    #expect(throws: HypervisorError.badRange(4096..<5000)) {
      _ = try Hypervisor(
        processor: processor, memory: memory, bus: bus, profile: profile,
        options: HypervisorOptions(kind: .nested, vendor: .intel, ramRanges: [4096..<5000]))
    }
  }
}

extension NestedTables {
  /// Counts the tables that are reached from one, itself among them.
  fileprivate func countTables(at table: HostPhysical, level: Int, _ memory: HostMemory, _ counts: inout TableCounts) {
    counts[.nested(level: level)] += 1
    guard level > 1 else { return }
    for number in 0..<512 as Range<UInt64> {
      let entry = memory.word(at: table.advanced(by: number * 8))
      guard entry & 1 != 0, !EntryLayout.wide.isLeaf(entry, level: level) else { continue }
      countTables(at: HostPhysical(entry & EntryBit.frameMask), level: level - 1, memory, &counts)
    }
  }
}

final class NoDecoder: InstructionDecoder {
  func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize, into output: UnsafeMutablePointer<Operation>
  ) -> DecodeResult { .invalid }
  func disassemble(_ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize) -> String? { nil }
}

@Suite struct WalkReferenceTests {
  private static let noCaches: [CostKey: UInt64] = [
    .pscPML4E: 0, .pscPDPTE: 0, .pscPDE: 0, .pscNestedPDPTE: 0, .pscNestedPDE: 0, .nestedTLBEntries: 0,
  ]

  /// FACTS of two dimensions: (g + 1)(h + 1) - 1 references (BH08).
  @Test(arguments: [
    (Kind.native, 4), (.nested, 24), (.nestedAMD, 24), (.nested2M, 19), (.shadow, 4), (.unsync, 4), (.vtlb, 4),
  ])
  func `a 4K page without caches takes`(_ kind: Kind, _ references: Int) throws {
    let code = Code { for _ in 0..<3 { for page in UInt64(0)..<8 { $0.load(Place.window + page << 12) } } }
    let guest = try TinyGuest(kind, code.bytes, figures: WalkReferenceTests.noCaches)
    // With A set already nothing but the walk itself makes references.
    for table in [Place.root, Place.pointers, Place.directory] { guest.set(table, guest.word(table) | 0x20) }
    for page in UInt64(0)..<512 { guest.set(Place.table + 8 * page, guest.word(Place.table + 8 * page) | 0x20) }
    #expect(guest.run() == .haltedForEver)
    let walks = guest.processor.counters.referencesPerWalk
    #expect(walks[references] > 0)
    for count in references + 1..<40 { #expect(walks[count] == 0, "\(count)") }
  }
}
