import Emulator
import Foundation
import Guests
import Machine
import Testing

@testable import Reports

@Suite struct ContextSwitchReportTests {
  private func measurement(_ variant: ContextSwitchReport.Variant, _ paging: PagingKind, switches: UInt64 = 3)
    -> ContextSwitchReport.Measurement
  {
    var measured = CycleLedger()
    var control = CycleLedger()
    measured[.execute] = 1000
    control[.execute] = 1000
    measured[.loadCR3] = 400
    measured[.walkGuest] = 100
    measured[.walkHost] = 51
    control[.walkHost] = 50
    control[.tlbL2] = 2
    return .init(
      processes: 2, pages: 4, variant: variant, paging: paging, switches: switches,
      cost: CostDifference(measured, less: control))
  }

  private var report: ContextSwitchReport {
    let profile = try! Configuration().profile
    return ContextSwitchReport([measurement(.plain, .native), measurement(.pcid, .nested)], profile: profile)
  }

  @Test("a switch costs what the run spent more than its control run, cause by cause")
  func difference() {
    let measurement = measurement(.plain, .native)
    #expect(measurement.cost.total == 499)
    #expect(measurement.cost.causes.map(\.cause) == [.tlbL2, .walkGuest, .walkHost, .loadCR3])
    #expect(measurement.cost.causes.map(\.cycles) == [-2, 100, 1, 400])
  }

  @Test("the parts of a row add up to its total, in the digits that are shown")
  func table() throws {
    let text = try report.text(.table)
    let rows = text.split(separator: "\n").drop { !$0.hasPrefix("---") }.dropFirst()
    #expect(rows.count == 2)
    for row in rows {
      let cells = row.split(separator: " ")
      let tenths = cells.dropFirst(4).map { Int($0.filter { $0 != "." && $0 != "," })! }
      #expect(tenths[0] == tenths.dropFirst().reduce(0, +), "\(row)")
    }
    #expect(rows.first?.split(separator: " ") == ["2", "4", "plain", "native", "166.3", "-0.7", "33.7", "133.3"])
  }

  @Test("CSV has cycles of a switch, and whole cycles of all switches that add up to their total")
  func csv() throws {
    let lines = try report.text(.csv).split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
    let causes = ["tlb.l2", "walk.guest", "walk.host", "switch.cr3"]
    #expect(
      lines[0]
        == ["processes", "pages", "kernel", "paging", "switches", "cycles"] + causes + ["totalCycles"]
        + causes.map { "total." + $0 })
    #expect(
      lines[1] == [
        "2", "4", "plain", "native", "3", "166.333", "-0.666", "33.333", "0.333", "133.333", "499", "-2", "100", "1",
        "400",
      ])
  }

  @Test("JSON has the same figures, as numbers")
  func json() throws {
    struct Document: Decodable {
      struct Row: Decodable {
        var switches: Int
        var cycles: Double
        var causes: [String: Double]
        var totalCycles: Int
        var totalCauses: [String: Int]
      }
      var schema: String
      var measurements: [Row]
    }
    let text = try report.text(.json)
    let document = try JSONDecoder().decode(Document.self, from: Data(text.utf8))
    #expect(document.schema == "penumbra.bench.context-switch/2")
    let row = document.measurements[0]
    #expect(row.switches == 3 && row.cycles == 166.333 && row.totalCycles == 499)
    #expect(row.causes == ["tlb.l2": -0.666, "walk.guest": 33.333, "walk.host": 0.333, "switch.cr3": 133.333])
    #expect(row.totalCauses == ["tlb.l2": -2, "walk.guest": 100, "walk.host": 1, "switch.cr3": 400])
    #expect(text.contains("\"tlb.l2\" : -0.666"), "the digits are the decimal ones")
  }
}

@Suite struct ListingTests {
  @Test("every figure of a profile is listed with its flag", arguments: OutputFormat.allCases)
  func profile(format: OutputFormat) throws {
    let profile = try ProfileLibrary.profile("opteron-bh08")
    let text = try Listings.profile(profile, format, TextStyle(coloured: false))
    for key in CostKey.allCases { #expect(text.contains(key.rawValue)) }
  }

  @Test("every built-in guest and profile has a line")
  func lists() throws {
    let style = TextStyle(coloured: false)
    for guest in BuiltInGuest.all {
      #expect(Listings.guests(parameters: false, style).contains("\n\(guest.name) "))
      #expect(Listings.guests(parameters: true, style).contains("\n\(guest.name)"))
    }
    let profiles = Listings.profiles(try ProfileLibrary.all(), style)
    for name in ProfileLibrary.names { #expect(profiles.contains("\n\(name) ")) }
  }
}
