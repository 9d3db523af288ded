import Testing

@Suite struct RandomGuestTests {
  /// Bytes that are made from a seed, the same in every run.
  private func bytes(seed: UInt64) -> [UInt8] {
    var generator = SplitMix(state: seed)
    var bytes: [UInt8] = []
    for _ in 0..<400 { bytes += Self.instruction(&generator) }
    bytes[0] = UInt8(truncatingIfNeeded: seed)
    return bytes
  }

  /// Something that looks like an instruction more often than random bytes do: addresses that the registers reach, few prefixes.
  private static func instruction(_ generator: inout SplitMix) -> [UInt8] {
    var bytes: [UInt8] = []
    let prefixes: [UInt8] = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48, 0x4f, 0x41, 0x64, 0x36]
    while Int.random(in: 0..<4, using: &generator) == 0 {
      bytes.append(prefixes[Int.random(in: 0..<prefixes.count, using: &generator)])
    }
    if Bool.random(using: &generator) { bytes.append(0x0f) }
    bytes.append(UInt8.random(in: 0...255, using: &generator))
    bytes.append(UInt8.random(in: 0...255, using: &generator))
    for _ in 0..<Int.random(in: 0..<5, using: &generator) { bytes.append(UInt8.random(in: 0..<64, using: &generator)) }
    return bytes
  }

  @Test(arguments: 0..<8)
  func `arbitrary code never traps the emulator and does the same in blocks of any length`(part: Int) throws {
    var executed: UInt64 = 0
    let clock = ContinuousClock()
    let start = clock.now
    for round in 0..<Self.rounds {
      let seed = UInt64(round * 8 + part)
      let guest = RandomGuest(bytes(seed: seed))
      let whole = try guest.run(instructions: 3_000)
      let single = try guest.run(instructions: 3_000, blockLength: 1)
      executed += whole.retired
      guard whole == single else {
        Issue.record("seed \(seed): \(Self.difference(whole, single))")
        return
      }
    }
    // A guest that never gets anywhere tests nothing; one that takes seconds hangs.
    #expect(executed > UInt64(Self.rounds) * 500)
    #expect(start.duration(to: clock.now) < .seconds(Self.rounds))
  }

  #if DEBUG
    private static let rounds = 10
  #else
    private static let rounds = 150
  #endif

  /// What two outcomes first differ in.
  private static func difference(_ whole: RandomGuest.Outcome, _ single: RandomGuest.Outcome) -> String {
    for (index, pair) in zip(whole.ends, single.ends).enumerated() where pair.0 != pair.1 {
      return "start \(index) ends with \(pair.0) in long blocks, \(pair.1) in short ones"
    }
    if whole.retired != single.retired { return "\(whole.retired) and \(single.retired) instructions" }
    if whole.registers != single.registers { return "registers \(whole.registers) and \(single.registers)" }
    if whole.ledger != single.ledger { return "ledgers \(whole.ledger) and \(single.ledger)" }
    return "memory"
  }
}

/// A generator whose numbers are the same in every run (SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
