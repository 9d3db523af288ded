import Machine

extension CostProfile {
  /// A profile in which everything costs and holds nothing, except what is given; a nested TLB has pages.
  public static func flat(_ figures: [CostKey: UInt64] = [:], vendor: Vendor = .intel, name: String = "flat")
    -> CostProfile
  {
    var all: [CostKey: UInt64] = Dictionary(uniqueKeysWithValues: CostKey.allCases.map { ($0, 0) })
    all[.frequency] = 1_000_000_000
    all[.physicalBits] = 46
    all[.nestedTLBHoldsPages] = 1
    all.merge(figures) { $1 }
    do {
      return try CostProfile(
        name: name, vendor: vendor, summary: "", features: [],
        figures: all.mapValues { Figure($0, source: "chosen by a test", flag: .derived) })
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// The same profile with other figures.
  public func with(_ figures: [CostKey: UInt64]) -> CostProfile {
    var copy = self
    for (key, value) in figures { copy[key] = value }
    return copy
  }
}

extension [CostKey: UInt64] {
  /// Translation hardware of about the size that processors have.
  public static let commonTLBs: Self = [
    .tlbData4KEntries: 64, .tlbData4KWays: 4, .tlbData2MEntries: 32, .tlbData2MWays: 4, .tlbData1GEntries: 4,
    .tlbData1GWays: 4, .tlbCode4KEntries: 128, .tlbCode4KWays: 8, .tlbCode2MEntries: 8, .tlbCode2MWays: 8,
    .tlbL2Entries: 1536, .tlbL2Ways: 12, .tlbL2Holds2M: 1, .tlbL2Large1GEntries: 16, .tlbL2Large1GWays: 4,
  ]

  public static let commonStructureCaches: Self = [.pscPML4E: 4, .pscPDPTE: 4, .pscPDE: 32]

  public static let commonCaches: Self = [
    .cacheL1Bytes: 32 << 10, .cacheL1Ways: 8, .cacheL2Bytes: 1 << 20, .cacheL2Ways: 16, .cacheL3Bytes: 1408 << 10,
    .cacheL3Ways: 11,
  ]

  /// A different prime for everything that is a number of cycles, so that no two sums are equal by chance.
  public static let primes: Self = {
    let geometry: [String] = [
      "tlb.data", "tlb.code", ".entries", ".ways", ".bytes", "holds-2M", "tagged-tlb", "frequency", "physical-bits",
    ]
    let costs = CostKey.allCases.filter { key in !geometry.contains { key.rawValue.contains($0) } }
    return Dictionary(uniqueKeysWithValues: zip(costs, (3...).lazy.filter(isPrime).map { UInt64($0) }))
  }()

  private static func isPrime(_ number: Int) -> Bool {
    !(2..<number).prefix { $0 * $0 <= number }.contains { number % $0 == 0 }
  }

  /// Both, the second preferred.
  public static func + (a: Self, b: Self) -> Self { a.merging(b) { $1 } }
}
