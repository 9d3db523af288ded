import Devices
import Testing

@Suite struct PITChannelTests {
  @Test(arguments: 0...5, [false, true])
  func `a counter equals one that is ticked cycle by cycle, whatever is written and gated`(mode: Int, isDecimal: Bool)
    throws
  {
    for seed in 0..<40 as Range<UInt64> {
      var random = Randomness(state: seed)
      var channel = PITChannel(mode: 3, count: 100, gate: seed & 1 == 0)
      channel.program(mode: UInt8(mode), isDecimal: isDecimal)
      var reference = PITReference(mode: mode, isDecimal: isDecimal, gate: seed & 1 == 0)
      for cycle in 0..<600 as Range<UInt64> {
        channel.settle(at: cycle)
        if UInt8.random(in: 0..<32, using: &random) == 0 {
          let count = Int.random(in: 2...30, using: &random)
          reference.write(count)
          channel.write(isDecimal ? UInt16(count / 10 * 16 + count % 10) : UInt16(count), at: cycle)
        }
        if UInt8.random(in: 0..<24, using: &random) == 0 {
          let level = Bool.random(using: &random)
          reference.setGate(level)
          channel.setGate(level, at: cycle)
        }
        try #require(channel.output(at: cycle) == reference.output, "OUT at cycle \(cycle), seed \(seed)")
        let shown = isDecimal ? decimal(channel.count(at: cycle)) : Int(channel.count(at: cycle))
        try #require(shown == reference.count, "count at cycle \(cycle), seed \(seed)")
        reference.tick()
      }
    }
  }

  @Test(arguments: 0...5)
  func `the next edge that it foretells is the next one that comes`(mode: Int) {
    for seed in 0..<60 as Range<UInt64> {
      var random = Randomness(state: seed)
      var channel = PITChannel(mode: UInt8(mode), count: UInt64.random(in: 2...20, using: &random), gate: true)
      var cycle: UInt64 = 0
      for _ in 0..<20 {
        cycle += UInt64.random(in: 0...12, using: &random)
        channel.settle(at: cycle)
        switch UInt8.random(in: 0..<4, using: &random) {
        case 0: channel.write(UInt16.random(in: 2...20, using: &random), at: cycle)
        case 1: channel.setGate(!channel.gate, at: cycle)
        default: break
        }
        for level in [false, true] {
          #expect(
            channel.nextEdge(to: level, after: cycle) == observedEdge(channel, to: level, after: cycle),
            "to \(level) after \(cycle), seed \(seed)")
        }
      }
    }
  }

  /// The next edge found by looking at every one of the next hundred cycles.
  private func observedEdge(_ channel: PITChannel, to level: Bool, after cycle: UInt64) -> UInt64? {
    var channel = channel
    var before = channel.output(at: cycle)
    for later in cycle + 1...cycle + 100 {
      channel.settle(at: later)
      let after = channel.output(at: later)
      if after == level && before != level { return later }
      before = after
    }
    return nil
  }

  private func decimal(_ digits: UInt16) -> Int { Int(String(digits, radix: 16)) ?? -1 }
}

@Suite struct PIT8254Tests {
  @Test func `in mode 2 it reloads and raises IRQ 0 every N ticks`() {
    let board = Board()
    board.startInterrupts(unmasking: 0)
    board.out(0x43, 0x34)
    board.out(0x40, 100, 0)
    // The count is loaded by the pulse after the write.
    for period in 1...5 as ClosedRange<UInt64> {
      let rise = 1 + 100 * period
      while board.devices.nextDeadline < rise { board.advance(to: board.devices.nextDeadline) }
      #expect(board.devices.nextDeadline == rise)
      board.advance(to: rise - 1)
      #expect(board.interrupt() == nil)
      board.advance(to: rise)
      #expect(board.interrupt() == 0x30)
      #expect(board.interrupt() == nil)
    }
  }

  @Test func `deadlines are the machine's ticks, rounded up to the timer's cycle`() {
    let board = Board(clockHertz: 3_000_000_000)
    board.startInterrupts(unmasking: 0)
    board.out(0x43, 0x30)
    board.out(0x40, 0xe8, 0x03)
    // 1001 cycles of 1193182 Hz in ticks of 3 GHz.
    #expect(board.devices.nextDeadline == (1001 * 3_000_000_000 + 1_193_181) / 1_193_182)
    board.advance(to: board.devices.nextDeadline - 1)
    #expect(!board.devices.interruptAsserted(processor: 0))
    board.advance(to: board.devices.nextDeadline)
    #expect(board.devices.interruptAsserted(processor: 0))
  }

  @Test func `in mode 0 it raises IRQ 0 once, N + 1 pulses after the count is written`() {
    let board = Board()
    board.startInterrupts(unmasking: 0)
    board.out(0x43, 0x30)
    board.out(0x40, 50, 0)
    #expect(board.devices.nextDeadline == 51)
    board.advance(to: 51)
    #expect(board.interrupt() == 0x30)
    #expect(board.devices.nextDeadline == .max)
  }

  @Test func `a masked timer asks for no deadline, and the edge that it had is found later`() {
    let board = Board()
    board.startInterrupts()
    board.out(0x43, 0x34)
    board.out(0x40, 0x00, 0x10)
    #expect(board.devices.nextDeadline == .max)
    board.now = 20000
    board.out(0x21, 0xfa)
    #expect(board.interrupt() == 0x30)
  }

  @Test func `a request that the processor does not take is withdrawn while OUT is low`() {
    let board = Board()
    board.startInterrupts(unmasking: 0)
    board.out(0x43, 0x36)
    board.out(0x40, 100, 0)
    board.advance(to: 101)
    #expect(board.devices.interruptAsserted(processor: 0))
    #expect(board.devices.nextDeadline == 151)
    board.advance(to: 151)
    #expect(!board.devices.interruptAsserted(processor: 0))
    #expect(board.devices.nextDeadline == 201)
  }

  @Test func `a latched count stays while the counter runs on, and is read low byte first`() {
    var timer = PIT8254()
    timer.write(0x34, to: 3)
    timer.write(0x34, to: 0)
    timer.write(0x12, to: 0)
    _ = timer.advance(to: 1)
    timer.write(0x00, to: 3)
    _ = timer.advance(to: 0x101)
    timer.write(0x00, to: 3)
    #expect(timer.read(0) == 0x34)
    #expect(timer.read(0) == 0x12)
    #expect(timer.read(0) == 0x34)
    #expect(timer.read(0) == 0x11)
  }

  @Test func `a counter of one byte reads and writes that byte alone`() {
    var timer = PIT8254()
    timer.write(0x94, to: 3)
    timer.write(0x20, to: 2)
    timer.writeSystemControl(1)
    _ = timer.advance(to: 1)
    #expect(timer.read(2) == 0x20)
    #expect(timer.read(2) == 0x20)
    timer.write(0xa4, to: 3)
    timer.write(0x20, to: 2)
    _ = timer.advance(to: 2)
    #expect(timer.read(2) == 0x20)
    timer.write(0x80, to: 3)
    _ = timer.advance(to: 3)
    #expect(timer.read(2) == 0x20)
    #expect(timer.read(2) == 0x1f)
  }

  @Test func `read-back latches status and count, and the status comes first`() {
    var timer = PIT8254()
    timer.write(0x30, to: 3)
    timer.write(0xe2, to: 3)
    #expect(timer.read(0) == 0x70)
    timer.write(0x05, to: 0)
    timer.write(0x00, to: 0)
    _ = timer.advance(to: 3)
    timer.write(0xc2, to: 3)
    _ = timer.advance(to: 100)
    #expect(timer.read(0) == 0x30)
    #expect(timer.read(0) == 0x03)
    #expect(timer.read(0) == 0x00)
    timer.write(0xe2, to: 3)
    #expect(timer.read(0) == 0xb0)
    #expect(timer.read(3) == 0xff)
  }

  @Test func `decimal counts wrap at 10000`() {
    var timer = PIT8254()
    timer.write(0x31, to: 3)
    timer.write(0x02, to: 0)
    timer.write(0x00, to: 0)
    _ = timer.advance(to: 4)
    #expect(timer.read(0) == 0x99)
    #expect(timer.read(0) == 0x99)
  }

  @Test func `port 0x61 gates channel 2, shows its output, and toggles the refresh bit`() {
    var timer = PIT8254()
    timer.write(0xb0, to: 3)
    timer.write(10, to: 2)
    timer.write(0, to: 2)
    _ = timer.advance(to: 1000)
    #expect(timer.readSystemControl() & 0x21 == 0x00)
    timer.writeSystemControl(0x01)
    _ = timer.advance(to: 1009)
    #expect(timer.readSystemControl() & 0x21 == 0x01)
    _ = timer.advance(to: 1010)
    #expect(timer.readSystemControl() & 0x21 == 0x21)
    let refresh = timer.readSystemControl() & 0x10
    _ = timer.advance(to: 1028)
    #expect(timer.readSystemControl() & 0x10 != refresh)
  }

  @Test func `a second count begins when the period of the first has ended`() {
    var timer = PIT8254()
    timer.write(0x14, to: 3)
    timer.write(100, to: 0)
    _ = timer.advance(to: 50)
    timer.write(30, to: 0)
    #expect(timer.nextEdge(to: true) == 101)
    _ = timer.advance(to: 101)
    #expect(timer.nextEdge(to: true) == 131)
  }
}
