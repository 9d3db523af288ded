import Devices
import Machine
import Testing

@testable import Emulator

@Suite struct StatisticsTests {
  private var sample: Statistics {
    var statistics = Statistics()
    statistics.guest = .init(name: "hello", sha256: "ab")
    statistics.config = ["paging": .text("nested"), "memory": .number(4096), "max-cycles": .none, "x": .flag(true)]
    statistics.instructions = 10
    statistics.causes[.execute] = 12
    statistics.causes[.exitHandler(.pageFault)] = .max - 12
    statistics.exits["page-fault"] = .init(count: 1, cycles: 30, min: 30, max: 30)
    statistics.tlb["l2"] = .init(hits: 1, misses: 2, flushes: 3)
    statistics.regions["start"] = .init(visits: 1, instructions: 4, causes: statistics.causes)
    statistics.cpus = [.init(instructions: 10, causes: statistics.causes)]
    statistics.shadow.mmuPteWrite = 5
    statistics.shadow.trueFaults = 6
    statistics.memory = .init(guestBytes: 8192, hostBytes: 8192, overheadBytes: 4096)
    statistics.memory.tables = ["nested.4": .init(bytes: 4096, peakBytes: 8192)]
    statistics.memory.timeline = .init(
      cycles: 10, interval: 4096, samples: [.init(cycles: 0, tables: ["nested.4": 4096])])
    statistics.walks.served = ["guest": .init(l2: 1, l3: 2, memory: 3)]
    statistics.walks.nestedByLevel = ["root": 4]
    statistics.unverified = ["tlb.l2.hit"]
    statistics.outcome = .init(.haltedForEver)
    return statistics
  }

  @Test("a document that is read back is the same, up to 2^64 - 1 cycles")
  func roundTrip() throws {
    #expect(try Statistics(json: sample.json()) == sample)
    #expect(sample.cycles == .max)
  }

  @Test("the document has the schema's fields, in alphabetical order, and only integers")
  func document() throws {
    let text = try sample.json()
    var last = -1
    let lines = text.split(separator: "\n")
    for field in [
      "causes", "config", "cpus", "cycles", "exits", "guest", "instructions", "memory", "outcome", "regions", "schema",
      "shadow", "tlb", "unclaimed", "unverified", "walks",
    ] {
      let index = try #require(lines.firstIndex { $0.hasPrefix("  \"\(field)\" :") }, "\(field)")
      #expect(index > last, "\(field)")
      last = index
    }
    #expect(text.contains("\"schema\" : \"penumbra.stats/1\""))
    #expect(text.contains("\"mmu_pte_write\" : 5"))
    #expect(text.contains("\"exit.page-fault.handler\" : 18446744073709551603"))
    #expect(text.contains("\"max-cycles\" : null"))
    #expect(!text.contains("." + "0,"))
  }

  @Test("a document without what was added to the schema later can be read")
  func older() throws {
    var older = sample
    (older.memory.tables, older.memory.timeline) = (nil, nil)
    (older.walks.served, older.walks.nestedByLevel) = (nil, nil)
    older.shadow.trueFaults = 0
    let missing = ["\"hiddenFaults\"", "\"trueFaults\"", "\"lockWaits\"", "\"lockWaitCycles\""]
    let lines = try older.json().split(separator: "\n").filter { line in !missing.contains { line.contains($0) } }
    #expect(!lines.contains { $0.contains("timeline") || $0.contains("served") })
    #expect(try Statistics(json: lines.joined(separator: "\n")) == older)
  }

  @Test("the shadow counters' document is made by their list, which has every one of them")
  func counters() throws {
    let counters = Statistics.Shadow.counters
    #expect(Set(counters.map(\.name)).count == counters.count)
    #expect(counters.count == Mirror(reflecting: Statistics.Shadow()).children.count)
    let text = try sample.json()
    for counter in counters {
      #expect(text.contains("\"\(counter.name)\" : \(sample.shadow[counter])"), "\(counter.name)")
    }
  }

  @Test("what a machine counts of its walks and tables adds up", arguments: PagingKind.all)
  func figures(_ paging: PagingKind) throws {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 16 << 20
    let machine = try VirtualMachine(configuration, guest: GuestImage.find("paging-tour"), console: BufferConsole())
    _ = machine.run()
    let statistics = machine.statistics
    let walks = statistics.walks
    for (kind, references) in [
      ("guest", walks.guestReferences), ("shadow", walks.shadowReferences), ("host", walks.hostReferences),
    ] {
      let served = walks.served?[kind] ?? .init()
      #expect(served.l2 + served.l3 + served.memory == references, "\(kind)")
    }
    #expect(walks.byLevel.values.reduce(0, +) == walks.count)
    // A walk of the second dimension makes a reference at least, and at most one a level.
    let second = (walks.nestedByLevel ?? [:]).values.reduce(0, +)
    #expect((second > 0) == (paging == .nested || paging == .agile))
    #expect(walks.hostReferences >= second && walks.hostReferences <= 4 * second)
    #expect(second >= statistics.tlb["nested"]?.misses ?? 0)

    let memory = statistics.memory
    #expect((memory.tables != nil) == (paging != .native) && (memory.timeline != nil) == (paging != .native))
    guard let tables = memory.tables, let timeline = memory.timeline else { return }
    #expect(tables.values.reduce(0) { $0 + $1.bytes } == memory.overheadBytes)
    #expect(tables.keys.allSatisfy(Statistics.Memory.kinds.contains))
    #expect(timeline.cycles == statistics.cycles && timeline.samples.count <= 65)
    #expect(timeline.samples.last?.tables == tables.filter { $0.value.bytes != 0 }.mapValues(\.bytes))
    #expect(timeline.samples.map(\.cycles) == timeline.samples.map(\.cycles).sorted())
    let shadow = statistics.shadow
    #expect(shadow.hiddenFaults + shadow.trueFaults == shadow.pfTaken)
    #expect((shadow.hiddenFaults > 0) == (paging != .native))
  }

  @Test("equal statistics make equal bytes, however they came about")
  func deterministic() throws {
    var other = sample
    other.tlb = [:]
    for name in ["zeta", "alpha", "l2"] { other.tlb[name] = .init() }
    var another = sample
    another.tlb = [:]
    for name in ["l2", "zeta", "alpha"] { another.tlb[name] = .init() }
    #expect(try other.json() == another.json())
  }

  @Test("causes that do not add up to the cycles are refused")
  func audit() throws {
    let text = try sample.json().split(separator: "\n").map { line in
      line.hasPrefix("  \"cycles\"") ? "  \"cycles\" : 7," : String(line)
    }.joined(separator: "\n")
    #expect(throws: (any Error).self) { try Statistics(json: text) }
  }

  @Test("a document of another schema is refused")
  func otherSchema() throws {
    let text = try sample.json().replacing("penumbra.stats/1", with: "penumbra.stats/2")
    #expect(throws: (any Error).self) { try Statistics(json: text) }
  }

  @Test("exits keep the cheapest and the dearest")
  func exits() {
    var exit = Statistics.Exit()
    for cycles: UInt64 in [50, 20, 70] { exit.add(cycles: cycles) }
    #expect(exit == .init(count: 3, cycles: 140, min: 20, max: 70))
  }

  @Test("the time before the first mark is the region start")
  func regionNames() {
    #expect(Statistics.regionName(-1) == "start")
    #expect(Statistics.regionName(0) == "0")
    #expect(Statistics.regionName(255) == "255")
  }
}

@Suite struct RunOutcomeTests {
  @Test(
    "a guest's own statuses are odd, Penumbra's are even",
    arguments: [
      (RunOutcome.shutdown(.debugExit(0)), Int32(1)), (.shutdown(.debugExit(1)), 3), (.shutdown(.debugExit(42)), 85),
      (.shutdown(.debugExit(127)), 255), (.shutdown(.debugExit(128)), 1), (.shutdown(.debugExit(.max)), 255),
      (.shutdown(.powerOff), 0), (.shutdown(.reset), 0), (.haltedForEver, 0), (.waitsForNothing, 4),
      (.limit(.instructions(5)), 4), (.limit(.cycles(5)), 4), (.tripleFault(""), 2), (.lockedUp(""), 2),
      (.unsupported("x"), 2),
      (.interrupted, 130),
    ])
  func status(outcome: RunOutcome, status: Int32) {
    #expect(outcome.exitStatus == status)
    #expect(!outcome.message.isEmpty && !outcome.name.isEmpty)
  }
}

@Suite struct GuestImageTests {
  @Test("a built-in guest is found by its name, with its content's hash")
  func builtIn() throws {
    let guest = try GuestImage.find("hello")
    #expect(guest.name == "hello")
    #expect(guest.bytes.prefix(4) == [0x7f, 0x45, 0x4c, 0x46])
    #expect(guest.sha256.count == 64)
  }

  @Test("the hash is SHA-256")
  func hash() {
    #expect(contentHash(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test(
    "what is neither a guest nor a file is refused in one line",
    arguments: [
      ("helo", "guest helo: neither a file nor a built-in guest ("),
      ("./hello", "guest ./hello: no such file"),
      ("/", "guest /: it is a folder"),
      ("/dev/zero", "guest /dev/zero: it is not a regular file"),
      ("", "guest: the file name is empty"),
      ("a\nb", "guest a\\u{a}b: neither a file nor"),
    ])
  func refuses(name: String, message: String) {
    let error = #expect(throws: SetupError.self) { try GuestImage.find(name) }
    #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    #expect(error?.exitStatus == 66)
  }
}
