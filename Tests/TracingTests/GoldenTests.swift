import Emulator
import Foundation
import Guests
import Testing

@testable import Tracing

/// The records in `Traces`, run again. What is meant to change them is followed by `make record`, and by a look at what
/// changed.
@Suite struct GoldenTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let record: GoldenRecord
    let paging: PagingKind
    var testDescription: String { Trace.fileName(record.name, paging) }
  }

  static let cases = GoldenRecord.all.flatMap { record in PagingKind.all.map { Case(record: record, paging: $0) } }

  @Test("the kept image does again what is recorded", arguments: cases)
  func repeats(_ one: Case) throws {
    let recorded = try TraceFile.read("\(tracesFolder)/\(one.testDescription)")
    let recorder = try one.record.recorder(
      one.paging, image: try KeptImage.read(for: recorded, from: tracesFolder))
    let now = recorder.trace(recorder.machine.run())
    // The comparison says what differs; the traces themselves would be pages.
    let isSame = now == recorded
    let report = try TraceComparison(recorded, now, names: ("recorded", "now")).text
    #expect(isSame, "\(one.testDescription) differs; if that is meant, `make record`\n\(report)")
  }

  @Test("every built-in guest has a record")
  func isWhole() {
    #expect(Set(GoldenRecord.all.map(\.guest)) == Set(BuiltInGuest.all.map(\.name)))
  }

  @Test("every record's guest comes to its end")
  func ends() throws {
    for one in Self.cases {
      let recorded = try TraceFile.read("\(tracesFolder)/\(one.testDescription)")
      #expect(recorded.statistics.outcome?.name == "debug-exit", "\(one.testDescription)")
      #expect(recorded.statistics.outcome.map { Int($0.status) } == one.record.status, "\(one.testDescription)")
      #expect(recorded.exits.isWhole, "\(one.testDescription)")
      #expect((recorded.exits.count == 0) == (one.paging == .native), "\(one.testDescription)")
    }
  }

  @Test("no file lies in Traces that no record made, and all of them are small")
  func files() throws {
    let expected = Self.cases.map(\.testDescription)
    #expect(try names(in: tracesFolder).filter { $0.hasSuffix(".trace") } == expected.sorted())
    let guests = try expected.map { try TraceFile.read("\(tracesFolder)/\($0)").statistics.guest }
    let images = Set(guests.map { KeptImage.path($0.name, sha256: $0.sha256) })
    #expect(try names(in: tracesFolder + "/images").map { "images/" + $0 } == images.sorted())
    var size = 0
    for file in expected + images {
      size += try InputFile.read("\(tracesFolder)/\(file)", what: "file").bytes.count
    }
    #expect(size < 4 << 20)
  }

  @Test("the same run twice gives the same bytes", arguments: PagingKind.all)
  func sameBytes(_ paging: PagingKind) throws {
    for name in ["hello", "paging-tour", "context-switch-timer"] {
      let record = try GoldenRecord.named(name)
      let files = try (0..<2).map { _ in
        let recorder = try record.recorder(paging, image: try GuestImage.find(record.guest))
        return try TraceFile.encode(recorder.trace(recorder.machine.run()))
      }
      #expect(files[0] == files[1], "\(name)")
    }
  }

  @Test("being watched changes nothing", arguments: PagingKind.all)
  func unwatched(_ paging: PagingKind) throws {
    let record = try GoldenRecord.named("page-table-storm")
    let traces = try [true, false].map { isWatched in
      let recorder = try record.recorder(paging, image: try GuestImage.find(record.guest))
      if !isWatched { recorder.machine.processor.observer = nil }
      return recorder.trace(recorder.machine.run())
    }
    #expect(traces[0].statistics == traces[1].statistics)
    #expect(traces[0].output == traces[1].output)
  }

  @Test(
    "the trace has as many exits of each reason as the statistics", arguments: [PagingKind.shadow(.trace), .nested])
  func counts(_ paging: PagingKind) throws {
    let record = try GoldenRecord.named("paging-tour")
    let recorder = try record.recorder(paging, image: try GuestImage.find(record.guest))
    let trace = recorder.trace(recorder.machine.run())
    var counts: [String: UInt64] = [:]
    for exit in trace.exits.kept { counts[exit.reason, default: 0] += 1 }
    #expect(trace.exits.isWhole)
    // The end of an assisted instruction is counted there, but is no exit of the hardware's.
    let counted = trace.statistics.exits.filter { $0.key != "assisted" }
    #expect(counts == counted.mapValues(\.count))
    for (one, next) in zip(trace.exits.kept, trace.exits.kept.dropFirst()) {
      #expect(one.clock < next.clock && one.retired <= next.retired)
    }
  }
}
