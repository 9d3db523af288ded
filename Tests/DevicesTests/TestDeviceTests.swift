import Devices
import Machine
import Testing

/// The test device of kvm-unit-tests, and ACPI's fixed hardware beside the port that powers off.
@Suite struct TestDeviceTests {
  @Test func `its data port keeps bytes, words and doublewords`() {
    let board = Board()
    board.devices.writePort(0xe0, width: 4, value: 0x1234_5678, now: 0)
    board.devices.writePort(0xe1, width: 1, value: 0xab, now: 0)
    #expect(board.devices.readPort(0xe0, width: 4, now: 0) == 0x1234_ab78)
    #expect(board.devices.readPort(0xe2, width: 2, now: 0) == 0x1234)
    board.devices.writePort(0xe4, width: 4, value: 0x1000, now: 0)
    #expect(board.devices.readPort(0xe4, width: 4, now: 0) == 0 && board.devices.unclaimed.isEmpty)
  }

  @Test func `its memory keeps 64 KiB, and ends there`() {
    let board = Board()
    let address = GuestPhysical(0xff00_0ff8)
    #expect(board.devices.readRegister(address, width: 8, processor: 0, now: 0) == 0)
    board.devices.writeRegister(address, width: 8, value: 0x1122_3344_5566_7788, processor: 0, now: 0)
    board.devices.writeRegister(GuestPhysical(0xff00_0ffa), width: 2, value: 0xaaaa, processor: 0, now: 0)
    #expect(board.devices.readRegister(address, width: 8, processor: 0, now: 0) == 0x1122_3344_aaaa_7788)
    #expect(board.devices.readRegister(GuestPhysical(0xff00_ffff), width: 4, processor: 0, now: 0) == 0)
    #expect(board.devices.unclaimed.isEmpty)
    #expect(board.devices.readRegister(GuestPhysical(0xff01_0000), width: 4, processor: 0, now: 0) == 0xffff_ffff)
    #expect(board.devices.unclaimed.count == 1)
  }

  @Test func `its lines and a device's are one`() {
    let board = Board()
    board.startInterrupts(unmasking: 4)
    board.devices.writePort(0x2004, width: 4, value: 1, now: 0)
    #expect(board.interrupt() == 0x34 && board.interrupt() == nil)
    // The serial port's transmitter wants to interrupt on the same line, which stays high.
    board.out(0x3f9, 0x02)
    board.devices.writePort(0x2004, width: 1, value: 0, now: 0)
    #expect(board.interrupt() == nil)
    board.out(0x3f9, 0x00)
    board.devices.writePort(0x2004, width: 1, value: 1, now: 0)
    #expect(board.interrupt() == 0x34)
  }

  // MARK: ACPI

  @Test func `the power management timer counts at 3.579545 MHz in 32 bits`() {
    let board = Board(clockHertz: 3_579_545_000)
    func timer(_ now: UInt64) -> UInt32 { board.devices.readPort(0x608, width: 4, now: now) }
    #expect(timer(0) == 0 && timer(999) == 0 && timer(1000) == 1)
    #expect(timer(0x1234_5678 * 1000) == 0x1234_5678)
    #expect(timer(0x1_0000_0005 * 1000) == 5)
    board.devices.writePort(0x608, width: 4, value: 0, now: 0)
    #expect(timer(0x1_0000_0006 * 1000) == 6, "it cannot be written")
    #expect(board.devices.readPort(0x609, width: 1, now: 0x1_0000_1234 * 1000) == 0x12)
  }

  @Test func `a change of the timer's highest bit sets its status, and interrupts where that is enabled`() {
    let board = Board(clockHertz: 3_579_545)
    board.startInterrupts(unmasking: 2, 9)
    #expect(board.devices.nextDeadline == .max)
    board.devices.writePort(0x602, width: 2, value: 1, now: 0)
    #expect(board.devices.nextDeadline == 1 << 31)
    board.advance(to: 1 << 31)
    #expect(board.devices.readPort(0x600, width: 4, now: board.now) == 0x1_0001)
    #expect(board.interrupt() == 0x39)
    board.devices.writePort(0x600, width: 2, value: 1, now: board.now)
    #expect(board.devices.readPort(0x600, width: 2, now: board.now) == 0)
    #expect(board.devices.nextDeadline == 1 << 32)
    board.advance(to: 1 << 32)
    #expect(board.interrupt() == 0x39)
  }

  @Test func `the machine is in ACPI mode`() {
    #expect(Board().devices.readPort(0x604, width: 2, now: 0) == 1)
  }
}
