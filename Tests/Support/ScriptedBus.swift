import Machine

/// Devices that do what a test says: interrupts at given times, a register that tells the time, ports that note what is
/// written.
public final class ScriptedBus: DeviceBus {
  /// Interrupts to come, by time: the processor's INTR pin is asserted from then on until the vector is acknowledged.
  public var timetable: [(time: UInt64, vector: UInt8)] = []
  /// What was written to ports.
  public private(set) var written: [(port: UInt16, value: UInt32, time: UInt64)] = []
  /// When interrupts were acknowledged.
  public private(set) var acknowledged: [(vector: UInt8, time: UInt64)] = []
  private var pending: [UInt8] = []

  public init() {}

  /// Port 0x80 to 0x8f: reads tell the time.
  public func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32 {
    0x80..<0x90 ~= port ? UInt32(truncatingIfNeeded: now) : .max
  }

  /// Port 0x40 asks for an interrupt with vector 0x20 after `value` ticks, port 0xf4 ends the run.
  public func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64) {
    written.append((port, value, now))
    if port == 0x40 { timetable.append((now + UInt64(value), 0x20)) }
    if port == 0xf4 { shutdown = .debugExit(value) }
  }

  /// Registers tell the time.
  public func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64 { now }

  /// A register asks for an interrupt with vector 0x20 after `value` ticks.
  public func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64) {
    timetable.append((now + value, 0x20))
  }

  public var nextDeadline: UInt64 { timetable.map(\.time).min() ?? .max }

  public func advance(to now: UInt64) {
    pending += timetable.filter { $0.time <= now }.map(\.vector)
    timetable.removeAll { $0.time <= now }
  }

  /// Signals other than interrupts, for a test to raise.
  public var latched: ProcessorSignals = []
  public var startUpVector: UInt8 = 0

  public func signals(processor: Int) -> ProcessorSignals {
    pending.isEmpty ? latched : latched.union(.interrupt)
  }

  public func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8 {
    latched.subtract(signal)
    return signal == .startUp ? startUpVector : 0
  }

  public func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8 {
    let vector = pending.isEmpty ? 0xff : pending.removeFirst()
    acknowledged.append((vector, now))
    return vector
  }

  /// Local APIC registers by number, as they were written last, and CR8; the processor's time stamp offset.
  public var localRegisters: [UInt32: UInt64] = [MSR.apicBase: 0xfee0_0900]
  public var taskPriority: UInt8 = 0
  public private(set) var timeStampOffset: UInt64 = 0

  public func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64? { localRegisters[number] }

  /// 0x8ff refuses what is written.
  public func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool {
    guard number != 0x8ff else { return false }
    localRegisters[number] = value
    return true
  }

  public func taskPriority(processor: Int) -> UInt8 { taskPriority }
  public func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64) { taskPriority = value }
  public func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64) { timeStampOffset = offset }

  /// What the processor said of an x87's error, IGNNE#, and the vector that a report of one interrupts with.
  public private(set) var coprocessorReports: [Bool] = []
  public var ignoresCoprocessorErrors = true
  public var coprocessorVector: UInt8?

  public func reportCoprocessorError(_ isPending: Bool, processor: Int, now: UInt64) -> Bool {
    coprocessorReports.append(isPending)
    if isPending, let coprocessorVector { pending.append(coprocessorVector) }
    return ignoresCoprocessorErrors
  }

  public private(set) var shutdown: Shutdown?
}
