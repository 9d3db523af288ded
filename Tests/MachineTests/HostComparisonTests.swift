#if os(Linux) && arch(x86_64)
  import Machine
  import Support
  import Testing
  import Vectors

  /// Random operands in every form of instruction: what this processor does, Penumbra does too.
  @Suite(.serialized) struct HostComparisonTests {
    /// Operand sets a form.
    static let rounds = 200
    private static let bytes = 0x800

    @Test(
      .enabled("the host's pages are not to be had") { HostProcessor.shared != nil },
      arguments: InstructionForm.all)
    func `an instruction does what the host's processor does`(form: InstructionForm) throws {
      let host = try #require(HostProcessor.shared)
      if let needs = form.needs, host.cpuid(needs.leaf)[needs.register] & 1 << needs.bit == 0 { return }
      let machine = Self.machine(form.size)
      var random = RepeatableRandom(seed: form.testDescription.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
      var failures = 0
      for _ in 0..<Self.rounds where failures < 3 {
        let writer = Self.operands(form, &random)
        var expected = Self.registers(writer, form, &random)
        var data = (0..<Self.bytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        Self.putBounds(&data)
        let before = expected
        let difference = try Self.compare(machine, host, writer, form, &expected, &data)
        if let difference {
          failures += 1
          let code = writer.code.map { String($0, radix: 16) }.joined(separator: " ")
          let values = before.general.map { String($0, radix: 16) }.joined(separator: " ")
          Issue.record("\(code) with \(values), flags \(String(before.flags, radix: 16)): \(difference)")
        }
      }
    }

    /// A user's code of one size, where the host's pages are.
    static func machine(_ size: CodeSize, profile: CostProfile = .flat(vendor: .amd)) -> TinyMachine {
      let guest = GuestMemory {
        map(HostPlace.code, to: 0x1000, .user)
        map(HostPlace.data, to: 0x2000, .writable, .user)
      }
      let machine = TinyMachine(
        guest, at: HostPlace.code, cpl: 3, profile: profile,
        features: FeatureSet(names: FeatureSet.known.map(\.name)).union(.sse42))
      machine.installHandlers()
      if size == .bits32 {
        machine.update {
          $0[.cs] = Segment(selector: TinyMachine.Selector.userCode, base: 0, limit: .max, attributes: 0xc0fb)
        }
      }
      return machine
    }

    private static func operands(_ form: InstructionForm, _ random: inout RepeatableRandom) -> FormWriter {
      var writer = FormWriter(random: RepeatableRandom(seed: random.next()), size: form.size)
      form.encode(&writer)
      return writer
    }

    private static func registers(
      _ writer: FormWriter, _ form: InstructionForm, _ random: inout RepeatableRandom
    ) -> HostProcessor.Registers {
      var writer = writer
      var result = HostProcessor.Registers()
      for slot in 0..<16 { result.general[slot] = writer.number() }
      result.general[Int(FormWriter.pointer)] = HostPlace.data + 8 + random.next() & 0x3f
      result.general[Int(Slot.rsp)] = HostPlace.data + 0x400
      for (slot, value) in writer.fixed { result.general[Int(slot)] = value }
      if form.name.hasPrefix("bound") { result.general[Int(FormWriter.pointer)] = HostPlace.data }
      if form.size == .bits32 {
        for slot in 0..<16 { result.general[slot] = slot < 8 ? result.general[slot] & 0xffff_ffff : 0 }
      }
      result.flags = Flag.one | random.next() & Flag.arithmetic
      return result
    }

    /// Bounds that every index is within, of 16 and of 32 bits, and zeros.
    private static func putBounds(_ data: inout [UInt8]) {
      data.replaceSubrange(0x60..<0x64, with: [0x00, 0x80, 0xff, 0x7f])
      data.replaceSubrange(0x70..<0x80, with: [0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Executes on both, and says how they differ.
    private static func compare(
      _ machine: TinyMachine, _ host: HostProcessor, _ writer: FormWriter, _ form: InstructionForm,
      _ registers: inout HostProcessor.Registers, _ data: inout [UInt8]
    ) throws -> String? {
      machine.guest.write(writer.code, atPhysical: 0x1000)
      machine.processor.hostMemoryChanged(at: HostPhysical(0x1000), count: writer.code.count)
      machine.guest.write(data, atPhysical: 0x2000)
      machine.update { state in
        state.rip = HostPlace.code
        state.isHalted = false
        for slot in 0..<16 { state.slots[slot] = registers.general[slot] }
        state.rflags = registers.flags
      }
      let exceptions = machine.processor.counters.exceptions
      machine.run(1)
      guard machine.processor.counters.exceptions == exceptions else {
        machine.enterRing(3)
        return "raised \(machine.lastException.map(\.description) ?? "nothing")"
      }
      host.execute(writer.code, size: form.size, &registers, data: &data)

      let state = machine.processor.state
      let mask =
        (Flag.arithmetic | Flag.direction)
        & ~UndefinedFlags.of(form.mnemonic, width: form.width, count: writer.count)
      let count = form.size == .bits64 ? 16 : 8
      let significant: UInt64 = form.size == .bits64 ? .max : 0xffff_ffff
      for slot in 0..<count where (state.slots[slot] ^ registers.general[slot]) & significant != 0 {
        return "register \(slot) is \(String(state.slots[slot], radix: 16)), "
          + "not \(String(registers.general[slot], radix: 16))"
      }
      if (state.rflags ^ registers.flags) & mask != 0 {
        return "flags are \(String(state.rflags & mask, radix: 16)), not \(String(registers.flags & mask, radix: 16))"
      }
      let written = machine.guest.host.read(HostPhysical(0x2000), count: data.count)
      if let index = data.indices.first(where: { written[$0] != data[$0] }) {
        return "byte \(index) is \(written[index]), not \(data[index])"
      }
      return nil
    }
  }
#endif
