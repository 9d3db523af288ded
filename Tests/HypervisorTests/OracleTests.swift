import Machine
import Testing

@testable import Hypervisor

/// The oracle of `--check-invariants` finds what somebody has broken, and says nothing of what is whole.
@Suite struct OracleTests {
  /// Loads from the window and halts twice over, so that there is an exit to be checked after.
  private static let code = Code {
    for page in UInt64(0)..<4 { $0.load(Place.window + page << 12) }
    $0.raw(0xe6, 0x11)
    for page in UInt64(0)..<4 { $0.load(Place.window + page << 12) }
    $0.raw(0xe6, 0x11)
  }

  /// Runs to the first port access, lets `damage` do its work, and goes on under the oracle's eyes.
  private func violation(
    _ kind: Kind, logging method: DirtyLogging = .off, _ damage: (Hypervisor) throws -> Void
  ) throws -> String? {
    let guest = try TinyGuest(kind, Self.code.bytes) { $0.dirtyLog.method = method }
    let hypervisor = try watch(guest)
    #expect(guest.run(retiredLimit: 10) == .limit)
    try damage(hypervisor)
    guard case .violated(let what) = guest.run() else { return nil }
    return what
  }

  /// Has the oracle look after every exit of a guest.
  @discardableResult private func watch(_ guest: TinyGuest) throws -> Hypervisor {
    let hypervisor = try #require(guest.hypervisor)
    hypervisor.check = InvariantCheck(hypervisor)
    return hypervisor
  }

  /// The leaf entry of a shadow page that stands for the window's first page.
  private func slot(_ hypervisor: Hypervisor) throws -> Int {
    let list = hypervisor.shadows.rmap.list(mapping: Place.data >> 12, level: 1)
    let slot = hypervisor.shadows.rmap.first(list)
    try #require(slot >= 0)
    return slot
  }

  private func address(_ slot: Int, _ hypervisor: Hypervisor) throws -> HostPhysical {
    hypervisor.shadows.pool[slot >> 9].table.advanced(by: UInt64(slot & 511) * 8)
  }

  @Test(arguments: [Kind.shadow, .unsync, .vtlb, .nested, .agile, .agileStay])
  func `nothing is said of what is whole`(kind: Kind) throws {
    #expect(try violation(kind) { _ in } == nil)
  }

  @Test(arguments: [Kind.nested, .shadow, .agile])
  func `nothing is said, however often it looks, of what the guest has yet to invalidate`(kind: Kind) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        // Made, used and left behind between two looks.
        $0.raw(0xe6, 0x11)
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
        for _ in 0..<3 { $0.raw(0xe6, 0x11) }
        $0.load(Place.window)
      }.bytes)
    try watch(guest)
    guest.set(Place.data, UInt64(0x11))
    guest.set(Place.data + 0x1000, UInt64(0x22))
    for page in [Place.code, Place.table] { guest.set(Place.entry(of: page), page | 0x63) }
    guest.set(Place.entry(of: Place.window), Place.data | 0x63)
    #expect(guest.run() == .haltedForEver)
    if kind != .shadow { #expect(guest.rax == 0x11) }
  }

  @Test(arguments: [Kind.nested, .agile])
  func `nothing is said of what a buffer was filled with from another that the guest has yet to invalidate`(
    kind: Kind
  ) throws {
    let guest = try TinyGuest(
      kind,
      Code {
        $0.raw(0xe6, 0x11)
        $0.load(Place.window)
        $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x63)
        $0.raw(0xe6, 0x11)
        // Out of the first level's set and not out of the second's.
        for page in [UInt64(0x144), 0x148, 0x14c, 0x154, 0x158] { $0.load(page << 12) }
        $0.load(Place.window)
        $0.raw(0xe6, 0x11)
      }.bytes)
    try watch(guest)
    guest.set(Place.data, UInt64(0x11))
    guest.set(Place.data + 0x1000, UInt64(0x22))
    guest.set(Place.entry(of: Place.window), Place.data | 0x63)
    #expect(guest.run() == .haltedForEver)
    #expect(guest.rax == 0x11)
  }

  @Test(arguments: [Kind.nested, .agile])
  func `nothing is said of what a walk found that began in a table which the guest has yet to invalidate`(
    kind: Kind
  ) throws {
    let other = Place.data + 0x8000
    let guest = try TinyGuest(
      kind,
      Code {
        $0.raw(0xe6, 0x11)
        // A violation would drop what is kept of the address.
        $0.load(Place.data + 0x1000)
        $0.load(Place.window)
        $0.store(Place.directory, other | 0x67)
        $0.raw(0xe6, 0x11)
        $0.load(Place.window + 0x1000)
        $0.raw(0xe6, 0x11)
      }.bytes)
    try watch(guest)
    guest.set(Place.data + 0x1000, UInt64(0x11))
    guest.set(Place.data + 0x2000, UInt64(0x22))
    for page in UInt64(0)..<512 { guest.set(other + page * 8, page << 12 | 0x63) }
    guest.set(other + (Place.window >> 12 + 1) * 8, (Place.data + 0x2000) | 0x63)
    #expect(guest.run() == .haltedForEver)
    #expect(guest.rax == 0x11)
  }

  @Test func `a shadow entry that leads elsewhere is found`() throws {
    let what = try violation(.shadow) { hypervisor in
      let at = try address(slot(hypervisor), hypervisor)
      let other = try #require(hypervisor.hostAddress(of: GuestPhysical(Place.code)))
      hypervisor.memory.setWord(hypervisor.memory.word(at: at) & 0xfff | other.rawValue, at: at)
    }
    #expect(try #require(what).contains("shadow tables: level 1 entry"))
  }

  @Test func `a shadow entry that permits writing without the guest's D is found`() throws {
    let what = try violation(.shadow) { hypervisor in
      let at = try address(slot(hypervisor), hypervisor)
      hypervisor.memory.setWord(hypervisor.memory.word(at: at) | 0x42, at: at)
    }
    #expect(try #require(what).contains("is writable without the guest's D"))
  }

  @Test func `an entry that the reverse map has lost is found`() throws {
    let what = try violation(.shadow) { hypervisor in
      let slot = try slot(hypervisor)
      hypervisor.shadows.rmap.remove(slot, from: hypervisor.shadows.rmap.list(mapping: Place.data >> 12, level: 1))
      // Only pages that were written are looked at every time.
      let at = try address(slot, hypervisor)
      hypervisor.memory.setWord(hypervisor.memory.word(at: at), at: at)
    }
    #expect(try #require(what).contains("is missing in the reverse map"))
  }

  @Test(arguments: [Kind.shadow, .unsync])
  func `a piece of a large page that INVLPG has left in a TLB is found`(kind: Kind) throws {
    let large: UInt64 = 0x4000_0000
    let guest = try TinyGuest(
      kind,
      Code {
        for page in UInt64(0)..<4 { $0.load(large + page << 12) }
        $0.raw(0xe6, 0x11)
        $0.store(Place.pointers + 8, 0)
        $0.invalidate(large)
      }.bytes)
    guest.set(Place.pointers + 8, Second.directory | 7)
    guest.set(Second.directory, 0x20_0083)
    let hypervisor = try watch(guest)
    #expect(guest.run(retiredLimit: 9) == .limit)
    // The write above the pieces flushes nothing then.
    let page = hypervisor.shadows.pool.firstPage(of: Second.directory >> 12)
    #expect(hypervisor.shadows.pool[page].leadsToPieces)
    hypervisor.shadows.pool[page].leadsToPieces = false
    guard case .violated(let what) = guest.run() else {
      Issue.record("nothing is said")
      return
    }
    #expect(what.contains("for 0x40001000 (4K") && what.contains("although the guest has just invalidated it"))
  }

  @Test func `an upper table that has left step is found`() throws {
    let what = try violation(.unsync) { hypervisor in
      let page = hypervisor.shadows.pool.firstPage(of: Place.directory >> 12)
      hypervisor.shadows.pool.leaveStep(page)
    }
    #expect(try #require(what).contains("is out of step and no leaf table"))
  }

  @Test(arguments: [Kind.nested, .agile])
  func `a nested entry that leads elsewhere is found`(kind: Kind) throws {
    let what = try violation(kind) { hypervisor in
      let tables = try #require(hypervisor.nested)
      let leaf = try #require(tables.leaf(for: GuestPhysical(Place.data), hypervisor.memory))
      hypervisor.memory.setWord(leaf.entry ^ 0x1000, at: leaf.at)
      // The check of everything is the next one.
      hypervisor.check = InvariantCheck(hypervisor)
    }
    #expect(try #require(what).contains("the nested entry for guest frame"))
  }

  @Test func `a nested entry that has lost D while caches let its page be written is found`() throws {
    let what = try violation(.nested) { hypervisor in
      var tables = try #require(hypervisor.nested)
      let wasWritten = tables.watchForWrites(GuestPhysical(Place.table), hypervisor.memory)
      #expect(wasWritten)
      hypervisor.nested = tables
    }
    #expect(try #require(what).contains("lets frame 4 be written, they do not"))
  }

  @Test func `a first write that the log has lost is found`() throws {
    let what = try violation(.nested, logging: .modificationLog) { hypervisor in
      // What the loader wrote, and what the hardware has written down.
      _ = hypervisor.dirtyLog?.take()
      hypervisor.processor.modificationLogIndex = ModificationLog.entries - 1
      hypervisor.check = InvariantCheck(hypervisor)
    }
    #expect(try #require(what).contains("can be written without being noted, and has not been"))
  }

  @Test func `what outlives a violation is found`() throws {
    let guest = try TinyGuest(.nested, Self.code.bytes)
    let hypervisor = try #require(guest.hypervisor)
    #expect(guest.run(retiredLimit: 10) == .limit)
    var exit = try #require(guest.exits.first { $0.reason == .nestedFault })
    func violation(_ page: UInt64, at frame: UInt64) -> String? {
      exit.address = GuestVirtual(page)
      exit.nested?.address = GuestPhysical(frame)
      return InvariantCheck(hypervisor).violation(after: exit, hypervisor)
    }
    #expect(try #require(violation(0x4000_0000, at: Place.data)).contains("nested"))
    #expect(try #require(violation(Place.window, at: 0x4000_0000)).contains("TLB entry of processor 0 for 0x100000"))
    #expect(violation(0x80_0000_0000, at: 0x80_0000_0000) == nil)
  }
}
