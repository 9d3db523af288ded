import Debugger

/// Registers: all in a row, or one by one.
extension Stub {
  func registerAnswer(_ request: Request) -> Answer {
    withSelected {
      switch request {
      case .readRegisters: return Answer(packets: [Hex.text(registers.flatMap { $0.read(session) })])
      case .readRegister(let number):
        guard registers.indices.contains(number) else { return .invalid }
        return Answer(packets: [Hex.text(registers[number].read(session))])
      case .writeRegister(let number, let bytes):
        guard registers.indices.contains(number), bytes.count == registers[number].byteCount else { return .invalid }
        return registers[number].write(session, bytes) ? .ok : .invalid
      case .writeRegisters(let bytes): return writeAll(bytes)
      default: return .unknown
      }
    }
  }

  /// Sets those registers that are to be different; of the others nobody can say that they were set.
  private func writeAll(_ bytes: [UInt8]) -> Answer {
    guard bytes.count == registers.reduce(0, { $0 + $1.byteCount }) else { return .invalid }
    var rest = bytes[...]
    for register in registers {
      let value = Array(rest.prefix(register.byteCount))
      rest = rest.dropFirst(register.byteCount)
      if value != register.read(session), !register.write(session, value) { return .invalid }
    }
    return .ok
  }
}
