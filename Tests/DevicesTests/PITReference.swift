/// An 8254 counter ticked cycle by cycle, written straight from the datasheet's mode definitions, as an oracle.
struct PITReference {
  var mode: Int
  var modulus: Int
  private(set) var output: Bool
  private(set) var gate: Bool
  private(set) var element = 0
  private(set) var isLoaded = false
  private var register: Int?
  private var loadsNext = false
  private var isArmed = false
  private var isOdd = false

  init(mode: Int, isDecimal: Bool, gate: Bool) {
    self.mode = mode
    self.gate = gate
    modulus = isDecimal ? 10000 : 65536
    output = mode != 0
  }

  /// What a read of the counting element gives, as a number.
  var count: Int { isLoaded ? element % modulus : 0 }

  mutating func write(_ count: Int) {
    register = count
    switch mode {
    case 0:
      output = false
      isLoaded = false
      loadsNext = true
    case 4: loadsNext = true
    case 2, 3: if gate && !isLoaded { loadsNext = true }
    default: break
    }
  }

  mutating func setGate(_ level: Bool) {
    guard level != gate else { return }
    gate = level
    switch mode {
    case 1, 5: if level && register != nil { loadsNext = true }
    case 2, 3:
      output = true
      loadsNext = level && register != nil
    default: break
    }
  }

  /// One CLK pulse.
  mutating func tick() {
    if loadsNext, let register {
      loadsNext = false
      load(register)
      output = mode != 0 && mode != 1
      return
    }
    guard isLoaded, let register else { return }
    switch mode {
    case 0, 1:
      guard gate || mode == 1 else { return }
      decrement()
      if element % modulus == 0 { output = true }
    case 2:
      guard gate else { return }
      if element == 1 {
        load(register)
        output = true
      } else {
        element -= 1
        output = element != 1
      }
    case 3:
      guard gate else { return }
      if element == (isOdd && output ? 0 : 2) {
        load(register)
        output.toggle()
      } else {
        element -= 2
      }
    default:
      guard gate || mode == 5 else { return }
      decrement()
      output = !(isArmed && element % modulus == 0)
      if !output { isArmed = false }
    }
  }

  private mutating func load(_ count: Int) {
    element = mode == 3 ? count & ~1 : count
    isOdd = count & 1 != 0
    isLoaded = true
    isArmed = true
  }

  private mutating func decrement() { element = (element + modulus - 1) % modulus }
}
