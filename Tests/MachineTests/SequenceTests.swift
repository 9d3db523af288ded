#if os(Linux) && arch(x86_64)
  import Foundation
  import Machine
  import Support
  import Testing
  import Vectors

  /// Random instructions in a row, with jumps over some of them: what this processor does with them, Penumbra does in
  /// blocks and one by one. So flags that a block does not make, and pairs that it makes one of, are looked at.
  ///
  /// Flags that the manual leaves undefined are made anew by a comparison before anything can depend on them.
  @Suite(.serialized) struct SequenceTests {
    /// `SEQUENCES=N` in the environment makes it more.
    private static let sequences = ProcessInfo.processInfo.environment["SEQUENCES"].flatMap(Int.init) ?? 400
    private static let data = 0x800

    @Test(
      .enabled("the host's pages are not to be had") { HostProcessor.shared != nil },
      arguments: [CodeSize.bits64, .bits32])
    func `instructions in a row do what the host's processor does`(size: CodeSize) throws {
      let host = try #require(HostProcessor.shared)
      // What BOUND reads would have to be prepared.
      let forms = InstructionForm.all.filter { form in
        form.size == size && form.mnemonic != "bound"
          && form.needs.map { host.cpuid($0.leaf)[$0.register] & 1 << $0.bit != 0 } ?? true
      }
      let machine = HostComparisonTests.machine(size, profile: .flat(.commonTLBs, vendor: .amd))
      let segment = machine.processor.state[.cs]
      for number in 0..<Self.sequences {
        var random = RepeatableRandom(seed: UInt64(number) &* 0x9e37_79b9_7f4a_7c15)
        let code = Self.code(forms, size, &random)
        var registers = HostProcessor.Registers()
        for slot in 0..<16 { registers.general[slot] = random.next() >> (random.next() & 63) }
        if size == .bits32 {
          for slot in 0..<16 { registers.general[slot] = slot < 8 ? registers.general[slot] & 0xffff_ffff : 0 }
        }
        registers.flags = Flag.one | random.next() & Flag.arithmetic
        let memory = (0..<Self.data).map { _ in UInt8(truncatingIfNeeded: random.next()) }

        var expected = registers
        var expectedMemory = memory
        host.execute(code, size: size, &expected, data: &expectedMemory)
        let end = HostPlace.code + UInt64(code.count)
        // One by one first, which tells how many there are.
        Self.prepare(machine, segment, code, registers, memory)
        var count: UInt64 = 0
        while machine.processor.state.rip != end && count < 1000 {
          machine.run(1)
          count += 1
        }
        let differences = [
          Self.difference(machine, expected, expectedMemory, end).map { "one by one, " + $0 },
          {
            Self.prepare(machine, segment, code, registers, memory)
            machine.run(count)
            return Self.difference(machine, expected, expectedMemory, end).map { "in blocks, " + $0 }
          }(),
        ].compactMap { $0 }
        guard differences.isEmpty else {
          let bytes = code.map { String($0, radix: 16) }.joined(separator: " ")
          Issue.record("sequence \(number), \(bytes): \(differences.joined(separator: "; "))")
          return
        }
      }
    }

    /// Some two dozen instructions.
    private static func code(
      _ forms: [InstructionForm], _ size: CodeSize, _ random: inout RepeatableRandom
    ) -> [UInt8] {
      var code: [UInt8] = []
      for _ in 0..<16 + random.next() % 16 {
        let unit = unit(forms[Int(random.next() % UInt64(forms.count))], size, &random)
        if random.next() & 7 == 0, unit.count < 0x80 {
          // A conditional jump over it.
          code += [0x70 | UInt8(random.next() & 0xf), UInt8(unit.count)]
        }
        code += unit
      }
      return code
    }

    /// One instruction, behind moves to the registers that it wants something of.
    private static func unit(
      _ form: InstructionForm, _ size: CodeSize, _ random: inout RepeatableRandom
    ) -> [UInt8] {
      let is64 = size == .bits64
      var writer = FormWriter(random: RepeatableRandom(seed: random.next()), size: size)
      form.encode(&writer)
      var fixed = writer.fixed
      if fixed[FormWriter.pointer] == nil {
        fixed[FormWriter.pointer] = HostPlace.data + 8 + random.next() & 0x3f
      }
      var unit: [UInt8] = []
      for (slot, value) in fixed.sorted(by: { $0.key < $1.key }) {
        unit += (is64 ? [0x48 | slot >> 3] : []) + [0xb8 | slot & 7]
        unit += (0..<(is64 ? 8 : 4)).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
      }
      unit += writer.code
      if UndefinedFlags.of(form.mnemonic, width: form.width, count: writer.count) != 0 {
        unit += (is64 ? [0x48] : []) + [0x39, 0xc0 | UInt8(random.next() & 0x3f)]
      }
      return unit
    }

    private static func prepare(
      _ machine: TinyMachine, _ segment: Segment, _ code: [UInt8], _ registers: HostProcessor.Registers,
      _ memory: [UInt8]
    ) {
      // Behind them is what must not be executed.
      machine.guest.write(code + [0x0f, 0x0b], atPhysical: 0x1000)
      machine.processor.hostMemoryChanged(at: HostPhysical(0x1000), count: code.count + 2)
      machine.guest.write(memory, atPhysical: 0x2000)
      machine.enterRing(3)
      machine.update { state in
        state[.cs] = segment
        state.rip = HostPlace.code
        state.isHalted = false
        for slot in 0..<16 { state.slots[slot] = registers.general[slot] }
        state.rflags = registers.flags
      }
    }

    private static func difference(
      _ machine: TinyMachine, _ registers: HostProcessor.Registers, _ memory: [UInt8], _ end: UInt64
    ) -> String? {
      let state = machine.processor.state
      guard state.rip == end else {
        return "it ended at \(String(state.rip, radix: 16)), \(machine.lastException.map(\.description) ?? "")"
      }
      for slot in 0..<16 where state.slots[slot] != registers.general[slot] {
        return "register \(slot) is \(String(state.slots[slot], radix: 16)), "
          + "not \(String(registers.general[slot], radix: 16))"
      }
      let mask = Flag.arithmetic | Flag.direction
      if (state.rflags ^ registers.flags) & mask != 0 {
        return "flags are \(String(state.rflags & mask, radix: 16)), not \(String(registers.flags & mask, radix: 16))"
      }
      let written = machine.guest.host.read(HostPhysical(0x2000), count: memory.count)
      return memory.indices.first { written[$0] != memory[$0] }.map {
        "byte \($0) is \(written[$0]), not \(memory[$0])"
      }
    }
  }
#endif
