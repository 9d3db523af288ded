import Machine

extension CommandTable {
  static let vector: [Command] = [
    Command("info vector", ["info sse", "info avx"], .looking, "XMM and YMM registers that are not zero, and MXCSR") {
      prompt, _ throws(PromptError) in prompt.showVectors()
    },
    Command("info x87", ["info float", "info fpu"], .looking, "the x87: its stack, and its control and status words") {
      prompt, _ throws(PromptError) in prompt.showFloat()
    },
  ]
}

extension Prompt {
  func showVectors() {
    let state = session.processor.state.vector
    var rows: [[String]] = []
    for number in 0..<16 {
      let (low, high) = (state.xmm[number], state.upper[number])
      guard low != Vector128() || high != Vector128() else { continue }
      let upper = high == Vector128() ? "" : Self.digits(high) + " "
      rows.append([high == Vector128() ? "xmm\(number)" : "ymm\(number)", upper + Self.digits(low)])
    }
    if rows.isEmpty { say("All are zero.") }
    for line in columns(rows) { say(line) }
    say("mxcsr \(hex(UInt64(state.mxcsr)))")
  }

  /// 32 digits, the uppermost byte first.
  private static func digits(_ vector: Vector128) -> String {
    [vector.y, vector.x].map { hex($0, digits: 16).dropFirst(2) }.joined(separator: "_")
  }

  func showFloat() {
    let state = session.processor.state.vector.x87
    var rows: [[String]] = []
    for place in 0..<8 {
      let number = (state.top + place) & 7
      let register = state.registers[number]
      let isEmpty = state.tags >> UInt8(number) & 1 == 0
      rows.append([
        "st\(place)", "R\(number)", hex(UInt64(register.head), digits: 4) + ":" + hex(register.significand, digits: 16),
        isEmpty ? "empty" : Self.decimal(register),
      ])
    }
    for line in columns(rows) { say(line) }
    say(
      "control \(hex(UInt64(state.control))), status \(hex(UInt64(state.statusWord))), last opcode \(hex(UInt64(state.opcode))) at \(place(state.instructionPointer))"
    )
  }

  /// Rounded to a double; a number that none can hold shows as zero or infinity.
  private static func decimal(_ value: ExtendedReal) -> String {
    let exponent = Int(value.head & 0x7fff)
    guard exponent != 0x7fff else { return value.significand << 1 == 0 ? "infinity" : "not a number" }
    let magnitude = Double(sign: .plus, exponent: exponent - 16383 - 63, significand: Double(value.significand))
    return "\(value.head >> 15 == 0 ? magnitude : -magnitude)"
  }
}
