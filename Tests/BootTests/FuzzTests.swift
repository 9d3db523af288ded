import Boot
import Testing

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

@Suite struct FuzzTests {
  static let seeds: [(name: String, image: [UInt8])] = [
    ("Multiboot", Images.multiboot.build()), ("load addresses", Images.kludge()), ("PVH", Images.pvh.build()),
    ("plain ELF", Images.plain.build()), ("Linux", Images.linux()),
  ]

  /// Values at which sums wrap and comparisons turn.
  private static let edges: [UInt64] = [
    0, 1, 0x7f, 0x80, 0xff, 0xfff, 0x1000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 47, 1 << 63,
    .max - 1, .max,
  ]

  private func mutate(_ image: [UInt8], _ generator: inout SplitMix) -> [UInt8] {
    var image = image
    // Headers stand at the start, or around 0x1f1 in a bzImage; half of the changes go there.
    let limit = Bool.random(using: &generator) ? image.count : min(image.count, 0x120)
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      let offset = Int.random(in: 0..<max(limit, 1), using: &generator)
      guard offset < image.count else { continue }
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: image[offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: image[offset] = UInt8.random(in: 0...255, using: &generator)
      case 2, 3:
        let width = [2, 4, 8].randomElement(using: &generator) ?? 8
        let start = offset & ~(width - 1)
        let value = little(Self.edges.randomElement(using: &generator) ?? 0)
        for index in 0..<width where start + index < image.count { image[start + index] = value[index] }
      default: image = Array(image[..<offset])
      }
    }
    return image
  }

  @Test(arguments: FuzzTests.seeds.indices)
  func `a mutated file is planned soundly or refused, and never traps`(seed: Int) {
    var generator = SplitMix(state: UInt64(seed))
    var options = BootOptions.small
    options.initrd = [1, 2, 3]
    var planned = 0
    for round in 0..<3000 {
      let image = mutate(Self.seeds[seed].image, &generator)
      guard let plan = try? BootPlan.make(image: image, options: options) else { continue }
      planned += 1
      _ = plan.symbols?.symbols
      if let broken = brokenPromise(plan) {
        Issue.record("\(Self.seeds[seed].name), round \(round): \(broken)")
        return
      }
    }
    // A fuzzer that always breaks the magic number, or never anything, tests nothing.
    #expect(100..<2900 ~= planned)
  }
}
