import Debugger
import Devices
import Emulator
import Support
import Testing

@testable import GDBStub

/// The guest of the debugger's conversations, and its stub.
struct Fixture {
  let session: Session
  let stub: Stub

  init(_ paging: PagingKind = .nested, cpus: Int = 1) throws {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 32 << 20
    configuration.cpus = cpus
    let console = SessionConsole(source: BufferConsole())
    let image = GuestImage(name: "questions", bytes: try Transcript.questions)
    let machine = try VirtualMachine(configuration, guest: image, console: console)
    session = Session(machine, console: console)
    stub = Stub(session)
    stub.connect()
  }

  /// The answers to a packet, as text; what is to run runs, and its stop is the answer.
  func ask(_ text: String) -> [String] {
    let answer = stub.answer(Request(Array(text.utf8)))
    var packets = answer.packets
    if case .resume(let resumption) = answer.consequence { packets += stub.report(stub.perform(resumption)) }
    return packets.map { String(decoding: $0, as: UTF8.self) }
  }

  func hex(_ name: String) throws -> String {
    String(try #require(session.symbols[name]).address.rawValue, radix: 16)
  }

  /// A register's little-endian number.
  func register(_ number: Int) throws -> UInt64 {
    let text = try #require(ask("p" + String(number, radix: 16)).first)
    return UInt64(littleEndianBytes: try #require(Hex.bytes(text.utf8)))
  }
}

@Suite struct StubTests {
  @Test func `what is not known is answered by nothing, what is written wrongly by an error`() throws {
    let fixture = try Fixture()
    #expect(fixture.ask("vMustReplyEmpty") == [""])
    #expect(fixture.ask("_nonsense") == [""])
    #expect(fixture.ask("mzz") == ["E22"])
    #expect(fixture.ask("m10000000000,4") == ["E14"])
    #expect(fixture.ask("p9999") == ["E22"])
    #expect(fixture.ask("Hg9") == ["E03"])
    #expect(fixture.ask("T2") == ["E03"])
  }

  @Test func `the description gives every register a number, and g has them all in that order`() throws {
    let fixture = try Fixture()
    let xml = TargetDescription.xml(fixture.stub.registers)
    for (number, register) in fixture.stub.registers.enumerated() {
      #expect(xml.contains("name=\"\(register.name)\" bitsize=\"\(register.bits)\""))
      #expect(xml.contains("regnum=\"\(number)\""))
    }
    let all = try #require(fixture.ask("g").first)
    #expect(all.utf8.count == 2 * fixture.stub.registers.reduce(0) { $0 + $1.byteCount })
    var at = all.utf8.startIndex
    for (number, register) in fixture.stub.registers.enumerated() {
      let end = all.utf8.index(at, offsetBy: 2 * register.byteCount)
      #expect(fixture.ask("p" + String(number, radix: 16)) == [String(all[at..<end])])
      at = end
    }
    #expect(fixture.stub.registers[Register.programCounter].name == "rip")
    #expect(fixture.stub.registers.map(\.name).prefix(24).last == "gs")
  }

  @Test func `an object comes in pieces`() throws {
    let fixture = try Fixture()
    var whole = ""
    while true {
      let offset = String(whole.utf8.count, radix: 16)
      let piece = try #require(fixture.ask("qXfer:features:read:target.xml:\(offset),100").first)
      whole += piece.dropFirst()
      if piece.hasPrefix("l") { break }
      #expect(piece.utf8.count == 257)
    }
    #expect(whole == TargetDescription.xml(fixture.stub.registers))
    #expect(fixture.ask("qXfer:features:read:target.xml:ffffff,10") == ["l"])
    #expect(fixture.ask("qXfer:features:read:other.xml:0,10") == ["E00"])
    #expect(fixture.ask("qXfer:auxv:read::0,10") == [""])
  }

  @Test func `registers that are written hold it, and those that cannot say so`() throws {
    let fixture = try Fixture()
    for (number, register) in fixture.stub.registers.enumerated() where register.byteCount == 8 && number < 16 {
      #expect(fixture.ask("P\(String(number, radix: 16))=efcdab8967452301") == ["OK"])
      #expect(try fixture.register(number) == 0x0123_4567_89ab_cdef)
    }
    let cs = try #require(fixture.stub.registers.firstIndex { $0.name == "cs" })
    #expect(fixture.ask("P\(String(cs, radix: 16))=08000000") == ["E22"])
    #expect(fixture.ask("P0=00") == ["E22"])
    // All at once: what is as it was is not written.
    let all = try #require(fixture.ask("g").first)
    #expect(fixture.ask("G" + all) == ["OK"])
    #expect(fixture.ask("G" + "ff" + all.dropFirst(2)) == ["OK"])
    #expect(try fixture.register(0) == 0x0123_4567_89ab_cdff)
    #expect(fixture.ask("G00") == ["E22"])
  }

  @Test func `memory is read as far as there is some, and written whole or not at all`() throws {
    let fixture = try Fixture(.native)
    let numbers = try fixture.hex("numbers")
    #expect(fixture.ask("m\(numbers),10") == ["03000000000000000100000000000000"])
    #expect(fixture.ask("M\(numbers),2:abcd") == ["OK"])
    #expect(fixture.ask("m\(numbers),4") == ["abcd0000"])
    #expect(fixture.ask("X\(numbers),3:abc") == ["OK"])
    #expect(fixture.ask("x\(numbers),4") == ["babc\0"])
    // The machine has 32 MiB.
    #expect(fixture.ask("m1fffffe,8") == ["0000"])
    #expect(fixture.ask("M1fffffe,4:01020304") == ["E14"])
    #expect(fixture.ask("m1fffffe,2") == ["0000"])
    #expect(fixture.ask("m2000000,1") == ["E14"])
    #expect(fixture.ask("X\(numbers),0:") == ["OK"])
  }

  @Test func `physical memory mode reads and watches guest-physical addresses`() throws {
    let fixture = try Fixture()
    let protect = try fixture.hex("protect")
    #expect(fixture.ask("Z0,\(protect),1") == ["OK"])
    _ = fixture.ask("vCont;c")
    #expect(fixture.ask("m8000000000,8") == ["E14"])
    #expect(fixture.ask("qqemu.PhyMemMode") == ["0"])
    #expect(fixture.ask("Qqemu.PhyMemMode:1") == ["OK"])
    #expect(fixture.ask("qqemu.PhyMemMode") == ["1"])
    // The PTE that `protect` will write, by where it is in physical memory.
    #expect(fixture.ask("m118000,8") == ["0000000000000000"])
    #expect(fixture.ask("Z2,118000,8") == ["OK"])
    let stop = try #require(fixture.ask("vCont;c").last)
    #expect(stop.contains("watch:118000;"))
    #expect(fixture.ask("m118000,8") == ["0150110000000000"])
  }

  @Test func `stops name their reasons if gdb knows them`() throws {
    let fixture = try Fixture()
    let count = try fixture.hex("count")
    let counter = try fixture.hex("counter")
    #expect(fixture.ask("Z0,\(count),1") == ["OK"])
    #expect(try !#require(fixture.ask("vCont;c").last).contains("swbreak"))
    _ = fixture.ask("qSupported:swbreak+;hwbreak+")
    #expect(try #require(fixture.ask("vCont;c").last).hasSuffix("swbreak:;"))
    _ = fixture.ask("z0,\(count),1")
    _ = fixture.ask("Z1,\(count),1")
    #expect(try #require(fixture.ask("vCont;c").last).hasSuffix("hwbreak:;"))
    _ = fixture.ask("z1,\(count),1")
    for (type, name) in [(2, "watch"), (3, "rwatch"), (4, "awatch")] {
      #expect(fixture.ask("Z\(type),\(counter),8") == ["OK"])
      let stop = try #require(fixture.ask("vCont;c").last)
      #expect(stop.hasSuffix(";\(name):\(counter);"), "\(stop)")
      #expect(fixture.ask("z\(type),\(counter),8") == ["OK"])
    }
    #expect(fixture.session.breakpoints.isEmpty)
  }

  @Test func `a condition in bytecode decides where the breakpoint is`() throws {
    let fixture = try Fixture()
    let count = try fixture.hex("count")
    // rdi (register 5) equal to 55: the only call with the fibonacci number.
    #expect(fixture.ask("Z0,\(count),1;X7,26000522371327") == ["OK"])
    _ = fixture.ask("vCont;c")
    #expect(try fixture.register(5) == 55)
    let hits = fixture.session.breakpoints.first?.hits
    #expect(hits == 1)
    // Put in again with another condition it is the same breakpoint, and the old condition is gone.
    #expect(fixture.ask("Z0,\(count),1;X7,26000522041327") == ["OK"])
    _ = fixture.ask("vCont;c")
    #expect(try fixture.register(5) == 4)
    #expect(fixture.session.breakpoints.count == 1)
  }

  @Test func `the guest's end is told as a stop, from which time can go back; going on leaves it`() throws {
    let fixture = try Fixture()
    let stop = fixture.ask("vCont;c")
    #expect(stop.last?.hasSuffix("replaylog:end;") ?? false)
    #expect(stop.first?.hasPrefix("O") ?? false)
    #expect(try #require(fixture.ask("bs").last).hasPrefix("T05"))
    #expect(try #require(fixture.ask("vCont;c").last).hasSuffix("replaylog:end;"))
    let answer = fixture.stub.answer(.resume([ResumeAction(.run, .all)]))
    #expect(answer.packets == [Array("W01".utf8)])
    #expect(answer.consequence == .end(.shutdown(.debugExit(0))))
  }

  @Test func `going back ends at the beginning`() throws {
    let fixture = try Fixture()
    #expect(try #require(fixture.ask("bs").last).hasSuffix("replaylog:begin;"))
    _ = fixture.ask("vCont;s")
    #expect(try #require(fixture.ask("bc").last).hasSuffix("replaylog:begin;"))
    #expect(fixture.session.moment.instructions == 0)
  }

  @Test func `a range is stepped through to its end`() throws {
    let fixture = try Fixture()
    let kernel = try fixture.hex("kernel_main")
    let start = try #require(fixture.session.symbols["kernel_main"])
    _ = fixture.ask("Z0,\(kernel),1")
    _ = fixture.ask("vCont;c")
    let end = String(start.address.rawValue + 9, radix: 16)
    // Up to the first call, whose target is outside.
    let stop = try #require(fixture.ask("vCont;r\(kernel),\(end):1").last)
    #expect(stop.hasPrefix("T05"))
    #expect(try fixture.register(16) == #require(fixture.session.symbols["interrupts_initialize"]).address.rawValue)
  }

  @Test func `monitor does the prompt's commands, and tells when the machine has moved`() throws {
    let fixture = try Fixture()
    func monitor(_ line: String) -> [String] {
      fixture.ask("qRcmd," + String(decoding: Hex.text(line.utf8), as: UTF8.self)).map { packet in
        guard packet.hasPrefix("O"), let bytes = Hex.bytes(packet.dropFirst().utf8) else { return packet }
        return String(decoding: bytes, as: UTF8.self)
      }
    }
    #expect(monitor("print 6 * 7") == ["0x2a  42\n", "OK"])
    #expect(monitor("nonsense") == ["no command \"nonsense\"; try help\n", "OK"])
    let moved = monitor("step 3")
    #expect(moved.count == 3 && moved[1].contains("has moved"))
    for command in CommandTable.all where !["quit", "define", "commands", "log"].contains(command.name) {
      #expect(monitor(command.name).last == "OK", "\(command.name)")
    }
    #expect(fixture.stub.answer(.monitor("quit")).consequence == .kill)
  }

  @Test func `processors are threads`() throws {
    let fixture = try Fixture(.nested, cpus: 3)
    #expect(fixture.ask("qfThreadInfo") == ["m1,2,3"])
    #expect(fixture.ask("qsThreadInfo") == ["l"])
    #expect(fixture.ask("T3") == ["OK"])
    #expect(fixture.ask("T4") == ["E03"])
    #expect(fixture.ask("Hg2") == ["OK"])
    #expect(fixture.ask("qC") == ["QC2"])
    // It waits for its start-up at the reset vector.
    #expect(try fixture.register(16) == 0xffff_fff0)
    let text = try #require(Hex.bytes(fixture.ask("qThreadExtraInfo,2")[0].utf8))
    #expect(String(decoding: text, as: UTF8.self) == "cpu 1 (waits to be started)")
    #expect(fixture.ask("qXfer:threads:read::0,1000")[0].contains("<thread id=\"3\" core=\"2\" name=\"cpu 2\">"))
    let moment = fixture.session.moment
    #expect(try #require(fixture.ask("vCont;s:1;c").last).contains("thread:1;"))
    #expect(fixture.session.moment.instructions == moment.instructions + 1)
  }

  @Test func `looking at everything changes no cycle`() throws {
    let fixture = try Fixture()
    let plain = try Fixture()
    for _ in 0..<200 {
      let looks = [
        "g", "m100000,100", "p10", "?", "qfThreadInfo", "x8000000000,8", "qC", "Hg1", "qXfer:threads:read::0,80",
      ]
      for packet in looks { _ = fixture.ask(packet) }
      _ = fixture.ask("vCont;s")
    }
    _ = fixture.ask("bs")
    _ = fixture.ask("vCont;c")
    while plain.session.outcome == nil { _ = plain.session.resume() }
    #expect(fixture.session.machine.statistics == plain.session.machine.statistics)
  }

  @Test func `no packet does harm`() throws {
    let fixture = try Fixture()
    var random: UInt64 = 3
    func next(_ below: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % below
    }
    let seeds = [
      "g", "p10", "m100000,40", "M100000,2:abcd", "X100000,2:ab", "Z0,100000,1;X3,220127", "z0,100000,1", "Z2,0,8",
      "Hg1", "Hc-1", "T1", "qSupported:swbreak+;hwbreak+", "qXfer:features:read:target.xml:0,ffb", "qRcmd,68656c70",
      "vCont;s:1;c", "vCont;r100,200:1", "vFile:open:2f,0,0", "vFile:pread:3,fff,7fffffff", "vFile:fstat:3", "P10=00",
      "G00", "Qqemu.PhyMemMode:1", "qqemu.sstep", "s100000", "C05;1", "bs", "bc", "qThreadExtraInfo,1", "D", "k",
      "x0,4000", "mffffffffffffffff,ffff", "Z4,ffffffffffffffff,ffff", "M0,0:", "qRcmd,7820", "P0=ffffffffffffffff",
    ].map { Array($0.utf8) }
    var stream = PacketStream()
    for round in 0..<20_000 {
      var payload = seeds[next(seeds.count)]
      for _ in 0..<next(4) where !payload.isEmpty {
        switch next(4) {
        case 0: payload[next(payload.count)] = UInt8(next(256))
        case 1: payload.insert(UInt8(next(256)), at: next(payload.count))
        case 2: payload.remove(at: next(payload.count))
        default: payload += seeds[next(seeds.count)].prefix(next(8))
        }
      }
      // Framed and cut anywhere, with a byte wrong now and then.
      var frame = Packet.framed(payload)
      if next(8) == 0 { frame[next(frame.count)] ^= UInt8(1 << next(8)) }
      for event in stream.receive(frame).events {
        guard case .packet(let received) = event else { continue }
        let answer = fixture.stub.answer(Request(received))
        for packet in answer.packets { #expect(packet.count <= Packet.size + 16) }
        // The machine runs now and then only: it is its answers that are tried here.
        if case .resume(let resumption) = answer.consequence, resumption != .run, round % 16 == 0 {
          _ = fixture.stub.report(fixture.stub.perform(resumption))
        }
      }
    }
  }
}
