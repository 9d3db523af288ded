import Devices
import Emulator
import Machine
import Testing

@testable import Debugger

/// Going back: to what was, exactly.
@Suite struct TimeTravelTests {
  private func session(_ paging: PagingKind, history: Int = 512 << 20) throws -> Session {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 32 << 20
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(configuration, guest: Dialogue.questions, console: console)
    return Session(machine, console: console, history: history)
  }

  /// What tells one moment from another.
  private struct Sight: Equatable {
    var moment: Moment
    var statistics: Statistics
    var memory: [UInt64: UInt64]
    var translations: [CachedTranslation]

    init(_ session: Session) {
      moment = session.moment
      statistics = session.machine.statistics
      memory = session.pageHashes()
      translations = session.processor.cachedTranslations
    }
  }

  @Test(arguments: PagingKind.all)
  func `a hundred steps back are the hundred steps forward`(paging: PagingKind) throws {
    let session = try session(paging)
    _ = session.go(instructions: 13_000)
    var sights: [Sight] = []
    for _ in 0..<100 {
      sights.append(Sight(session))
      _ = session.step()
    }
    for sight in sights.reversed() {
      _ = session.reverseStep()
      #expect(Sight(session) == sight)
    }
  }

  @Test(arguments: PagingKind.all)
  func `checkpoints in the middle change nothing`(paging: PagingKind) throws {
    let session = try session(paging)
    let plain = try self.session(paging, history: 0)
    // A checkpoint wherever somebody stops: as dense as can be.
    for count in stride(from: UInt64(1000), through: 15_000, by: 1000) {
      _ = session.go(instructions: count)
      session.timeline.noteEdit()
      _ = plain.go(instructions: count)
      #expect(Sight(session) == Sight(plain))
    }
    #expect(session.timeline.moments.count == 16)
    for count in [2500, 14_999, 1, 7000, 7001, 0, 15_000] as [UInt64] {
      _ = session.go(instructions: count)
      let fresh = try self.session(paging, history: 0)
      _ = fresh.go(instructions: count)
      #expect(Sight(session) == Sight(fresh), "at \(count)")
    }
  }

  @Test(arguments: PagingKind.all)
  func `checkpoints between others change nothing either`(paging: PagingKind) throws {
    let session = try session(paging)
    for count in [4000, 8000, 12_000, 15_000] as [UInt64] {
      _ = session.go(instructions: count)
      session.timeline.keep()
    }
    for count in [13_000, 12_500, 12_700, 6000, 2000, 14_000, 7000] as [UInt64] {
      _ = session.go(instructions: count)
      session.timeline.keep()
    }
    #expect(session.timeline.moments.count == 12)
    #expect(session.timeline.moments == session.timeline.moments.sorted())
    for count in [12_600, 15_000, 3000, 13_500, 12_999, 6001, 0, 14_500] as [UInt64] {
      _ = session.go(instructions: count)
      let fresh = try self.session(paging, history: 0)
      _ = fresh.go(instructions: count)
      #expect(Sight(session) == Sight(fresh), "at \(count)")
    }
  }

  @Test func `a budget that is too small keeps the beginning and the end`() throws {
    let session = try session(.native)
    session.timeline.budget = 1
    for count in stride(from: UInt64(1000), through: 10_000, by: 1000) {
      _ = session.go(instructions: count)
      session.timeline.keep()
    }
    #expect(session.timeline.moments.map(\.instructions) == [0, 10_000])
    _ = session.go(instructions: 4321)
    let fresh = try self.session(.native, history: 0)
    _ = fresh.go(instructions: 4321)
    #expect(Sight(session) == Sight(fresh))
  }

  @Test func `what was changed by hand stays changed when the run comes by again`() throws {
    let session = try session(.nested)
    let counter = try #require(session.symbols["counter"]).address.rawValue
    _ = session.go(instructions: 9000)
    #expect(session.write([77], at: counter))
    let edited = session.moment
    _ = session.go(instructions: 9500)
    #expect(session.number(at: counter, width: 8) == 77)
    // Behind the change, before it, and forward over it.
    _ = session.go(instructions: 9200)
    #expect(session.number(at: counter, width: 8) == 77)
    _ = session.go(instructions: 8000)
    #expect(session.number(at: counter, width: 8) == 0)
    _ = session.go(instructions: 9100)
    #expect(session.number(at: counter, width: 8) == 77)
    _ = session.go(to: edited)
    #expect(session.number(at: counter, width: 8) == 77)
  }

  @Test(arguments: PagingKind.all)
  func `reverse-continue finds the stops of continue, backwards`(paging: PagingKind) throws {
    let session = try session(paging)
    let count = try #require(session.symbols["count"]).address.rawValue
    session.add(.code(count), text: "count")
    var moments: [Moment] = []
    while case .breakpoint = session.resume() { moments.append(session.moment) }
    #expect(moments.count == 6)
    for moment in moments.reversed() {
      guard case .breakpoint = session.reverseContinue() else {
        Issue.record("no stop before \(moment)")
        return
      }
      #expect(session.moment == moment)
    }
    guard case .beginning = session.reverseContinue() else {
      Issue.record("a stop too many")
      return
    }
    #expect(session.moment.instructions == 0)
    #expect(session.breakpoints.first?.hits == 6)
  }
}
