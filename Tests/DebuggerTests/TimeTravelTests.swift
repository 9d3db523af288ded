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

  // MARK: Much of the past

  /// Counts in memory for ever: INC RAX, a store of it at 0x401000, JMP. The store is every third instruction, first the
  /// second.
  private func spinning(instructions: UInt64) throws -> Session {
    func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    let base: UInt64 = 0x40_0000
    let code: [UInt8] = [0x48, 0xff, 0xc0, 0x48, 0x89, 0x05, 0x7e, 0x0f, 0, 0, 0xeb, 0xf4]
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
    file += bytes(2, 2) + bytes(0x3e, 2) + bytes(1, 4) + bytes(base + 120, 8) + bytes(64, 8) + bytes(0, 8)
    file += bytes(0, 4) + bytes(64, 2) + bytes(56, 2) + bytes(1, 2) + bytes(64, 2) + bytes(0, 4)
    file += bytes(1, 4) + bytes(7, 4) + bytes(0, 8) + bytes(base, 8) + bytes(base, 8)
    file += bytes(120 + UInt64(code.count), 8) + bytes(0x2000, 8) + bytes(0x1000, 8) + code
    var configuration = try Configuration(pagings: [.native])
    configuration.memory = 32 << 20
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(
      configuration, guest: GuestImage(name: "spin", bytes: file), console: console)
    let session = Session(machine, console: console)
    _ = session.go(instructions: instructions)
    #expect(session.moment.instructions == instructions)
    return session
  }

  @Test func `the last writes to a place that is written all the time are found close behind`() throws {
    let session = try spinning(instructions: 1_000_000)
    let place = try #require(session.translate(0x40_1000))
    let now = session.moment
    let pauses = session.pauses
    let writes = session.writes(to: place, last: 3)
    #expect(writes.map(\.moment.instructions) == [999_998, 999_995, 999_992])
    #expect(writes.map(\.new) == [333_333, 333_332, 333_331])
    #expect(writes.map(\.old) == [333_332, 333_331, 333_330])
    #expect(writes.map(\.pc) == [0x40_007b, 0x40_007b, 0x40_007b])
    #expect(session.moment == now)
    // Of 333,333 writes.
    #expect(session.pauses - pauses < 5000)
    // More of them than the last stretch has.
    let more = session.writes(to: place, last: 1400)
    #expect(more.map(\.new) == (0..<1400).map { 333_333 - UInt64($0) })
  }

  @Test(arguments: PagingKind.all)
  func `the history of a place is what a watchpoint has seen`(paging: PagingKind) throws {
    let session = try session(paging)
    _ = session.go(instructions: 1000)
    let stack = session.processor.state.slots[4] &- 64 & ~7
    _ = session.go(instructions: 0)
    let place = try #require(session.translate(stack))
    session.add(
      .watch(.init(access: .write, address: place.rawValue, length: 8, isPhysical: true)), text: "stack")
    var moments: [Moment] = []
    while case .breakpoint = session.resume() { moments.append(session.moment) }
    #expect(moments.count > 5)
    session.breakpoints = []
    for count in [1, 3, 20, moments.count] {
      #expect(session.writes(to: place, last: count).map(\.moment) == moments.suffix(count).reversed())
    }
  }

  @Test func `reverse-continue to what happens all the time looks at little of the past`() throws {
    let session = try spinning(instructions: 1_000_000)
    session.add(.watch(.init(access: .write, address: 0x40_1000, length: 8, isPhysical: false)), text: "count")
    session.add(.code(0x40_0078), text: "loop")
    let pauses = session.pauses
    for instructions in [999_999, 999_998, 999_996, 999_995] as [UInt64] {
      guard case .breakpoint = session.reverseContinue() else {
        Issue.record("no stop at \(instructions)")
        return
      }
      #expect(session.moment.instructions == instructions)
    }
    #expect(session.pauses - pauses < 20_000)
    #expect(session.breakpoints.map(\.hits) == [0, 0])
  }

  @Test func `many steps back are made at once`() throws {
    let session = try spinning(instructions: 1_000_000)
    var travels = session.travels
    _ = session.reverseStep(3000)
    #expect(session.moment.instructions == 997_000)
    #expect(session.travels - travels < 10)
    _ = session.reverseStep(297_000)
    #expect(session.moment.instructions == 700_000)
    travels = session.travels
    _ = session.reverseNext(30_000)
    #expect(session.travels - travels < 100)
    #expect(session.moment.instructions == 670_000)
    guard case .beginning = session.reverseStep(670_001) else {
      Issue.record("further than the beginning")
      return
    }
    #expect(session.moment.instructions == 0)
  }

  @Test(arguments: PagingKind.all)
  func `so many steps back are so many steps forward`(paging: PagingKind) throws {
    let session = try session(paging)
    _ = session.go(instructions: 7000)
    var moments = [session.moment]
    var deliveries = 0
    stepping: while moments.count < 8000 {
      switch session.step() {
      case .stepped: break
      case .delivered: deliveries += 1
      default: break stepping
      }
      moments.append(session.moment)
    }
    #expect(deliveries > 0 && moments.count > 3000)
    for count in [1, 2, 3, 100, 777, 2000, moments.count - 1] {
      for end in [moments.count - 1, moments.count / 2 + 7] where end >= count {
        _ = session.go(to: moments[end])
        guard case .stepped = session.reverseStep(UInt64(count)) else {
          Issue.record("no \(count) steps back")
          continue
        }
        #expect(session.moment == moments[end - count], "\(count) back from \(end)")
      }
    }
  }

  @Test func `reverse-next by a number is as often by one`() throws {
    let session = try session(.nested)
    for start in [9000, 12_000, 14_900] as [UInt64] {
      _ = session.go(instructions: start)
      var moments: [Moment] = []
      while moments.count < 120, case .stepped = session.reverseNext() { moments.append(session.moment) }
      for count in [2, 17, 60, 120] where count <= moments.count {
        _ = session.go(instructions: start)
        _ = session.reverseNext(UInt64(count))
        #expect(session.moment == moments[count - 1], "\(count) back from \(start)")
      }
    }
  }

  @Test func `of several processors reverse-step takes the selected one back`() throws {
    var configuration = try Configuration(pagings: [.nested])
    configuration.memory = 32 << 20
    configuration.cpus = 2
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(configuration, guest: GuestImage.find("processors"), console: console)
    let session = Session(machine, console: console)
    _ = session.go(instructions: 20_000)
    for selected in [1, 0] {
      session.selected = selected
      for _ in 0..<12 {
        let (retired, rip) = (session.processor.instructionsRetired, session.programCounter)
        _ = session.reverseStep()
        #expect(session.selected == selected)
        #expect(session.processor.instructionsRetired + 1 == retired)
        // What comes next of the whole machine is what was undone.
        let moment = session.moment
        _ = session.go(instructions: moment.instructions + 1)
        #expect(session.processor.instructionsRetired == retired)
        #expect(session.programCounter == rip)
        _ = session.go(to: moment)
      }
      let retired = session.processor.instructionsRetired
      _ = session.reverseStep(100)
      #expect(session.processor.instructionsRetired == retired - 100)
    }
  }
}
