import Machine

/// What a profile's figures may be, alone and together.
enum ProfileValidation {
  /// The first figure that cannot be, and why; nil for a sound profile.
  static func firstProblem(_ profile: CostProfile) -> (key: CostKey, why: String)? {
    for key in CostKey.allCases {
      let value = profile[key]
      let range = allowed(key)
      guard range.contains(value) else {
        return (key, "\(value) is not between \(range.lowerBound) and \(range.upperBound)")
      }
    }
    for array in translationArrays {
      if let why = problem(entries: profile[array.entries], ways: profile[array.ways]) { return (array.ways, why) }
    }
    for cache in caches {
      let bytes = profile[cache.bytes]
      if bytes % 64 != 0 { return (cache.bytes, "\(bytes) is not a multiple of the 64-byte line") }
      if let why = problem(entries: bytes / 64, ways: profile[cache.ways], unit: "lines") { return (cache.ways, why) }
    }
    if let why = unifiedProblem(profile) { return why }
    if profile[.tlbL2Holds2M] == 1 && profile[.tlbL2Large2MEntries] != 0 {
      return (.tlbL2Large2MEntries, "\(CostKey.tlbL2Holds2M.rawValue) is 1, so there is no array for 2M pages alone")
    }
    return nil
  }

  /// The values that a figure may have by itself.
  static func allowed(_ key: CostKey) -> ClosedRange<UInt64> {
    switch key {
    case .frequency: 1_000_000...100_000_000_000
    case .physicalBits: 36...52
    case .tlbDataUnified, .tlbCodeUnified, .tlbL2Holds2M, .taggedTLB, .nestedAccessedDirty, .nestedTLBHoldsPages: 0...1
    case .tlbData4KEntries, .tlbData4KWays, .tlbCode4KEntries, .tlbCode4KWays:
      // The processor always looks here first.
      1...65536
    case .tlbData2MEntries, .tlbData2MWays, .tlbData1GEntries, .tlbData1GWays, .tlbCode2MEntries, .tlbCode2MWays,
      .tlbCode1GEntries, .tlbCode1GWays, .tlbL2Entries, .tlbL2Ways, .tlbL2Large2MEntries, .tlbL2Large2MWays,
      .tlbL2Large1GEntries, .tlbL2Large1GWays:
      0...65536
    case .pscPML4E, .pscPDPTE, .pscPDE, .pscNestedPDPTE, .pscNestedPDE, .walkCacheEntries, .nestedTLBEntries: 0...4096
    case .cacheL1Bytes, .cacheL2Bytes, .cacheL3Bytes: 0...(1 << 30)
    case .cacheL1Ways, .cacheL2Ways, .cacheL3Ways: 0...1024
    // Guest time must pass, or a timer or a limit in cycles would never come.
    case .executeSimple: 1...10_000
    case .executeFree, .executeMultiply, .executeDivide, .executeDivide64, .executeLocked, .executeFence,
      .executeStringSetup, .executeStringElement, .executePause, .executeCpuid, .executeReadTimeStamp, .executeReadMSR,
      .executeWriteMSR, .executeMoveControl, .executeLoadSegment, .executeLoadDescriptorTable, .executeInvalidatePage,
      .executeSystemCall, .executeSystemReturn, .executeInterruptReturn, .executeSwapGS, .executeFlagsImage,
      .executeFarTransfer, .executeCacheLine, .executeMicrocoded:
      0...10_000
    default: 0...1_000_000
    }
  }

  private static let translationArrays: [(entries: CostKey, ways: CostKey)] = [
    (.tlbData4KEntries, .tlbData4KWays), (.tlbData2MEntries, .tlbData2MWays), (.tlbData1GEntries, .tlbData1GWays),
    (.tlbCode4KEntries, .tlbCode4KWays), (.tlbCode2MEntries, .tlbCode2MWays), (.tlbCode1GEntries, .tlbCode1GWays),
    (.tlbL2Entries, .tlbL2Ways), (.tlbL2Large2MEntries, .tlbL2Large2MWays), (.tlbL2Large1GEntries, .tlbL2Large1GWays),
  ]

  private static let caches: [(bytes: CostKey, ways: CostKey)] = [
    (.cacheL1Bytes, .cacheL1Ways), (.cacheL2Bytes, .cacheL2Ways), (.cacheL3Bytes, .cacheL3Ways),
  ]

  /// Why an array of so many ways cannot be; sets are found by address bits, so their number is a power of two.
  private static func problem(entries: UInt64, ways: UInt64, unit: String = "entries") -> String? {
    if entries == 0 { return nil }
    if ways == 0 { return "0 ways for \(entries) \(unit)" }
    if ways > entries { return "\(ways) ways are more than \(entries) \(unit)" }
    if entries % ways != 0 { return "\(entries) \(unit) are not a multiple of \(ways) ways" }
    let sets = entries / ways
    return sets & (sets - 1) == 0 ? nil : "\(entries) \(unit) in \(ways) ways make \(sets) sets, not a power of two"
  }

  /// A unified array is found without knowing the page size, which takes full associativity, and replaces those by
  /// size.
  private static func unifiedProblem(_ profile: CostProfile) -> (key: CostKey, why: String)? {
    let levels: [(unified: CostKey, entries: CostKey, ways: CostKey, others: [CostKey])] = [
      (.tlbDataUnified, .tlbData4KEntries, .tlbData4KWays, [.tlbData2MEntries, .tlbData1GEntries]),
      (.tlbCodeUnified, .tlbCode4KEntries, .tlbCode4KWays, [.tlbCode2MEntries, .tlbCode1GEntries]),
    ]
    for level in levels where profile[level.unified] == 1 {
      for other in level.others where profile[other] != 0 {
        return (other, "\(level.unified.rawValue) is 1, so there is no array for one size alone")
      }
      if profile[level.entries] != profile[level.ways] {
        return (level.ways, "\(level.unified.rawValue) is 1, which takes as many ways as entries")
      }
    }
    return nil
  }
}
