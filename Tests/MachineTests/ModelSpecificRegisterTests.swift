import Machine
import Support
import Testing

/// Registers that are kept and checked: memory types, machine check, IA32_MISC_ENABLE.
struct ModelSpecificRegisterTests {
  private static func machine(vendor: Vendor = .intel, hidden: [String] = []) -> TinyMachine {
    let guest = GuestMemory { map(0x1000, to: 0x1000) }
    let machine = TinyMachine(
      guest, at: 0x1000, profile: .flat([.physicalBits: 40], vendor: vendor, name: "test"),
      features: FeatureSet(names: FeatureSet.known.map(\.name).filter { !hidden.contains($0) }))
    machine.installHandlers()
    return machine
  }

  /// WRMSR, and RDMSR where that was allowed; nil after #GP(0).
  private static func exchange(_ machine: TinyMachine, _ number: UInt32, _ value: UInt64) -> UInt64? {
    write(machine, number, value) ? read(machine, number) : nil
  }

  private static func write(_ machine: TinyMachine, _ number: UInt32, _ value: UInt64) -> Bool {
    run(machine, [0x0f, 0x30], number, value)
  }

  private static func read(_ machine: TinyMachine, _ number: UInt32) -> UInt64? {
    guard run(machine, [0x0f, 0x32], number, 0) else { return nil }
    return machine[Slot.rdx] << 32 | machine[Slot.rax]
  }

  private static func run(_ machine: TinyMachine, _ code: [UInt8], _ number: UInt32, _ value: UInt64) -> Bool {
    machine.guest.write(code, atPhysical: 0x1000)
    machine.processor.hostMemoryChanged(at: HostPhysical(0x1000), count: code.count)
    machine.update { state in
      state.rip = 0x1000
      state.isHalted = false
      state.slots[Int(Slot.rcx)] = UInt64(number)
      state.slots[Int(Slot.rax)] = value & 0xffff_ffff
      state.slots[Int(Slot.rdx)] = value >> 32
    }
    machine.run(1)
    return machine.processor.state.rip == 0x1002
  }

  @Test func `memory types are kept, and reserved ones refused`() {
    let machine = Self.machine()
    #expect(Self.read(machine, 0xfe) == 0x508 && !Self.write(machine, 0xfe, 0x508))
    for number in [0x250, 0x258, 0x259] + Array(0x268...0x26f) as [UInt32] {
      #expect(Self.exchange(machine, number, 0x0006_0504_0100_0606) == 0x0006_0504_0100_0606)
      for type in [2, 3, 7, 8] as [UInt64] { #expect(!Self.write(machine, number, type << 24)) }
    }
    for number in 0x200...0x20f as ClosedRange<UInt32> {
      let isBase = number & 1 == 0
      #expect(Self.exchange(machine, number, 0xff_c000_0000) == 0xff_c000_0000)
      #expect(Self.write(machine, number, isBase ? 6 : 0x800))
      #expect(!Self.write(machine, number, isBase ? 0x100 : 0x006))
      #expect(!Self.write(machine, number, 1 << 40), "beyond MAXPHYADDR")
    }
    #expect(Self.exchange(machine, 0x2ff, 0xc06) == 0xc06)
    for value in [0x1000, 0x100, 2] as [UInt64] { #expect(!Self.write(machine, 0x2ff, value)) }
    #expect(Self.read(machine, 0x210) == nil && Self.read(Self.machine(hidden: ["mtrr"]), 0x2ff) == nil)
  }

  @Test func `machine-check banks take what the manual lets them`() throws {
    let machine = Self.machine()
    let banks = UInt32(try #require(Self.read(machine, 0x179)) & 0xff)
    #expect(banks > 0 && !Self.write(machine, 0x179, 0))
    for bank in 0..<banks {
      let first = 0x400 + 4 * bank
      for value in [0, .max] as [UInt64] { #expect(Self.exchange(machine, first, value) == value) }
      #expect(!Self.write(machine, first, 1))
      #expect(Self.exchange(machine, first + 1, 0) == 0 && !Self.write(machine, first + 1, 1))
      for part in 2...3 as ClosedRange<UInt32> { #expect(Self.exchange(machine, first + part, .max) == .max) }
    }
    for part in 0..<4 as Range<UInt32> { #expect(Self.read(machine, 0x400 + 4 * banks + part) == nil) }
    #expect(Self.exchange(machine, 0x17a, 7) == 7 && !Self.write(machine, 0x17a, 8))
    #expect(Self.read(Self.machine(hidden: ["mca"]), 0x179) == nil)
  }

  @Test func `IA32_MISC_ENABLE limits CPUID and hides NX, and AMD has none`() {
    let machine = Self.machine()
    // Neither branch traces nor precise events, which cannot be changed.
    #expect(Self.read(machine, 0x1a0) == 0x1801 && !Self.write(machine, 0x1a0, 0x0001))
    #expect(!Self.write(machine, 0x1a0, 0x1803))
    func leaf(_ number: UInt64) -> UInt64 {
      #expect(Self.run(machine, [0x0f, 0xa2], 0, number))
      return number == 0 ? machine[Slot.rax] : machine[Slot.rdx]
    }
    #expect(leaf(0) >= 7 && leaf(0x8000_0001) & 1 << 20 != 0)
    #expect(Self.exchange(machine, 0x1a0, 0x4_0040_1801) == 0x4_0040_1801)
    #expect(leaf(0) == 2 && leaf(0x8000_0001) & 1 << 20 == 0)
    machine.update { $0.efer &= ~EFER.noExecute }
    #expect(!Self.write(machine, 0xc000_0080, 0x901 | 0x800) && Self.write(machine, 0xc000_0080, 0x101))
    #expect(Self.read(Self.machine(vendor: .amd), 0x1a0) == nil)
  }
}
