/// How a PC reports an x87's errors by an interrupt, for code that leaves CR0.NE clear (SDM vol. 1, 8.7.2 and appendix D):
/// the bootstrap processor's pin FERR# raises line 13, where a latch holds it until port 0xf0 is written. That asserts
/// IGNNE#, too, with which the handler's own x87 instructions are executed, for as long as the error stays.
public struct CoprocessorError: Equatable, Sendable {
  /// The level of FERR#, as the processor last told it.
  private var isReported = false
  /// Line 13.
  public private(set) var isAsserted = false
  /// IGNNE#.
  private var isIgnored = false

  public init() {}

  /// Drives FERR#, and returns IGNNE#.
  mutating func report(_ isPending: Bool) -> Bool {
    if isPending && !isReported { isAsserted = true }
    if !isPending { isIgnored = false }
    isReported = isPending
    return isIgnored
  }

  /// A write to port 0xf0, of any value.
  mutating func acknowledge() {
    isAsserted = false
    isIgnored = isReported
  }
}
