import Testing

@testable import GDBStub

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// `$payload#checksum`, reckoned here by itself.
private func packet(_ payload: [UInt8]) -> [UInt8] {
  let sum = String(payload.reduce(UInt8(0), &+), radix: 16)
  return bytes("$") + payload + bytes("#" + (sum.count < 2 ? "0" : "") + sum)
}

@Suite struct PacketReaderTests {
  private func read(_ input: [UInt8]) -> [Incoming] {
    var reader = PacketReader()
    return input.compactMap { reader.feed($0) }
  }

  @Test func `a packet comes out as its payload, wherever the stream is cut`() {
    #expect(read(bytes("$g#67")) == [.packet(bytes("g"))])
    #expect(read(bytes("$#00")) == [.packet([])])
    #expect(read(bytes("+$m0,4#fd")) == [.acknowledged, .packet(bytes("m0,4"))])
    #expect(read(bytes("$m0,4#FD$g#67-")) == [.packet(bytes("m0,4")), .packet(bytes("g")), .refused])
  }

  @Test func `a checksum that does not hold is told`() {
    #expect(read(bytes("$g#68")) == [.damaged])
    #expect(read(bytes("$g#6x$g#67")) == [.damaged, .packet(bytes("g"))])
    #expect(read(bytes("$g#x")) == [.damaged])
  }

  @Test func `escaped bytes are put back, and the checksum is of what was sent`() {
    let sent = packet(bytes("X0,4:") + [0x7d, 0x03, 0x7d, 0x04, 0x7d, 0x5d, 0x7d, 0x0a, 0x03])
    #expect(read(sent) == [.packet(bytes("X0,4:") + [0x23, 0x24, 0x7d, 0x2a, 0x03])])
  }

  @Test func `control-C counts outside of packets only`() {
    #expect(read([0x03]) == [.interrupt])
    #expect(read(packet([0x58, 0x03])) == [.packet([0x58, 0x03])])
  }

  @Test func `a packet that begins anew takes the place of the one before`() {
    #expect(read(bytes("$m0$g#67")) == [.packet(bytes("g"))])
  }

  @Test func `a packet beyond all sense is refused, and memory does not grow with it`() {
    var reader = PacketReader()
    #expect(reader.feed(UInt8(ascii: "$")) == nil)
    for _ in 0..<1_000_000 { #expect(reader.feed(0) == nil) }
    #expect(reader.feed(UInt8(ascii: "#")) == nil)
    #expect(reader.feed(UInt8(ascii: "0")) == nil)
    #expect(reader.feed(UInt8(ascii: "0")) == .damaged)
  }
}

@Suite struct PacketWriterTests {
  /// What gdb makes of a frame: first repetitions, then escapes.
  private func understood(_ frame: [UInt8]) -> [UInt8]? {
    guard frame.first == UInt8(ascii: "$"), frame.count >= 4, frame[frame.count - 3] == UInt8(ascii: "#") else {
      return nil
    }
    let body = frame[1..<frame.count - 3]
    guard packet(Array(body)) == frame else { return nil }
    var expanded: [UInt8] = []
    var at = body.startIndex
    while at < body.endIndex {
      if body[at] == UInt8(ascii: "*") {
        guard let last = expanded.last, at + 1 < body.endIndex, (32...126).contains(body[at + 1]) else { return nil }
        expanded += [UInt8](repeating: last, count: Int(body[at + 1]) - 29)
        at += 2
      } else {
        guard body[at] != UInt8(ascii: "#"), body[at] != UInt8(ascii: "$") else { return nil }
        expanded.append(body[at])
        at += 1
      }
    }
    var result: [UInt8] = []
    var index = 0
    while index < expanded.count {
      if expanded[index] == 0x7d {
        guard index + 1 < expanded.count else { return nil }
        result.append(expanded[index + 1] ^ 0x20)
        index += 2
      } else {
        result.append(expanded[index])
        index += 1
      }
    }
    return result
  }

  @Test func `the manual's own example is coded as there`() {
    #expect(Packet.framed(bytes("0000")) == packet(bytes("0* ")))
    #expect(Packet.framed(bytes("OK")) == bytes("$OK#9a"))
    #expect(Packet.framed([]) == bytes("$#00"))
  }

  @Test(arguments: 1...220)
  func `a run of any length comes back whole, without a count that reads as something else`(count: Int) {
    for byte in [UInt8(ascii: "0"), 0, 0x7d, 0x23, 0x24, 0x2a, 0xff] {
      let payload = bytes("a") + [UInt8](repeating: byte, count: count) + bytes("b")
      #expect(understood(Packet.framed(payload)) == payload)
    }
  }

  @Test func `any bytes come back whole`() {
    var random: UInt64 = 7
    for length in 0..<300 {
      let payload = (0..<length).map { _ in
        random = random &* 6_364_136_223_846_793_005 &+ 1
        // Few different ones, so that runs and special bytes meet.
        return [UInt8]([0x23, 0x24, 0x2a, 0x7d, 0x30, 0x30, 0x30, 0x31])[Int(random >> 61)]
      }
      #expect(understood(Packet.framed(payload)) == payload)
    }
  }
}

@Suite struct PacketStreamTests {
  @Test func `packets are acknowledged, damaged ones asked for again, refused ones sent again`() {
    var stream = PacketStream()
    #expect(stream.receive(bytes("$g#67")) == .init(events: [.packet(bytes("g"))], reply: bytes("+")))
    #expect(stream.receive(bytes("$g#66")) == .init(events: [], reply: bytes("-")))
    let sent = stream.send(bytes("OK"))
    #expect(stream.receive(bytes("-")) == .init(events: [], reply: sent))
    #expect(stream.receive(bytes("+")) == .init())
  }

  @Test func `without acknowledgement nothing but answers is sent`() {
    var stream = PacketStream()
    _ = stream.send(bytes("OK"))
    stream.stopAcknowledging()
    #expect(stream.receive(bytes("$g#67$g#66-+")) == .init(events: [.packet(bytes("g"))], reply: []))
  }

  @Test func `an interrupt comes at its place among packets`() {
    var stream = PacketStream()
    #expect(
      stream.receive(bytes("$c#63\u{3}$?#3f")).events == [.packet(bytes("c")), .interrupt, .packet(bytes("?"))])
  }
}

@Suite struct EndpointTests {
  @Test(
    arguments: [
      ("1234", "127.0.0.1", 1234), (":1234", "127.0.0.1", 1234), ("localhost:0", "localhost", 0),
      ("[::1]:80", "::1", 80),
    ])
  func `an address is a port, or a host and a port`(text: String, host: String, port: Int) throws {
    let endpoint = try Endpoint(text)
    #expect(endpoint.host == host && endpoint.port == port)
  }

  @Test(arguments: ["", ":", "x", "1:x", "65536", "-1", "localhost:", "1:+1"])
  func `what is none is refused`(text: String) {
    #expect(throws: Endpoint.Failure.self) { try Endpoint(text) }
  }
}
