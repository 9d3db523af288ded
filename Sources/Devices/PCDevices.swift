import Machine

/// The devices of a small PC on its I/O ports, with one value that holds all of their state.
///
/// Devices compute their state from the time when they are asked; `nextDeadline` is the only thing that a processor
/// needs to watch, and it counts only what can reach its INTR pin.
public final class PCDevices: DeviceBus {
  /// Everything that the devices' future depends on: a snapshot is a copy of it, a restore an assignment.
  /// What a console holds is no part of it, but how much the guest has read and written is.
  public struct State: Equatable, Sendable {
    public var interrupts: InterruptControllers
    public var timer = PIT8254()
    public var clock: RTC
    public var serial = UART16550()
    public var keyboard = KeyboardController()
    public var crtc = CRTC()
    public var firmwareConfig: FirmwareConfig
    public var pci = PCIConfiguration()
    public var reset = ResetControl()
    public var power = PowerManagement()
    public var coprocessor = CoprocessorError()
    public var test = TestDevice()
    /// The last byte written to port 0x80, a firmware's progress code.
    public var post: UInt8 = 0
    /// Bytes written to the serial console and to a debug console of its own.
    public var serialOutput = 0, debugOutput = 0
    public var shutdown: Shutdown?
    public var unclaimed = UnclaimedAccesses()
    public var accesses = AccessLog()
    /// The time of the last call, in ticks of the machine's clock.
    public var time: UInt64 = 0
  }

  private let ports = PortMap()
  private let timerOscillator: Oscillator
  private let clockOscillator: Oscillator
  private let localOscillator: Oscillator
  private let powerOscillator: Oscillator
  private let console: any Console
  private let debugConsole: (any Console)?
  private var current: State

  public private(set) var nextDeadline = UInt64.max
  /// What waits for each processor.
  private var signals: [ProcessorSignals]

  /// Makes the devices as PC firmware leaves them, at tick 0.
  /// - Parameters:
  ///   - clockHertz: the frequency of the machine's clock, in Hz: how many ticks of `now` make a second.
  ///   - processors: the number of processors: each has a local APIC, and the firmware configuration tells it.
  ///   - hasLocalAPICs: false for processors without any, whose INTR pins are the 8259 pair's.
  ///   - date: what the real-time clock shows at tick 0.
  ///   - memoryBytes: the size of memory that CMOS notes; 0 notes none.
  ///   - console: the serial port's other end.
  ///   - debugConsole: what port 0xe9 writes to; nil stands for `console`.
  public init(
    clockHertz: UInt64 = 3_000_000_000, processors: Int = 1, hasLocalAPICs: Bool = true,
    date: CalendarDate = RTC.defaultDate, memoryBytes: UInt64 = 0, console: any Console,
    debugConsole: (any Console)? = nil
  ) {
    timerOscillator = Oscillator(hertz: PIT8254.hertz, clockHertz: clockHertz)
    clockOscillator = Oscillator(hertz: RTC.hertz, clockHertz: clockHertz)
    localOscillator = Oscillator(hertz: LocalAPIC.hertz, clockHertz: clockHertz)
    powerOscillator = Oscillator(hertz: PowerManagement.hertz, clockHertz: clockHertz)
    self.console = console
    self.debugConsole = debugConsole
    current = State(
      interrupts: InterruptControllers(processors: processors, hasLocalAPICs: hasLocalAPICs),
      clock: RTC(date: date, memoryBytes: memoryBytes), firmwareConfig: FirmwareConfig(processors: processors))
    signals = [ProcessorSignals](repeating: [], count: current.interrupts.localAPICs.count)
    current.interrupts.leaveFirmware(timerOutput: current.timer.output)
    update()
  }

  /// The state of all devices; assigning one restores it.
  public var state: State {
    get { current }
    set {
      current = newValue
      update()
    }
  }

  public var shutdown: Shutdown? { current.shutdown }

  /// The ports and addresses that nothing claims, and how often each was read and written, in ascending order.
  public var unclaimed: [(description: String, reads: UInt64, writes: UInt64)] { current.unclaimed.list }

  /// Whether input on the console could still raise an interrupt: if not, and `nextDeadline` is `.max`, a halted
  /// processor waits for ever.
  public var awaitsInput: Bool {
    current.serial.interruptsOnInput && !console.isExhausted(at: current.serial.consumed)
  }

  /// Waits for input that can raise an interrupt, for a processor that nothing else can wake.
  /// - Returns: whether it came; `advance(to:)` then makes it known.
  public func awaitInput() -> Bool { awaitsInput && console.awaitByte(at: current.serial.consumed) }

  // MARK: DeviceBus

  public func advance(to now: UInt64) {
    synchronize(to: now)
    update()
  }

  public func signals(processor: Int) -> ProcessorSignals {
    signals.indices.contains(processor) ? signals[processor] : []
  }

  public func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8 {
    synchronize(to: now, by: processor)
    defer { update() }
    return current.interrupts.acknowledge(processor)
  }

  public func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8 {
    synchronize(to: now, by: processor)
    defer { update() }
    return current.interrupts.take(signal, processor)
  }

  public func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32 {
    synchronize(to: withinDeadline(now))
    defer { update() }
    let value = read(port, min(max(width, 1), 4))
    current.accesses.note(.port, UInt64(port), width: width, UInt64(value), isWrite: false)
    return value
  }

  private func read(_ port: UInt16, _ width: Int) -> UInt32 {
    if width > 1 && ports[port].takesWideAccess { return readWide(port, width) }
    noteUnclaimed(port, width, isWrite: false)
    return bytes(of: port, width).reduce(0) { $0 | UInt32(readByte($1.port)) << $1.shift }
  }

  public func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64) {
    synchronize(to: withinDeadline(now))
    defer { update() }
    let width = min(max(width, 1), 4)
    current.accesses.note(.port, UInt64(port), width: width, UInt64(value), isWrite: true)
    if width > 1 && ports[port].takesWideAccess { return writeWide(value, port, width) }
    noteUnclaimed(port, width, isWrite: true)
    for byte in bytes(of: port, width) { writeByte(UInt8(truncatingIfNeeded: value >> byte.shift), byte.port) }
  }

  public func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64 {
    let time = synchronize(to: now, by: processor)
    defer { update() }
    let value = read(address, width, processor, time)
    current.accesses.note(.register, address.rawValue, width: width, value, isWrite: false)
    return value
  }

  private func read(
    _ address: GuestPhysical, _ width: Int, _ processor: Int, _ time: LocalAPIC.Time
  ) -> UInt64 {
    if let value = current.interrupts.read(address.rawValue, processor, now: time) { return UInt64(value) }
    if TestDevice.contains(address.rawValue) { return current.test.read(address.rawValue, width: width) }
    current.unclaimed.count(address: address.rawValue, isWrite: false)
    return width >= 8 ? .max : 1 << (UInt64(max(width, 1)) * 8) - 1
  }

  public func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64) {
    let time = synchronize(to: now, by: processor)
    defer { update() }
    current.accesses.note(.register, address.rawValue, width: width, value, isWrite: true)
    let low = UInt32(truncatingIfNeeded: value)
    if current.interrupts.write(address.rawValue, low, processor, now: time) { return }
    if TestDevice.contains(address.rawValue) { return current.test.write(address.rawValue, width: width, value) }
    current.unclaimed.count(address: address.rawValue, isWrite: true)
  }

  public func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64? {
    let time = synchronize(to: now, by: processor)
    defer { update() }
    let value = current.interrupts.readRegister(number, processor, now: time)
    current.accesses.note(.localRegister, UInt64(number), width: 8, value ?? 0, isWrite: false)
    return value
  }

  public func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool {
    let time = synchronize(to: now, by: processor)
    defer { update() }
    current.accesses.note(.localRegister, UInt64(number), width: 8, value, isWrite: true)
    return current.interrupts.writeRegister(number, value, processor, now: time)
  }

  public func taskPriority(processor: Int) -> UInt8 { current.interrupts.taskPriority(processor) }

  public func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64) {
    synchronize(to: now, by: processor)
    defer { update() }
    current.interrupts.setTaskPriority(value, processor)
  }

  public func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64) {
    let time = synchronize(to: now, by: processor)
    defer { update() }
    current.interrupts.setTimeStampOffset(offset, processor)
    current.interrupts.advance(processor, to: time)
  }

  public func reportCoprocessorError(_ isPending: Bool, processor: Int, now: UInt64) -> Bool {
    // No other processor's pins are wired.
    guard processor == 0 else { return false }
    synchronize(to: now, by: processor)
    defer { update() }
    return current.coprocessor.report(isPending)
  }

  // MARK: Time and interrupts

  /// Lets time pass. A clock that seems to go back stands still.
  private func synchronize(to now: UInt64) {
    current.time = max(current.time, now)
    let (output, rose) = current.timer.advance(to: timerOscillator.cycles(at: current.time))
    // However many edges there were since the last call, the latch keeps one.
    if rose { current.interrupts.set(0, false) }
    current.interrupts.set(0, output)
    current.clock.advance(to: clockOscillator.cycles(at: current.time))
    current.power.advance(to: powerOscillator.cycles(at: current.time))
    current.interrupts.advance(to: localTime(at: current.time))
    updateLines()
  }

  /// Lets time pass up to one processor's access. What the others wait for does not come before they are there: of
  /// several, only the processor's own APIC comes to its clock if a deadline lies between.
  ///
  /// - Returns: now, for that APIC.
  @discardableResult private func synchronize(to now: UInt64, by processor: Int) -> LocalAPIC.Time {
    synchronize(to: withinDeadline(now))
    let time = localTime(at: max(current.time, now))
    current.interrupts.advance(processor, to: time)
    return time
  }

  /// The time up to which an access lets devices act: not to the next deadline where there are several processors, of
  /// which some may not have come to it (`advance` tells when they have).
  private func withinDeadline(_ now: UInt64) -> UInt64 {
    signals.count > 1 && nextDeadline != .max ? min(now, nextDeadline - 1) : now
  }

  /// A tick, as the local APICs' timers see it.
  /// The state with its counters as they stand at a tick of the machine's clock, for somebody who only looks.
  public func preview(at tick: UInt64) -> State {
    var preview = state
    let now = max(tick, state.time)
    _ = preview.timer.advance(to: timerOscillator.cycles(at: now))
    preview.clock.advance(to: clockOscillator.cycles(at: now))
    preview.interrupts.advance(to: localTime(at: now))
    return preview
  }

  /// The local APICs at a tick.
  public func localAPICs(at tick: UInt64) -> [LocalAPICView] {
    let now = localTime(at: max(tick, state.time))
    return preview(at: tick).interrupts.localAPICs.all.map { LocalAPICView($0, now: now) }
  }

  private func localTime(at tick: UInt64) -> LocalAPIC.Time {
    LocalAPIC.Time(cycle: localOscillator.cycles(at: tick), tick: tick)
  }

  /// Drives the interrupt lines from the devices' outputs.
  private func updateLines() {
    drive(0, current.timer.output)
    drive(1, current.keyboard.isAsserted)
    drive(4, current.serial.isAsserted(console))
    drive(8, current.clock.isAsserted)
    drive(Self.powerLine, current.power.isAsserted)
    drive(13, current.coprocessor.isAsserted)
  }

  /// A line is high while a device or the test device drives it.
  private func drive(_ line: Int, _ level: Bool) {
    current.interrupts.set(line, level || current.test.drives(line))
  }

  /// The line of the system control interrupt (the FADT's SCI_INT).
  private static let powerLine = 9
  private static let deviceLines = [0, 1, 4, 8, powerLine, 13]

  /// Brings the bus's own outputs up to date after a call.
  private func update() {
    updateLines()
    current.interrupts.updatePin()
    for index in signals.indices { signals[index] = current.interrupts.signals(index) }
    var deadline = min(timerDeadline, clockDeadline, powerDeadline)
    let locals = current.interrupts.localAPICs
    if let expiry = locals.nextExpiry { deadline = min(deadline, localOscillator.tick(of: expiry)) }
    if let tick = locals.nextDeadline(after: current.time) { deadline = min(deadline, tick) }
    // An oscillator whose cycles no longer fit 64 bits stands still.
    nextDeadline = deadline > current.time ? deadline : .max
  }

  private var timerDeadline: UInt64 {
    guard !current.interrupts.isMasked(0) else { return .max }
    // The rise makes a request; a fall matters only where it would withdraw one of the pair's.
    let isRequested = !current.interrupts.isMaskedAtPair(0) && current.interrupts.pic.isRequested(0)
    let edge = current.timer.nextEdge(to: !isRequested)
    return edge.map(timerOscillator.tick) ?? .max
  }

  private var powerDeadline: UInt64 {
    guard !current.interrupts.isMasked(Self.powerLine) else { return .max }
    return current.power.nextInterrupt.map(powerOscillator.tick) ?? .max
  }

  private var clockDeadline: UInt64 {
    guard !current.interrupts.isMasked(8) else { return .max }
    return current.clock.nextInterrupt.map(clockOscillator.tick) ?? .max
  }

  // MARK: Ports

  private func bytes(of port: UInt16, _ width: Int) -> some Sequence<(port: UInt16, shift: UInt32)> {
    (0..<UInt16(width)).lazy.map { (port &+ $0, UInt32($0) * 8) }
  }

  /// Counts an access once, by the first of its ports that nothing claims.
  private func noteUnclaimed(_ port: UInt16, _ width: Int, isWrite: Bool) {
    guard let unclaimed = bytes(of: port, width).first(where: { ports[$0.port] == .none }) else { return }
    current.unclaimed.count(port: unclaimed.port, isWrite: isWrite)
  }

  private func readByte(_ port: UInt16) -> UInt8 {
    let isOdd = port & 1 != 0
    switch ports[port] {
    case .masterPIC: return current.interrupts.pic.read(slave: false, odd: isOdd)
    case .slavePIC: return current.interrupts.pic.read(slave: true, odd: isOdd)
    case .edgeLevelControl:
      let control = current.interrupts.pic.edgeLevelControl
      return isOdd ? control.high : control.low
    case .timer: return current.timer.read(Int(port & 3))
    case .systemControl: return current.timer.readSystemControl()
    case .keyboard: return readKeyboard(port)
    case .clock: return isOdd ? current.clock.read() : 0xff
    case .post: return current.post
    case .portA: return current.reset.readPortA()
    case .debugConsole: return 0xe9
    case .debugExit: return 0
    case .crtc: return isOdd ? current.crtc.data : current.crtc.index
    case .serial: return readSerial(Int(port & 7))
    case .firmwareConfig: return isOdd ? current.firmwareConfig.next() : 0xff
    case .powerEvent: return current.power.readEvent(Int(port & 3))
    case .powerControl: return current.power.readControl(Int(port & 1))
    case .powerTimer: return UInt8(truncatingIfNeeded: current.power.timer >> (UInt32(port & 3) * 8))
    case .testData: return UInt8(truncatingIfNeeded: current.test.data >> (UInt32(port & 3) * 8))
    case .testFlush, .testLine: return 0
    case .pciAddress: return port == 0xcf9 ? current.reset.readReset() : 0xff
    case .coprocessor, .pciData, .shutdown, .none: return 0xff
    }
  }

  private func writeByte(_ value: UInt8, _ port: UInt16) {
    let isOdd = port & 1 != 0
    switch ports[port] {
    case .masterPIC: current.interrupts.pic.write(value, slave: false, odd: isOdd)
    case .slavePIC: current.interrupts.pic.write(value, slave: true, odd: isOdd)
    case .edgeLevelControl:
      if isOdd {
        current.interrupts.pic.edgeLevelControl.high = value
      } else {
        current.interrupts.pic.edgeLevelControl.low = value
      }
    case .timer: current.timer.write(value, to: Int(port & 3))
    case .systemControl: current.timer.writeSystemControl(value)
    case .keyboard:
      let resets = port & 4 != 0 ? current.keyboard.writeCommand(value) : current.keyboard.writeData(value)
      if resets { end(.reset) }
    case .clock: if isOdd { current.clock.write(value) } else { current.clock.select(value) }
    case .post: current.post = value
    case .portA: if current.reset.writePortA(value) { end(.reset) }
    case .coprocessor: current.coprocessor.acknowledge()
    case .debugConsole: writeDebugConsole(value)
    case .debugExit: end(.debugExit(UInt32(value)))
    case .crtc: if isOdd { current.crtc.data = value } else { current.crtc.index = value }
    case .serial: writeSerial(value, Int(port & 7))
    case .firmwareConfig: if !isOdd { current.firmwareConfig.select(UInt16(value)) }
    case .powerEvent: current.power.writeEvent(value, Int(port & 3))
    case .powerControl: writePowerControl(UInt32(value), port, 1)
    case .testData:
      let shift = UInt32(port & 3) * 8
      current.test.data = current.test.data & ~(0xff << shift) | UInt32(value) << shift
    case .testLine: driveTestLine(port, UInt32(value))
    // The timer is read-only.
    case .powerTimer, .testFlush: break
    case .shutdown: if current.power.spell(value) { end(.powerOff) }
    case .pciAddress: if port == 0xcf9 && current.reset.writeReset(value) { end(.reset) }
    case .pciData, .none: break
    }
  }

  private func readWide(_ port: UInt16, _ width: Int) -> UInt32 {
    let ones = UInt32.max >> UInt32(32 - width * 8)
    switch ports[port] {
    case .pciAddress: return port == 0xcf8 && width == 4 ? current.pci.address : ones
    case .firmwareConfig where port == 0x511:
      return (0..<UInt32(width)).reduce(0) { $0 | UInt32(current.firmwareConfig.next()) << ($1 * 8) }
    case .powerControl: return UInt32(current.power.readControl(0)) | UInt32(current.power.readControl(1)) << 8
    case .debugExit, .testFlush, .testLine: return 0
    default: return ones
    }
  }

  private func writeWide(_ value: UInt32, _ port: UInt16, _ width: Int) {
    switch ports[port] {
    case .pciAddress: if port == 0xcf8 && width == 4 { current.pci.writeAddress(value) }
    case .firmwareConfig: if port == 0x510 { current.firmwareConfig.select(UInt16(truncatingIfNeeded: value)) }
    case .powerControl: writePowerControl(value, port, width)
    case .testLine: driveTestLine(port, value & UInt32.max >> UInt32(32 - width * 8))
    case .debugExit: end(.debugExit(value & UInt32.max >> UInt32(32 - width * 8)))
    default: break
    }
  }

  private func readKeyboard(_ port: UInt16) -> UInt8 {
    guard port & 4 == 0 else { return current.keyboard.status }
    // The line falls for a moment, so that the next byte makes an edge.
    current.interrupts.set(1, false)
    return current.keyboard.readData()
  }

  // Taking a byte in or giving one out drops the serial line for a moment, so that what is ready at once, because
  // input waits or because transmission takes no time, makes an edge as it would on a slower line.

  private func readSerial(_ offset: Int) -> UInt8 {
    if offset == 0 { current.interrupts.set(4, false) }
    return current.serial.read(offset, from: console)
  }

  private func writeSerial(_ value: UInt8, _ offset: Int) {
    if offset == 0 { current.interrupts.set(4, false) }
    guard let byte = current.serial.write(value, to: offset) else { return }
    console.write(byte, at: current.serialOutput)
    current.serialOutput &+= 1
  }

  private func writeDebugConsole(_ value: UInt8) {
    if let debugConsole, debugConsole !== console {
      debugConsole.write(value, at: current.debugOutput)
      current.debugOutput &+= 1
    } else {
      console.write(value, at: current.serialOutput)
      current.serialOutput &+= 1
    }
  }

  private func driveTestLine(_ port: UInt16, _ value: UInt32) {
    let line = current.test.setLine(at: port, value)
    // Lines with devices of their own are driven after every access anyway.
    if !Self.deviceLines.contains(line) { drive(line, false) }
  }

  private func writePowerControl(_ value: UInt32, _ port: UInt16, _ width: Int) {
    if current.power.writeControl(value, width: width, offset: Int(port & 1)) { end(.powerOff) }
  }

  /// The first request to end the machine stands.
  private func end(_ shutdown: Shutdown) {
    if current.shutdown == nil { current.shutdown = shutdown }
  }
}
