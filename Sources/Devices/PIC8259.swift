/// One Intel 8259A programmable interrupt controller (datasheet order number 231468).
///
/// An edge-triggered request is held by its edge latch only while its input stays high, as the datasheet's priority
/// cell has it: an input that falls before the acknowledge takes its request with it.
public struct PIC8259: Equatable, Sendable {
  /// The initialization command word that the next write to the odd address supplies.
  private enum Initialization: Sendable { case complete, word2, word3, word4 }

  /// The levels at the inputs IR0 to IR7.
  public private(set) var inputs: UInt8 = 0
  /// The interrupt mask register (IMR).
  public private(set) var mask: UInt8 = 0xff
  /// The in-service register (ISR).
  public private(set) var inService: UInt8 = 0
  /// The vector of IR0; its low three bits are zero (ICW2).
  public private(set) var vectorBase: UInt8
  /// ICW3: on a master the inputs that have a slave, on a slave its identity.
  public private(set) var cascade: UInt8
  /// Inputs that the ELCR makes level-triggered, one bit each.
  public var levelTriggered: UInt8 = 0

  private var edgeLatch: UInt8 = 0
  private var initialization = Initialization.complete
  private var command1: UInt8 = 0x11
  private var command4: UInt8 = 0x01
  private var lowestPriority: UInt8 = 7
  private var specialMask = false
  private var rotatesOnAutomaticEOI = false
  private var readsInService = false
  private var polls = false
  private let isMaster: Bool

  /// A controller that is initialised, with every input masked.
  /// - Parameters:
  ///   - vectorBase: the vector of IR0.
  ///   - cascade: ICW3.
  ///   - isMaster: the level of the SP/EN pin.
  public init(vectorBase: UInt8, cascade: UInt8, isMaster: Bool) {
    self.vectorBase = vectorBase & 0xf8
    self.cascade = cascade
    self.isMaster = isMaster
  }

  /// The interrupt request register (IRR).
  public var requests: UInt8 {
    // ICW1.LTIM makes every input level-triggered.
    let levels = command1 & 0x08 != 0 ? 0xff : levelTriggered
    return inputs & (edgeLatch | levels)
  }

  /// Whether the INT output is high.
  public var isAsserted: Bool { initialization == .complete && highestRequest != nil }

  /// Whether an input can reach the INT output at all.
  public func isMasked(_ input: Int) -> Bool { mask & bit(input) != 0 }

  /// Drives one of the inputs, 0 to 7.
  public mutating func set(_ input: Int, _ level: Bool) {
    let bit = bit(input)
    if !level {
      inputs &= ~bit
      edgeLatch &= ~bit
    } else if inputs & bit == 0 {
      inputs |= bit
      edgeLatch |= bit
    }
  }

  /// The interrupt-acknowledge sequence: the input that is served from now on, or nil where the request has gone; the
  /// controller then answers with the vector of IR7 and leaves ISR alone (a spurious interrupt).
  public mutating func acknowledge() -> Int? {
    guard let input = highestRequest else { return nil }
    edgeLatch &= ~bit(input)
    if isAutomaticEOI {
      if rotatesOnAutomaticEOI { lowestPriority = UInt8(input) }
    } else {
      inService |= bit(input)
    }
    return input
  }

  /// The vector that belongs to an input; nil stands for the spurious one.
  public func vector(of input: Int?) -> UInt8 { vectorBase | UInt8(input ?? 7) & 7 }

  /// Reads the register at the even (A0 = 0) or odd address.
  public mutating func read(odd: Bool) -> UInt8 {
    if polls {
      // The poll command turns the next read into an acknowledge.
      polls = false
      return acknowledge().map { 0x80 | UInt8($0) } ?? 0
    }
    if odd { return mask }
    return readsInService ? inService : requests
  }

  /// Writes the register at the even (A0 = 0) or odd address.
  public mutating func write(_ value: UInt8, odd: Bool) {
    if odd {
      writeOdd(value)
    } else if value & 0x10 != 0 {
      initialize(value)
    } else if value & 0x08 != 0 {
      writeOCW3(value)
    } else {
      writeOCW2(value)
    }
  }

  // MARK: Priority

  private var isAutomaticEOI: Bool { command4 & 0x02 != 0 }
  private var isSpecialFullyNested: Bool { command4 & 0x10 != 0 }
  private var isSingle: Bool { command1 & 0x02 != 0 }

  private func bit(_ input: Int) -> UInt8 { 1 << UInt8(truncatingIfNeeded: input & 7) }

  /// The inputs from the highest priority to the lowest.
  private var priorities: some Sequence<Int> {
    let first = Int(lowestPriority) + 1
    return (first..<first + 8).lazy.map { $0 & 7 }
  }

  private var highestRequest: Int? {
    let candidates = requests & ~mask
    guard candidates != 0 else { return nil }
    // In special mask mode the masked levels do not hold up the others.
    let blocking = specialMask ? inService & ~mask : inService
    for input in priorities {
      let requested = candidates & bit(input) != 0
      if blocking & bit(input) != 0 {
        // A slave in service does not lock itself out in special fully nested mode: it may have something more urgent.
        let nests = isMaster && !isSingle && isSpecialFullyNested && cascade & bit(input) != 0
        return nests && requested ? input : nil
      }
      if requested { return input }
    }
    return nil
  }

  // MARK: Command words

  private mutating func initialize(_ value: UInt8) {
    command1 = value
    // Without ICW4 all of its functions are off.
    if value & 0x01 == 0 { command4 = 0 }
    initialization = .word2
    edgeLatch = 0
    mask = 0
    inService = 0
    lowestPriority = 7
    specialMask = false
    rotatesOnAutomaticEOI = false
    readsInService = false
    polls = false
  }

  private mutating func writeOdd(_ value: UInt8) {
    let last: Initialization = command1 & 0x01 != 0 ? .word4 : .complete
    switch initialization {
    case .complete:
      mask = value
    case .word2:
      vectorBase = value & 0xf8
      initialization = isSingle ? last : .word3
    case .word3:
      cascade = value
      initialization = last
    case .word4:
      command4 = value
      initialization = .complete
    }
  }

  /// OCW2: end of interrupt and rotation. Its top bits are R (rotate), SL (specific level) and EOI.
  private mutating func writeOCW2(_ value: UInt8) {
    let level = value & 7
    switch value >> 5 {
    case 0b000: rotatesOnAutomaticEOI = false
    case 0b001: _ = endHighest()
    case 0b010: break
    case 0b011: inService &= ~(1 << level)
    case 0b100: rotatesOnAutomaticEOI = true
    case 0b101: if let ended = endHighest() { lowestPriority = UInt8(ended) }
    case 0b110: lowestPriority = level
    default:
      inService &= ~(1 << level)
      lowestPriority = level
    }
  }

  /// Non-specific EOI. In special mask mode it leaves a masked level in service.
  private mutating func endHighest() -> Int? {
    let candidates = specialMask ? inService & ~mask : inService
    let ended = priorities.first { candidates & bit($0) != 0 }
    if let ended { inService &= ~bit(ended) }
    return ended
  }

  /// OCW3: special mask mode, poll, and the register that the even address reads.
  private mutating func writeOCW3(_ value: UInt8) {
    if value & 0x40 != 0 { specialMask = value & 0x20 != 0 }
    if value & 0x04 != 0 { polls = true }
    if value & 0x02 != 0 { readsInService = value & 0x01 != 0 }
  }
}
