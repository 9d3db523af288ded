/// The translation hardware of one processor: TLBs, paging-structure caches, the nested TLB, and the data caches that
/// walks and data go through.
///
/// Safety: every buffer is owned here and freed in `deinit`.
final class TranslationUnit {
  let data: TranslationLookaside
  let code: TranslationLookaside
  let second: TranslationLookaside
  var direct = DirectCache()
  var known: KnownPages
  /// With coherent TLBs, where verdicts have no place.
  var standing = StandingChecks()

  /// Paging-structure caches: of PDEs, which lead to tables of level 1, of PDPTEs and of PML4Es.
  let pde: AssociativeArray
  let pdpte: AssociativeArray
  let pml4e: AssociativeArray
  let nestedPDE: AssociativeArray
  let nestedPDPTE: AssociativeArray
  let nestedTLB: AssociativeArray
  let walkCache: PageWalkCache
  let caches: CacheHierarchy

  /// Time for the LRU of everything that is used on slow paths only.
  var tick: UInt64 = 0
  /// Large pages of the guest, by `GuestPageSize`, of which TLBs may hold splinters: INVLPG has to look for all of a page's.
  var splintered = InlineArray<4, PageSet>(repeating: .nothing)
  /// What the keys' tags stand for.
  var spaces = KeyNumbers<TranslationSpace>()
  var roots = KeyNumbers<HostPhysical>()

  init(profile: CostProfile, options: ProcessorOptions) {
    data = TranslationLookaside(
      small: (profile[.tlbData4KEntries], profile[.tlbData4KWays]),
      medium: (profile[.tlbData2MEntries], profile[.tlbData2MWays]),
      large: (profile[.tlbData1GEntries], profile[.tlbData1GWays]), unifiedMedium: profile[.tlbDataUnified] != 0,
      unifiedLarge: profile[.tlbDataUnified] != 0, searched: .expectingMisses)
    code = TranslationLookaside(
      small: (profile[.tlbCode4KEntries], profile[.tlbCode4KWays]),
      medium: (profile[.tlbCode2MEntries], profile[.tlbCode2MWays]),
      large: (profile[.tlbCode1GEntries], profile[.tlbCode1GWays]), unifiedMedium: profile[.tlbCodeUnified] != 0,
      unifiedLarge: profile[.tlbCodeUnified] != 0, searched: .plain)
    second = TranslationLookaside(
      small: (profile[.tlbL2Entries], profile[.tlbL2Ways]),
      medium: (profile[.tlbL2Large2MEntries], profile[.tlbL2Large2MWays]),
      large: (profile[.tlbL2Large1GEntries], profile[.tlbL2Large1GWays]), unifiedMedium: profile[.tlbL2Holds2M] != 0,
      unifiedLarge: false, searched: .expectingHits)
    func full(_ key: CostKey, _ searched: AssociativeArray.Search = .plain) -> AssociativeArray {
      AssociativeArray(entries: Int(profile[key]), ways: Int(profile[key]), searched: searched)
    }
    known = KnownPages(second.array(for: .page4K).pointee)
    pde = full(.pscPDE, .expectingKeys)
    pdpte = full(.pscPDPTE)
    pml4e = full(.pscPML4E)
    nestedPDE = full(.pscNestedPDE, .expectingKeys)
    nestedPDPTE = full(.pscNestedPDPTE)
    nestedTLB = full(.nestedTLBEntries)
    walkCache = PageWalkCache(profile: profile)
    caches = CacheHierarchy(profile: profile)
  }

  deinit {
    for array in [pde, pdpte, pml4e, nestedPDE, nestedPDPTE, nestedTLB] { array.deallocate() }
    for buffer in [data, code, second] { buffer.deallocate() }
    walkCache.deallocate()
    caches.deallocate()
    direct.deallocate()
    standing.deallocate()
  }

  /// Every array that a snapshot keeps, in a fixed order.
  private var arrays: [AssociativeArray] {
    data.distinct + code.distinct + second.distinct + [pde, pdpte, pml4e, nestedPDE, nestedPDPTE, nestedTLB]
      + [walkCache.entries] + caches.arrays
  }

  /// The whole state, for a snapshot. Verdicts are not state: they come back by themselves.
  func image() -> TranslationImage {
    TranslationImage(tick: tick, arrays: arrays.map { $0.image() }, spaces: spaces, roots: roots)
  }

  func restore(_ image: TranslationImage) {
    tick = image.tick
    (spaces, roots) = (image.spaces, image.roots)
    splintered = InlineArray(repeating: .everything)
    for (array, saved) in zip(arrays, image.arrays) { array.restore(saved) }
    forgetVerdicts()
  }

  /// Drops every verdict, on pages in the first level and in the second, and the checks that they stand for.
  func forgetVerdicts() {
    direct.clear()
    standing.removeAll()
    known.forget()
  }
}

/// Contents of all translation hardware.
package struct TranslationImage: Sendable {
  package let tick: UInt64
  package let arrays: [[UInt64]]
  let spaces: KeyNumbers<TranslationSpace>
  let roots: KeyNumbers<HostPhysical>
}
