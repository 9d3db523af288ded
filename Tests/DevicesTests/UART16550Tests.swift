import Devices
import Testing

@Suite struct UART16550Tests {
  private let base: UInt16 = 0x3f8

  @Test func `a byte written leaves at once and the transmitter is empty again`() {
    let board = Board()
    #expect(board.input(base + 5) == 0x60)
    board.out(base, 0x48, 0x69)
    #expect(board.console.text == "Hi")
    #expect(board.input(base + 5) == 0x60)
  }

  @Test func `polled input is there as long as the console has bytes`() {
    let board = Board(input: "ab")
    #expect(board.input(base + 5) == 0x61)
    #expect(board.input(base) == 0x61)
    #expect(board.input(base) == 0x62)
    #expect(board.input(base + 5) == 0x60)
    #expect(board.input(base) == 0)
    #expect(board.devices.state.serial.consumed == 2)
  }

  @Test func `a console that waits is asked only for bytes that the guest waits for`() {
    let console = WaitingConsole("ab")
    let devices = PCDevices(console: console)
    func input(_ offset: UInt16) -> UInt8 { UInt8(devices.readPort(base + offset, width: 1, now: 0)) }
    func send(_ offset: UInt16, _ value: UInt32) { devices.writePort(base + offset, width: 1, value: value, now: 0) }
    func sendText() {
      for _ in 0..<100 {
        #expect(input(5) & 0x60 == 0x60)
        send(0, 0x2e)
      }
    }

    // Drivers read the data register when they start, and the line status once a byte, twice after a flush.
    #expect(input(0) == 0)
    sendText()
    #expect(input(5) == 0x60)
    sendText()
    #expect(console.asked == 0)

    for _ in 0..<7 { #expect(input(5) == 0x60) }
    #expect(console.asked == 0)
    #expect(input(5) == 0x61)
    #expect(input(5) == 0x61)
    sendText()
    #expect(input(0) == 0x61)
    #expect(input(5) == 0x60)
    #expect(console.asked == 1)

    // The second byte, by interrupt; no more is asked for than the one.
    send(2, 0x81)
    send(1, 0x01)
    #expect(console.asked == 2)
    #expect(input(2) == 0xcc)
    #expect(input(5) == 0x61)
    #expect(input(0) == 0x62)
    #expect(input(5) == 0x60)
    #expect(console.asked == 3)
  }

  @Test func `a guest that looks for input between the bytes that it sends gets it in the end`() {
    let console = WaitingConsole("k")
    let devices = PCDevices(console: console)
    var looks = 0
    while devices.readPort(base + 5, width: 1, now: 0) & 1 == 0, looks < 10_000 {
      looks += 1
      _ = devices.readPort(base + 5, width: 1, now: 0)
      devices.writePort(base, width: 1, value: 0x2e, now: 0)
    }
    #expect(looks == 4095)
    #expect(devices.readPort(base, width: 1, now: 0) == 0x6b)
  }

  @Test func `DLAB shows the divisor in the place of data and interrupt enable`() {
    let board = Board(input: "x")
    board.out(base + 1, 0x05)
    board.out(base + 3, 0x83)
    #expect(board.input(base) == 12)
    board.out(base, 0x34)
    board.out(base + 1, 0x12)
    #expect(board.input(base) == 0x34)
    #expect(board.input(base + 1) == 0x12)
    board.out(base + 3, 0x03)
    #expect(board.input(base + 1) == 0x05)
    #expect(board.input(base) == 0x78)
    #expect(board.console.output.isEmpty)
  }

  @Test func `the transmitter's interrupt is raised by enabling it and by every byte, and cleared by reading IIR`() {
    let board = Board()
    board.startInterrupts(unmasking: 4)
    board.out(base + 1, 0x02)
    #expect(board.interrupt() == 0x34)
    #expect(board.input(base + 2) == 0x02)
    #expect(board.input(base + 2) == 0x01)
    board.out(base, 0x41)
    #expect(board.interrupt() == 0x34)
    // A handler that writes without reading IIR gets its next edge all the same.
    board.out(base, 0x42)
    #expect(board.interrupt() == 0x34)
    #expect(board.input(base + 2) == 0x02)
    #expect(board.interrupt() == nil)
  }

  @Test func `received data interrupts once for every byte taken`() {
    let board = Board(input: "abc")
    board.startInterrupts(unmasking: 4)
    board.out(base + 1, 0x01)
    for byte in Array("abc".utf8) {
      #expect(board.interrupt() == 0x34)
      #expect(board.input(base + 2) == 0x04)
      #expect(board.input(base) == byte)
    }
    #expect(board.interrupt() == nil)
    #expect(board.input(base + 2) == 0x01)
  }

  @Test func `input that arrives later interrupts when time is let pass`() {
    let board = Board(isOpen: true)
    board.startInterrupts(unmasking: 4)
    board.out(base + 1, 0x01)
    #expect(board.devices.awaitsInput)
    #expect(board.interrupt() == nil)
    board.console.input.append(0x21)
    board.advance(to: 10)
    #expect(board.interrupt() == 0x34)
    #expect(board.input(base) == 0x21)
    board.console.isOpen = false
    #expect(!board.devices.awaitsInput)
  }

  @Test func `with FIFOs IIR tells the trigger level from the timeout`() {
    let board = Board(input: "12345")
    board.out(base + 1, 0x01)
    board.out(base + 2, 0x41)
    #expect(board.input(base + 2) == 0xc4)
    _ = board.input(base)
    #expect(board.input(base + 2) == 0xc4)
    _ = board.input(base)
    #expect(board.input(base + 2) == 0xcc)
    board.out(base + 2, 0x00)
    #expect(board.input(base + 2) == 0x04)
  }

  @Test func `resetting the FIFO loses no input that the guest has not seen`() {
    let board = Board(input: "k")
    board.out(base + 2, 0x07)
    #expect(board.input(base) == 0x6b)
  }

  @Test func `in loopback bytes and modem outputs come back, and nothing else comes or goes`() {
    let board = Board(input: "x")
    board.out(base + 4, 0x1b)
    board.out(base, 0x55)
    #expect(board.console.output.isEmpty)
    #expect(board.input(base + 5) == 0x61)
    #expect(board.input(base) == 0x55)
    #expect(board.input(base + 5) == 0x60)
    #expect(board.input(base + 6) & 0xf0 == 0xb0)
    board.out(base + 4, 0x15)
    #expect(board.input(base + 6) == 0x60 | 0x09)
    #expect(board.input(base + 6) == 0x60)
    // The trailing edge of RI, and DSR's change.
    board.out(base + 4, 0x10)
    #expect(board.input(base + 6) == 0x06)
    board.out(base + 4, 0x00)
    #expect(board.input(base) == 0x78)
  }

  @Test(arguments: [(0x00, 1), (0x01, 16)] as [(UInt8, Int)])
  func `too many bytes in the loop overrun the receiver`(control: UInt8, depth: Int) {
    let board = Board()
    board.out(base + 2, control)
    board.out(base + 4, 0x10)
    board.out(base + 1, 0x04)
    for _ in 0..<depth { board.out(base, 0x11) }
    #expect(board.input(base + 2) & 0x0f == 0x01)
    board.out(base, 0x22)
    #expect(board.input(base + 2) & 0x0f == 0x06)
    #expect(board.input(base + 5) == 0x63)
    #expect(board.input(base + 5) == 0x61)
    #expect(board.input(base) == (depth == 1 ? 0x22 : 0x11))
  }

  @Test func `modem status changes interrupt`() {
    let board = Board()
    board.startInterrupts(unmasking: 4)
    board.out(base + 4, 0x10)
    _ = board.input(base + 6)
    board.out(base + 1, 0x08)
    #expect(board.interrupt() == nil)
    board.out(base + 4, 0x12)
    #expect(board.interrupt() == 0x34)
    #expect(board.input(base + 2) == 0x00)
    #expect(board.input(base + 6) == 0x11)
    #expect(board.input(base + 2) == 0x01)
  }

  @Test func `control and scratch registers read back`() {
    let board = Board()
    for (offset, value) in [(7, 0xa5), (3, 0x1b), (4, 0x0f)] as [(UInt16, UInt8)] {
      board.out(base + offset, value)
      #expect(board.input(base + offset) == value)
    }
    board.out(base + 1, 0xf0)
    #expect(board.input(base + 1) == 0x00)
    board.out(base + 4, 0xff)
    #expect(board.input(base + 4) == 0x1f)
  }
}

/// A console whose input has to be waited for; it notes how much of it was.
private final class WaitingConsole: Console {
  private let bytes: [UInt8]
  private(set) var asked = 0

  init(_ text: String) { bytes = Array(text.utf8) }

  func write(_ byte: UInt8, at index: Int) {}

  func byte(at index: Int) -> UInt8? {
    asked = max(asked, index + 1)
    return bytes.indices.contains(index) ? bytes[index] : nil
  }

  func isExhausted(at index: Int) -> Bool { asked > bytes.count && index >= bytes.count }
  var waits: Bool { true }
}
