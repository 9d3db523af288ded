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
