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
    registers.present = 0
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
  /// A bit for every register that has a value, by `VectorRegister`.
  public var present: UInt64 = 0
  private var words = InlineArray<18, UInt64>(repeating: 0)
  private var xmm = InlineArray<16, Vector128>(repeating: Vector128())

  public init() {}

  /// The general registers in encoding order, RIP and RFLAGS; nil for one without a value.
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
}

/// The registers of a vector that have 64 bits.
public struct VectorRegister: Hashable, Sendable {
  /// The number of a general register, 16 for RIP, 17 for RFLAGS.
  public let rawValue: Int

  public static let rip = VectorRegister(rawValue: 16)
  public static let rflags = VectorRegister(rawValue: 17)
  public static func general(_ slot: UInt8) -> VectorRegister { VectorRegister(rawValue: Int(slot & 0xf)) }

  /// Those that are, in the order of their numbers.
  public static let all = (0..<18).map(VectorRegister.init)

  private init(rawValue: Int) { self.rawValue = rawValue }

  public var name: String { VectorRegister.names[rawValue] }
  var bit: UInt64 { 1 << UInt64(rawValue) }
  static func xmmBit(_ number: Int) -> UInt64 { 1 << UInt64(18 + number) }

  private static let names = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rip", "rflags",
  ]

  /// The register of a name.
  init?(_ name: [UInt8]) {
    guard name.count >= 2, name[0] == UInt8(ascii: "r") else { return nil }
    guard let index = VectorRegister.numbers[name.dropFirst().reduce(0) { $0 << 8 | UInt64($1) }] else { return nil }
    rawValue = index
  }

  /// By the letters after the first, as a number.
  private static let numbers: [UInt64: Int] = Dictionary(
    uniqueKeysWithValues: names.enumerated().map { index, name in
      (name.utf8.dropFirst().reduce(0) { $0 << 8 | UInt64($1) }, index)
    })
}
