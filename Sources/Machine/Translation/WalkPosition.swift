/// A reference's place in a walk of two dimensions.
public struct WalkPosition: Sendable {
  /// A number for each place, some of which no walk comes to.
  typealias Counts = InlineArray<48, UInt64>
  private static let levels = 6
  /// The rows after those of nested walks.
  private static let shadow = 6
  private static let guest = 7

  let index: Int

  /// Of the guest's entries: their level.
  @inline(__always) init(guest level: Int) { index = WalkPosition.guest &* WalkPosition.levels &+ level }

  /// Of a shadow table's.
  @inline(__always) init(shadow level: Int) { index = WalkPosition.shadow &* WalkPosition.levels &+ level }

  /// Of nested entries: their level, and that of the guest's table which is sought, 0 for the page.
  @inline(__always) init(nested level: Int, toTable target: Int) { index = target &* WalkPosition.levels &+ level }

  private init(index: Int) { self.index = index }

  public static var all: [WalkPosition] { (0..<Counts.count).map(WalkPosition.init(index:)) }

  /// Whose tables a walk reads, by the names that statistics have for them.
  public enum Tables: String, Sendable {
    case guest, shadow, host
  }

  /// Whose entry it is.
  public var tables: Tables {
    switch index / WalkPosition.levels {
    case WalkPosition.guest: .guest
    case WalkPosition.shadow: .shadow
    default: .host
    }
  }

  /// As BH08 writes it: `gL3`, `gL3.nL2` for a nested entry on the way to the guest's, `gPA.nL2` on the way to the page;
  /// `sL3` for a shadow table's.
  public var name: String {
    let (row, level) = (index / WalkPosition.levels, index % WalkPosition.levels)
    return switch row {
    case WalkPosition.guest: "gL\(level)"
    case WalkPosition.shadow: "sL\(level)"
    case 0: "gPA.nL\(level)"
    default: "gL\(row).nL\(level)"
    }
  }
}
