/// Events on slow paths, counted apart from what they are charged, so that the ledger can be audited against them.
public struct Counters: Sendable {
  /// Look-ups of the first-level TLBs that missed. Data look-ups in all are `ProcessorState.accesses`.
  public var dataMisses: UInt64 = 0
  public var codeLookups: UInt64 = 0
  public var codeMisses: UInt64 = 0
  public var secondHits: UInt64 = 0
  public var secondMisses: UInt64 = 0
  /// Flushes of everything, of one context, of one page.
  public var flushesAll: UInt64 = 0
  public var flushesContext: UInt64 = 0
  public var flushesPage: UInt64 = 0

  public var walks: UInt64 = 0
  /// References by dimension and by the level of cache that served them (0: L2, 1: L3, 2: memory).
  public var firstReferences = InlineArray<3, UInt64>(repeating: 0)
  public var secondReferences = InlineArray<3, UInt64>(repeating: 0)
  /// Of those of the first dimension, the ones to the guest's tables behind a switching entry; and the walks that made
  /// any, all under agile paging.
  public var crossedReferences = InlineArray<3, UInt64>(repeating: 0)
  public var crossings: UInt64 = 0
  /// References by number in one walk: index n counts the walks that took n references; the last one those with more.
  public var referencesPerWalk = InlineArray<40, UInt64>(repeating: 0)
  /// Hits of paging-structure caches by level of the table they led to (1 ... 3), of the second dimension's, of the
  /// nested TLB.
  public var structureHits = InlineArray<4, UInt64>(repeating: 0)
  public var nestedStructureHits = InlineArray<4, UInt64>(repeating: 0)
  /// What the page-walk cache was asked for and had, by `WalkPosition`.
  var walkCacheHits = WalkPosition.Counts(repeating: 0)
  var walkCacheMisses = WalkPosition.Counts(repeating: 0)
  public var nestedTLBHits: UInt64 = 0
  public var nestedTLBMisses: UInt64 = 0
  /// Walks of the second dimension's tables: what the nested TLB did not know, or did not permit.
  public var nestedWalks: UInt64 = 0
  /// A and D updates by dimension.
  public var bitUpdates = InlineArray<2, UInt64>(repeating: 0)

  public var dataReferences = InlineArray<4, UInt64>(repeating: 0)
  public var exceptions: UInt64 = 0
  public var interrupts: UInt64 = 0
  public var stackSwitches: UInt64 = 0
  public var controlRegister3Loads: UInt64 = 0
  public var portAccesses: UInt64 = 0
  public var deviceAccesses: UInt64 = 0
  public var wakes: UInt64 = 0
  public var injections: UInt64 = 0
  /// Entries written to the page-modification log.
  public var modificationsLogged: UInt64 = 0
  public var exits = InlineArray<17, UInt64>(repeating: 0)

  public var unknownMSRs = UnknownRegisters()

  public init() {}

  /// What the page-walk cache had, and had not, for one place in walks.
  public func walkCache(_ position: WalkPosition) -> (hits: UInt64, misses: UInt64) {
    (walkCacheHits[position.index], walkCacheMisses[position.index])
  }

  /// Adds what another processor counted.
  public mutating func add(_ other: Counters) {
    for path in Counters.numbers { self[keyPath: path] &+= other[keyPath: path] }
    for index in firstReferences.indices {
      firstReferences[index] &+= other.firstReferences[index]
      secondReferences[index] &+= other.secondReferences[index]
      crossedReferences[index] &+= other.crossedReferences[index]
    }
    for index in referencesPerWalk.indices { referencesPerWalk[index] &+= other.referencesPerWalk[index] }
    for index in structureHits.indices {
      structureHits[index] &+= other.structureHits[index]
      nestedStructureHits[index] &+= other.nestedStructureHits[index]
    }
    for index in walkCacheHits.indices {
      walkCacheHits[index] &+= other.walkCacheHits[index]
      walkCacheMisses[index] &+= other.walkCacheMisses[index]
    }
    for index in bitUpdates.indices { bitUpdates[index] &+= other.bitUpdates[index] }
    for index in dataReferences.indices { dataReferences[index] &+= other.dataReferences[index] }
    for index in exits.indices { exits[index] &+= other.exits[index] }
    unknownMSRs.add(other.unknownMSRs)
  }

  private static var numbers: [WritableKeyPath<Counters, UInt64>] {
    [
      \.dataMisses, \.codeLookups, \.codeMisses, \.secondHits, \.secondMisses, \.flushesAll, \.flushesContext,
      \.flushesPage, \.walks, \.crossings, \.nestedTLBHits, \.nestedTLBMisses, \.nestedWalks, \.exceptions,
      \.interrupts, \.stackSwitches, \.controlRegister3Loads, \.portAccesses, \.deviceAccesses, \.wakes, \.injections,
      \.modificationsLogged,
    ]
  }
}
