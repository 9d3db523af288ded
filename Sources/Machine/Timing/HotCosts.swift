/// The figures of a profile that slow paths need at once, taken out of the dictionary once.
struct HotCosts: Sendable {
  let physicalBits: UInt64
  let tlbL2Hit: UInt64
  let pscHit: UInt64
  let nestedTLBHit: UInt64
  let nestedTLBHoldsPages: Bool
  let walkSetBits: UInt64
  let walkStart: UInt64
  let modificationLog: UInt64
  let cacheL2Hit: UInt64
  let cacheL3Hit: UInt64
  let cacheMemory: UInt64
  let faultDelivery: UInt64
  let interruptDelivery: UInt64
  let stackSwitch: UInt64
  let loadCR3: UInt64
  let flushPage: UInt64
  let flushAll: UInt64
  let portAccess: UInt64
  let deviceAccess: UInt64
  let wake: UInt64
  let exitRoundTrip: UInt64
  let injectEvent: UInt64
  let taggedTLB: Bool
  let stringElement: UInt64
  /// Base cycles by `CostClass`.
  private let execute: [UInt16]

  init(_ profile: CostProfile) {
    physicalBits = min(max(profile[.physicalBits], 36), 52)
    tlbL2Hit = profile[.tlbL2Hit]
    pscHit = profile[.pscHit]
    nestedTLBHit = profile[.nestedTLBHit]
    nestedTLBHoldsPages = profile[.nestedTLBHoldsPages] != 0
    walkSetBits = profile[.walkSetBits]
    walkStart = profile[.walkStart]
    modificationLog = profile[.walkModificationLog]
    cacheL2Hit = profile[.cacheL2Hit]
    cacheL3Hit = profile[.cacheL3Hit]
    cacheMemory = profile[.cacheMemory]
    faultDelivery = profile[.faultDelivery]
    interruptDelivery = profile[.interruptDelivery]
    stackSwitch = profile[.stackSwitch]
    loadCR3 = profile[.loadCR3]
    flushPage = profile[.flushPage]
    flushAll = profile[.flushAll]
    portAccess = profile[.portAccess]
    deviceAccess = profile[.deviceAccess]
    wake = profile[.wake]
    exitRoundTrip = profile[.exitRoundTrip]
    injectEvent = profile[.injectEvent]
    taggedTLB = profile[.taggedTLB] != 0
    stringElement = profile[.executeStringElement]
    execute = CostClass.allCases.map { cost in
      UInt16(clamping: CostKey(rawValue: cost.key).map { profile[$0] } ?? 0)
    }
  }

  /// Base cycles of a class.
  func base(_ cost: UInt16) -> UInt16 { Int(cost) < execute.count ? execute[Int(cost)] : 0 }
}
