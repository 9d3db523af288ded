#if os(Linux) && arch(x86_64)
  import Machine
  import Vectors

  /// What instructions of the x87 and on MMX registers ask for.
  extension InstructionMaker {
    mutating func setX87() {
      let modes = FloatingOperands<SeededRandom>.Mode.allCases
      state.x87 = operands.floating.x87(modes[Int(random.below(UInt64(modes.count)))])
      if form.unit == .mmx {
        state.x87.tags = UInt8(truncatingIfNeeded: random.next())
        for number in 0..<8 where !random.once(in: 8) {
          state.x87.registers[number] = ExtendedReal(significand: operands.vector().x, head: .max)
        }
      }
      // Now and then an exception is pending.
      if random.once(in: 16) { state.x87.status |= UInt16(truncatingIfNeeded: random.next()) & X87Status.exceptions }
    }

    /// What the memory operand holds.
    mutating func listX87(_ address: UInt64) {
      var value = Vector128(operands.floating.integer(), random.next())
      switch (form.opcode, form.digit ?? 0) {
      case (0xd8, _), (0xd9, 0): value.x = UInt64(operands.floating.single()) | random.next() << 32
      case (0xdc, _), (0xdd, 0): value.x = operands.floating.double()
      case (0xdb, 5), (0xdb, 7): value = extended()
      case (0xdf, 4):
        let decimal = operands.floating.decimal()
        value = Vector128(decimal.low, value.y << 16 | UInt64(decimal.high))
      case (0xdd, 4):
        // A state: words at random, registers behind them.
        for offset in stride(from: UInt64(0), to: 112, by: 16) { list(extended(), address &+ offset, 16) }
        return
      case (0xd9, 4):
        list(Vector128(random.next(), random.next()), address &+ 16, 12)
        value.x = random.next()
      case (0xae, _): return listArea(address)
      default: break
      }
      list(value, address, 16)
    }

    private mutating func extended() -> Vector128 {
      let value = operands.floating.real()
      return Vector128(value.significand, random.next() << 16 | UInt64(value.head))
    }

    /// The area of FXRSTOR (SDM vol. 1, table 10-2).
    private mutating func listArea(_ address: UInt64) {
      let x87 = operands.floating.x87(.anyStack)
      let control = UInt64(x87.control) | UInt64(x87.status) << 16 | UInt64(x87.tags) << 32
      list(Vector128(control | (random.next() & 0x7ff) << 48, random.next() >> 20), address, 16)
      let mxcsr = random.next() & (random.once(in: 8) ? 0x1_ffff : 0xffff)
      list(Vector128(random.next() >> 20, mxcsr), address &+ 16, 16)
      for i in 0..<8 as Range<UInt64> {
        let value = operands.floating.real()
        list(Vector128(value.significand, UInt64(value.head)), address &+ 32 &+ 16 * i, 16)
      }
      for i in 0..<16 as Range<UInt64> { list(operands.vector(), address &+ 160 &+ 16 * i, 16) }
    }
  }
#endif
