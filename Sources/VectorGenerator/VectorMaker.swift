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
      vectors(of: form.description, count: count, seed: seed) { InstructionMaker(form, random: $0) }
    }

    /// The same of a form of 16- or 32-bit code.
    func vectors(of form: SegmentedForm, count: Int, seed: UInt64) -> [InstructionVector] {
      vectors(of: form.description, count: count, seed: seed) { SegmentedMaker(form, random: $0, decoder: decoder) }
    }

    private func vectors(
      of form: String, count: Int, seed: UInt64, make: (SeededRandom) -> some MadeInstruction
    ) -> [InstructionVector] {
      var random = SeededRandom(seed: form.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 })
      var vectors: [InstructionVector] = []
      var isDefined = false
      let undefined = min(count / 50, 2)
      var refused = 0
      while vectors.count < count {
        let vector = execute(make(SeededRandom(seed: random.next())))
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

    /// Executes an instruction; nil where the manual leaves its result open, or the host has no memory for it.
    private func execute(_ made: some MadeInstruction) -> InstructionVector? {
      guard host.holds(made.state.linearRIP) else { return nil }
      // Nor is there room for an operand where the instruction is, or the breakpoints behind it.
      let occupied = made.state.linearRIP..<made.state.linearRIP &+ UInt64(made.bytes.count + HostExecutor.breakpoints)
      guard !made.memory.contains(where: { occupied.contains($0.address) }) else { return nil }
      let code = made.bytes.enumerated().map { ListedByte(made.state.linearRIP + UInt64($0), $1) }
      for byte in made.memory + code { host.write(byte) }
      let outcome = host.execute(made.state, bytes: made.bytes.count, steps: made.steps)
      let changes = host.takeChanges(made.memory + code)
      guard !outcome.isHidden else { return nil }
      if outcome.exception?.vector == 14 && made.mayFaultAtWill { return nil }

      var vector = InstructionVector()
      vector.bytes = made.bytes
      vector.vendor = vendor
      let text = decoder.disassemble(made.bytes, count: made.bytes.count, rip: made.state.rip, size: made.size)
      vector.name = text ?? made.description
      if outcome.exception == nil {
        let prefixes = ["lock", "rep", "repe", "repne", "data16"]
        let mnemonic = vector.name.split(separator: " ").first { !prefixes.contains(String($0)) }.map(String.init)
        guard !made.isOpen(mnemonic ?? "") else { return nil }
        vector.flagsMask =
          Flag.defined & ~Flag.resume
          & ~UndefinedFlags.of(mnemonic ?? "", width: made.width, count: made.count)
      } else {
        vector.flagsMask = Flag.defined & ~Flag.resume
      }
      // The trap that ends the instruction takes TF with it.
      if made.steps { vector.flagsMask &= ~Flag.trap }
      setRegisters(&vector, made, outcome.state)
      vector.exception = outcome.exception
      vector.initial.memory = made.memory
      vector.final.memory = changes
      return vector
    }

    private func setRegisters(
      _ vector: inout InstructionVector, _ made: some MadeInstruction, _ after: HostExecutor.State
    ) {
      for slot in 0..<16 as Range<UInt8> {
        let before = made.state.general[Int(slot)]
        // Outside 64-bit code upper halves are nobody's (SDM vol. 1, 3.4.1.1), and Linux fills that of ESP on short stacks.
        let value = after.general[Int(slot)] & (made.state.selectors == nil ? .max : 0xffff_ffff)
        vector.initial.registers[.general(slot)] = before
        if value != before { vector.final.registers[.general(slot)] = value }
      }
      vector.initial.registers[.rip] = made.state.rip
      vector.initial.registers[.rflags] = made.state.rflags
      if after.rip != made.state.rip { vector.final.registers[.rip] = after.rip }
      if after.rflags != made.state.rflags { vector.final.registers[.rflags] = after.rflags }
      if let before = made.state.selectors, let after = after.selectors {
        setSelectors(before, &vector.initial.registers)
        setSelectors(after, &vector.final.registers)
      }
      if made.usesVectors { setVectors(&vector, made, after) }
      if made.usesX87 { setX87(&vector, made.state.x87, after.x87) }
    }

    private func setSelectors(_ selectors: HostExecutor.Selectors, _ registers: inout PartialRegisters) {
      registers[.cs] = UInt64(selectors.cs)
      registers[.ss] = UInt64(selectors.ss)
      registers[.ds] = UInt64(selectors.ds)
      registers[.es] = UInt64(selectors.es)
    }

    private func setVectors(
      _ vector: inout InstructionVector, _ made: some MadeInstruction, _ after: HostExecutor.State
    ) {
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
  }
#endif
