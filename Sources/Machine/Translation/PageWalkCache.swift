/// The page-walk cache of AMD's processors: entries of page tables, of every level and of both dimensions, by where they
/// are in the host, so that a walk need not go to L2 for them (BH08, 4.1). Paging-structure caches let a walk begin further
/// down; this one makes each of its steps cheap.
///
/// It holds no data, only which entries are near, as the caches of lines do: what a walk reads is what memory has.
struct PageWalkCache {
  let entries: AssociativeArray
  /// Asked for every reference of a walk.
  let isPresent: Bool

  init(profile: CostProfile) {
    let count = Int(profile[.walkCacheEntries])
    entries = AssociativeArray(entries: count, ways: count)
    isPresent = count != 0
  }

  func deallocate() { entries.deallocate() }

  /// Whether an entry was there; it is afterwards. Two of four bytes share a place of eight.
  func has(_ address: HostPhysical, tick: UInt64) -> Bool {
    let key = (address.rawValue >> 3) << 16
    let way = entries.find(key, inSet: 0)
    if way >= 0 {
      entries.stamps[way] = tick
      return true
    }
    entries.put(key, 0, stamp: tick, at: entries.victim(inSet: 0))
    return false
  }

  /// Drops everything, as every instruction that invalidates does: its entries belong to no context.
  func flush() { entries.dropAll(where: 0, equals: 0) }
}

/// A reference's place in a walk of two dimensions.
public struct WalkPosition: Sendable {
  /// Places there are, some of which no walk comes to.
  static let count = 48
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

  public static var all: [WalkPosition] { (0..<count).map(WalkPosition.init(index:)) }

  /// Whose entry it is: `guest`, `shadow` or `host`.
  public var table: String {
    switch index / WalkPosition.levels {
    case WalkPosition.guest: "guest"
    case WalkPosition.shadow: "shadow"
    default: "host"
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
