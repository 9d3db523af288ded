import Devices
import Machine
import Testing

@Suite struct PCDevicesTests {
  @Test(arguments: [(1, 0x2a), (2, 0xbeef), (4, 0xdead_beef)] as [(Int, UInt32)])
  func `port 0xf4 ends the machine with the value written`(width: Int, value: UInt32) {
    let board = Board()
    #expect(board.devices.shutdown == nil)
    board.devices.writePort(0xf4, width: width, value: value | (width == 1 ? 0xff00 : 0), now: 0)
    #expect(board.devices.shutdown == .debugExit(value))
    board.out(0xf4, 1)
    #expect(board.devices.shutdown == .debugExit(value))
  }

  @Test func `0x2000 to port 0x604 powers off, other sleep types do not`() {
    let board = Board()
    board.devices.writePort(0x604, width: 2, value: 0x2400, now: 0)
    board.devices.writePort(0x604, width: 2, value: 0x0001, now: 0)
    #expect(board.devices.shutdown == nil)
    #expect(board.devices.readPort(0x604, width: 2, now: 0) == 0x0001)
    board.devices.writePort(0x604, width: 2, value: 0x2000, now: 0)
    #expect(board.devices.shutdown == .powerOff)
  }

  @Test func `a byte of 0x20 to port 0x605 powers off too`() {
    let board = Board()
    board.out(0x605, 0x20)
    #expect(board.devices.shutdown == .powerOff)
  }

  @Test func `the word Shutdown to port 0x8900 powers off, and a misspelt one does not`() {
    let board = Board()
    for byte in "ShutdowShutdow".utf8 { board.out(0x8900, byte) }
    #expect(board.devices.shutdown == nil)
    board.out(0x8900, 0x6e)
    #expect(board.devices.shutdown == .powerOff)
  }

  @Test(
    arguments: [
      (0x64, [0xfe]), (0xcf9, [0x06]), (0x92, [0x03]),
    ] as [(UInt16, [UInt8])])
  func `the board is reset by the keyboard controller and by the chip set`(port: UInt16, values: [UInt8]) {
    let board = Board()
    board.out(port, 0x02)
    #expect(board.devices.shutdown == nil)
    for value in values { board.out(port, value) }
    #expect(board.devices.shutdown == .reset)
  }

  @Test func `the keyboard controller's output port resets too`() {
    let board = Board()
    board.out(0x64, 0xd1)
    board.out(0x60, 0xfe)
    #expect(board.devices.shutdown == .reset)
  }

  @Test func `the keyboard controller answers self tests, and the keyboard its identity on line 1`() {
    let board = Board()
    #expect(board.input(0x64) == 0x14)
    board.startInterrupts(unmasking: 1)
    board.out(0x64, 0xaa)
    #expect(board.input(0x64) == 0x1d)
    #expect(board.interrupt() == 0x31)
    #expect(board.input(0x60) == 0x55)
    board.out(0x60, 0xf2)
    for byte in [0xfa, 0xab, 0x83] as [UInt8] {
      #expect(board.interrupt() == 0x31)
      #expect(board.input(0x60) == byte)
    }
    #expect(board.interrupt() == nil)
    board.out(0x64, 0x60)
    board.out(0x60, 0x44)
    board.out(0x64, 0x20)
    #expect(board.interrupt() == nil)
    #expect(board.input(0x60) == 0x44)
    #expect(board.input(0x64) == 0x1c)
  }

  @Test func `port 0xe9 prints, to a console of its own if there is one`() {
    let board = Board()
    #expect(board.input(0xe9) == 0xe9)
    board.out(0xe9, 0x21)
    board.out(0x3f8, 0x3f)
    #expect(board.console.text == "!?")
    let serial = BufferConsole()
    let debug = BufferConsole()
    let devices = PCDevices(console: serial, debugConsole: debug)
    devices.writePort(0xe9, width: 2, value: 0x4241, now: 0)
    #expect(debug.text == "A")
    #expect(serial.text.isEmpty)
  }

  @Test func `the firmware configuration gives its signature and the number of processors`() {
    let board = Board(processors: 0x102)
    board.devices.writePort(0x510, width: 2, value: 0, now: 0)
    #expect((0..<5).map { _ in board.input(0x511) } == Array("QEMU".utf8) + [0])
    board.devices.writePort(0x510, width: 2, value: 5, now: 0)
    #expect([board.input(0x511), board.input(0x511), board.input(0x511)] == [2, 1, 0])
    board.devices.writePort(0x510, width: 2, value: 5, now: 0)
    #expect(board.devices.readPort(0x511, width: 4, now: 0) == 0x102)
    board.devices.writePort(0x510, width: 2, value: 0x8005, now: 0)
    #expect(board.input(0x511) == 0)
  }

  @Test func `an error of the x87 raises line 13 until port 0xf0 is written, which makes the processor ignore it`() {
    let board = Board()
    board.startInterrupts(unmasking: 13)
    func report(_ isPending: Bool) -> Bool {
      board.devices.reportCoprocessorError(isPending, processor: 0, now: board.now)
    }
    #expect(!report(true))
    #expect(board.interrupt() == 0x3d)
    #expect(!report(true))
    board.out(0xf0, 0)
    #expect(report(true) && board.interrupt() == nil)
    #expect(!report(false))
    #expect(!report(true))
    #expect(board.interrupt() == 0x3d)
    // Without an error there is nothing to ignore, nor is there for another processor.
    _ = report(false)
    board.out(0xf0, 0)
    #expect(!report(true))
    #expect(!board.devices.reportCoprocessorError(true, processor: 1, now: 0))
    #expect(board.devices.unclaimed.isEmpty)
  }

  @Test func `firmware leaves its lines unmasked and no tick pending`() {
    let board = Board()
    #expect(board.input(0x21) == 0xf8 && board.input(0xa1) == 0xde)
    #expect(board.input(0x20) == 0)
    #expect(!board.devices.interruptAsserted(processor: 0))
    #expect(board.devices.nextDeadline == 65536)
    board.advance(to: 65536)
    #expect(board.devices.interruptAsserted(processor: 0))
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: board.now) == 0x08)
  }

  @Test func `PCI configuration finds an address register and no device`() {
    let board = Board()
    board.out(0xcfb, 0x01)
    board.devices.writePort(0xcf8, width: 4, value: 0x8000_0800, now: 0)
    #expect(board.devices.readPort(0xcf8, width: 4, now: 0) == 0x8000_0800)
    for (width, ones) in [(1, 0xff), (2, 0xffff), (4, 0xffff_ffff)] as [(Int, UInt32)] {
      #expect(board.devices.readPort(0xcfc, width: width, now: 0) == ones)
    }
    #expect(board.devices.unclaimed.isEmpty)
  }

  @Test func `CRTC registers, port 0x80 and port 0x92 read back`() {
    let board = Board()
    board.devices.writePort(0x3d4, width: 2, value: 0x120e, now: 0)
    board.out(0x3d4, 0x0f)
    board.out(0x3d5, 0x34)
    board.out(0x3d4, 0x0e)
    #expect(board.input(0x3d5) == 0x12)
    // The timing is protected by register 0x11.
    board.out(0x3d4, 0x00)
    board.out(0x3d5, 0x00)
    #expect(board.input(0x3d5) == 0x5f)
    board.out(0x3d4, 0xff)
    board.out(0x3d5, 0x01)
    #expect(board.input(0x3d5) == 0x00)
    board.out(0x80, 0x77)
    #expect(board.input(0x80) == 0x77)
    board.out(0x92, 0x00)
    #expect(board.input(0x92) == 0x02)
  }

  @Test func `what nothing claims reads all ones and is counted in order`() {
    let board = Board()
    #expect(board.devices.readPort(0x1234, width: 4, now: 0) == 0xffff_ffff)
    #expect(board.devices.readPort(0x0300, width: 2, now: 0) == 0xffff)
    #expect(board.input(0xffff) == 0xff)
    board.out(0x0300, 1, 2)
    let address = GuestPhysical(0xfed0_0000)
    #expect(board.devices.readRegister(address, width: 8, processor: 0, now: 0) == .max)
    #expect(board.devices.readRegister(address, width: 2, processor: 0, now: 0) == 0xffff)
    board.devices.writeRegister(address, width: 4, value: 0, processor: 0, now: 0)
    let rows = board.devices.unclaimed.map { "\($0.description) \($0.reads) \($0.writes)" }
    #expect(rows == ["port 0x300 1 2", "port 0x1234 1 0", "port 0xffff 1 0", "address 0xfed00000 2 1"])
  }

  @Test func `a guest that strays everywhere fills a bounded list`() {
    let board = Board()
    for page in 0..<5000 as Range<UInt64> {
      _ = board.devices.readRegister(GuestPhysical(page << 12), width: 4, processor: 0, now: 0)
    }
    #expect(board.devices.unclaimed.count == UnclaimedAccesses.limit + 1)
    #expect(board.devices.unclaimed.reduce(0) { $0 + $1.reads } == 5000)
  }

  @Test func `restoring the state rewinds the input, the output and the timers`() {
    let board = Board(clockHertz: 3_000_000_000, input: "echo and more")
    board.startInterrupts(unmasking: 0, 4, 8)
    board.out(0x43, 0x34)
    board.out(0x40, 0x00, 0x01)
    board.out(0x3f9, 0x01)
    func run() -> [UInt8] {
      (0..<100).map { step in
        board.now += 100_003
        if step % 7 == 0 { board.out(0x3f8, board.input(0x3f8)) }
        return board.input(0x40) ^ (board.interrupt() ?? 0)
      }
    }
    _ = run()
    let snapshot = board.devices.state
    let now = board.now
    let deadline = board.devices.nextDeadline
    let first = run()
    let output = board.console.output
    let after = board.devices.state
    board.devices.state = snapshot
    board.now = now
    #expect(board.devices.nextDeadline == deadline)
    #expect(run() == first)
    #expect(board.console.output == output)
    #expect(board.devices.state == after)
  }

  @Test func `the interrupts that come do not depend on how often time is let pass`() {
    func run(step: UInt64) -> [UInt64] {
      let board = Board(clockHertz: 1_000_000_000)
      board.startInterrupts(unmasking: 0, 8)
      board.out(0x43, 0x36)
      board.out(0x40, 0x34, 0x12)
      board.out(0x70, 0x0b)
      board.out(0x71, 0x42)
      var taken: [UInt64] = []
      while board.now < 200_000_000 {
        board.advance(to: min(board.devices.nextDeadline, board.now + step, 200_000_000))
        guard let vector = board.interrupt() else { continue }
        taken.append(board.now << 8 | UInt64(vector))
        board.out(0x70, 0x0c)
        _ = board.input(0x71)
      }
      return taken
    }
    let taken = run(step: 200_000_000)
    #expect(taken.count > 200)
    #expect(run(step: 10_007) == taken)
  }

  @Test(arguments: 0..<24 as Range<UInt64>)
  func `no sequence of accesses traps, and every deadline lies ahead`(seed: UInt64) {
    var random = Randomness(state: seed)
    let hertz = [3_000_000_000, 1, 1000, .max, 1_193_182, 0][Int(seed % 6)] as UInt64
    let board = Board(clockHertz: hertz, processors: 3, input: String(repeating: "input", count: 100))
    let ranges =
      [
        0x20...0x21, 0x40...0x43, 0x60...0x64, 0x70...0x71, 0x80...0x92, 0xa0...0xa1, 0xe9...0xf4, 0x3d4...0x3d5,
        0x3f8...0x3ff, 0x4d0...0x4d1, 0x510...0x511, 0x600...0x60b, 0xcf8...0xcff, 0x8900...0x8900, 0...0xffff,
        0xe0...0xe7, 0x2000...0x2017,
      ] as [ClosedRange<UInt16>]
    for _ in 0..<10_000 {
      let step = UInt64.random(in: 0...63, using: &random)
      board.now &+= UInt64.random(in: 0...1 << step, using: &random) >> UInt64.random(in: 0...63, using: &random)
      let port = UInt16.random(in: ranges.randomElement(using: &random)!, using: &random)
      let width = [1, 1, 1, 2, 4, 0, 8].randomElement(using: &random)!
      switch UInt8.random(in: 0..<10, using: &random) {
      case 0...2: _ = board.devices.readPort(port, width: width, now: board.now)
      case 3...5:
        board.devices.writePort(port, width: width, value: .random(in: 0 ... .max, using: &random), now: board.now)
      case 6: board.devices.advance(to: board.devices.nextDeadline == .max ? board.now : board.devices.nextDeadline)
      case 7: accessController(board, using: &random)
      default:
        let processor = Int.random(in: 0..<3, using: &random)
        let signals = board.devices.signals(processor: processor)
        if signals.contains(.interrupt) {
          _ = board.devices.acknowledgeInterrupt(processor: processor, now: board.now)
        }
        for signal in [.nonMaskable, .initialize, .startUp] as [ProcessorSignals] where signals.contains(signal) {
          _ = board.devices.take(signal, processor: processor, now: board.now)
        }
      }
      let state = board.devices.state
      if board.devices.nextDeadline <= state.time && state.time != .max {
        Issue.record("deadline \(board.devices.nextDeadline) at \(state.time)")
        return
      }
    }
  }

  /// Accesses a register of an interrupt controller, or of the test device's memory, as a processor may.
  private func accessController(_ board: Board, using random: inout Randomness) {
    let processor = Int.random(in: 0..<3, using: &random)
    let base = [0xfee0_0000, 0xfec0_0000, 0xff00_fff0].randomElement(using: &random)! as UInt64
    let offset =
      base == 0xfee0_0000
      ? UInt64.random(in: 0..<0x400, using: &random) & ~0xf : [0, 0x10, 4].randomElement(using: &random)!
    let address = GuestPhysical(base + offset)
    let value = UInt64.random(in: 0 ... .max, using: &random) >> UInt64.random(in: 0...63, using: &random)
    let number =
      [MSR.apicBase, MSR.timeStampDeadline, UInt32.random(in: MSR.extendedAPIC, using: &random)]
      .randomElement(using: &random)!
    let now = board.now
    switch UInt8.random(in: 0..<7, using: &random) {
    case 0: _ = board.devices.readRegister(address, width: 4, processor: processor, now: now)
    case 1...2: board.devices.writeRegister(address, width: 4, value: value, processor: processor, now: now)
    case 3: _ = board.devices.readLocalRegister(number, processor: processor, now: now)
    case 4: _ = board.devices.writeLocalRegister(number, value: value, processor: processor, now: now)
    case 5: board.devices.setTimeStampOffset(value, processor: processor, now: now)
    default: board.devices.setTaskPriority(UInt8(truncatingIfNeeded: value), processor: processor, now: now)
    }
  }
}
