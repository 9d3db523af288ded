import Devices
import Machine

/// Repeatable randomness (SplitMix64).
struct Randomness: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var value = state
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}

/// A PC whose clock runs at the timer's own frequency unless told otherwise, so that ticks are timer cycles.
final class Board {
  let console: BufferConsole
  let devices: PCDevices
  var now: UInt64 = 0

  init(clockHertz: UInt64 = PIT8254.hertz, processors: Int = 1, input: String = "", isOpen: Bool = false) {
    console = BufferConsole(input: Array(input.utf8), isOpen: isOpen)
    devices = PCDevices(clockHertz: clockHertz, processors: processors, console: console)
  }

  func out(_ port: UInt16, _ values: UInt8...) {
    for value in values { devices.writePort(port, width: 1, value: UInt32(value), now: now) }
  }

  func input(_ port: UInt16) -> UInt8 { UInt8(devices.readPort(port, width: 1, now: now)) }

  /// Initialises both controllers as Linux does, with vectors 0x30 and 0x38, and unmasks some lines.
  func startInterrupts(unmasking lines: Int...) {
    out(0x20, 0x11)
    out(0x21, 0x30, 0x04, 0x01)
    out(0xa0, 0x11)
    out(0xa1, 0x38, 0x02, 0x01)
    let mask = lines.reduce(UInt16(0xffff)) { $0 & ~(1 << UInt16($1)) }
    out(0x21, UInt8(truncatingIfNeeded: mask) & 0xfb)
    out(0xa1, UInt8(truncatingIfNeeded: mask >> 8))
  }

  func advance(to time: UInt64) {
    now = time
    devices.advance(to: time)
  }

  /// The vector that the processor would take now, with the end of interrupt that its handler sends; nil without one.
  func interrupt() -> UInt8? {
    guard devices.interruptAsserted(processor: 0) else { return nil }
    let vector = devices.acknowledgeInterrupt(processor: 0, now: now)
    if vector >= 0x38 { out(0xa0, 0x20) }
    out(0x20, 0x20)
    return vector
  }
}
