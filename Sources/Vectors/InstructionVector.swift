import Machine

/// One instruction with the state that it finds and the state that it leaves: what a file of vectors holds.
public struct InstructionVector: Sendable {
  public var name = ""
  public var bytes: [UInt8] = []
  /// Bits of RFLAGS that are compared.
  public var flagsMask = UInt64.max
  /// Who made the processor that the vector was taken from, where the file says so.
  public var vendor: Vendor?
  public var initial = PartialState()
  /// What has changed.
  public var final = PartialState()
  /// Where the instruction faults.
  public var exception: ExpectedException?
  /// Whether registers and memory are compared: always, but for an exception that comes without either.
  public var comparesState = true

  public init() {}

  /// Forgets the contents and keeps the room for them.
  mutating func clear() {
    name = ""
    bytes.removeAll(keepingCapacity: true)
    flagsMask = .max
    vendor = nil
    initial.clear()
    final.clear()
    exception = nil
    comparesState = true
  }
}

/// An exception that a vector expects.
public struct ExpectedException: Equatable, Sendable {
  public var vector: UInt8
  /// The error code; nil where the vector has none to compare.
  public var error: UInt32?

  public init(vector: UInt8, error: UInt32? = nil) {
    self.vector = vector
    self.error = error
  }
}

/// Some registers and some bytes of memory.
public struct PartialState: Sendable {
  public var registers = PartialRegisters()
  public var memory: [ListedByte] = []

  public init() {}

  mutating func clear() {
    registers.clear()
    memory.removeAll(keepingCapacity: true)
  }
}

/// A byte of memory and its address.
public struct ListedByte: Equatable, Sendable {
  public var address: UInt64
  public var value: UInt8

  public init(_ address: UInt64, _ value: UInt8) {
    self.address = address
    self.value = value
  }
}

/// Values of some of the registers.
public struct PartialRegisters: Sendable {
  /// A bit for every register that has a value, by `VectorRegister`, and one for each of the x87's.
  var present: UInt64 = 0
  var presentReals: UInt8 = 0
  private var words = InlineArray<29, UInt64>(repeating: 0)
  private var xmm = InlineArray<16, Vector128>(repeating: Vector128())
  private var upper = InlineArray<16, Vector128>(repeating: Vector128())
  private var reals = InlineArray<8, ExtendedReal>(repeating: ExtendedReal())

  public init() {}

  mutating func clear() {
    present = 0
    presentReals = 0
  }

  /// A register of up to 64 bits; nil for one without a value.
  public subscript(_ register: VectorRegister) -> UInt64? {
    get { present & register.bit == 0 ? nil : words[register.rawValue] }
    set {
      guard let newValue else {
        present &= ~register.bit
        return
      }
      present |= register.bit
      words[register.rawValue] = newValue
    }
  }

  /// An XMM register; nil for one without a value.
  public subscript(xmm number: Int) -> Vector128? {
    get { present & VectorRegister.xmmBit(number) == 0 ? nil : xmm[number] }
    set {
      guard let newValue else {
        present &= ~VectorRegister.xmmBit(number)
        return
      }
      present |= VectorRegister.xmmBit(number)
      xmm[number] = newValue
    }
  }

  /// The upper half of a YMM register; nil for one without a value.
  public subscript(upper number: Int) -> Vector128? {
    get { present & VectorRegister.upperBit(number) == 0 ? nil : upper[number] }
    set {
      guard let newValue else {
        present &= ~VectorRegister.upperBit(number)
        return
      }
      present |= VectorRegister.upperBit(number)
      upper[number] = newValue
    }
  }

  /// A register of the x87 by its own number, wherever the top of the stack is; nil for one without a value.
  public subscript(real number: Int) -> ExtendedReal? {
    get { presentReals >> UInt8(number) & 1 == 0 ? nil : reals[number] }
    set {
      guard let newValue else {
        presentReals &= ~(1 << UInt8(number))
        return
      }
      presentReals |= 1 << UInt8(number)
      reals[number] = newValue
    }
  }

  /// Whether any YMM register has a value.
  var hasUpper: Bool { present >> 45 != 0 }

  /// Whether any of the x87 has one, its pointers among it.
  var speaksOfX87: Bool { presentReals != 0 || present & VectorRegister.x87Bits != 0 }

  /// Whether any register of the x87 has one, its pointers apart.
  var hasX87: Bool {
    presentReals != 0
      || present & (VectorRegister.control.bit | VectorRegister.status.bit | VectorRegister.tags.bit) != 0
  }
}

/// The registers of a vector that have no more than 64 bits.
public struct VectorRegister: Hashable, Sendable {
  /// The number of a general register, 16 for RIP, 17 for RFLAGS, then the others in the order of their names.
  public let rawValue: Int

  public static let rip = VectorRegister(rawValue: 16)
  public static let rflags = VectorRegister(rawValue: 17)
  public static let mxcsr = VectorRegister(rawValue: 18)
  /// The x87's control and status words, and its tags as FXSAVE has them, a bit a register.
  public static let control = VectorRegister(rawValue: 19)
  public static let status = VectorRegister(rawValue: 20)
  public static let tags = VectorRegister(rawValue: 21)
  /// Opcode and address of the x87's last instruction, and the address of its operand.
  public static let opcode = VectorRegister(rawValue: 22)
  public static let instruction = VectorRegister(rawValue: 23)
  public static let operand = VectorRegister(rawValue: 24)
  /// Selectors, in vectors of 16- and 32-bit code (`ProgramSegments`).
  public static let cs = VectorRegister(rawValue: 25)
  public static let ss = VectorRegister(rawValue: 26)
  public static let ds = VectorRegister(rawValue: 27)
  public static let es = VectorRegister(rawValue: 28)
  public static func general(_ slot: UInt8) -> VectorRegister { VectorRegister(rawValue: Int(slot & 0xf)) }

  /// Those that are, in the order of their numbers.
  public static let all = (0..<29).map(VectorRegister.init)

  private init(rawValue: Int) { self.rawValue = rawValue }

  public var name: String { VectorRegister.names[rawValue] }
  var bit: UInt64 { 1 << UInt64(rawValue) }
  /// The x87's, from the control word to its pointers.
  static let x87Bits: UInt64 = 0x3f << 19
  static func xmmBit(_ number: Int) -> UInt64 { 1 << UInt64(29 + number) }
  static func upperBit(_ number: Int) -> UInt64 { 1 << UInt64(45 + number) }

  /// The bits that it has.
  var width: Int {
    switch self {
    case .mxcsr: 32
    case .control, .status, .opcode, .cs, .ss, .ds, .es: 16
    case .tags: 8
    default: 64
    }
  }

  private static let names = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rip", "rflags", "mxcsr", "fcw", "fsw", "ftw", "fop", "fip", "fdp", "cs", "ss", "ds",
    "es",
  ]

  /// The register of a name.
  init?(_ name: [UInt8]) {
    guard name.count <= 6, let index = VectorRegister.numbers[name.reduce(0) { $0 << 8 | UInt64($1) }] else {
      return nil
    }
    rawValue = index
  }

  /// By the letters, as a number.
  private static let numbers: [UInt64: Int] = Dictionary(
    uniqueKeysWithValues: names.enumerated().map { index, name in
      (name.utf8.reduce(0) { $0 << 8 | UInt64($1) }, index)
    })
}
