import Machine
import Support
import Testing

/// The TLBs against a model that is slow and plain, hit by hit; the direct cache in front of them must not be seen.
struct TranslationLookasideTests {
  /// Entries and ways.
  struct Geometry: CustomTestStringConvertible, Sendable {
    var small, medium, large, second: (UInt64, UInt64)
    var secondLarge: (UInt64, UInt64) = (16, 4)
    var isUnified = false
    var secondHoldsMedium = true

    var figures: [CostKey: UInt64] {
      [
        .tlbData4KEntries: small.0, .tlbData4KWays: small.1, .tlbData2MEntries: medium.0, .tlbData2MWays: medium.1,
        .tlbData1GEntries: large.0, .tlbData1GWays: large.1, .tlbDataUnified: isUnified ? 1 : 0,
        .tlbL2Entries: second.0, .tlbL2Ways: second.1, .tlbL2Holds2M: secondHoldsMedium ? 1 : 0,
        .tlbL2Large1GEntries: secondLarge.0, .tlbL2Large1GWays: secondLarge.1, .tlbCode4KEntries: 4, .tlbCode4KWays: 4,
      ]
    }

    var testDescription: String { "\(small) \(medium) \(large) second \(second)\(isUnified ? " unified" : "")" }
  }

  static let geometries = [
    Geometry(small: (64, 4), medium: (32, 4), large: (4, 4), second: (1536, 12)),
    Geometry(small: (72, 72), medium: (0, 0), large: (0, 0), second: (3072, 12), isUnified: true),
    Geometry(small: (64, 64), medium: (0, 0), large: (0, 0), second: (0, 0), secondLarge: (0, 0), isUnified: true),
    Geometry(small: (12, 4), medium: (6, 2), large: (3, 1), second: (36, 12)),
    Geometry(small: (36, 12), medium: (5, 5), large: (1, 1), second: (60, 12), secondHoldsMedium: false),
    Geometry(small: (1, 1), medium: (1, 1), large: (1, 1), second: (3, 1)),
    Geometry(small: (7, 7), medium: (4, 4), large: (2, 2), second: (96, 8), secondLarge: (0, 0)),
  ]

  static let smallBase: UInt64 = 0x10_0000_0000
  static let mediumBase: UInt64 = 0x20_0000_0000
  static let largeBase: UInt64 = 0x30_0000_0000

  private struct Page {
    var size: PageSize
    var address: UInt64
    var number: UInt64 { address >> size.shift }
    var key: UInt64 { number << 2 | UInt64(size.rawValue) }
  }

  /// The model: which misses an access makes.
  private struct Model {
    var first: [ReferenceBuffer]
    var second: [ReferenceBuffer]
    /// Where entries of a size are kept.
    let firstPlace: [Int]
    let secondPlace: [Int]
    var dirty: Set<UInt64> = []
    var misses = 0, secondHits = 0, walks = 0

    init(_ geometry: Geometry) {
      func buffer(_ shape: (UInt64, UInt64)) -> ReferenceBuffer {
        ReferenceBuffer(entries: Int(shape.0), ways: Int(shape.1))
      }
      first = [buffer(geometry.small), buffer(geometry.medium), buffer(geometry.large)]
      second = [buffer(geometry.second), buffer((0, 0)), buffer(geometry.secondLarge)]
      firstPlace = geometry.isUnified ? [0, 0, 0] : [0, 1, 2]
      secondPlace = geometry.secondHoldsMedium ? [0, 0, 2] : [0, 1, 2]
    }

    mutating func access(_ page: Page, isWrite: Bool) {
      let upper = firstPlace[Int(page.size.rawValue)]
      if first[upper].use(page.key, number: page.number, isWrite: isWrite) != nil { return }
      misses += 1
      first[upper].insert(secondLevel(page, isWrite: isWrite), number: page.number)
    }

    mutating func secondLevel(_ page: Page, isWrite: Bool) -> ReferenceBuffer.Entry {
      let lower = secondPlace[Int(page.size.rawValue)]
      if let entry = second[lower].use(page.key, number: page.number, isWrite: isWrite) {
        secondHits += 1
        return entry
      }
      walks += 1
      if isWrite { dirty.insert(page.key) }
      let entry = ReferenceBuffer.Entry(page: page.key, isDirty: dirty.contains(page.key))
      second[lower].insert(entry, number: page.number)
      return entry
    }
  }

  /// The registers that a program's eight accesses go through, and their ModRM.
  private static let pointers: [(slot: UInt8, code: UInt8)] = [
    (Slot.rbx, 3), (Slot.rcx, 1), (Slot.rdx, 2), (Slot.rsi, 6), (Slot.rdi, 7), (Slot.rbx, 3), (Slot.rcx, 1),
    (Slot.rdx, 2),
  ]

  /// Eight accesses and a jump to itself: `mov al, [r]`, `mov [r], al`, `add [r], al`.
  private static func program(_ deeds: [Int]) -> [UInt8] {
    zip(deeds, pointers).flatMap { [[0x8a, 0x88, 0x00][$0] as UInt8, $1.code] } + [0xeb, 0xfe]
  }

  @Test(arguments: geometries, [false, true])
  func `random accesses hit and miss as the model says`(geometry: Geometry, coherent: Bool) {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(Self.smallBase, to: 0x10_0000, pages: 600, .writable, .fresh)
      map(Self.mediumBase, to: 0x400_0000, size: .page2M, pages: 40, .writable, .fresh)
    }
    for page in 0..<8 as Range<UInt64> {
      guest.map(map(Self.largeBase + page << 30, to: 0, size: .page1G, .writable, .fresh))
    }
    var options = ProcessorOptions()
    options.coherentTLB = coherent
    let machine = TinyMachine(guest, profile: .flat(geometry.figures), options: options)
    let processor = machine.processor
    var random = RepeatableRandom(seed: 7)
    var model = Model(geometry)

    let programs = (0..<16).map { _ in Self.pointers.map { _ in Int.random(in: 0..<3, using: &random) } }
    for (index, deeds) in programs.enumerated() {
      guest.write(Self.program(deeds), atPhysical: 0x1000 + UInt64(index) * 32)
    }
    // The code's own translation goes through the second level, once.
    _ = model.secondLevel(Page(size: .page4K, address: 0x1000), isWrite: false)
    model.secondHits = 0
    let fetches = 1

    func page() -> Page {
      let isNear = Int.random(in: 0..<4, using: &random) != 0
      switch Int.random(in: 0..<8, using: &random) {
      case 0, 1:
        let number = UInt64.random(in: 0..<(isNear ? 6 : 40), using: &random)
        return Page(size: .page2M, address: Self.mediumBase + number << 21)
      case 2:
        return Page(
          size: .page1G, address: Self.largeBase + UInt64.random(in: 0..<(isNear ? 2 : 8), using: &random) << 30)
      default:
        let number = UInt64.random(in: 0..<(isNear ? 24 : 600), using: &random)
        return Page(size: .page4K, address: Self.smallBase + number << 12)
      }
    }

    for round in 0..<(coherent ? 500 : 4000) {
      let choice = Int.random(in: 0..<programs.count, using: &random)
      var pages: [UInt8: Page] = [:]
      var state = processor.state
      for (slot, _) in Self.pointers where pages[slot] == nil {
        let chosen = page()
        pages[slot] = chosen
        // Somewhere in the page, but not in the tables at 512 MiB.
        state.slots[Int(slot)] =
          chosen.address + UInt64.random(in: 0..<min(chosen.size.bytes, 1 << 24), using: &random)
          + (chosen.size == .page1G ? 0x1000_0000 : 0)
      }
      state.rip = 0x1000 + UInt64(choice) * 32
      processor.state = state
      #expect(processor.run(retiredLimit: state.retired + 9) == .limit)
      for (deed, pointer) in zip(programs[choice], Self.pointers) {
        guard let page = pages[pointer.slot] else { continue }
        model.access(page, isWrite: deed != 0)
      }
      let counters = processor.counters
      let found = [Int(counters.dataMisses), Int(counters.secondHits), Int(counters.walks)]
      let expected = [model.misses, model.secondHits, model.walks]
      guard found == expected else {
        Issue.record("round \(round): misses, second-level hits and walks are \(found), not \(expected)")
        return
      }
    }
    // Coherent TLBs look for the code's page again after every A or D bit that a walk sets.
    if !coherent { #expect(processor.counters.codeLookups == fetches) }
    #expect(model.misses > 100)
  }

  // MARK: Single rules

  /// Loads from and stores to pages, with instructions that invalidate between them.
  private struct Bench {
    let machine: TinyMachine
    var processor: Processor { machine.processor }

    /// Code at 0x1000: nop; mov al, [rbx]. At 0x1010: nop; mov [rbx], al. At 0x1020: invlpg [rbx]. At 0x1030: mov cr3,
    /// rax. At 0x1040: mov cr4, rax. At 0x1050: invpcid rax, [rcx].
    init(_ figures: [CostKey: UInt64] = .commonTLBs) {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000, .writable)
        map(0x40_0000, to: 0x4000, pages: 4, .writable)
        map(0x50_0000, to: 0x4000, pages: 4, .writable, .global)
        map(0x60_0000, to: 0x4000, .writable, .fresh)
        map(0x80_0000, to: 0x80_0000, size: .page2M, .writable)
      }
      machine = TinyMachine(guest, profile: .flat(figures))
      let code: [[UInt8]] = [
        [0x90, 0x8a, 0x03], [0x90, 0x88, 0x03], [0x0f, 0x01, 0x3b], [0x0f, 0x22, 0xd8], [0x0f, 0x22, 0xe0],
        [0x66, 0x0f, 0x38, 0x82, 0x01],
      ]
      for (index, bytes) in code.enumerated() { guest.write(bytes, atPhysical: 0x1000 + UInt64(index) * 16) }
      machine.update { $0.cr4 |= CR4.pageGlobal | CR4.pcid }
    }

    /// How many walks an access takes, its instruction having been fetched before.
    func walks(_ address: UInt64, write: Bool = false) -> UInt64 {
      machine.update {
        $0.rip = write ? 0x1010 : 0x1000
        $0.slots[Int(Slot.rbx)] = address
      }
      machine.run(1)
      let before = processor.counters.walks
      #expect(machine.run(1) == .limit)
      return processor.counters.walks - before
    }

    func execute(_ place: UInt64, rax: UInt64 = 0, rbx: UInt64 = 0, rcx: UInt64 = 0) {
      machine.update {
        $0.rip = place
        $0.slots[Int(Slot.rax)] = rax
        $0.slots[Int(Slot.rbx)] = rbx
        $0.slots[Int(Slot.rcx)] = rcx
      }
      #expect(machine.run(1) == .limit)
    }

    func invalidatePage(_ address: UInt64) { execute(0x1020, rbx: address) }
    func loadCR3(_ context: UInt64, keep: Bool = false) {
      execute(0x1030, rax: machine.guest.tables.root | context | (keep ? 1 << 63 : 0))
    }
    func loadCR4(_ value: UInt64) { execute(0x1040, rax: value) }
    func invalidateContext(type: UInt64, context: UInt64 = 0, address: UInt64 = 0) {
      machine.guest.setWord(context, atPhysical: 0x1800)
      machine.guest.setWord(address, atPhysical: 0x1808)
      execute(0x1050, rax: type, rcx: 0x1800)
    }
  }

  static let page: UInt64 = 0x40_0000
  static let globalPage: UInt64 = 0x50_0000

  @Test func `a page is walked for once`() {
    let bench = Bench()
    #expect(bench.walks(Self.page) == 1)
    #expect(bench.walks(Self.page) == 0)
    #expect(bench.walks(Self.page + 0x1000) == 1)
  }

  @Test func `INVLPG drops the page and nothing else`() {
    let bench = Bench()
    _ = (bench.walks(Self.page), bench.walks(Self.page + 0x1000), bench.walks(Self.globalPage))
    bench.invalidatePage(Self.page + 0xfff)
    #expect(bench.walks(Self.page) == 1)
    #expect(bench.walks(Self.page + 0x1000) == 0)
    bench.invalidatePage(Self.globalPage)
    #expect(bench.walks(Self.globalPage) == 1)
  }

  @Test func `INVLPG of any address in a large page drops it`() {
    let bench = Bench()
    _ = bench.walks(0x80_0000)
    bench.invalidatePage(0x80_0000 + 0x1f_f123)
    #expect(bench.walks(0x80_0000) == 1)
  }

  @Test func `a large page without an array is held in pieces, which INVLPG drops together`() {
    let bench = Bench(.commonTLBs + [.tlbData2MEntries: 0, .tlbData2MWays: 0])
    func misses(_ address: UInt64) -> UInt64 {
      let before = bench.processor.counters.dataMisses
      _ = bench.walks(address)
      return bench.processor.counters.dataMisses - before
    }
    #expect(misses(0x80_0000) == 1 && misses(0x80_0ff8) == 0 && misses(0x90_0000) == 1 && misses(0x90_0000) == 0)
    bench.invalidatePage(0x85_0000)
    #expect(misses(0x80_0000) == 1 && misses(0x90_0000) == 1 && misses(0x80_0000) == 0)
    bench.invalidatePage(Self.page)
    #expect(misses(0x80_0000) == 0 && misses(0x90_0000) == 0)
  }

  @Test func `INVLPG keeps the entries of other PCIDs`() {
    let bench = Bench()
    _ = bench.walks(Self.page)
    bench.loadCR3(5)
    #expect(bench.walks(Self.page) == 1)
    bench.invalidatePage(Self.page)
    #expect(bench.walks(Self.page) == 1)
    bench.loadCR3(0, keep: true)
    #expect(bench.walks(Self.page) == 0)
  }

  @Test func `MOV CR3 drops the new PCID's entries unless bit 63 is set`() {
    let bench = Bench()
    _ = bench.walks(Self.page)
    bench.loadCR3(5)
    #expect(bench.walks(Self.page) == 1)
    bench.loadCR3(0, keep: true)
    #expect(bench.walks(Self.page) == 0)
    bench.loadCR3(5, keep: true)
    #expect(bench.walks(Self.page) == 0)
    bench.loadCR3(5)
    #expect(bench.walks(Self.page) == 1)
    bench.loadCR3(0)
    #expect(bench.walks(Self.page) == 1)
  }

  @Test func `global pages outlive MOV CR3 and serve every PCID`() {
    let bench = Bench()
    #expect(bench.walks(Self.globalPage) == 1)
    bench.loadCR3(0)
    #expect(bench.walks(Self.globalPage) == 0)
    bench.loadCR3(9)
    #expect(bench.walks(Self.globalPage) == 0)
  }

  @Test func `without CR4.PGE no page is global`() {
    let bench = Bench()
    bench.loadCR4(CR4.physicalAddressExtension | CR4.pcid)
    _ = bench.walks(Self.globalPage)
    bench.loadCR3(0)
    #expect(bench.walks(Self.globalPage) == 1)
  }

  @Test func `a change of CR4.PGE drops global pages`() {
    let bench = Bench()
    _ = bench.walks(Self.globalPage)
    bench.loadCR4(CR4.physicalAddressExtension | CR4.pcid)
    #expect(bench.walks(Self.globalPage) == 1)
  }

  @Test func `INVPCID drops what its type names`() {
    let bench = Bench()
    func warm() {
      bench.loadCR3(5, keep: true)
      _ = (bench.walks(Self.page), bench.walks(Self.globalPage))
      bench.loadCR3(0, keep: true)
      _ = (bench.walks(Self.page), bench.walks(Self.page + 0x1000), bench.walks(Self.globalPage))
    }
    /// Walks for the page of PCID 0, its neighbour, the global page, and the page of PCID 5.
    func walks() -> [UInt64] {
      let own = [bench.walks(Self.page), bench.walks(Self.page + 0x1000), bench.walks(Self.globalPage)]
      bench.loadCR3(5, keep: true)
      let other = bench.walks(Self.page)
      bench.loadCR3(0, keep: true)
      return own + [other]
    }
    warm()
    bench.invalidateContext(type: 0, context: 0, address: Self.page)
    #expect(walks() == [1, 0, 0, 0])
    bench.invalidateContext(type: 0, context: 0, address: Self.globalPage)
    #expect(walks() == [0, 0, 0, 0])
    bench.invalidateContext(type: 1, context: 5)
    #expect(walks() == [0, 0, 0, 1])
    bench.invalidateContext(type: 3)
    #expect(walks() == [1, 1, 0, 1])
    bench.invalidateContext(type: 2)
    #expect(walks() == [1, 1, 1, 1])
  }

  @Test func `the first write through an entry with D clear walks again and sets it`() {
    let bench = Bench()
    #expect(bench.walks(0x60_0000) == 1)
    #expect(bench.machine.guest.entry(0x60_0000, level: 1) & 0x60 == 0x20)
    #expect(bench.walks(0x60_0000, write: true) == 1)
    #expect(bench.machine.guest.entry(0x60_0000, level: 1) & 0x60 == 0x60)
    #expect(bench.walks(0x60_0000, write: true) == 0)
    #expect(bench.walks(0x60_0000) == 0)
  }

  @Test func `a page fault drops what the TLB had for the page`() {
    let bench = Bench()
    bench.machine.installHandlers()
    _ = bench.walks(Self.page)
    let entry = bench.machine.guest.entry(Self.page, level: 1)
    bench.machine.guest.setEntry(Self.page, level: 1, entry & ~EntryBit.writable)
    // The stale entry still permits the write; the invalidated one does not.
    #expect(bench.walks(Self.page, write: true) == 0)
    bench.invalidatePage(Self.page)
    _ = bench.walks(Self.page)
    bench.machine.update {
      $0.rip = 0x1010
      $0.slots[Int(Slot.rbx)] = Self.page
    }
    bench.machine.run()
    #expect(bench.machine.lastException == GuestException(vector: 14, errorCode: 3, address: Self.page))
    bench.machine.update { $0.isHalted = false }
    #expect(bench.walks(Self.page) == 1)
  }

  @Test func `a stale entry serves until it is invalidated, and never with coherent TLBs`() {
    for coherent in [false, true] {
      let guest = GuestMemory {
        map(0x1000, to: 0x1000)
        map(Self.page, to: 0x4000)
      }
      guest.write([1], atPhysical: 0x4000)
      guest.write([2], atPhysical: 0x5000)
      var options = ProcessorOptions()
      options.coherentTLB = coherent
      // mov al, [rbx]; mov ah, [rbx]
      let machine = TinyMachine(
        guest, code: [0x8a, 0x03, 0x8a, 0x23], at: 0x1000, profile: .flat(.commonTLBs), options: options)
      machine[Slot.rbx] = Self.page
      machine.run(1)
      guest.setEntry(Self.page, level: 1, 0x5000 | 0x61)
      machine.run(1)
      #expect(machine[Slot.rax] & 0xffff == (coherent ? 0x0201 : 0x0101))
    }
  }

  @Test func `peeking changes nothing`() {
    let bench = Bench(.commonTLBs + .commonStructureCaches + .commonCaches + .primes)
    _ = bench.walks(Self.page)
    let before = Fingerprint(bench.processor, memory: bench.machine.guest.host)
    for access in [Access(.read, .user), Access(.write, .supervisor), Access(.fetch, .supervisor)] {
      for address in [Self.page, 0x60_0000, 0x7000_0000] as [UInt64] {
        _ = bench.processor.peek(GuestVirtual(address), access)
      }
    }
    _ = (bench.processor.ledger, bench.processor.regions, bench.processor.recentlyDelivered)
    let after = Fingerprint(bench.processor, memory: bench.machine.guest.host)
    #expect(after.differences(from: before) == [])
  }
}
