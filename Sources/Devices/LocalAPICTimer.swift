/// The local APIC's timer (SDM vol. 3, 11.5.4). Times are cycles of its own oscillator.
extension LocalAPIC {
  private static let periodic: UInt32 = 1 << 17

  /// The divider, a power of two (figure 11-10).
  private var divider: UInt64 {
    let code = divide & 3 | (divide & 8) >> 1
    return code == 7 ? 1 : 2 << UInt64(code)
  }

  private var isPeriodic: Bool { self[.timer] & LocalAPIC.periodic != 0 }
  private var period: UInt64 { UInt64(initialCount) * divider }

  /// The oscillator's cycle at which the timer expires next, while that makes an interrupt.
  public var nextExpiry: UInt64? {
    guard isCounting, isEnabled, self[.timer] & LocalAPIC.masked == 0 else { return nil }
    return started &+ period
  }

  /// Lets the timer expire as often as it has by a cycle of the oscillator; however often that was, one request is made.
  public mutating func advance(to now: UInt64) {
    guard isCounting, now &- started >= period else { return }
    if self[.timer] & LocalAPIC.masked == 0 { request(UInt8(truncatingIfNeeded: self[.timer])) }
    if isPeriodic {
      started = now &- (now &- started) % period
    } else {
      isCounting = false
    }
  }

  func currentCount(at now: UInt64) -> UInt32 {
    guard isCounting else { return 0 }
    return UInt32(truncatingIfNeeded: UInt64(initialCount) &- (now &- started) / divider)
  }

  mutating func writeInitialCount(_ value: UInt32, now: UInt64) {
    initialCount = value
    started = now
    isCounting = value != 0
  }

  mutating func writeDivide(_ value: UInt32, now: UInt64) {
    // The count goes on from where it is, at another pace.
    let count = currentCount(at: now)
    divide = value & 0xb
    started = now &- UInt64(initialCount &- count) &* divider
  }
}
