/// The keyboard controller (Intel 8042) with a keyboard on which nobody types, and without a mouse: it answers the
/// commands with which a kernel looks for them, and resets the machine.
public struct KeyboardController: Equatable, Sendable {
  /// A byte at port 0x60 that a command still waits for.
  private enum Parameter: Sendable {
    case commandByte, outputPort, auxiliaryLoop, keyboardLoop, auxiliaryDevice, keyboard
  }

  /// Bytes that port 0x60 holds for the guest, the oldest first. A real controller has room for one, but its keyboard
  /// has a buffer of sixteen.
  private var output: [UInt8] = []
  private var expected: Parameter?
  /// Bit 0 enables the interrupt of the keyboard (line 1), bit 4 disables the keyboard.
  private var commandByte: UInt8 = 0x05
  private var last: UInt8 = 0
  private var lastWasCommand = false

  public init() {}

  /// Whether the keyboard's interrupt line (1) is high.
  public var isAsserted: Bool { !output.isEmpty && commandByte & 0x01 != 0 }

  /// Port 0x64: output full (0), system flag (2), last write was a command (3), keyboard not locked (4).
  public var status: UInt8 {
    (output.isEmpty ? 0 : 0x01) | commandByte & 0x04 | (lastWasCommand ? 0x08 : 0) | 0x10
  }

  /// Port 0x60: the oldest byte, or the last one again.
  public mutating func readData() -> UInt8 {
    if !output.isEmpty { last = output.removeFirst() }
    return last
  }

  /// Port 0x64: whether the command resets the machine.
  public mutating func writeCommand(_ value: UInt8) -> Bool {
    lastWasCommand = true
    expected = nil
    switch value {
    case 0x20: answer(commandByte)
    case 0x60: expected = .commandByte
    case 0xa7: commandByte |= 0x20
    case 0xa8: commandByte &= ~0x20
    case 0xa9: answer(0x01)  // The mouse's clock line is stuck: there is none.
    case 0xaa: answer(0x55)
    case 0xab: answer(0x00)
    case 0xad: commandByte |= 0x10
    case 0xae: commandByte &= ~0x10
    case 0xc0: answer(0x80)
    case 0xd0: answer(0xcf)  // A20 on, not in reset.
    case 0xd1: expected = .outputPort
    case 0xd2: expected = .keyboardLoop
    case 0xd3: expected = .auxiliaryLoop
    case 0xd4: expected = .auxiliaryDevice
    case 0xf0...0xff: return value & 0x01 == 0  // Pulses the output lines named by zeros; line 0 is reset.
    default: break
    }
    return false
  }

  /// Port 0x60: whether the byte resets the machine.
  public mutating func writeData(_ value: UInt8) -> Bool {
    lastWasCommand = false
    let parameter = expected
    expected = nil
    switch parameter {
    case .commandByte: commandByte = value
    case .outputPort: return value & 0x01 == 0
    // Coming back as a keyboard's byte, it tells that there is no mouse port.
    case .keyboardLoop, .auxiliaryLoop: answer(value)
    case .auxiliaryDevice: break
    case .keyboard: answer(0xfa)
    case nil: command(value)
    }
    return false
  }

  /// A command to the keyboard itself.
  private mutating func command(_ value: UInt8) {
    switch value {
    case 0xed, 0xf0, 0xf3:
      answer(0xfa)
      expected = .keyboard
    case 0xee: answer(0xee)
    case 0xf2:
      answer(0xfa)
      answer(0xab)
      answer(0x83)
    case 0xff:
      output.removeAll()
      answer(0xfa)
      answer(0xaa)
    default: answer(0xfa)
    }
  }

  private mutating func answer(_ value: UInt8) {
    if output.count < 16 { output.append(value) }
  }
}
