import Emulator
import Machine

/// Reads a file of vectors, one after the other into the same place.
///
/// The layout is that of the SingleStepTests: a list of `{name, bytes, flags_mask, initial: {regs, ram}, final: {regs,
/// ram}}`. Members that it does not have are passed over, registers that do not exist are refused.
public final class VectorReader {
  private let json: JSONCursor
  private var vector = InstructionVector()

  /// The longest sequence of bytes that a vector may give as its instruction; the longest that is one has 15.
  private static let mostBytes = 64

  /// - Throws: `SetupError` of kind `input` for a file that cannot be read.
  public init(_ path: String) throws(SetupError) { json = try JSONCursor(path) }

  /// Hands every vector to `body`.
  /// - Throws: `SetupError` of kind `input`, with the place, for a file that is malformed.
  public func each(_ body: (borrowing InstructionVector) throws(SetupError) -> Void) throws(SetupError) {
    try json.list("a list of vectors") { () throws(SetupError) in
      vector.clear()
      try read()
      try body(vector)
    }
    try json.finish()
  }

  private func read() throws(SetupError) {
    var hasInitial = false
    var hasFinal = false
    try json.object("a vector") { () throws(SetupError) in
      switch json.text {
      case Key.name:
        try json.string("the name in quotes")
        vector.name = String(decoding: json.text, as: UTF8.self)
      case Key.bytes: try readBytes()
      case Key.flagsMask: vector.flagsMask = try json.number("flags_mask")
      case Key.vendor: try readVendor()
      case Key.initial:
        hasInitial = true
        try readInitial()
      case Key.final:
        hasFinal = true
        try readFinal()
      default: try json.skip()
      }
    }
    guard !vector.bytes.isEmpty else { throw json.problem("the vector has no bytes") }
    guard hasInitial else { throw json.problem("the vector has no initial state") }
    guard hasFinal else { throw json.problem("the vector has no final state") }
    guard vector.initial.registers[.rip] != nil else { throw json.problem("the initial state has no rip") }
  }

  private enum Key {
    static let name = Array("name".utf8), bytes = Array("bytes".utf8), flagsMask = Array("flags_mask".utf8)
    static let vendor = Array("vendor".utf8), initial = Array("initial".utf8), final = Array("final".utf8)
    static let regs = Array("regs".utf8), ram = Array("ram".utf8), exception = Array("exception".utf8)
    static let error = Array("error".utf8)
  }

  /// A list of numbers, or hexadecimal digits in quotes, spaces between them or not.
  private func readBytes() throws(SetupError) {
    vector.bytes.removeAll(keepingCapacity: true)
    if try json.peek() == UInt8(ascii: "[") {
      try json.list("the bytes") { () throws(SetupError) in
        vector.bytes.append(UInt8(truncatingIfNeeded: try json.number("a byte", limit: 0xff)))
      }
    } else {
      try json.string("the bytes, a list of numbers or hexadecimal digits in quotes,")
      var high: UInt8?
      for byte in json.text where byte != UInt8(ascii: " ") {
        guard let digit = JSONCursor.digit(byte) else { throw json.problem("the bytes are not hexadecimal digits") }
        if let first = high {
          vector.bytes.append(first << 4 | digit)
          high = nil
        } else {
          high = digit
        }
      }
      guard high == nil else { throw json.problem("the bytes have an odd number of digits") }
    }
    guard vector.bytes.count <= VectorReader.mostBytes else {
      throw json.problem("\(vector.bytes.count) bytes are no instruction")
    }
  }

  private func readVendor() throws(SetupError) {
    try json.string("the vendor in quotes")
    let name = String(decoding: json.text, as: UTF8.self)
    guard let vendor = Vendor(rawValue: name) else {
      throw json.problem("the vendor \(printable(name)) is neither intel nor amd")
    }
    vector.vendor = vendor
  }

  private func readInitial() throws(SetupError) {
    vector.initial.clear()
    try json.object("the initial state") { () throws(SetupError) in
      switch json.text {
      case Key.regs: try readRegisters(&vector.initial.registers)
      case Key.ram: try readMemory(&vector.initial.memory)
      default: try json.skip()
      }
    }
  }

  private func readFinal() throws(SetupError) {
    vector.final.clear()
    var number: UInt8?
    var error: UInt32?
    var hasState = false
    try json.object("the final state") { () throws(SetupError) in
      switch json.text {
      case Key.regs:
        hasState = true
        try readRegisters(&vector.final.registers)
      case Key.ram:
        hasState = true
        try readMemory(&vector.final.memory)
      case Key.exception:
        if try json.skipNull() { break }
        number = UInt8(truncatingIfNeeded: try json.number("the exception", limit: 0xff))
      case Key.error:
        if try json.skipNull() { break }
        error = UInt32(truncatingIfNeeded: try json.number("the error code", limit: 0xffff_ffff))
      default: try json.skip()
      }
    }
    vector.exception = number.map { ExpectedException(vector: $0, error: error) }
    vector.comparesState = number == nil || hasState
  }

  private func readRegisters(_ registers: inout PartialRegisters) throws(SetupError) {
    try json.object("the registers") { () throws(SetupError) in
      if let register = VectorRegister(json.text) {
        let limit = UInt64.max >> UInt64(64 - register.width)
        registers[register] = try json.number("the register", limit: limit)
      } else if let (bank, number) = VectorReader.banked(json.text) {
        try read(bank, number, &registers)
      } else {
        throw json.problem("there is no register \(printable(String(decoding: json.text, as: UTF8.self)))")
      }
    }
  }

  /// Registers that have a number and more than 64 bits.
  private enum Bank: CaseIterable {
    case xmm, ymm, real, mmx

    var prefix: [UInt8] {
      switch self {
      case .xmm: Array("xmm".utf8)
      case .ymm: Array("ymm".utf8)
      case .real: Array("fpr".utf8)
      case .mmx: Array("mm".utf8)
      }
    }

    var count: Int { self == .xmm || self == .ymm ? 16 : 8 }
  }

  private func read(_ bank: Bank, _ number: Int, _ registers: inout PartialRegisters) throws(SetupError) {
    switch bank {
    case .xmm:
      registers[xmm: number] = Vector128(try json.hexadecimal("the register", bits: 128).low)
    case .ymm:
      let (low, high) = try json.hexadecimal("the register", bits: 256)
      registers[xmm: number] = Vector128(low)
      registers[upper: number] = Vector128(high)
    case .real:
      let value = try json.hexadecimal("the register", bits: 80).low
      registers[real: number] = ExtendedReal(
        significand: UInt64(truncatingIfNeeded: value), head: UInt16(truncatingIfNeeded: value >> 64))
    case .mmx:
      registers[real: number] = ExtendedReal(significand: try json.number("the register"), head: .max)
    }
  }

  private static func banked(_ name: [UInt8]) -> (Bank, Int)? {
    for bank in Bank.allCases where name.starts(with: bank.prefix) {
      guard let number = number(name[bank.prefix.count...]), number < bank.count else { return nil }
      return (bank, number)
    }
    return nil
  }

  /// One or two digits without a leading zero.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard let first = digits.first, digits.count <= 2, digits.count == 1 || first != UInt8(ascii: "0") else {
      return nil
    }
    var number = 0
    for digit in digits {
      guard case UInt8(ascii: "0")...UInt8(ascii: "9") = digit else { return nil }
      number = 10 * number + Int(digit - UInt8(ascii: "0"))
    }
    return number
  }

  private func readMemory(_ memory: inout [ListedByte]) throws(SetupError) {
    try json.list("the memory, a list of [address, byte],") { () throws(SetupError) in
      var address: UInt64?
      var value: UInt8?
      try json.list("[address, byte]") { () throws(SetupError) in
        if address == nil {
          let place = try json.number("the address")
          guard ProgramSpace.canHold(place) else {
            throw json.problem("0x\(String(place, radix: 16)) is no address that a program can have")
          }
          address = place
        } else if value == nil {
          value = UInt8(truncatingIfNeeded: try json.number("the byte", limit: 0xff))
        } else {
          throw json.problem("[address, byte] has a third number")
        }
      }
      guard let address, let value else { throw json.problem("[address, byte] lacks a number") }
      memory.append(ListedByte(address, value))
    }
  }
}

extension Vector128 {
  fileprivate init(_ value: UInt128) {
    self.init(UInt64(truncatingIfNeeded: value), UInt64(truncatingIfNeeded: value >> 64))
  }
}
