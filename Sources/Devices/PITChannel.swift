/// One counter of an Intel 8254 (datasheet order number 231164), computed from the time instead of ticked.
///
/// Times are in cycles of the counter's CLK input. A count that is written at cycle t is loaded into the counting
/// element by the next pulse, t + 1, as the datasheet has it. Programming is in the chip's hands (`PIT8254`): a channel
/// knows modes, counts, gate and output.
public struct PITChannel: Equatable, Sendable {
  /// 0 to 5.
  public private(set) var mode: UInt8
  /// Whether it counts in decimal.
  public private(set) var isDecimal: Bool
  /// The level at the GATE input.
  public private(set) var gate: Bool
  /// Whether the count last written has not reached the counting element (the status byte's NULL COUNT).
  public private(set) var isNull = true

  /// The count register (CR) as a number, 1 to 65536; nil until one is written.
  private var countRegister: UInt64?
  /// The cycle at which the count register moves into the counting element.
  private var loadCycle: UInt64?
  /// What the counting element started with.
  private var initial: UInt64 = 0
  /// The cycle at which it started, moved on by every pause. It may lie before cycle 0: differences wrap.
  private var start: UInt64 = 0
  /// The cycle at which a low gate stopped it.
  private var pauseCycle: UInt64?
  private var isLoaded = false

  /// A channel that counts since cycle 0.
  /// - Parameters:
  ///   - mode: 0 to 5.
  ///   - count: the initial count, 1 to 65536.
  ///   - gate: the level at the GATE input.
  public init(mode: UInt8, count: UInt64, gate: Bool) {
    self.mode = min(mode, 5)
    self.isDecimal = false
    self.gate = gate
    initial = min(max(count, 1), 65536)
    countRegister = initial
    isLoaded = true
    isNull = false
    if !gate && countsByLevel { pauseCycle = 0 }
  }

  // MARK: Reading

  /// The count that it begins again with, 1 to 65536; nil until one is written.
  public var reload: UInt64? { countRegister }

  /// The level at the OUT output, at a cycle for which the channel is settled.
  public func output(at cycle: UInt64) -> Bool {
    guard isLoaded else { return mode != 0 }
    let elapsed = elapsed(at: cycle)
    switch mode {
    case 0, 1: return elapsed >= initial
    case 2: return pauseCycle != nil || initial < 2 || elapsed % initial != initial - 1
    case 3: return pauseCycle != nil || elapsed % initial < highCycles
    default: return elapsed != initial
    }
  }

  /// What the counting element holds, as it is read: binary, or four decimal digits.
  public func count(at cycle: UInt64) -> UInt16 {
    guard isLoaded else { return 0 }
    let modulus: UInt64 = isDecimal ? 10000 : 65536
    let elapsed = elapsed(at: cycle)
    let value: UInt64
    switch mode {
    case 2: value = initial - elapsed % initial
    case 3:
      // Counts down by two, twice a period; an odd count is made even first.
      let phase = elapsed % initial
      value = (initial & ~1) - 2 * (phase < highCycles ? phase : phase - highCycles)
    default: value = initial + modulus - elapsed % modulus
    }
    let shown = UInt16(truncatingIfNeeded: value % modulus)
    return isDecimal ? BCD.encode(shown) : shown
  }

  /// The next cycle after a given one at which OUT changes to `level`, if nothing is written; nil when it never does.
  public func nextEdge(to level: Bool, after cycle: UInt64) -> UInt64? {
    let edge = ownEdge(to: level, after: cycle)
    guard let loadCycle else { return edge }
    if let edge, edge < loadCycle { return edge }
    var loaded = self
    loaded.settle(at: loadCycle)
    let after = loaded.output(at: loadCycle)
    if after == level && output(at: loadCycle &- 1) != level { return loadCycle }
    return loaded.ownEdge(to: level, after: loadCycle)
  }

  // MARK: Changing

  /// Brings the channel to a cycle: a count that is due by then is loaded.
  public mutating func settle(at cycle: UInt64) {
    guard let due = loadCycle, due <= cycle, let count = countRegister else { return }
    // In mode 3 a count is also taken over in the middle of a period; the half that follows is then the low one.
    let entersLowHalf = mode == 3 && isLoaded && pauseCycle == nil && initial > 1 && elapsed(at: due) % initial != 0
    initial = count
    start = entersLowHalf ? due &- highCycles : due
    isLoaded = true
    isNull = false
    loadCycle = nil
    pauseCycle = countsByLevel && !gate ? due : nil
  }

  /// Takes a control word: the channel stops, with OUT at its mode's initial level.
  public mutating func program(mode: UInt8, isDecimal: Bool) {
    // The top bit of modes 2 and 3 is "don't care".
    self.mode = mode & 7 > 5 ? mode & 3 : mode & 7
    self.isDecimal = isDecimal
    countRegister = nil
    loadCycle = nil
    pauseCycle = nil
    isLoaded = false
    isNull = true
  }

  /// Takes the first byte of a two-byte count, which stops mode 0 and lowers its output.
  public mutating func announceCount(at cycle: UInt64) {
    settle(at: cycle)
    if mode == 0 {
      isLoaded = false
      loadCycle = nil
    }
  }

  /// Takes a complete count as it is written: binary, or four decimal digits; zero stands for the greatest.
  public mutating func write(_ count: UInt16, at cycle: UInt64) {
    settle(at: cycle)
    let number = UInt64(isDecimal ? BCD.decode(count) : count)
    countRegister = number == 0 ? (isDecimal ? 10000 : 65536) : number
    isNull = true
    switch mode {
    case 0:
      isLoaded = false
      loadCycle = cycle &+ 1
    case 4:
      loadCycle = cycle &+ 1
    case 2, 3:
      // Takes effect at the end of the period (mode 2) or half period (mode 3); with a low gate, at its rise.
      if gate && loadCycle == nil { loadCycle = isLoaded ? cycle &+ cyclesToBoundary(at: cycle) : cycle &+ 1 }
    default:
      // Modes 1 and 5 wait for a trigger.
      break
    }
  }

  /// Drives the GATE input.
  public mutating func setGate(_ level: Bool, at cycle: UInt64) {
    settle(at: cycle)
    guard level != gate else { return }
    gate = level
    switch mode {
    case 0, 4:
      if !level {
        if isLoaded { pauseCycle = cycle }
      } else if let paused = pauseCycle {
        start = start &+ (cycle &- paused)
        pauseCycle = nil
      }
    case 2, 3:
      if level {
        if countRegister != nil { loadCycle = cycle &+ 1 }
      } else {
        loadCycle = nil
        if isLoaded && pauseCycle == nil { pauseCycle = cycle }
      }
    default:
      if level && countRegister != nil { loadCycle = cycle &+ 1 }
    }
  }

  // MARK: Arithmetic

  /// Whether a low gate stops the counting, as it does in all modes but those that it triggers.
  private var countsByLevel: Bool { mode != 1 && mode != 5 }

  /// Cycles of a mode 3 period with OUT high: one more than with OUT low where the count is odd.
  private var highCycles: UInt64 { (initial + 1) / 2 }

  private func elapsed(at cycle: UInt64) -> UInt64 { (pauseCycle ?? cycle) &- start }

  private func cyclesToBoundary(at cycle: UInt64) -> UInt64 {
    let phase = elapsed(at: cycle) % initial
    return mode == 3 && phase < highCycles ? highCycles - phase : initial - phase
  }

  /// As `nextEdge`, without the load that may be due.
  private func ownEdge(to level: Bool, after cycle: UInt64) -> UInt64? {
    guard isLoaded, pauseCycle == nil else { return nil }
    let elapsed = elapsed(at: cycle)
    switch mode {
    case 0, 1:
      return level && elapsed < initial ? cycle &+ (initial - elapsed) : nil
    case 2, 3:
      guard initial > 1 else { return nil }
      // The phase at which OUT has just changed to the level.
      let target = level ? 0 : mode == 2 ? initial - 1 : highCycles
      let phase = elapsed % initial
      return cycle &+ (target > phase ? target - phase : target + initial - phase)
    default:
      let target = level ? initial + 1 : initial
      return elapsed < target ? cycle &+ (target - elapsed) : nil
    }
  }
}
