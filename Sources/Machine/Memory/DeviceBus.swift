/// What a processor sees of everything that is not memory: ports, device registers, its interrupt pins.
///
/// Under native paging the processor calls it itself; under a hypervisor the access exits and the hypervisor calls it.
/// Times are in ticks of the machine's clock (`Clock`): cycles, or retired instructions. `processor` is the index of
/// the processor that accesses or is asked about (`Processor.index`): each has a local APIC of its own.
public protocol DeviceBus: AnyObject {
  /// Reads `width` (1, 2 or 4) bytes from an I/O port. A port that nothing claims reads all ones.
  func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32

  /// Writes the low `width` (1, 2 or 4) bytes of `value` to an I/O port.
  func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64)

  /// Reads `width` (1, 2, 4 or 8) bytes of a device's registers at an address that is not memory.
  func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64

  /// Writes the low `width` (1, 2, 4 or 8) bytes of `value` to a device's registers.
  func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64)

  /// Reads a model-specific register of a processor's local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE, or one of x2APIC
  /// mode's (`MSR.extendedAPIC`); nil where that raises #GP.
  func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64?

  /// Writes one of the same; false where that raises #GP. Whether the processor has the feature, and the bits that
  /// depend on its physical addresses, have been checked.
  func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool

  /// CR8: bits 7:4 of the local APIC's task priority, which is there even where the APIC is disabled.
  func taskPriority(processor: Int) -> UInt8
  func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64)

  /// Tells by how much a processor's time stamp counter is ahead of the machine's clock now: its deadline follows it.
  func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64)

  /// The earliest time at which some device wants `advance(to:)` again; `.max` when none does. It is asked for anew
  /// after every call to the bus.
  var nextDeadline: UInt64 { get }

  /// Lets devices act on the passing of time: timers expire, interrupt lines change.
  func advance(to now: UInt64)

  /// What waits for a processor at its next instruction boundary.
  func signals(processor: Int) -> ProcessorSignals

  /// The interrupt-acknowledge cycle: the vector of the highest-priority request, which becomes in service.
  func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8

  /// Takes one of the signals that stay until they are taken; of `startUp` the vector, else 0. INIT resets the
  /// processor's local APIC, too.
  func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8

  /// Drives a processor's pin FERR#: an exception of the x87 is pending with CR0.NE clear, or no longer is.
  ///
  /// - Returns: the pin IGNNE#: whether waiting instructions are executed all the same.
  func reportCoprocessorError(_ isPending: Bool, processor: Int, now: UInt64) -> Bool

  /// Set once a guest has asked, through a device, for the machine to end.
  var shutdown: Shutdown? { get }
}

extension DeviceBus {
  /// Where nothing is wired to FERR#, IGNNE# is asserted.
  public func reportCoprocessorError(_ isPending: Bool, processor: Int, now: UInt64) -> Bool { true }

  /// Whether an interrupt waits for a processor: its INTR pin.
  public func interruptAsserted(processor: Int) -> Bool { signals(processor: processor).contains(.interrupt) }
}

/// What waits for a processor, from outside its instructions.
@frozen public struct ProcessorSignals: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// A maskable interrupt, until it is acknowledged or withdrawn.
  public static let interrupt = ProcessorSignals(rawValue: 1 << 0)
  /// NMI, until it is taken; one more waits while the first is being handled.
  public static let nonMaskable = ProcessorSignals(rawValue: 1 << 1)
  /// INIT, until it is taken: the processor waits for start-up then, or begins anew if it is the bootstrap processor.
  public static let initialize = ProcessorSignals(rawValue: 1 << 2)
  /// A start-up interrupt (SIPI), until it is taken. It comes after an INIT that waits with it, and says nothing to a
  /// processor that does not wait for it (SDM vol. 3, 9.4.3).
  public static let startUp = ProcessorSignals(rawValue: 1 << 3)
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
