import Machine
import Support
import Testing

/// What a load costs that no TLB knows, reference by reference.
struct WalkReferenceTests {
  /// `mov al, [rbx]`.
  static let load: [UInt8] = [0x8a, 0x03]
  static let address: UInt64 = 0x7f00_0000_0000

  /// Executes one load in a machine, and tells the references of its walk.
  private func references(_ machine: TinyMachine, at address: UInt64 = address) -> (first: UInt64, second: UInt64) {
    machine[Slot.rbx] = address
    // The fetch is over before the load is counted.
    machine.guest.write([0x90] + Self.load, atPhysical: 0x1000)
    machine.run(1)
    let before = machine.processor.counters
    #expect(machine.run(1) == .limit)
    let after = machine.processor.counters
    #expect(after.walks == before.walks + 1)
    return (
      after.firstReferences[2] - before.firstReferences[2], after.secondReferences[2] - before.secondReferences[2]
    )
  }

  @Test(arguments: zip(PageSize.allCases, [4, 3, 2] as [UInt64]))
  func `a cold native walk reads one entry a level`(size: PageSize, expected: UInt64) {
    for levels in 4...5 {
      let guest = GuestMemory(levels: levels) {
        map(0x1000, to: 0x1000)
        map(Self.address, to: 0, size: size)
      }
      let (first, second) = references(TinyMachine(guest, at: 0x1000))
      #expect(first == expected + UInt64(levels - 4))
      #expect(second == 0)
    }
  }

  struct Case: CustomTestStringConvertible {
    var guest: PageSize, host: PageSize, levels = 4, expected: UInt64
    var testDescription: String { "\(guest) on \(host), \(levels) levels: \(expected)" }
  }

  static let published = [
    Case(guest: .page4K, host: .page4K, expected: 24), Case(guest: .page2M, host: .page4K, expected: 19),
    Case(guest: .page4K, host: .page2M, expected: 19), Case(guest: .page2M, host: .page2M, expected: 15),
    Case(guest: .page1G, host: .page1G, expected: 8), Case(guest: .page4K, host: .page4K, levels: 5, expected: 35),
  ]

  @Test(arguments: published, [true, false])
  func `a cold nested walk takes as many references as the literature says`(figure: Case, isExtended: Bool) {
    let guest = GuestMemory(
      levels: figure.levels, hostPage: figure.host, hostLevels: figure.levels, isExtended: isExtended
    ) {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0, size: figure.guest)
    }
    let (first, second) = references(TinyMachine(guest, at: 0x1000))
    #expect(first + second == figure.expected)
    #expect(first == UInt64(figure.levels + 1 - figure.guest.level))
  }

  /// (g + 1)(h + 1) - 1 with g and h the entries read in each dimension.
  @Test func `every mix of page sizes and levels follows the formula`() {
    withEvery([4, 5], [4, 5], PageSize.allCases, PageSize.allCases) { levels, hostLevels, page, hostPage in
      let guest = GuestMemory(levels: levels, hostPage: hostPage, hostLevels: hostLevels) {
        map(0x1000, to: 0x1000)
        map(Self.address, to: 0, size: page)
      }
      let (first, second) = references(TinyMachine(guest, at: 0x1000))
      let g = UInt64(levels + 1 - page.level)
      let h = UInt64(hostLevels + 1 - hostPage.level)
      #expect(first == g && second == (g + 1) * h, "\(page) on \(hostPage), \(levels) and \(hostLevels) levels")
    }
  }

  // MARK: Warm paging-structure caches

  /// Two pages under one PDE, the first of which is visited to warm the caches.
  private func warm(_ guest: GuestMemory, _ caches: [CostKey: UInt64]) -> (first: UInt64, second: UInt64) {
    let machine = TinyMachine(guest, code: Self.load, at: 0x1800, profile: .flat(caches))
    machine[Slot.rbx] = Self.address
    machine.run(1)
    machine.update { $0.rip = 0x1000 }
    return references(machine, at: Self.address + 0x1000)
  }

  static let structureCaches: [CostKey] = [.pscPDE, .pscPDPTE, .pscPML4E]

  @Test(arguments: zip(structureCaches, [1, 2, 3] as [UInt64]))
  func `a warm cache shortens the native walk to the levels below it`(cache: CostKey, references: UInt64) {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 2)
    }
    #expect(warm(guest, [cache: 8]).first == references)
  }

  /// One reference and a translation of four for every level; the cached entry leads to a host address, so that the
  /// first table needs no translation.
  @Test(arguments: zip(structureCaches, [1 + 4, 2 + 2 * 4, 3 + 3 * 4] as [UInt64]))
  func `a warm cache holds the host address of the table, so that only what lies below is translated`(
    cache: CostKey, references: UInt64
  ) {
    let guest = GuestMemory(hostPage: .page4K) {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 2)
    }
    let (first, second) = warm(guest, [cache: 8])
    #expect(first + second == references)
  }

  @Test func `a warm nested TLB leaves the guest's own references`() {
    let guest = GuestMemory(hostPage: .page4K) {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 2)
    }
    // The page itself is new to it: four references.
    #expect(warm(guest, [.nestedTLBEntries: 32]) == (4, 4))
    #expect(warm(guest, [.nestedTLBEntries: 32, .pscPDE: 8]) == (1, 4))
  }

  @Test func `warm caches of the second dimension shorten every descent`() {
    let guest = GuestMemory(hostPage: .page4K) {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 2)
    }
    #expect(warm(guest, [.pscNestedPDE: 32]) == (4, 5))
    #expect(warm(guest, [.pscNestedPDPTE: 32]) == (4, 10))
  }

  // MARK: Cycles

  @Test func `references cost what the cache that serves them costs`() {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 16)
    }
    // One line in L2, many in L3: the four lines of a walk push each other out of L2.
    let figures: [CostKey: UInt64] = [
      .cacheL2Hit: 7, .cacheL3Hit: 31, .cacheMemory: 211, .walkStart: 3, .cacheL2Bytes: 64, .cacheL2Ways: 1,
      .cacheL3Bytes: 4096, .cacheL3Ways: 64,
    ]
    let machine = TinyMachine(guest, at: 0x1000, profile: .flat(figures))
    machine[Slot.rbx] = Self.address
    machine.guest.write([0x90] + Self.load + Self.load + Self.load, atPhysical: 0x1000)
    machine.run(1)
    func cost() -> UInt64 {
      let before = machine.processor.ledger
      machine.run(1)
      let spent = machine.processor.ledger.since(before)
      #expect(spent.total == spent[.walkGuest])
      return spent.total
    }
    #expect(cost() == 3 + 4 * 211)
    #expect(cost() == 3 + 4 * 31)
    // The last line read is still in L2: the upper levels are read again first, so it is pushed out.
    #expect(cost() == 3 + 4 * 31)
  }

  @Test func `a line that L2 holds costs an L2 hit`() {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, pages: 16)
    }
    let figures: [CostKey: UInt64] = [
      .cacheL2Hit: 7, .cacheL3Hit: 31, .cacheMemory: 211, .cacheL2Bytes: 4096, .cacheL2Ways: 64,
    ]
    let machine = TinyMachine(guest, at: 0x1000, profile: .flat(figures))
    machine[Slot.rbx] = Self.address
    machine[Slot.rcx] = Self.address + 0x8000
    // mov al, [rbx]; mov al, [rbx]; mov al, [rcx], whose PTE is in the next line.
    machine.guest.write([0x90, 0x8a, 0x03, 0x8a, 0x03, 0x8a, 0x01], atPhysical: 0x1000)
    machine.run(1)
    var costs: [UInt64] = []
    for _ in 0..<3 {
      let before = machine.processor.clock
      machine.run(1)
      costs.append(machine.processor.clock - before)
    }
    #expect(costs == [844, 28, 232])
  }

  @Test func `setting A and D is charged apart from the references`() {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, .writable, .fresh)
    }
    let machine = TinyMachine(guest, at: 0x1000, profile: .flat([.cacheMemory: 100, .walkSetBits: 7]))
    machine[Slot.rbx] = Self.address
    // mov al, [rbx] sets A; mov [rbx], al sets D; mov [rbx], al sets nothing.
    machine.guest.write([0x90, 0x8a, 0x03, 0x88, 0x03, 0x88, 0x03], atPhysical: 0x1000)
    machine.run(1)
    var costs: [UInt64] = []
    for _ in 0..<3 {
      let before = machine.processor.clock
      machine.run(1)
      costs.append(machine.processor.clock - before)
    }
    #expect(costs == [407, 407, 400])
    #expect(guest.entry(Self.address, level: 1) & 0x60 == 0x60)
  }

  @Test func `setting A in a guest's table takes no more references than reading it`() {
    let guest = GuestMemory(hostPage: .page4K) {
      map(0x1000, to: 0x1000)
      map(Self.address, to: 0x2000, .writable, .fresh)
    }
    let (first, second) = references(TinyMachine(guest, at: 0x1000))
    #expect(first + second == 24)
  }
}
