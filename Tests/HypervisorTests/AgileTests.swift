import Machine
import Testing

@testable import Hypervisor

/// Agile paging: the switch from shadow to nested in mid-walk, and when tables go which way.
@Suite struct AgileTests {
  private static let noCaches: [CostKey: UInt64] = [
    .pscPML4E: 0, .pscPDPTE: 0, .pscPDE: 0, .pscNestedPDPTE: 0, .pscNestedPDE: 0, .nestedTLBEntries: 0,
  ]

  private static func loads(_ code: inout Code, _ rounds: Int = 4) {
    for _ in 0..<rounds { for page in UInt64(0)..<8 { code.load(Place.window + page << 12) } }
  }

  private func statistics(_ kind: Kind, _ build: (inout Code) -> Void) throws -> HypervisorStatistics {
    let guest = try TinyGuest(kind, Code(build).bytes)
    #expect(guest.run() == .haltedForEver)
    #expect(guest.violations == [])
    return try #require(guest.hypervisor).statistics
  }

  /// FACTS: g + kh references with the k lowest levels nested, 20 with the root.
  @Test(arguments: [(Place.table, 8), (Place.directory, 12), (Place.pointers, 16), (Place.root, 20)])
  func `a walk that switches to nested tables takes`(table: UInt64, references: Int) throws {
    let guest = try TinyGuest(.agileStay, Code { Self.loads(&$0, 8) }.bytes, figures: Self.noCaches)
    let hypervisor = try #require(guest.hypervisor)
    #expect(guest.run(retiredLimit: 40) == .limit)
    #expect(guest.processor.counters.crossings == 0)
    #expect(hypervisor.goNested(table >> 12))
    hypervisor.enter()
    let before = guest.processor.counters
    #expect(guest.run() == .haltedForEver)
    let after = guest.processor.counters
    #expect(after.referencesPerWalk[references] > before.referencesPerWalk[references])
    for count in references + 1..<40 { #expect(after.referencesPerWalk[count] == before.referencesPerWalk[count]) }
    #expect(after.crossings > before.crossings)
    #expect(guest.violations == [] && hypervisor.checkInvariants() == [])
  }

  @Test func `the second write of a table makes it nested, and no other is emulated`() throws {
    for times in [1, 2, 20] as [UInt64] {
      let statistics = try statistics(.agileStay) {
        $0.load(Place.window)
        for time in 0..<times {
          $0.store(Place.entry(of: Place.window), (Place.data + (time & 1) << 12) | 0x63)
          $0.invalidate(Place.window)
          $0.load(Place.window)
        }
      }
      #expect(statistics.pfEmulate == min(times, 2))
      #expect(statistics.wentNested == (times < 2 ? 0 : 1) && statistics.nestedTables == statistics.wentNested)
      #expect(statistics[.invalidatePage].count == 0)
    }
  }

  @Test func `a nested table that is not written goes back, and one that is stays`() throws {
    for writes in [false, true] {
      let statistics = try statistics(.agileBack) {
        for time in UInt64(0)..<2 { $0.store(Place.entry(of: Place.window), (Place.data + time << 12) | 0x63) }
        for time in UInt64(0)..<40 {
          if writes { $0.store(Place.entry(of: Place.window + 0x1000), (Place.data + (time & 1) << 12) | 0x63) }
          $0.invalidate(Place.window + 0x1000)
          $0.load(Place.window + 0x1000)
          $0.raw(0xe6, 0x11)
        }
      }
      #expect(statistics.looks > 0 && statistics.wentNested == 1)
      #expect(statistics.cameBack == (writes ? 0 : 1))
    }
  }

  @Test func `nested walks pay for a shadow before a table goes back`() throws {
    let code: (inout Code) -> Void = {
      for _ in 0..<40 {
        $0.raw(0xe6, 0x11)
        $0.load(Place.window)
      }
    }
    for (patience, goesBack) in [(0, true), (10_000, false)] as [(UInt64, Bool)] {
      let guest = try TinyGuest(.agile, Code(code).bytes) {
        $0.agile.patience = patience
        $0.agile.interval = 5000
      }
      #expect(guest.run() == .haltedForEver)
      let statistics = try #require(guest.hypervisor).statistics
      #expect((statistics.cameBack > 0) == goesBack && guest.violations == [])
    }
  }

  @Test func `a page fault behind a switching entry is the guest's, without an exit`() throws {
    let code: (inout Code) -> Void = {
      for page in UInt64(0)..<4 { $0.load(Place.window + page << 12) }
      for _ in 0..<4 { $0.load(Place.window + 0x5000) }
    }
    // Behind the instruction, which has three bytes: pop the error code, add 3 to RIP, IRETQ.
    let handler: [UInt8] = [0x41, 0x58, 0x48, 0x83, 0x04, 0x24, 0x03, 0x48, 0xcf]
    for (kind, exits) in [(Kind.agileStay, 4), (.agile, 0)] as [(Kind, UInt64)] {
      let guest = try TinyGuest(kind, Code(code).bytes, handler: handler)
      guest.set(Place.entry(of: Place.window + 0x5000), 0)
      #expect(guest.run() == .haltedForEver)
      #expect(guest.processor.counters.exceptions == 4)
      #expect(try #require(guest.hypervisor).statistics.trueFaults == exits)
    }
  }

  @Test func `loads of CR3 exit for a root's first use only`() throws {
    func load(_ code: inout Code, _ root: UInt64) {
      code.rax(root)
      code.raw(0x0f, 0x22, 0xd8)
      code.load(Place.window)
    }
    for kind in [Kind.agile, .agileStay] {
      let guest = try TinyGuest(
        kind, Code { for _ in 0..<8 { for root in [0x4_0000, Place.root] { load(&$0, root) } } }.bytes)
      guest.set(0x4_0000, Place.pointers | 7)
      #expect(guest.run() == .haltedForEver)
      #expect(try #require(guest.hypervisor).statistics[.controlRegister3].count == 1)
      #expect(guest.processor.counters.controlRegister3Loads == 15 && guest.violations == [])
    }
  }

  @Test func `a load of CR3 without an exit keeps to the mode that the guest is in`() throws {
    let paging = CR0.protectionEnable | CR0.extensionType | CR0.paging
    let code = Code {
      for _ in 0..<3 {
        for protects in [CR0.writeProtect, 0] {
          $0.cr0(paging | protects)
          $0.rax(Place.root)
          $0.raw(0x0f, 0x22, 0xd8)
          // A supervisor without CR0.WP may write what it may only read.
          if protects == 0 { $0.store(Place.window, 1) }
        }
      }
    }
    for kind in [Kind.agile, .agileStay] {
      // A flush at any time leaves no root that needs another one.
      for instructions in 1..<33 as Range<UInt64> {
        let guest = try TinyGuest(kind, code.bytes)
        guest.set(Place.entry(of: Place.window), Place.data | 1)
        let hypervisor = try #require(guest.hypervisor)
        #expect(guest.run(retiredLimit: instructions) == .limit)
        hypervisor.flushNestedEverywhere()
        #expect(guest.run() == .haltedForEver)
        #expect(guest.processor.counters.exceptions == 0, "\(kind), flushed after \(instructions)")
        #expect(guest.violations == [], "\(kind), flushed after \(instructions)")
      }
    }
  }
}
