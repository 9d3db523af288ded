import Devices
import Machine
import Testing

@testable import Emulator

/// What the literature says of shadow and nested paging, shown by the built-in guests. The figures are exact on every
/// machine; the bounds leave room for profiles that become better.
@Suite struct GuestFigureTests {
  private func statistics(_ guest: String, _ append: String = "", _ paging: PagingKind) throws -> Statistics {
    var configuration = try Configuration(pagings: [paging])
    configuration.append = append
    let machine = try VirtualMachine(configuration, guest: GuestImage.find(guest), console: BufferConsole())
    #expect(machine.run() == .shutdown(.debugExit(0)))
    return machine.statistics
  }

  @Test("changing page tables costs at least twice as much under shadow paging as under nested")
  func storm() throws {
    let shadow = try statistics("page-table-storm", "rounds=2", .shadow(.trace))
    let nested = try statistics("page-table-storm", "rounds=2", .nested)
    #expect(shadow.cycles >= 2 * nested.cycles, "\(shadow.cycles) against \(nested.cycles)")
    #expect(shadow.instructions == nested.instructions)
  }

  @Test("far beyond the TLB's reach nested walks cost at least 1.3 times shadow ones, and those what native ones do")
  func chase() throws {
    // Region 9 is 8 times the reach of the L2 TLB.
    let pages = try Configuration().profile[.tlbL2Entries] * 8
    var cycles: [PagingKind: UInt64] = [:]
    for paging in PagingKind.all {
      let region = try #require(try statistics("pointer-chase", "", paging).regions["9"])
      cycles[paging] = region.cycles
      #expect(region.instructions == 150_010)
    }
    let (native, shadow, nested) = try (
      #require(cycles[.native]), #require(cycles[.shadow(.trace)]), #require(cycles[.nested])
    )
    #expect(pages == 12288)
    #expect(nested * 10 >= shadow * 13, "\(nested) against \(shadow)")
    #expect(shadow * 100 <= native * 105, "\(shadow) against \(native)")
  }

  @Test("a context switch is one exit under shadow paging, and none under nested")
  func contextSwitch() throws {
    func exits(_ switches: Int, _ paging: PagingKind) throws -> (cr3: UInt64, all: UInt64, measured: Bool) {
      let statistics = try statistics("context-switch", "switches=\(switches)", paging)
      let region = try #require(statistics.regions["1"])
      let isCharged = ExitReason.allCases.contains { region.causes[.exitHardware($0)] != 0 }
      return (statistics.exits["cr3"]?.count ?? 0, statistics.exits.values.reduce(0) { $0 + $1.count }, isCharged)
    }
    let shadow = try (exits(300, .shadow(.trace)), exits(200, .shadow(.trace)))
    #expect(shadow.0.cr3 - shadow.1.cr3 == 100)
    #expect(shadow.0.all - shadow.1.all == 100)
    #expect(shadow.0.measured)
    let nested = try (exits(300, .nested), exits(200, .nested))
    #expect(nested.0.cr3 == 0)
    #expect(nested.0.all == nested.1.all)
    #expect(!nested.0.measured)
  }

  @Test("a port access is an exit a turn in nanobench, a system call none, and every fault is delivered")
  func nanobench() throws {
    let nested = try statistics("nanobench", "count=200", .nested)
    let control = try #require(nested.regions["1"])
    // Loops are aligned by NOPs, a few instructions more or less.
    func added(_ mark: String) throws -> (instructions: UInt64, exits: UInt64) {
      let region = try #require(nested.regions[mark])
      let hardware = ExitReason.allCases.reduce(0) { $0 + region.causes[.exitHardware($1)] }
      return (
        region.instructions - control.instructions, hardware / (try Configuration().profile[.exitRoundTrip])
      )
    }
    #expect(try added("4").exits == 200)
    #expect(try 195...205 ~= added("4").instructions)
    #expect(try added("3").exits == 0)
    #expect(try added("3").instructions >= 390, "SYSCALL and SYSRET")
    #expect(try added("8").exits == 0, "a table's entry is the guest's own")
  }
}
