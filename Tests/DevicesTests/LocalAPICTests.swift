import Devices
import Machine
import Testing

/// The local APIC through the bus, as a processor sees it (SDM vol. 3, chapter 11).
@Suite struct LocalAPICTests {
  private enum Register {
    static let id: UInt64 = 0x20, version: UInt64 = 0x30, taskPriority: UInt64 = 0x80, processorPriority: UInt64 = 0xa0
    static let endOfInterrupt: UInt64 = 0xb0, spurious: UInt64 = 0xf0, inService: UInt64 = 0x100
    static let requested: UInt64 = 0x200, errors: UInt64 = 0x280, command: UInt64 = 0x300, timer: UInt64 = 0x320
    static let lint0: UInt64 = 0x350, initialCount: UInt64 = 0x380, currentCount: UInt64 = 0x390, divide: UInt64 = 0x3e0
  }

  /// Devices of a machine whose clock ticks once a nanosecond, as the timer does before its divider.
  private let devices = PCDevices(clockHertz: LocalAPIC.hertz, console: BufferConsole(input: [], isOpen: false))

  private func read(_ register: UInt64, now: UInt64 = 0) -> UInt64 {
    devices.readRegister(GuestPhysical(LocalAPIC.base + register), width: 4, processor: 0, now: now)
  }

  private func write(_ register: UInt64, _ value: UInt64, now: UInt64 = 0) {
    devices.writeRegister(GuestPhysical(LocalAPIC.base + register), width: 4, value: value, processor: 0, now: now)
  }

  /// An interrupt of a vector to the processor itself.
  private func interruptSelf(_ vector: UInt64) { write(Register.command, 1 << 18 | vector) }

  @Test func `an access at the end of a long instruction makes no other processor's timer early`() {
    let board = InterruptBoard(processors: 2)
    typealias Register = InterruptBoard.Register
    for processor in 0..<2 { board.write(processor, Register.divide, 0xb) }
    board.write(1, Register.timer, 0x41)
    board.write(1, Register.initialCount, 9000)
    #expect(board.devices.nextDeadline == 9000)
    // Processor 0 has gone past that; processor 1 has not.
    #expect(board.devices.readPort(0x608, width: 4, now: 10_000) != 0)
    board.write(0, Register.timer, 0x42, now: 10_000)
    board.write(0, Register.initialCount, 5000, now: 10_000)
    #expect(board.read(0, Register.currentCount, now: 10_100) == 4900)
    #expect(!board.devices.interruptAsserted(processor: 1))
    #expect(board.read(1, Register.currentCount, now: 8_999) == 1)
    #expect(board.devices.nextDeadline == 9000)
    board.devices.advance(to: 9000)
    #expect(board.devices.interruptAsserted(processor: 1))
    // Its own timer is not early either.
    #expect(board.devices.nextDeadline == 15_000)
    board.devices.advance(to: 14_999)
    #expect(!board.devices.interruptAsserted(processor: 0))
    board.devices.advance(to: 15_000)
    #expect(board.devices.interruptAsserted(processor: 0))
  }

  @Test func `it is there and enabled, with six local vectors`() {
    #expect(read(Register.id) == 0)
    #expect(read(Register.version) == 0x5_0014)
    #expect(read(Register.spurious) == 0x1ff)
    #expect(devices.unclaimed.isEmpty)
  }

  @Test func `an interrupt to itself is delivered, served and ended`() {
    interruptSelf(0x51)
    #expect(devices.interruptAsserted(processor: 0))
    #expect(read(Register.requested + 0x20) == 1 << 17)
    #expect(devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x51)
    #expect(!devices.interruptAsserted(processor: 0))
    #expect(read(Register.requested + 0x20) == 0 && read(Register.inService + 0x20) == 1 << 17)
    #expect(read(Register.processorPriority) == 0x50)
    write(Register.endOfInterrupt, 0)
    #expect(read(Register.inService + 0x20) == 0 && read(Register.processorPriority) == 0)
  }

  @Test func `a higher class interrupts a lower one and not the other way about`() {
    interruptSelf(0x61)
    #expect(devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x61)
    interruptSelf(0x6f)
    #expect(!devices.interruptAsserted(processor: 0), "of the same class")
    interruptSelf(0x71)
    #expect(devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x71)
    write(Register.endOfInterrupt, 0)
    #expect(!devices.interruptAsserted(processor: 0))
    write(Register.endOfInterrupt, 0)
    #expect(devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x6f)
  }

  @Test func `the task priority holds back its class and those below`() {
    write(Register.taskPriority, 0x50)
    interruptSelf(0x5f)
    #expect(!devices.interruptAsserted(processor: 0))
    write(Register.taskPriority, 0x4f)
    #expect(devices.interruptAsserted(processor: 0))
  }

  @Test func `the timer counts down and interrupts once`() {
    write(Register.divide, 0b1011)
    write(Register.timer, 0x40)
    write(Register.initialCount, 1000, now: 100)
    #expect(devices.nextDeadline == 1100)
    #expect(read(Register.currentCount, now: 350) == 750)
    devices.advance(to: 1099)
    #expect(!devices.interruptAsserted(processor: 0))
    devices.advance(to: 1100)
    #expect(devices.interruptAsserted(processor: 0) && devices.acknowledgeInterrupt(processor: 0, now: 1100) == 0x40)
    #expect(read(Register.currentCount, now: 1200) == 0)
    #expect(devices.nextDeadline > 5000)
  }

  @Test func `the periodic timer interrupts every period, of its divider's cycles`() {
    write(Register.divide, 0b0000)
    write(Register.timer, 1 << 17 | 0x40)
    write(Register.initialCount, 50)
    for period in 1...3 as ClosedRange<UInt64> {
      #expect(devices.nextDeadline == period * 100)
      devices.advance(to: period * 100)
      #expect(devices.acknowledgeInterrupt(processor: 0, now: period * 100) == 0x40)
      write(Register.endOfInterrupt, 0, now: period * 100)
    }
  }

  @Test func `a masked timer counts and does not interrupt`() {
    write(Register.divide, 0b1011)
    write(Register.timer, 1 << 16 | 0x40)
    write(Register.initialCount, 10)
    devices.advance(to: 20)
    #expect(!devices.interruptAsserted(processor: 0) && read(Register.currentCount, now: 20) == 0)
  }

  @Test func `LINT0 masked holds back the 8259 pair`() {
    // Vectors from 0x20 on, only the timer's line open; the timer's output rises.
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xfe)] as [(UInt16, UInt32)] {
      devices.writePort(port, width: 1, value: value, now: 0)
    }
    for value in [0x34, 0x10, 0x00] as [UInt32] {
      devices.writePort(value == 0x34 ? 0x43 : 0x40, width: 1, value: value, now: 0)
    }
    devices.advance(to: 1_000_000)
    #expect(devices.interruptAsserted(processor: 0))
    write(Register.lint0, 1 << 16 | 0x700, now: 1_000_000)
    #expect(!devices.interruptAsserted(processor: 0))
    write(Register.lint0, 0x700, now: 1_000_000)
    #expect(
      devices.interruptAsserted(processor: 0) && devices.acknowledgeInterrupt(processor: 0, now: 1_000_000) == 0x20)
  }

  @Test func `a vector below 16 is an error`() {
    interruptSelf(0x0f)
    #expect(!devices.interruptAsserted(processor: 0))
    write(Register.errors, 0)
    #expect(read(Register.errors) == 1 << 5)
    write(Register.errors, 0)
    #expect(read(Register.errors) == 0)
  }

  @Test func `disabled by software it masks its entries and takes no interrupt`() {
    write(Register.timer, 0x40)
    write(Register.spurious, 0xff)
    #expect(read(Register.timer) == 1 << 16 | 0x40)
    interruptSelf(0x51)
    #expect(!devices.interruptAsserted(processor: 0))
  }

  @Test func `a snapshot keeps it`() {
    interruptSelf(0x51)
    let state = devices.state
    _ = devices.acknowledgeInterrupt(processor: 0, now: 0)
    devices.state = state
    #expect(devices.interruptAsserted(processor: 0) && devices.acknowledgeInterrupt(processor: 0, now: 0) == 0x51)
  }
}
