#if os(Linux) && arch(x86_64)
  import Machine
  import Vectors

  /// What instructions of the vector unit ask for: VEX prefixes, gathers, MXCSR.
  extension InstructionMaker {
    // MARK: VEX

    /// Where there is no such operand it has to be 1111b, which is register 0.
    mutating func chooseThird() {
      let mayBeNone = form.unit == .vector && random.once(in: 2) || form.map == .vex3A && form.unit == .general
      third = mayBeNone ? 0 : UInt8(random.below(16))
    }

    mutating func encodeVEX(_ extensions: UInt8) {
      let prefix: UInt8 =
        switch form.prefix {
        case 0x66: 1
        case 0xf3: 2
        case 0xf2: 3
        default: 0
        }
      // With general registers L is 1 now and then, which is undefined.
      let isLong = form.isLong || form.unit == .general && random.once(in: 24)
      let last = (~third & 0xf) << 3 | (isLong ? 4 : 0) | prefix
      // W counts for nothing in this map, but with general registers.
      let isWide = form.isWide || form.map == .vexSecondary && form.unit == .vector && ignoresW && random.once(in: 8)
      if form.map == .vexSecondary && !isWide && extensions & 3 == 0 && !random.once(in: 4) {
        bytes += [0xc5, (extensions & 4 == 0 ? 0x80 : 0) | last, form.opcode]
        return
      }
      let map: UInt8 = form.map == .vexSecondary ? 1 : form.map == .vex38 ? 2 : 3
      bytes += [0xc4, ~(extensions << 5) & 0xe0 | map, (isWide ? 0x80 : 0) | last, form.opcode]
    }

    private var ignoresW: Bool { ![0x2a, 0x2c, 0x2d, 0x6e, 0x7e].contains(form.opcode) }

    // MARK: Gathers

    var isGather: Bool { form.map == .vex38 && (0x90...0x93).contains(form.opcode) && form.operand == .memory }

    /// A base and a vector of indices, most of them small.
    mutating func makeGatherAddress() -> (bytes: [UInt8], extensions: UInt8) {
      let base = UInt8(random.below(16))
      let index = UInt8(random.below(16))
      addressRegisters |= 1 << UInt16(base)
      usedVectors |= 1 << UInt16(index)
      let target = ProgramMemory.data + 0x1000 + random.below(0x2000)
      let isByte = random.once(in: 2)
      let displacement = random.next() & 0x3f
      state.general[Int(base)] = target &- displacement
      for address in stride(from: target - 0x80, to: target + 0x80, by: 8) {
        list(Vector128(random.next(), 0), address, 8)
      }
      gather = (index, form.opcode & 1 == 0)
      return (
        [(isByte ? 0x40 : 0x80) | 4, UInt8(random.below(3)) << 6 | (index & 7) << 3 | base & 7]
          + OpcodeForm.bytes(displacement, isByte ? 1 : 4), (index >> 3) << 1 | base >> 3
      )
    }

    private mutating func smallIndices(_ narrow: Bool) -> Vector128 {
      func index() -> UInt64 {
        random.once(in: 32) ? random.next() : UInt64(bitPattern: Int64(random.below(30)) - 15)
      }
      func word() -> UInt64 { narrow ? index() & 0xffff_ffff | index() << 32 : index() }
      return Vector128(word(), word())
    }

    // MARK: Registers

    mutating func setVectors() {
      usedVectors |= 1
      // Legacy instructions leave the upper halves as they are.
      let hasUpper = form.isVEX || random.once(in: 4)
      for number in 0..<16 where usedVectors & 1 << UInt16(number) != 0 {
        state.xmm[number] = operands.vector()
        if hasUpper { state.upper[number] = operands.vector() }
      }
      if let gather {
        state.xmm[Int(gather.index)] = smallIndices(gather.narrow)
        state.upper[Int(gather.index)] = smallIndices(gather.narrow)
      }
      guard random.once(in: 2) else { return }
      let modes = UInt32(truncatingIfNeeded: random.next())
      let masks: UInt32 = random.once(in: 5) ? modes & 0x3f : 0x3f
      // Rounding, DAZ, FTZ, masks, and flags of the exceptions that are masked.
      state.mxcsr = modes & 0xe040 | masks << MXCSR.maskShift | modes >> 16 & masks
    }
  }
#endif
