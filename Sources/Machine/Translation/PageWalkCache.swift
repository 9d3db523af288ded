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
  func touch(_ address: HostPhysical, stamp: UInt64) -> Bool { entries.touch(address.rawValue >> 3, stamp: stamp) }

  /// Drops everything, as every instruction that invalidates does: its entries belong to no context.
  func flush() { entries.dropAll(where: 0, equals: 0) }
}
