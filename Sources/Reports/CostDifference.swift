import Foundation
import Machine

/// What a measured stretch spent more than its control, cause by cause, in whole cycles; nothing is rounded before it is
/// shown.
public struct CostDifference: Sendable {
  /// Cycles by cause, measured less control; negative where the control spent more. Causes without a difference are
  /// left out.
  public let causes: [(cause: Cause, cycles: Int128)]

  public init(_ measured: CycleLedger, less control: CycleLedger) {
    causes = Cause.all.compactMap { cause in
      let cycles = Int128(measured[cause]) - Int128(control[cause])
      return cycles == 0 ? nil : (cause, cycles)
    }
  }

  /// Cycles of all causes.
  public var total: Int128 { causes.reduce(0) { $0 + $1.cycles } }

  public func cycles(of cause: Cause) -> Int128 { causes.first { $0.cause == cause }?.cycles ?? 0 }

  /// Digits after the point in CSV and JSON.
  static let fineDecimals = 3

  /// The cycles of one out of `count` times, in units of the last of `fineDecimals`; the parts add up to the total.
  func shares(_ causes: [Cause], by count: UInt64) -> (parts: [Int128], total: Int128) {
    Apportionment.divide(causes.map(cycles), by: count, decimals: Self.fineDecimals)
  }

  /// The same of all causes, by their names, for JSON.
  func decimals(by count: UInt64) -> (total: Decimal, causes: [String: Decimal]) {
    let shares = shares(causes.map(\.cause), by: count)
    let parts = zip(causes.map(\.cause.name), shares.parts.map(Self.decimal))
    return (Self.decimal(shares.total), Dictionary(uniqueKeysWithValues: parts))
  }

  /// A number of those units.
  private static func decimal(_ units: Int128) -> Decimal {
    Decimal(
      sign: units < 0 ? .minus : .plus, exponent: -fineDecimals,
      significand: Decimal(UInt64(clamping: units.magnitude)))
  }
}
