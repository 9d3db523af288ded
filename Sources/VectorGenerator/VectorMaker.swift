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
      while vectors.count < count {
        let made = InstructionMaker(form, random: SeededRandom(seed: random.next()))
        let vector = execute(made)
        guard let vector else { continue }
        isDefined = isDefined || vector.exception?.vector != 6
        vectors.append(vector)
        if !isDefined && vectors.count >= 12 { break }
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

      var vector = InstructionVector()
      vector.bytes = made.bytes
      vector.vendor = vendor
      let text = decoder.disassemble(made.bytes, count: made.bytes.count, rip: made.state.rip, size: .bits64)
      vector.name = text ?? made.form.description
      if outcome.exception == nil {
        let prefixes = ["lock", "rep", "repe", "repne", "data16"]
        let mnemonic = vector.name.split(separator: " ").first { !prefixes.contains(String($0)) }.map(String.init)
        guard !Self.isOpen(made) else { return nil }
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
      for number in 0..<16 {
        let before = made.state.xmm[number]
        if before != Vector128() { vector.initial.registers[xmm: number] = before }
        if after.xmm[number] != before { vector.final.registers[xmm: number] = after.xmm[number] }
      }
    }

    /// Whether the manual leaves the result open: SHLD and SHRD of 16 bits by more than 16.
    private static func isOpen(_ made: InstructionMaker) -> Bool {
      made.form.map == .secondary && [0xa4, 0xa5, 0xac, 0xad].contains(made.form.opcode) && made.width == 2
        && made.count & 0x1f > 16
    }
  }
#endif
