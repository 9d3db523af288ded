/// The state in which a PC's firmware leaves its interrupt controllers to the guest, as QEMU's was seen to.
///
/// Both 8259s are initialised with the vectors of real mode (0x08 and 0x70), and the lines of devices that exist are
/// unmasked. Timer ticks were served up to the moment at which the guest is entered: none is pending. What firmware
/// leaves in memory to serve the next ones is Boot's `Firmware`.
extension InterruptControllers {
  /// Lines that firmware listens to: timer, keyboard, cascade, clock, coprocessor.
  private static let firmwareLines: [Int] = [0, 1, PIC8259Pair.cascadeInput, 8, 13]

  /// Does what firmware does before it hands over.
  mutating func leaveFirmware(timerOutput: Bool) {
    let unmasked = Self.firmwareLines.reduce(UInt16(0)) { $0 | 1 << UInt16($1) }
    pic.write(UInt8(truncatingIfNeeded: ~unmasked), slave: false, odd: true)
    pic.write(UInt8(truncatingIfNeeded: ~unmasked >> 8), slave: true, odd: true)
    // The last tick: requested, acknowledged and ended.
    set(0, timerOutput)
    if pic.isRequested(0) {
      _ = pic.acknowledge()
      pic.write(0x20, slave: false, odd: false)
    }
  }
}
