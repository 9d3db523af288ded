/// The x87 (SDM vol. 1, 8.1).
@frozen public struct X87State: Sendable {
  public var control: UInt16
  /// The status word, less the two bits that follow from the others: see `statusWord`.
  public var status: UInt16
  /// A bit a register: not empty (FXSAVE's abridged tag word).
  public var tags: UInt8
  /// What the last instruction was, which is no control instruction: eleven bits of opcode, the pointers to it and to
  /// its memory operand, with their selectors.
  public var opcode: UInt16
  public var codeSelector: UInt16
  public var dataSelector: UInt16
  public var instructionPointer: UInt64
  public var dataPointer: UInt64
  /// R0 to R7; the stack's top is `top` of them. Their significands are MM0 to MM7.
  public var registers: InlineArray<8, ExtendedReal>

  /// As FNINIT leaves it, with all registers zero: as after power-up and in XSAVE's initial state.
  public init() {
    control = 0x37f
    status = 0
    tags = 0
    opcode = 0
    codeSelector = 0
    dataSelector = 0
    instructionPointer = 0
    dataPointer = 0
    registers = InlineArray(repeating: ExtendedReal())
  }

  /// Whether the state is the one that XRSTOR calls initial (SDM vol. 1, 13.6).
  var isInitial: Bool {
    var contents: UInt64 = 0
    for number in 0..<8 { contents |= registers[number].significand | UInt64(registers[number].head) }
    return control == 0x37f && status == 0 && tags == 0 && opcode == 0 && codeSelector == 0 && dataSelector == 0
      && instructionPointer == 0 && dataPointer == 0 && contents == 0
  }

  /// FNINIT: the registers' bits stay.
  mutating func initialize() {
    let registers = registers
    self = X87State()
    self.registers = registers
  }

  /// Whether an exception is flagged that is not masked: the next instruction that waits raises #MF.
  @inline(__always) public var hasPending: Bool { status & ~control & X87Status.exceptions != 0 }

  /// The status word with the summary of exceptions and the bit that once said "busy" (SDM vol. 1, 8.1.3.3).
  public var statusWord: UInt16 {
    get { hasPending ? status | X87Status.summary | X87Status.busy : status }
    set { status = newValue & ~(X87Status.summary | X87Status.busy) }
  }

  @inline(__always) public var top: Int {
    get { Int(status >> 11) & 7 }
    set { status = status & ~X87Status.top | UInt16(truncatingIfNeeded: newValue & 7) << 11 }
  }

  /// The register of ST(i).
  @inline(__always) func number(_ i: Int) -> Int { (top &+ i) & 7 }

  @inline(__always) func isEmpty(_ i: Int) -> Bool { tags >> UInt8(number(i)) & 1 == 0 }

  /// ST(i), counted from the top. A write marks it as used.
  @inline(__always) public subscript(i: Int) -> ExtendedReal {
    get { registers[number(i)] }
    set {
      registers[number(i)] = newValue
      tags |= 1 << UInt8(number(i))
    }
  }

  @inline(__always) mutating func free(_ i: Int) { tags &= ~(1 << UInt8(number(i))) }

  @inline(__always) mutating func push(_ value: ExtendedReal) {
    top = top &- 1
    self[0] = value
  }

  @inline(__always) mutating func pop() {
    free(0)
    top = top &+ 1
  }

  /// The tag word of FNSTENV and FNSAVE, two bits a register: valid, zero, special, empty.
  public var fullTags: UInt16 {
    get {
      var result: UInt16 = 0
      for number in 0..<8 {
        result |= tag(number) << UInt16(2 * number)
      }
      return result
    }
    set {
      tags = 0
      for number in 0..<8 where newValue >> UInt16(2 * number) & 3 != 3 { tags |= 1 << UInt8(number) }
    }
  }

  private func tag(_ number: Int) -> UInt16 {
    guard tags >> UInt8(number) & 1 != 0 else { return 3 }
    let value = registers[number]
    if value.isZero { return 1 }
    return value.exponent == 0 || value.exponent == 0x7fff || value.isUnsupported ? 2 : 0
  }
}

/// The status word (SDM vol. 1, 8.1.3). The masks of the control word stand where the exceptions do.
public enum X87Status {
  public static let invalid: UInt16 = 1 << 0
  public static let denormal: UInt16 = 1 << 1
  public static let zeroDivide: UInt16 = 1 << 2
  public static let overflow: UInt16 = 1 << 3
  public static let underflow: UInt16 = 1 << 4
  public static let precision: UInt16 = 1 << 5
  public static let exceptions: UInt16 = 0x3f
  /// The invalid operation was one of the stack.
  public static let stackFault: UInt16 = 1 << 6
  public static let summary: UInt16 = 1 << 7
  public static let c0: UInt16 = 1 << 8
  public static let c1: UInt16 = 1 << 9
  public static let c2: UInt16 = 1 << 10
  public static let top: UInt16 = 7 << 11
  public static let c3: UInt16 = 1 << 14
  public static let busy: UInt16 = 1 << 15
  /// The four condition codes.
  public static let conditions = c0 | c1 | c2 | c3
}

/// The control word (SDM vol. 1, 8.1.5), besides the masks.
public enum X87Control {
  static let precisionShift: UInt16 = 8
  static let roundingShift: UInt16 = 10
  /// The bits that exist; bit 6 is always set.
  static let defined: UInt16 = 0x1f3f
  static let fixed: UInt16 = 0x40
}
