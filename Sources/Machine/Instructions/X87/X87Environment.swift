/// The x87's environment as FNSTENV and FNSAVE write it (SDM vol. 1, figures 8-9 to 8-12): seven words of 16 or 32 bits,
/// in one layout for protected mode and one for real and virtual-8086 mode.
struct X87Environment {
  var words: InlineArray<7, UInt64>

  init() { words = InlineArray(repeating: 0) }

  init(_ state: X87State, isWide: Bool, isReal: Bool) {
    self.init()
    words[0] = UInt64(state.control)
    words[1] = UInt64(state.statusWord)
    words[2] = UInt64(state.fullTags)
    if isReal {
      // Pointers are linear, of 20 or 32 bits, their upper part in the same word as the opcode.
      let instruction = state.instructionPointer &+ UInt64(state.codeSelector) << 4
      let data = state.dataPointer &+ UInt64(state.dataSelector) << 4
      let upper: UInt64 = isWide ? 0xffff : 0xf
      words[3] = instruction & 0xffff
      words[4] = (instruction >> 16 & upper) << 12 | UInt64(state.opcode & 0x7ff)
      words[5] = data & 0xffff
      words[6] = (data >> 16 & upper) << 12
    } else {
      words[3] = state.instructionPointer
      words[4] = UInt64(state.codeSelector) | (isWide ? UInt64(state.opcode & 0x7ff) << 16 : 0)
      words[5] = state.dataPointer
      words[6] = UInt64(state.dataSelector)
    }
    // What is reserved in the wide format is written as ones.
    if isWide {
      for index in 0..<3 { words[index] |= 0xffff_0000 }
      if isReal {
        words[3] |= 0xffff_0000
        words[5] |= 0xffff_0000
      } else {
        words[6] |= 0xffff_0000
      }
    }
    let mask: UInt64 = isWide ? 0xffff_ffff : 0xffff
    for index in 0..<7 { words[index] &= mask }
  }

  /// Gives a state this environment.
  func restore(_ state: inout X87State, isWide: Bool, isReal: Bool) {
    state.control = UInt16(truncatingIfNeeded: words[0]) & X87Control.defined | X87Control.fixed
    state.statusWord = UInt16(truncatingIfNeeded: words[1])
    state.fullTags = UInt16(truncatingIfNeeded: words[2])
    if isReal {
      let upper: UInt64 = isWide ? 0xffff : 0xf
      state.instructionPointer = words[3] & 0xffff | (words[4] >> 12 & upper) << 16
      state.dataPointer = words[5] & 0xffff | (words[6] >> 12 & upper) << 16
      state.opcode = UInt16(truncatingIfNeeded: words[4]) & 0x7ff
      state.codeSelector = 0
      state.dataSelector = 0
    } else {
      state.instructionPointer = words[3]
      state.codeSelector = UInt16(truncatingIfNeeded: words[4])
      state.opcode = isWide ? UInt16(truncatingIfNeeded: words[4] >> 16) & 0x7ff : 0
      state.dataPointer = words[5]
      state.dataSelector = UInt16(truncatingIfNeeded: words[6])
    }
  }
}
