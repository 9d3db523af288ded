import Devices
import Machine

/// A PC of some processors, for tests of their interrupt controllers. The clock ticks once a nanosecond, as the local
/// APICs' timers do before their dividers, unless told otherwise.
struct InterruptBoard {
  enum Register {
    static let id: UInt64 = 0x20, taskPriority: UInt64 = 0x80, endOfInterrupt: UInt64 = 0xb0
    static let logicalDestination: UInt64 = 0xd0, destinationFormat: UInt64 = 0xe0, spurious: UInt64 = 0xf0
    static let inService: UInt64 = 0x100, triggerMode: UInt64 = 0x180, requested: UInt64 = 0x200
    static let errors: UInt64 = 0x280, command: UInt64 = 0x300, commandHigh: UInt64 = 0x310, timer: UInt64 = 0x320
    static let lint0: UInt64 = 0x350, error: UInt64 = 0x370, initialCount: UInt64 = 0x380
    static let currentCount: UInt64 = 0x390, divide: UInt64 = 0x3e0
  }

  /// Bits of the interrupt command.
  enum Command {
    static let lowestPriority: UInt64 = 1 << 8, nonMaskable: UInt64 = 4 << 8, initialize: UInt64 = 5 << 8
    static let startUp: UInt64 = 6 << 8, logical: UInt64 = 1 << 11, assert: UInt64 = 1 << 14, level: UInt64 = 1 << 15
    static let toSelf: UInt64 = 1 << 18, toAll: UInt64 = 2 << 18, toOthers: UInt64 = 3 << 18
  }

  static let base: UInt64 = 0xfee0_0000
  static let enable: UInt64 = 1 << 11, extended: UInt64 = 1 << 10

  let devices: PCDevices

  init(processors: Int = 1, hasLocalAPICs: Bool = true) {
    devices = PCDevices(
      clockHertz: LocalAPIC.hertz, processors: processors, hasLocalAPICs: hasLocalAPICs,
      console: BufferConsole(input: [], isOpen: false))
    // No interrupts but those that a test asks for.
    for port in [0x21, 0xa1] as [UInt16] { devices.writePort(port, width: 1, value: 0xff, now: 0) }
    // Firmware leaves the other processors' APICs disabled by software.
    for processor in 1..<max(processors, 2) where processor < processors { write(processor, Register.spurious, 0x1ff) }
  }

  func read(_ processor: Int, _ register: UInt64, now: UInt64 = 0) -> UInt64 {
    devices.readRegister(GuestPhysical(Self.base + register), width: 4, processor: processor, now: now)
  }

  func write(_ processor: Int, _ register: UInt64, _ value: UInt64, now: UInt64 = 0) {
    devices.writeRegister(
      GuestPhysical(Self.base + register), width: 4, value: value, processor: processor, now: now)
  }

  /// Sends an interrupt command of an xAPIC.
  func send(_ processor: Int, _ command: UInt64, to destination: UInt64 = 0) {
    write(processor, Register.commandHigh, destination << 24)
    write(processor, Register.command, command)
  }

  func msr(_ processor: Int, _ number: UInt32, now: UInt64 = 0) -> UInt64? {
    devices.readLocalRegister(number, processor: processor, now: now)
  }

  @discardableResult func setMSR(_ processor: Int, _ number: UInt32, _ value: UInt64, now: UInt64 = 0) -> Bool {
    devices.writeLocalRegister(number, value: value, processor: processor, now: now)
  }

  /// Puts a processor's APIC into x2APIC mode.
  func extend(_ processor: Int) {
    setMSR(processor, MSR.apicBase, (msr(processor, MSR.apicBase) ?? 0) | Self.enable | Self.extended)
  }

  /// What each processor would take: the vectors of those that are interrupted, nil for the others. It is served and
  /// ended.
  func taken(now: UInt64 = 0) -> [UInt8?] {
    (0..<devices.state.interrupts.localAPICs.count).map { processor in
      guard devices.interruptAsserted(processor: processor) else { return nil }
      let vector = devices.acknowledgeInterrupt(processor: processor, now: now)
      if msr(processor, MSR.apicBase).map({ $0 & Self.extended != 0 }) ?? false {
        setMSR(processor, 0x80b, 0, now: now)
      } else {
        write(processor, Register.endOfInterrupt, 0, now: now)
      }
      return vector
    }
  }

  // MARK: The I/O APIC

  func readIO(_ register: UInt64) -> UInt64 {
    devices.writeRegister(GuestPhysical(IOAPIC.base), width: 4, value: register, processor: 0, now: 0)
    return devices.readRegister(GuestPhysical(IOAPIC.base + 0x10), width: 4, processor: 0, now: 0)
  }

  func writeIO(_ register: UInt64, _ value: UInt64) {
    devices.writeRegister(GuestPhysical(IOAPIC.base), width: 4, value: register, processor: 0, now: 0)
    devices.writeRegister(GuestPhysical(IOAPIC.base + 0x10), width: 4, value: value, processor: 0, now: 0)
  }

  /// Writes a redirection entry, the destination first.
  func redirect(_ input: UInt64, _ low: UInt64, to destination: UInt64 = 0) {
    writeIO(0x11 + input * 2, destination << 24)
    writeIO(0x10 + input * 2, low)
  }

  func entry(_ input: UInt64) -> UInt64 { readIO(0x10 + input * 2) }

  /// Drives an interrupt line by the test device.
  func line(_ number: UInt16, _ level: Bool) {
    devices.writePort(0x2000 + number, width: 1, value: level ? 1 : 0, now: 0)
  }
}
