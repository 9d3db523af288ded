/// The local APIC's timer (SDM vol. 3, 11.5.4).
extension LocalAPIC {
  /// A moment, by both clocks that a timer can follow.
  struct Time {
    /// Cycles of the timer's own oscillator.
    var cycle: UInt64
    /// Ticks of the machine's clock, which time stamp counters follow.
    var tick: UInt64
  }

  private static let modes: UInt32 = 3 << 17
  private static let periodic: UInt32 = 1 << 17
  private static let timeStampDeadline: UInt32 = 2 << 17

  /// The divider, a power of two (figure 11-10).
  var divider: UInt64 {
    let code = divide & 3 | (divide & 8) >> 1
    return code == 7 ? 1 : 2 << UInt64(code)
  }

  private var isPeriodic: Bool { self[.timer] & LocalAPIC.modes == LocalAPIC.periodic }
  private var followsTimeStamp: Bool { self[.timer] & LocalAPIC.modes == LocalAPIC.timeStampDeadline }
  private var period: UInt64 { UInt64(initialCount) * divider }
  private var makesInterrupts: Bool { isEnabled && self[.timer] & LocalAPIC.masked == 0 }

  /// The oscillator's cycle at which the count expires next, while that makes an interrupt.
  var nextExpiry: UInt64? {
    guard isCounting, makesInterrupts else { return nil }
    return started &+ period
  }

  /// The machine's tick at which the time stamp counter reaches the deadline, while that makes an interrupt; nil as well
  /// where it will not before its 64 bits wrap.
  func nextDeadline(after tick: UInt64) -> UInt64? {
    guard deadline != 0, makesInterrupts else { return nil }
    let stamp = tick &+ timeStampOffset
    guard deadline > stamp else { return tick }
    let (sum, overflow) = tick.addingReportingOverflow(deadline - stamp)
    return overflow ? nil : sum
  }

  /// Lets the timer expire as often as it has by now; however often that was, one request is made.
  mutating func advance(to now: Time) {
    if deadline != 0 && now.tick &+ timeStampOffset >= deadline {
      deadline = 0
      expire()
    }
    // Its processor may have started it at a later moment than devices have come to.
    let elapsed = now.cycle &- started
    guard isCounting, Int64(bitPattern: elapsed) >= 0, elapsed >= period else { return }
    expire()
    if isPeriodic {
      started = now.cycle &- elapsed % period
    } else {
      isCounting = false
    }
  }

  private mutating func expire() {
    if self[.timer] & LocalAPIC.masked == 0 { request(UInt8(truncatingIfNeeded: self[.timer])) }
  }

  func currentCount(at now: Time) -> UInt32 {
    guard isCounting else { return 0 }
    return UInt32(truncatingIfNeeded: UInt64(initialCount) &- (now.cycle &- started) / divider)
  }

  /// In TSC-deadline mode there is no count.
  mutating func writeInitialCount(_ value: UInt32, now: Time) {
    guard !followsTimeStamp else { return }
    initialCount = value
    started = now.cycle
    isCounting = value != 0
  }

  mutating func writeDivide(_ value: UInt32, now: Time) {
    // The count goes on from where it is, at another pace.
    let count = currentCount(at: now)
    divide = value & 0xb
    started = now.cycle &- UInt64(initialCount &- count) &* divider
  }

  /// Writes IA32_TSC_DEADLINE; 0 disarms the timer. In the other modes nothing is written (11.5.4.1).
  mutating func writeDeadline(_ value: UInt64, now: Time) {
    guard followsTimeStamp else { return }
    deadline = value
    advance(to: now)
  }

  /// A change between TSC-deadline mode and the others disarms the timer (11.5.4.1).
  mutating func timerModeChanged(from old: UInt32) {
    guard (old ^ self[.timer]) & LocalAPIC.timeStampDeadline != 0 else { return }
    deadline = 0
    isCounting = false
    initialCount = 0
  }
}
