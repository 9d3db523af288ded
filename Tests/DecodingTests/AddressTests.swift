import Machine
import Testing

@Suite("Memory operands")
struct AddressTests {
  @Test func `a 64-bit operand is addressed directly`() {
    let load = Decoded([0x48, 0x8b, 0x44, 0xcb, 0x08])
    #expect(load.handler == .load64)
    #expect(load.operations.count == 1)
    #expect(load.place == Place(base: Slot.rbx, index: Slot.rcx, scale: 3, disp: 8))
  }

  @Test func `a RIP-relative operand is folded into an absolute displacement`() {
    let load = Decoded([0x48, 0x8b, 0x05, 0x10, 0, 0, 0], rip: 0x1000)
    #expect(load.operations.count == 1)
    #expect(load.place == Place(disp: 0x1017))
    #expect(Decoded([0x48, 0x8b, 0x05, 0x10, 0, 0, 0], rip: 0xffff_ffff_8100_0000).place == Place(disp: -0x7eff_ffe9))
  }

  @Test func `a RIP-relative operand beyond 32 bits is prepared in the address slot`() {
    let load = Decoded([0x48, 0x8b, 0x05, 0x10, 0, 0, 0], rip: 0x7000_0000_0000)
    #expect(load.operations.map(\.handler) == [.movRI, .load64])
    #expect(load.operations[0].dst == Slot.address)
    #expect(load.operations[0].imm == 0x7000_0000_0017)
    #expect(load.operations.map(\.length) == [0, 7])
    #expect(load.operations[0].cycles == UInt16(CostClass.free.rawValue))
    #expect(load.place == Place(base: Slot.address))
  }

  @Test func `GS takes the place of an absent base, or of an absent index`() {
    #expect(Decoded([0x65, 0x48, 0x8b, 0x04, 0x25, 0x28, 0, 0, 0]).place == Place(base: Slot.gsBase, disp: 0x28))
    #expect(Decoded([0x65, 0x48, 0x8b, 0x41, 0x08]).place == Place(base: Slot.rcx, index: Slot.gsBase, disp: 8))
    #expect(
      Decoded([0x64, 0x8b, 0x04, 0xcd, 0, 0, 0, 0]).place == Place(base: Slot.fsBase, index: Slot.rcx, scale: 3))
    #expect(Decoded([0x65, 0x48, 0x8b, 0x05, 0, 0, 0, 0]).place == Place(base: Slot.gsBase, disp: 0x1008))
  }

  @Test func `GS beside a base and an index is added by an address operation`() {
    let load = Decoded([0x65, 0x48, 0x8b, 0x44, 0xcb, 0x08])
    #expect(load.operations.map(\.handler) == [.address, .load64])
    #expect(load.operations[0].n == SegmentRegister.gs.rawValue)
    #expect(load.operations[0].imm == -1)
    #expect(Place(load.operations[0]) == Place(base: Slot.rbx, index: Slot.rcx, scale: 3, disp: 8))
    #expect(load.place == Place(base: Slot.address))
  }

  @Test("the other segment overrides mean nothing in 64-bit code", arguments: [0x26, 0x2e, 0x36, 0x3e] as [UInt8])
  func ignoredOverrides(prefix: UInt8) {
    let load = Decoded([prefix, 0x8b, 0x00])
    #expect(load.operations.count == 1)
    #expect(load.place == Place(base: Slot.rax))
  }

  @Test func `an address-size prefix masks the sum to 32 bits`() {
    let load = Decoded([0x67, 0x8b, 0x04, 0x18])
    #expect(load.operations.map(\.handler) == [.address, .load32])
    #expect(load.operations[0].imm == 0xffff_ffff)
    #expect(load.operations[0].n == 7)
  }

  @Test func `32-bit code goes through DS, or SS for a stack pointer, or the override`() {
    func address(_ bytes: [UInt8]) -> (UInt8, Int64) {
      let operation = Decoded(bytes, .bits32).operations[0]
      #expect(operation.handler == .address)
      return (operation.n, operation.imm)
    }
    #expect(address([0x8b, 0x00]) == (SegmentRegister.ds.rawValue, 0xffff_ffff))
    #expect(address([0x8b, 0x45, 0x08]) == (SegmentRegister.ss.rawValue, 0xffff_ffff))
    #expect(address([0x8b, 0x04, 0x24]) == (SegmentRegister.ss.rawValue, 0xffff_ffff))
    #expect(address([0x26, 0x8b, 0x45, 0x08]) == (SegmentRegister.es.rawValue, 0xffff_ffff))
    #expect(address([0x67, 0x8b, 0x42, 0x10]) == (SegmentRegister.ss.rawValue, 0xffff))
  }

  @Test func `16-bit addresses have two registers and wrap at 64 KiB`() {
    let load = Decoded([0x8b, 0x42, 0xf0], .bits16)
    #expect(load.operations.map(\.handler) == [.address, .loadMerge16])
    #expect(Place(load.operations[0]) == Place(base: Slot.rbp, index: Slot.rsi, disp: -16))
    #expect(load.operations[0].imm == 0xffff)
  }

  @Test func `MOV with an absolute offset takes it from where immediates stand`() {
    #expect(Decoded([0xa1, 0x34, 0x12], .bits16).operations[0].disp == 0x1234)
    let low = Decoded([0xa3, 0x00, 0x00, 0x00, 0xfe], .bits32)
    #expect(low.operations.map(\.handler) == [.address, .store32])
    #expect(UInt32(bitPattern: low.operations[0].disp) == 0xfe00_0000)
    let wide = Decoded([0x48, 0xa1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
    #expect(wide.operations.map(\.handler) == [.movRI, .load64])
    #expect(wide.operations[0].imm == 0x1122_3344_5566_7788)
  }

  @Test func `LEA computes an offset: segments don't count, and 32 bits need no mask`() {
    #expect(Decoded([0x64, 0x48, 0x8d, 0x04, 0x18]).place == Place(base: Slot.rax, index: Slot.rbx))
    #expect(Decoded([0x8d, 0x04, 0x18], .bits32).operations.map(\.handler) == [.lea32])
    #expect(Decoded([0x67, 0x8d, 0x04, 0x18]).operations.map(\.handler) == [.lea32])
    let masked = Decoded([0x67, 0x48, 0x8d, 0x04, 0x18])
    #expect(masked.operations.map(\.handler) == [.address, .lea64])
    #expect(masked.operations[0].n == 7)
    #expect(Decoded([0x66, 0x8d, 0x04, 0x18]).callout == .lea)
  }

  @Test func `POP to memory counts its own increment of the stack pointer`() {
    #expect(Decoded([0x8f, 0x44, 0x24, 0x08]).place == Place(base: Slot.rsp, disp: 16))
    #expect(Decoded([0x8f, 0x44, 0x24, 0x08], .bits32).operations[0].disp == 12)
    #expect(Decoded([0x8f, 0x40, 0x08]).place == Place(base: Slot.rax, disp: 8))
    let carried = Decoded([0x8f, 0x84, 0x24, 0xff, 0xff, 0xff, 0x7f])
    #expect(carried.operations.map(\.handler) == [.address, .callout])
    #expect(Int64(carried.operations[0].disp) + Int64(carried.last.disp) == 0x8000_0007)
  }
}
