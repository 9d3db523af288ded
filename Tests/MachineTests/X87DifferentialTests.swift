#if os(Linux) && arch(x86_64)
  import Machine
  import Support
  import Testing

  /// Every x87 instruction against the host's own processor: operands at random, in all ways of rounding, with
  /// exceptions masked and unmasked, with the stack as it should be and not.
  @Suite(.enabled(if: HostFloating.isAvailable, "no processor to compare with"))
  struct X87DifferentialTests {
    @Test(arguments: X87Instruction.arithmetic) func `x87 arithmetic is the host's`(instruction: X87Instruction) {
      compare(instruction, sets: 3000)
    }

    @Test(arguments: X87Instruction.comparisons) func `x87 comparisons are the host's`(instruction: X87Instruction) {
      compare(instruction, sets: 2000)
    }

    @Test(arguments: X87Instruction.moves) func `x87 loads and stores are the host's`(instruction: X87Instruction) {
      compare(instruction, sets: 1500)
    }

    @Test(arguments: X87Instruction.control) func `x87 control is the host's`(instruction: X87Instruction) {
      compare(instruction, sets: 500)
    }

    @Test(arguments: X87Instruction.transcendental)
    func `x87 functions are within a unit in the last place of the host's`(instruction: X87Instruction) {
      compare(instruction, sets: 3000, tolerance: 1)
    }

    private func compare(_ instruction: X87Instruction, sets: Int, tolerance: UInt64 = 0) {
      var operands = X87Operands(seed: instruction.name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
      let host = HostFloating(instruction.bytes, capacity: sets)
      let machine = FloatingMachine(instruction.bytes, features: HostFloating.features, vendor: HostFloating.vendor)
      for mode in X87Operands.Mode.allCases {
        var before = (0..<sets).map { _ in operands.record(instruction, mode) }
        // Out of their domain the manual leaves these open.
        if instruction.name == "f2xm1" || instruction.name == "fyl2xp1" { before.removeAll { !$0.isInDomain } }
        for (record, after) in zip(before, host.run(before)) {
          let found = machine.run(record)
          var expected = after
          // A pointer that was loaded is not relative to where the memory is.
          if instruction.operand == .control { expected.operand = found.operand }
          // AMD's processors forget the pointers when the host's kernel switches tasks.
          if HostFloating.vendor == .amd && expected.x87.opcode == 0 && expected.operand == .max {
            expected.x87.opcode = found.x87.opcode
            expected.operand = found.operand
          }
          guard found.agrees(with: expected, tolerance: tolerance) else {
            Issue.record(
              "\(instruction.name), \(mode): from \(record.text)\nhost  \(expected.text)\nfound \(found.text)")
            return
          }
        }
      }
    }
  }

  extension HostFloating {
    static let vendor: Vendor = HostProcessor.shared?.cpuid(0)[2] == 0x444d_4163 ? .amd : .intel
    static let isAvailable = HostProcessor.shared != nil && HostInstruction.isAvailable

    /// Every feature, but what the host's way to keep pointers has not.
    static var features: FeatureSet {
      var features = FeatureSet(names: FeatureSet.known.map(\.name))
      let leaf = HostProcessor.shared?.cpuid(7) ?? [0, 0, 0, 0]
      if leaf[1] >> 6 & 1 == 0 { features.remove(.dataPointerOnException) }
      if leaf[1] >> 13 & 1 == 0 { features.remove(.zeroSelectors) }
      return features
    }
  }

  extension FloatingRecord {
    /// Whether ST(0) is less than a quarter.
    fileprivate var isInDomain: Bool { x87[0].head & 0x7fff < 0x3ffd }

    /// Whether two outcomes are the same, registers to some units in the last place; then C1, which tells of the last
    /// rounding, does not count either.
    fileprivate func agrees(with other: FloatingRecord, tolerance: UInt64) -> Bool {
      guard tolerance > 0 else { return words == other.words && registers == other.registers }
      var (a, b) = (self, other)
      a.x87.status &= ~X87Status.c1
      b.x87.status &= ~X87Status.c1
      return a.words == b.words && zip(registers, other.registers).allSatisfy { $0.distance(to: $1) <= tolerance }
    }
  }

  extension ExtendedReal {
    /// How many numbers lie between two of one sign, both included but one.
    fileprivate func distance(to other: ExtendedReal) -> UInt64 {
      func place(_ a: ExtendedReal) -> UInt128 { UInt128(a.head) << 63 | UInt128(a.significand & .max >> 1) }
      let (a, b) = (place(self), place(other))
      return UInt64(clamping: a > b ? a - b : b - a)
    }
  }
#endif

/// The modelled processor at one x87 or MMX instruction.
final class FloatingMachine {
  private let machine: TinyMachine

  init(_ instruction: [UInt8], features: FeatureSet, vendor: Vendor) {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x2000, to: 0x2000, .writable)
    }
    machine = TinyMachine(
      guest, code: instruction + [0xf4], at: 0x1000, profile: .flat(vendor: vendor), features: features)
    machine.update { $0.cr4 |= CR4.osFXSR | CR4.osXMMExceptions }
  }

  func run(_ before: FloatingRecord) -> FloatingRecord {
    for (index, word) in before.memory.enumerated() {
      machine.guest.setWord(word, atPhysical: 0x2400 + 8 * UInt64(index))
    }
    machine.update { state in
      state.rip = 0x1000
      state.cr0 |= CR0.numericError
      state.slots[Int(Slot.rdi)] = 0x2000
      state.slots[Int(Slot.rax)] = before.rax
      state.vector.x87 = before.x87
      state.vector.mxcsr = before.mxcsr
      for index in 0..<8 { state.vector.xmm[index] = before.xmm[index] }
      state.rflags = before.flags | 2
    }
    let result = machine.run(1)
    let state = machine.processor.state
    var after = FloatingRecord()
    guard result == .limit, machine.processor.recentlyRaised.isEmpty else {
      Issue.record("the run ended with \(result), \(machine.processor.recentlyRaised)")
      return after
    }
    after.memory = (0..<16).map { machine.guest.word(atPhysical: 0x2400 + 8 * $0) }
    after.x87 = state.vector.x87
    after.mxcsr = state.vector.mxcsr
    after.xmm = (0..<8).map { state.vector.xmm[$0] }
    after.flags = state.rflags & Flag.arithmetic
    after.rax = state.slots[Int(Slot.rax)]
    after.tags = state.vector.x87.fullTags
    let pointer = state.vector.x87.dataPointer & 0xffff_ffff
    after.operand = pointer == 0 ? .max : (pointer &- 0x2400) & 0xffff_ffff
    return after
  }
}
