#if os(Linux) && arch(x86_64)
  import Decoding
  import Machine
  import Vectors

  /// Makes vectors of a form: instructions that the host's processor has executed.
  struct VectorMaker {
    let host: HostExecutor
    let vendor: Vendor
    private let decoder: CapstoneDecoder

    init(_ host: HostExecutor, vendor: Vendor) {
      self.host = host
      self.vendor = vendor
      decoder = CapstoneDecoder(vendor: vendor)
    }

    /// - Returns: so many vectors; one or two, or none of a small number, where the form is no instruction at all.
    func vectors(of form: OpcodeForm, count: Int, seed: UInt64) -> [InstructionVector] {
      var random = SeededRandom(seed: form.description.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
      var vectors: [InstructionVector] = []
      var isDefined = false
      let undefined = min(count / 50, 2)
      var refused = 0
      while vectors.count < count {
        let made = InstructionMaker(form, random: SeededRandom(seed: random.next()))
        let vector = execute(made)
        guard let vector else { continue }
        if vector.exception?.vector == 6 {
          // Of a VEX prefix many registers do not suit; a few of those will do.
          refused += 1
          if !isDefined && refused >= 24 { break }
          if isDefined && refused > max(count / 8, 1) { continue }
        } else {
          isDefined = true
        }
        vectors.append(vector)
      }
      return isDefined ? vectors : Array(vectors.prefix(undefined))
    }

    /// Executes an instruction; nil where the manual leaves its result open.
    private func execute(_ made: InstructionMaker) -> InstructionVector? {
      let code = made.bytes.enumerated().map { ListedByte(made.state.rip + UInt64($0), $1) }
      for byte in made.memory + code { host.write(byte) }
      let outcome = host.execute(made.state, bytes: made.bytes.count, steps: made.branches)
      let changes = host.takeChanges(made.memory + code)
      guard !outcome.isHidden else { return nil }
      // Whether MASKMOVQ and MASKMOVDQU fault for bytes that they do not store is left open (SDM vol. 2).
      if made.form.opcode == 0xf7 && made.form.unit != .general && outcome.exception?.vector == 14 { return nil }

      var vector = InstructionVector()
      vector.bytes = made.bytes
      vector.vendor = vendor
      let text = decoder.disassemble(made.bytes, count: made.bytes.count, rip: made.state.rip, size: .bits64)
      vector.name = text ?? made.form.description
      if outcome.exception == nil {
        let prefixes = ["lock", "rep", "repe", "repne", "data16"]
        let mnemonic = vector.name.split(separator: " ").first { !prefixes.contains(String($0)) }.map(String.init)
        guard !Self.isOpen(made, mnemonic ?? "") else { return nil }
        vector.flagsMask =
          Flag.defined & ~Flag.resume
          & ~UndefinedFlags.of(mnemonic ?? "", width: made.width, count: made.count)
      } else {
        vector.flagsMask = Flag.defined & ~Flag.resume
      }
      setRegisters(&vector, made, outcome.state)
      vector.exception = outcome.exception
      vector.initial.memory = made.memory
      vector.final.memory = changes
      return vector
    }

    private func setRegisters(_ vector: inout InstructionVector, _ made: InstructionMaker, _ after: HostExecutor.State)
    {
      for slot in 0..<16 as Range<UInt8> {
        let before = made.state.general[Int(slot)]
        let value = after.general[Int(slot)]
        vector.initial.registers[.general(slot)] = before
        if value != before { vector.final.registers[.general(slot)] = value }
      }
      vector.initial.registers[.rip] = made.state.rip
      vector.initial.registers[.rflags] = made.state.rflags
      if after.rip != made.state.rip { vector.final.registers[.rip] = after.rip }
      if after.rflags != made.state.rflags { vector.final.registers[.rflags] = after.rflags }
      if made.form.usesVectors { setVectors(&vector, made, after) }
      if made.form.usesX87 { setX87(&vector, made.state.x87, after.x87) }
    }

    private func setVectors(_ vector: inout InstructionVector, _ made: InstructionMaker, _ after: HostExecutor.State) {
      for number in 0..<16 {
        let (low, high) = (made.state.xmm[number], made.state.upper[number])
        if low != Vector128() || high != Vector128() { vector.initial.registers[xmm: number] = low }
        if high != Vector128() { vector.initial.registers[upper: number] = high }
        let hasMoved = after.upper[number] != high
        if after.xmm[number] != low || hasMoved { vector.final.registers[xmm: number] = after.xmm[number] }
        if hasMoved { vector.final.registers[upper: number] = after.upper[number] }
      }
      vector.initial.registers[.mxcsr] = UInt64(made.state.mxcsr)
      if after.mxcsr != made.state.mxcsr { vector.final.registers[.mxcsr] = UInt64(after.mxcsr) }
    }

    private func setX87(_ vector: inout InstructionVector, _ before: X87State, _ after: X87State) {
      func words(_ state: X87State) -> [(VectorRegister, UInt64)] {
        [(.control, UInt64(state.control)), (.status, UInt64(state.statusWord)), (.tags, UInt64(state.tags))]
      }
      for (old, new) in zip(words(before), words(after)) {
        vector.initial.registers[old.0] = old.1
        if new.1 != old.1 { vector.final.registers[old.0] = new.1 }
      }
      func setPointers(_ state: X87State, _ registers: inout PartialRegisters) {
        guard HostVendor.keepsPointers || state.hasPending else { return }
        registers[.opcode] = UInt64(state.opcode)
        registers[.instruction] = state.instructionPointer
        registers[.operand] = state.dataPointer
      }
      setPointers(before, &vector.initial.registers)
      setPointers(after, &vector.final.registers)
      for number in 0..<8 {
        let value = before.registers[number]
        if value != ExtendedReal() { vector.initial.registers[real: number] = value }
        if after.registers[number] != value { vector.final.registers[real: number] = after.registers[number] }
      }
    }

    /// Whether the manual leaves the result open: SHLD and SHRD of 16 bits by more than 16, and of the x87's functions
    /// F2XM1 beyond 1 and FYL2XP1 beyond 1 - sqrt(1/2) (SDM vol. 2, "Description" of each).
    private static func isOpen(_ made: InstructionMaker, _ mnemonic: String) -> Bool {
      switch mnemonic {
      case "f2xm1": made.state.x87[0].head & 0x7fff >= 0x3fff
      // Below a quarter it is within either bound.
      case "fyl2xp1": made.state.x87[0].head & 0x7fff >= 0x3ffd
      default:
        made.form.map == .secondary && [0xa4, 0xa5, 0xac, 0xad].contains(made.form.opcode) && made.width == 2
          && made.count & 0x1f > 16
      }
    }
  }
#endif
