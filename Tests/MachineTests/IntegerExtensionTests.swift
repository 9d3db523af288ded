import Machine
import Support
import Testing

/// What the host's processor cannot be asked: exceptions, hidden features, other modes, random numbers.
struct IntegerExtensionTests {
  private static func machine(
    _ code: [UInt8], size: CodeSize = .bits64, cpl: UInt8 = 0, vendor: Vendor = .intel, hiding: FeatureSet = [],
    seed: UInt64 = 0
  ) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, .user)
      map(0x40_0000, to: 0x20_0000, .writable, .user)
      map(0x40_1000, to: 0x20_1000, .user)
    }
    var options = ProcessorOptions()
    options.randomSeed = seed
    let machine = TinyMachine(
      guest, code: code, at: 0x1000, cpl: cpl, profile: .flat(vendor: vendor), options: options,
      features: FeatureSet(names: FeatureSet.known.map(\.name)).union(.sse42).subtracting(hiding))
    machine.installHandlers()
    if size == .bits32 {
      machine.update { $0[.cs].attributes = 0xc09b | UInt16(cpl) << 5 }
    }
    machine.update { $0.slots[Int(Slot.rdi)] = 0x40_0000 }
    return machine
  }

  /// The exception that one instruction raises.
  private static func exception(_ machine: TinyMachine) -> GuestException? {
    machine.run(1)
    return machine.lastException
  }

  @Test(
    "a feature that CPUID hides is undefined",
    arguments: [
      ([0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bmi1), ([0xc4, 0xe2, 0x60, 0xf3, 0xd9], .bmi1),
      ([0xc4, 0xe2, 0x20, 0xf7, 0xc1], .bmi1), ([0xc4, 0xe2, 0x60, 0xf5, 0xc1], .bmi2),
      ([0xc4, 0xe2, 0x63, 0xf6, 0xc1], .bmi2), ([0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 7], .bmi2),
      ([0xc4, 0xe2, 0x61, 0xf7, 0xc1], .bmi2), ([0x66, 0x0f, 0x38, 0xf6, 0xc1], .adx),
      ([0xf3, 0x0f, 0x38, 0xf6, 0xc1], .adx), ([0x0f, 0x38, 0xf0, 0x07], .movbe), ([0x0f, 0x38, 0xf9, 0x07], .movdiri),
      ([0xf2, 0x0f, 0x38, 0xf1, 0xc1], .sse42), ([0x0f, 0xc7, 0xf0], .rdrand), ([0x0f, 0xc7, 0xf8], .rdseed),
      ([0x0f, 0x01, 0xe8], .serialize), ([0xf3, 0x0f, 0xb8, 0xc1], .popcnt), ([0xf3, 0x0f, 0xc7, 0xf8], .rdpid),
      ([0x0f, 0xc7, 0x0f], .cx8), ([0x48, 0x0f, 0xc7, 0x0f], .cx16), ([0x9f], .lahfLM), ([0x9e], .lahfLM),
    ] as [([UInt8], FeatureSet)])
  func hidden(code: [UInt8], feature: FeatureSet) {
    #expect(Self.exception(Self.machine(code, hiding: feature)) == .invalidOpcode)
    #expect(Self.exception(Self.machine(code)) == nil)
  }

  @Test func `CPUID shows the bits`() {
    let machine = Self.machine([0x0f, 0xa2, 0x0f, 0xa2])
    machine[Slot.rax] = 7
    machine.run(1)
    #expect(machine[Slot.rbx] & (1 << 3 | 1 << 8 | 1 << 18 | 1 << 19) == 1 << 3 | 1 << 8 | 1 << 18 | 1 << 19)
    #expect(machine[Slot.rcx] & 1 << 27 != 0 && machine[Slot.rdx] & 1 << 14 != 0)
    machine[Slot.rax] = 1
    machine.run(1)
    #expect(machine[Slot.rcx] & (1 << 22 | 1 << 30) == 1 << 22 | 1 << 30)
  }

  @Test func `VEX is undefined in real mode, ARPL too`() {
    for code in [[0xc4, 0xe2, 0x60, 0xf2, 0xc1], [0x63, 0xc1]] as [[UInt8]] {
      let machine = Self.machine(code)
      machine.update { state in
        state.cr0 = CR0.extensionType
        state.efer = 0
        state[.cs] = Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x9b)
      }
      machine.run(1)
      #expect(machine.processor.recentlyRaised.last?.exception == .invalidOpcode)
    }
  }

  @Test func `BOUND raises #BR outside its bounds, and compares signed`() {
    // bound eax, [edi]
    for (index, raises) in [(5, false), (9, false), (4, true), (10, true), (0xffff_ffff, true)] as [(UInt64, Bool)] {
      let machine = Self.machine([0x62, 0x07], size: .bits32)
      machine.guest.setWord(9 << 32 | 5, atPhysical: 0x20_0000)
      machine[Slot.rax] = index
      #expect((Self.exception(machine) == .bound) == raises, "\(index)")
      #expect(machine.processor.recentlyDelivered.last?.rip == (raises ? 0x1000 : nil))
    }
    let negative = Self.machine([0x66, 0x62, 0x07], size: .bits32)
    negative.guest.setWord(0x0001_fffe, atPhysical: 0x20_0000)
    negative[Slot.rax] = 0xffff
    #expect(Self.exception(negative) == nil)
  }

  @Test func `AAM by 0 divides by 0 and changes nothing`() {
    let machine = Self.machine([0xd4, 0x00], size: .bits32)
    machine[Slot.rax] = 0x1234
    #expect(Self.exception(machine) == .divide && machine[Slot.rax] == 0x1234)
  }

  @Test func `ARPL faults on a page that may not be written, MOVBE stores nothing there`() {
    for code in [[0x63, 0x0f], [0x0f, 0x38, 0xf1, 0x0f]] as [[UInt8]] {
      let machine = Self.machine(code, size: .bits32, cpl: 3)
      machine[Slot.rdi] = 0x40_1000
      #expect(Self.exception(machine)?.vector == 14)
    }
  }

  @Test func `random numbers repeat, and follow from the seed`() {
    func numbers(_ seed: UInt64) -> [UInt64] {
      // rdrand rax; rdseed ecx; rdrand dx
      let machine = Self.machine(
        [0x48, 0x0f, 0xc7, 0xf0, 0x0f, 0xc7, 0xf9, 0x66, 0x0f, 0xc7, 0xf2], seed: seed)
      machine.update {
        $0.rflags = Flag.arithmetic
        $0.slots[Int(Slot.rcx)] = .max
        $0.slots[Int(Slot.rdx)] = 0xffff_0000
      }
      machine.run(3)
      #expect(machine.processor.state.rflags & Flag.arithmetic == Flag.carry)
      #expect(machine[Slot.rcx] >> 32 == 0 && machine[Slot.rdx] >> 16 == 0xffff)
      return [machine[Slot.rax], machine[Slot.rcx], machine[Slot.rdx]]
    }
    #expect(numbers(1) == numbers(1))
    #expect(zip(numbers(1), numbers(2)).allSatisfy { $0 != $1 })
    // splitmix64's first number of seed 0.
    #expect(numbers(0)[0] == 0xe220_a839_7b1d_cdaf)
  }

  @Test func `a snapshot keeps its place in the random numbers`() {
    let machine = Self.machine([0x48, 0x0f, 0xc7, 0xf0, 0x48, 0x0f, 0xc7, 0xf1])
    machine.run(1)
    let snapshot = machine.processor.snapshot()
    machine.run(1)
    let number = machine[Slot.rcx]
    machine.processor.restore(snapshot)
    machine.run(1)
    #expect(machine[Slot.rcx] == number)
  }

  @Test func `RDPMC asks CR4.PCE, and only AMD has counters`() {
    #expect(Self.exception(Self.machine([0x0f, 0x33])) == .generalProtection(0))
    let counter = Self.machine([0x0f, 0x33], cpl: 3, vendor: .amd)
    counter.update {
      $0.cr4 |= CR4.performanceCounter
      $0.slots[Int(Slot.rax)] = 7
    }
    #expect(Self.exception(counter) == nil && counter[Slot.rax] == 0)
    #expect(Self.exception(Self.machine([0x0f, 0x33], cpl: 3, vendor: .amd)) == .generalProtection(0))
    let beyond = Self.machine([0x0f, 0x33], vendor: .amd)
    beyond[Slot.rcx] = 4
    #expect(Self.exception(beyond) == .generalProtection(0))
  }

  @Test func `MOVDIRI stores`() {
    let machine = Self.machine([0x48, 0x0f, 0x38, 0xf9, 0x07])
    machine[Slot.rax] = 0x1122_3344_5566_7788
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x20_0000) == 0x1122_3344_5566_7788)
  }
}
