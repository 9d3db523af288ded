/// What one processor's walks of nested tables have cost while its guest did not page.
struct UnpagedWalks {
  private var cycles: UInt64 = 0
  /// What the account said when the guest was last seen to page no more; nil: it pages.
  private var start: UInt64?

  /// - Parameter walked: what all walks of nested tables have cost until now.
  mutating func note(isUnpaged: Bool, walked: UInt64) {
    cycles = total(walked: walked)
    start = isUnpaged ? walked : nil
  }

  /// The same sum, up to now.
  func total(walked: UInt64) -> UInt64 { cycles &+ (start.map { walked &- $0 } ?? 0) }
}
