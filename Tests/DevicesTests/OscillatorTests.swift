import Devices
import Testing

@Suite struct OscillatorTests {
  @Test(arguments: [1_000_000, 1_193_182, 3_000_000_000, 3_333_333_333, 32768, 7] as [UInt64])
  func `the tick of a cycle is the first at which that cycle has passed`(clockHertz: UInt64) {
    let oscillator = Oscillator(hertz: 1_193_182, clockHertz: clockHertz)
    var random = Randomness(state: clockHertz)
    for _ in 0..<1000 {
      let cycle = UInt64.random(in: 1...1 << 40, using: &random)
      let tick = oscillator.tick(of: cycle)
      #expect(oscillator.cycles(at: tick) >= cycle)
      #expect(oscillator.cycles(at: tick - 1) < cycle)
    }
  }

  @Test func `an hour holds as many cycles as the frequency says, without drift`() {
    let oscillator = Oscillator(hertz: 1_193_182, clockHertz: 3_000_000_000)
    #expect(oscillator.cycles(at: 3600 * 3_000_000_000) == 3600 * 1_193_182)
    #expect(oscillator.cycles(at: 3600 * 3_000_000_000 - 1) == 3600 * 1_193_182 - 1)
  }

  @Test func `times that do not fit 64 bits saturate`() {
    #expect(Oscillator(hertz: 1_193_182, clockHertz: 1).cycles(at: .max) == .max)
    #expect(Oscillator(hertz: 32768, clockHertz: 3_000_000_000).tick(of: .max) == .max)
    #expect(Oscillator(hertz: 0, clockHertz: 0).cycles(at: 5) == 5)
  }
}
