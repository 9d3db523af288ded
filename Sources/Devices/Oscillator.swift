/// A device's own clock, derived from the machine's by exact integer arithmetic, so that every host computes the same.
///
/// Cycle `c` of the oscillator begins at the first machine tick `t` with `t * hertz / clockHertz >= c`.
public struct Oscillator: Equatable, Sendable {
  /// The oscillator's frequency, in Hz.
  public let hertz: UInt64
  /// The frequency of the machine's clock, in Hz.
  public let clockHertz: UInt64

  /// Makes an oscillator; a frequency of zero counts as 1 Hz.
  public init(hertz: UInt64, clockHertz: UInt64) {
    self.hertz = max(hertz, 1)
    self.clockHertz = max(clockHertz, 1)
  }

  /// The whole oscillator cycles that have passed at machine tick `now`; `.max` where they exceed 64 bits.
  public func cycles(at now: UInt64) -> UInt64 {
    Self.quotient(now, times: hertz, over: clockHertz, rounding: 0)
  }

  /// The first machine tick at which `cycles` have passed; `.max` where it exceeds 64 bits.
  public func tick(of cycles: UInt64) -> UInt64 {
    Self.quotient(cycles, times: clockHertz, over: hertz, rounding: hertz - 1)
  }

  private static func quotient(
    _ value: UInt64, times factor: UInt64, over divisor: UInt64, rounding: UInt64
  ) -> UInt64 {
    var product = value.multipliedFullWidth(by: factor)
    let (low, carry) = product.low.addingReportingOverflow(rounding)
    // The high half of a product of two 64-bit numbers is at most 2^64 - 2, so that the carry always fits.
    product = (carry ? product.high + 1 : product.high, low)
    guard product.high < divisor else { return .max }
    return divisor.dividingFullWidth(product).quotient
  }
}
