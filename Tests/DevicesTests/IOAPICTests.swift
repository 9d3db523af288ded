import Devices
import Machine
import Testing

/// The I/O APIC (82093AA datasheet) and its lines, which the test device drives.
@Suite struct IOAPICTests {
  typealias Register = InterruptBoard.Register

  private static let level: UInt64 = 1 << 15, activeLow: UInt64 = 1 << 13, masked: UInt64 = 1 << 16
  private static let logical: UInt64 = 1 << 11, remoteIRR: UInt64 = 1 << 14, pending: UInt64 = 1 << 12

  @Test func `it has a version, an identifier of four bits that arbitration repeats, and masked entries`() {
    let board = InterruptBoard()
    #expect(board.readIO(1) == 0x17_0011)
    board.writeIO(1, 0)
    #expect(board.readIO(1) == 0x17_0011)
    board.writeIO(0, 0xffff_ffff)
    #expect(board.readIO(0) == 0x0f00_0000 && board.readIO(2) == 0x0f00_0000)
    board.writeIO(2, 0)
    #expect(board.readIO(2) == 0x0f00_0000)
    #expect((0..<24).allSatisfy { board.entry($0) == Self.masked })
    #expect(board.readIO(0x40) == 0 && board.devices.unclaimed.isEmpty)
  }

  @Test func `the delivery status and remote IRR cannot be written`() {
    let board = InterruptBoard()
    board.redirect(5, 0xffff_ffff, to: 0xff)
    #expect(board.entry(5) == 0x1_afff && board.readIO(0x1b) == 0xff00_0000)
  }

  @Test func `an edge interrupts once, and on a masked input is lost`() {
    let board = InterruptBoard()
    board.redirect(14, 0x76)
    board.line(14, true)
    #expect(board.taken() == [0x76])
    board.line(14, true)
    #expect(board.taken() == [nil])
    board.line(14, false)
    board.line(14, true)
    #expect(board.taken() == [0x76])
    board.line(14, false)
    board.redirect(14, Self.masked | 0x76)
    board.line(14, true)
    board.redirect(14, 0x76)
    #expect(board.taken() == [nil])
  }

  @Test func `a level that finds the local APIC disabled waits until software enables it`() {
    let board = InterruptBoard()
    board.write(0, Register.spurious, 0xff)
    board.redirect(20, Self.level | 0x50)
    board.line(20, true)
    #expect(board.entry(20) == Self.level | Self.pending | 0x50)
    board.write(0, Register.spurious, 0x1ff)
    #expect(board.entry(20) == Self.level | Self.remoteIRR | 0x50)
    #expect(board.taken() == [0x50])
  }

  @Test func `a level interrupts until it is low at the end of an interrupt`() {
    let board = InterruptBoard()
    board.redirect(14, Self.level | 0x77)
    board.line(14, true)
    #expect(board.entry(14) == Self.level | Self.remoteIRR | 0x77)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x77)
    #expect(board.read(0, Register.triggerMode + 0x30) == 1 << 0x17)
    board.line(14, false)
    board.line(14, true)
    #expect(!board.devices.interruptAsserted(processor: 0), "it is being served")
    board.write(0, Register.endOfInterrupt, 0)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x77)
    board.line(14, false)
    board.write(0, Register.endOfInterrupt, 0)
    #expect(!board.devices.interruptAsserted(processor: 0) && board.entry(14) == Self.level | 0x77)
  }

  @Test func `a level waits behind the mask and comes when it is lifted`() {
    let board = InterruptBoard()
    board.redirect(14, Self.masked | Self.level | 0x82)
    board.line(14, true)
    #expect(board.taken() == [nil])
    board.redirect(14, Self.level | 0x82)
    #expect(board.devices.interruptAsserted(processor: 0))
  }

  @Test func `an input of low polarity is asserted while it is low`() {
    let board = InterruptBoard()
    board.line(14, true)
    board.redirect(14, Self.level | Self.activeLow | 0x61)
    #expect(board.taken() == [nil])
    board.line(14, false)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x61)
    board.line(14, true)
    board.write(0, Register.endOfInterrupt, 0)
    #expect(!board.devices.interruptAsserted(processor: 0))
    board.redirect(15, Self.activeLow | 0x62)
    board.line(15, true)
    #expect(board.taken() == [nil])
    board.line(15, false)
    #expect(board.taken() == [0x62])
  }

  @Test func `an entry that becomes edge-triggered loses its remote IRR`() {
    let board = InterruptBoard()
    board.redirect(14, Self.level | 0x77)
    board.line(14, true)
    board.redirect(14, Self.masked | 0x77)
    #expect(board.entry(14) == Self.masked | 0x77)
  }

  @Test func `an edge clears what a level left in the trigger mode register`() {
    let board = InterruptBoard()
    board.redirect(14, Self.level | 0x79)
    board.line(14, true)
    board.line(14, false)
    #expect(board.taken() == [0x79] && board.read(0, Register.triggerMode + 0x30) == 1 << 0x19)
    board.redirect(14, 0x79)
    board.line(14, true)
    #expect(board.taken() == [0x79] && board.read(0, Register.triggerMode + 0x30) == 0)
  }

  @Test func `physical and logical destinations choose processors`() {
    let board = InterruptBoard(processors: 4)
    for processor in 0..<4 { board.extend(processor) }
    board.redirect(14, 0x85, to: 2)
    board.line(14, true)
    #expect(board.taken() == [nil, nil, 0x85, nil])
    board.line(14, false)
    board.redirect(14, Self.logical | 0x86, to: 0xd)
    board.line(14, true)
    #expect(board.taken() == [0x86, nil, 0x86, 0x86])
    board.line(14, false)
    board.redirect(14, 0x87, to: 0xff)
    board.line(14, true)
    #expect(board.taken() == [0x87, 0x87, 0x87, 0x87])
  }

  @Test func `a level that nobody takes is pending until somebody is named`() {
    let board = InterruptBoard(processors: 2)
    board.redirect(14, Self.level | 0x85, to: 9)
    board.line(14, true)
    #expect(board.entry(14) == Self.level | Self.pending | 0x85)
    board.redirect(14, Self.level | 0x85, to: 1)
    #expect(board.entry(14) == Self.level | Self.remoteIRR | 0x85)
    #expect(board.devices.interruptAsserted(processor: 1))
  }

  @Test func `the end of an interrupt reaches an entry whose destination has changed meanwhile`() {
    let board = InterruptBoard(processors: 2)
    board.redirect(14, Self.level | 0x84)
    board.line(14, true)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x84)
    board.line(14, false)
    board.writeIO(0x2d, 1 << 24)
    board.write(0, Register.endOfInterrupt, 0)
    #expect(board.entry(14) == Self.level | 0x84)
  }

  @Test func `NMI and INIT go by the entry's mode`() {
    let board = InterruptBoard(processors: 2)
    board.redirect(3, 4 << 8, to: 1)
    board.line(3, true)
    #expect(board.devices.signals(processor: 1) == .nonMaskable)
    board.redirect(5, 5 << 8, to: 1)
    board.line(5, true)
    #expect(board.devices.signals(processor: 1) == [.nonMaskable, .initialize])
  }

  @Test func `the timer's line 0 is input 2, and wakes by it`() {
    let board = InterruptBoard()
    board.redirect(2, 0x30)
    for value in [0x34, 0x10, 0x00] as [UInt32] {
      board.devices.writePort(value == 0x34 ? 0x43 : 0x40, width: 1, value: value, now: 0)
    }
    var count = 0
    var now: UInt64 = 0
    while count < 3 {
      #expect(board.devices.nextDeadline != .max)
      now = board.devices.nextDeadline
      board.devices.advance(to: now)
      if board.taken(now: now) == [0x30] { count += 1 }
    }
    // 16 cycles of 838 ns each.
    #expect((39_000...54_000).contains(now))
  }

  @Test func `the clock and the keyboard reach their inputs too`() {
    let board = InterruptBoard()
    board.redirect(8, 0x38)
    board.redirect(1, 0x31)
    board.devices.writePort(0x70, width: 1, value: 0x0b, now: 0)
    board.devices.writePort(0x71, width: 1, value: 0x42, now: 0)
    let next = board.devices.nextDeadline
    #expect(next < 2_000_000)
    board.devices.advance(to: next)
    #expect(board.taken(now: next) == [0x38])
    // The controller's self-test answers, and its interrupt is enabled by its command byte.
    for (port, value) in [(0x64, 0x60), (0x60, 0x01), (0x64, 0xaa)] as [(UInt16, UInt32)] {
      board.devices.writePort(port, width: 1, value: value, now: next)
    }
    #expect(board.taken(now: next) == [0x31])
  }

  @Test func `a line goes to the 8259 pair and to the I/O APIC`() {
    let board = InterruptBoard()
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xdf)] as [(UInt16, UInt32)] {
      board.devices.writePort(port, width: 1, value: value, now: 0)
    }
    board.redirect(5, 0x45)
    board.line(5, true)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x45)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x25)
  }

  @Test func `a snapshot keeps it`() {
    let board = InterruptBoard()
    board.redirect(14, Self.level | 0x77)
    let state = board.devices.state
    board.line(14, true)
    board.devices.state = state
    #expect(board.entry(14) == Self.level | 0x77 && !board.devices.interruptAsserted(processor: 0))
  }
}
