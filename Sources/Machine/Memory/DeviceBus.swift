/// What the processor sees of everything that is not memory: ports, device registers, the interrupt line.
///
/// Under native paging the processor calls it itself; under a hypervisor the access exits and the hypervisor calls it.
/// Times are in ticks of the machine's clock (`Clock`): cycles, or retired instructions.
public protocol DeviceBus: AnyObject {
  /// Reads `width` (1, 2 or 4) bytes from an I/O port. A port that nothing claims reads all ones.
  func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32

  /// Writes the low `width` (1, 2 or 4) bytes of `value` to an I/O port.
  func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64)

  /// Reads `width` (1, 2, 4 or 8) bytes of a device's registers at an address that is not memory.
  func readRegister(_ address: GuestPhysical, width: Int, now: UInt64) -> UInt64

  /// Writes the low `width` (1, 2, 4 or 8) bytes of `value` to a device's registers.
  func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, now: UInt64)

  /// The earliest time at which some device wants `advance(to:)` again; `.max` when none does. It is asked for anew
  /// after every call to the bus.
  var nextDeadline: UInt64 { get }

  /// Lets devices act on the passing of time: timers expire, interrupt lines change.
  func advance(to now: UInt64)

  /// Whether the interrupt controller asserts the processor's INTR pin.
  var interruptAsserted: Bool { get }

  /// The interrupt-acknowledge cycle: the vector of the highest-priority request, which becomes in service.
  func acknowledgeInterrupt(now: UInt64) -> UInt8

  /// Set once a guest has asked, through a device, for the machine to end.
  var shutdown: Shutdown? { get }
}

/// How a guest asked for its machine to end.
public enum Shutdown: Equatable, Sendable {
  /// A value was written to the debug-exit port 0xf4; the process ends with `(value << 1) | 1`.
  case debugExit(UInt32)
  /// Power-off by ACPI (port 0x604) or by `Shutdown` written to port 0x8900.
  case powerOff
  /// Reset by the keyboard controller or port 0xcf9.
  case reset
}
