import Machine
import Support
import Testing

@testable import Hypervisor

/// The pages that are logged as written are those that the guest has written, by whatever method.
@Suite struct DirtyLogTests {
  /// A method, with A and D kept by the hardware or not.
  struct Case: CustomTestStringConvertible {
    var method: DirtyLogging
    var keepsBits: Bool
    var isAMD = false
    var hostPage = PageSize.page4K

    var testDescription: String { "\(method.rawValue), A/D \(keepsBits)\(isAMD ? ", AMD" : ""), \(hostPage)" }
  }

  static let cases = [
    Case(method: .writeProtect, keepsBits: false), Case(method: .writeProtect, keepsBits: true),
    Case(method: .accessedDirty, keepsBits: true), Case(method: .accessedDirty, keepsBits: true, isAMD: true),
    Case(method: .modificationLog, keepsBits: true),
    Case(method: .writeProtect, keepsBits: false, hostPage: .page2M),
    Case(method: .modificationLog, keepsBits: true, hostPage: .page2M),
  ]

  /// Stores to one of 64 pages, drawn at random, as often as said.
  private static func code(stores: UInt8) -> [UInt8] {
    [
      0xb9, stores, 0, 0, 0,  // mov ecx, stores
      0xbe, 1, 0, 0, 0,  // mov esi, 1
      0x69, 0xf6, 0x0d, 0x66, 0x19, 0x00,  // imul esi, esi, 1664525
      0x81, 0xc6, 0x5f, 0xf3, 0x6e, 0x3c,  // add esi, 1013904223
      0x89, 0xf0,  // mov eax, esi
      0xc1, 0xe8, 0x0d,  // shr eax, 13
      0x25, 0x00, 0xf0, 0x03, 0x00,  // and eax, 0x3f000
      0x48, 0x89, 0xb0, 0x00, 0x00, 0x04, 0x00,  // mov [rax + 0x40000], rsi
      0xff, 0xc9,  // dec ecx
      0x75, 0xdf,  // jnz
      0xf4,
    ]
  }

  /// The pages that it stores to.
  private static func pages(stores: UInt8) -> Set<UInt64> {
    var number: UInt32 = 1
    return Set(
      (0..<stores).map { _ in
        number = number &* 1_664_525 &+ 1_013_904_223
        return 0x40 + UInt64(number >> 13 & 0x3f000) >> 12
      })
  }

  private static func guest(_ one: Case, _ code: [UInt8], interval: UInt64, churn: UInt64? = nil) throws -> TinyGuest {
    try TinyGuest(one.isAMD ? .nestedAMD : .nested, code) {
      $0.nestedAccessedDirty = one.keepsBits
      $0.hostPage = one.hostPage
      $0.dirtyLog.method = one.method
      $0.dirtyLog.interval = interval
      $0.churn = churn
    }
  }

  /// The tables that translate the first 2 MiB: where the hardware keeps A and D, a walk counts as writing them (SDM vol. 3,
  /// 29.3.5).
  private static let tables = Set([Place.root, Place.pointers, Place.directory, Place.table].map { $0 >> 12 })

  @Test(arguments: cases)
  func `every interval's log is what the guest wrote in it`(one: Case) throws {
    let guest = try Self.guest(one, Self.code(stores: 200), interval: 40_000)
    let hypervisor = try #require(guest.hypervisor)
    // What the loader wrote.
    _ = hypervisor.dirtyLog?.take()
    // By whom, it does not ask: bytes of the host's memory that were stored to.
    let writes = WriteLog(guest.memory)
    var intervals: [Set<UInt64>] = []
    hypervisor.afterCollection = { frames in
      let written = writes.collect().compactMap { hypervisor.guestAddress(of: HostPhysical($0 << 12))?.frame }
      // D does not tell when.
      if one.method != .accessedDirty {
        #expect(frames.filter { !Self.tables.contains($0) } == written.filter { !Self.tables.contains($0) })
      }
      var expected = Set(written)
      if one.keepsBits { expected.formUnion(Self.tables) }
      #expect(Set(frames) == expected && Set(frames).count == frames.count)
      intervals.append(expected)
    }
    #expect(guest.run() == .haltedForEver)
    #expect(guest.violations == [])
    // Some pages in each, all of them in none, and not always the same.
    #expect(intervals.count >= 4)
    #expect(intervals.allSatisfy { $0.count > 1 && $0.count < 60 } && Set(intervals).count > 2)

    let calm = try TinyGuest(.native, Self.code(stores: 200))
    #expect(calm.run() == .haltedForEver)
    #expect(guest.architecture == calm.architecture && guest.allMemory == calm.allMemory)
  }

  @Test(arguments: cases)
  func `every cycle of it has a cause, every count an event`(one: Case) throws {
    let guest = try Self.guest(one, Self.code(stores: 200), interval: 40_000)
    let hypervisor = try #require(guest.hypervisor)
    var collected: UInt64 = 0
    hypervisor.afterCollection = { collected += UInt64($0.count) }
    #expect(guest.run() == .haltedForEver)
    let (ledger, statistics) = (guest.processor.ledger, hypervisor.statistics)
    let hardware = guest.processor.counters.modificationsLogged
    #expect((hardware > 0) == (one.method == .modificationLog))
    #expect(
      ledger[.dirtyLog] == statistics.work.cycles(.dirtyLog, at: guest.profile) + hardware
        * guest.profile[.walkModificationLog])
    #expect(ledger[.dirtyCollect] == statistics.work.cycles(.dirtyCollect, at: guest.profile))
    #expect(ledger.total == guest.processor.clock)
    #expect(statistics.dirtyPages == collected + UInt64(hypervisor.dirtyLog?.frames.count ?? 0))
    #expect(statistics.dirtyCollections > 3)
    #expect((statistics.dirtyFaults > 0) == (one.method == .writeProtect))
    #expect((statistics.dirtyScanned > 0) == (one.method == .accessedDirty))
    #expect(statistics.tables[.modificationLog] == (one.method == .modificationLog ? 1 : 0))
    // Each clears what it found by one INVEPT, and without one nobody would hear of the next writes.
    let flushes = one.isAMD ? statistics.work.total(.flushAll) : statistics.invept
    #expect(flushes == statistics.dirtyCollections)
  }

  @Test func `a full log is emptied, and nothing of it is lost`() throws {
    let one = Case(method: .modificationLog, keepsBits: true)
    // 512 pages from 4 MiB on, by a large page of the guest's, and after that the window.
    let code: [UInt8] = [
      0xb8, 0x00, 0x00, 0x40, 0x00,  // mov eax, 4 MiB
      0xb9, 0x00, 0x02, 0x00, 0x00,  // mov ecx, 512
      0x48, 0x89, 0x08,  // mov [rax], rcx
      0x05, 0x00, 0x10, 0x00, 0x00,  // add eax, 4096
      0xff, 0xc9,  // dec ecx
      0x75, 0xf4,  // jnz
      0xe6, 0x11,  // out 0x11, al
      0xf4,
    ]
    let guest = try Self.guest(one, code, interval: 1 << 40)
    guest.set(Place.directory + 16, UInt64(0x40_0000 | 0x83))
    let hypervisor = try #require(guest.hypervisor)
    _ = hypervisor.dirtyLog?.take()
    #expect(guest.run() == .haltedForEver)
    #expect(hypervisor.statistics[.modificationLogFull].count == 1)
    #expect(guest.exits.count { $0.reason == .modificationLogFull } == 1)
    var collected: [UInt64] = []
    hypervisor.afterCollection = { collected = $0 }
    hypervisor.collectNow()
    #expect(Set(collected).isSuperset(of: 0x400..<0x600))
    #expect(Set(collected).subtracting(0x400..<0x600) == Self.tables)
  }

  @Test func `a full log in the middle of an event's delivery does not change the event`() throws {
    // UD2: its delivery reads tables and pushes to a stack whose page is clean, while there is no room to tell of it.
    let code = Code { $0.raw(0x0f, 0x0b) }
    let guest = try Self.guest(Case(method: .modificationLog, keepsBits: true), code.bytes, interval: 1 << 40)
    // What the delivery reads and writes is not mapped yet; once it is, A or D has to be set.
    guest.hypervisor?.afterExit = { [unowned guest] exit in
      guest.exits.append(exit)
      if exit.reason == .nestedFault { guest.processor.modificationLogIndex = 0xffff }
    }
    #expect(guest.run() == .haltedForEver)
    #expect(guest.exits.contains { $0.reason == .modificationLogFull && $0.delivering != nil })
    #expect(guest.processor.recentlyDelivered.map(\.event) == [.exception(.invalidOpcode)])
  }

  @Test(arguments: cases)
  func `the guest notices nothing, and nothing is missed, while the host disturbs it too`(one: Case) throws {
    let guest = try Self.guest(one, Self.code(stores: 200), interval: 40_000, churn: 15_000)
    let hypervisor = try #require(guest.hypervisor)
    var logged: Set<UInt64> = []
    hypervisor.afterCollection = { logged.formUnion($0) }
    #expect(guest.run() == .haltedForEver)
    let calm = try TinyGuest(.native, Self.code(stores: 200))
    #expect(calm.run() == .haltedForEver)
    #expect(guest.architecture == calm.architecture && guest.allMemory == calm.allMemory && guest.violations == [])
    hypervisor.collectNow()
    #expect(logged.isSuperset(of: Self.pages(stores: 200)))
  }

  @Test(arguments: cases.filter { $0.hostPage == .page4K })
  func `from a snapshot the same pages are logged`(one: Case) throws {
    let guest = try Self.guest(one, Self.code(stores: 200), interval: 40_000)
    let hypervisor = try #require(guest.hypervisor)
    var collected: [[UInt64]] = []
    hypervisor.afterCollection = { collected.append($0) }
    #expect(guest.run(retiredLimit: 700) == .limit)
    let saved = (hypervisor.snapshot(), guest.memory.image(), guest.processor.snapshot())
    collected = []
    #expect(guest.run() == .haltedForEver)
    let first = (collected, guest.processor.ledger)
    guest.memory.restore(saved.1)
    hypervisor.restore(saved.0)
    guest.processor.restore(saved.2)
    collected = []
    #expect(guest.run() == .haltedForEver)
    #expect(collected == first.0 && guest.processor.ledger == first.1)
  }

  @Test(arguments: cases.filter { !$0.isAMD && $0.hostPage == .page4K })
  func `several processors' writes are logged, all in the interval they were made in`(one: Case) throws {
    let machine = try VirtualProcessorsTests.Group(.nested, cpus: 4) {
      $0.nestedAccessedDirty = one.keepsBits
      $0.dirtyLog.method = one.method
      $0.dirtyLog.interval = 100_000
    }
    let hypervisor = machine.hypervisor
    _ = hypervisor.dirtyLog?.take()
    let writes = WriteLog(machine.memory)
    var collections = 0
    var pending: Set<UInt64> = []
    hypervisor.afterCollection = { frames in
      let written = Set(writes.collect().compactMap { hypervisor.guestAddress(of: HostPhysical($0 << 12))?.frame })
      #expect(Set(frames).isSuperset(of: written))
      // A write that was noted on one processor before another collected is made now.
      #expect(pending.isSubset(of: written))
      // What else is there are tables, which count as written where they are walked.
      pending = Set(frames).subtracting(written)
      if one.keepsBits { pending.subtract(machine.tableFrames) }
      #expect(pending.count < 4)
      collections += 1
    }
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(machine.violations == [] && collections > 4)
    #expect((hypervisor.statistics.remoteTlbFlush > 0))
  }

  @Test(arguments: [true, false])
  func `A and D are kept or not as the hypervisor chooses`(keeps: Bool) throws {
    let guest = try Self.guest(Case(method: .off, keepsBits: keeps), Self.code(stores: 20), interval: 1 << 40)
    #expect(guest.run() == .haltedForEver)
    let entry = guest.hypervisor?.nested?.leaf(for: GuestPhysical(Place.code), guest.memory)?.entry ?? 0
    #expect((entry & EPTBit.accessed != 0) == keeps)
    #expect((guest.processor.counters.bitUpdates[1] > 0) == keeps)
  }

  @Test func `PDPTEs are loaded from a table that may only be read, and do not make it dirty`() throws {
    let code = Code {
      $0.raw(0xb8, 0x00, 0x10, 0, 0)  // mov eax, root
      $0.raw(0x0f, 0x22, 0xd8)
    }
    for keeps in [true, false] {
      let guest = try TinyGuest(.nested, code.bytes, mode: .pae) { $0.nestedAccessedDirty = keeps }
      let hypervisor = try #require(guest.hypervisor)
      #expect(guest.run(retiredLimit: 1) == .limit)
      let root = GuestPhysical(Place.root)
      if hypervisor.nested?.leaf(for: root, guest.memory) == nil {
        let page = try #require(hypervisor.populate(root))
        var tables = try #require(hypervisor.nested)
        let outcome = tables.map(root, to: page, guest.memory, &hypervisor.allocator)
        #expect(outcome == .mapped(newTables: 0))
        hypervisor.nested = tables
      }
      #expect(hypervisor.setNestedWritable(root, false))
      #expect(guest.run() == .haltedForEver)
      #expect(!guest.exits.contains { $0.nested?.address.frame == root.frame })
      let entry = hypervisor.nested?.leaf(for: root, guest.memory)?.entry ?? 0
      #expect(entry & (EPTBit.write | EPTBit.dirty) == 0 && (entry & EPTBit.accessed != 0) == keeps)
    }
  }
}

extension VirtualProcessorsTests.Group {
  /// The frames of the tables that any processor's CR3 leads to, found by looking at them.
  fileprivate var tableFrames: Set<UInt64> {
    var found: Set<UInt64> = []
    func look(at gfn: UInt64, _ level: Int) {
      guard found.insert(gfn).inserted, level > 1 else { return }
      for number in UInt64(0)..<512 {
        let bytes = hypervisor.readGuest(GuestPhysical(gfn << 12 | number << 3), count: 8) ?? []
        let entry = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard entry & 1 != 0, !EntryLayout.wide.isLeaf(entry, level: level) else { continue }
        look(at: (entry & EntryBit.frameMask) >> 12, level - 1)
      }
    }
    for processor in processors where processor.pagingRegisters.cr0 & CR0.paging != 0 {
      look(at: (processor.pagingRegisters.cr3 & EntryBit.frameMask) >> 12, 4)
    }
    return found
  }
}
