import Machine
import Support
import Testing

/// `tlb=coherent`: nothing that a guest forgets to invalidate can be seen, A and D bits included.
struct CoherentTLBTests {
  private static let page: UInt64 = 0x40_0000

  private static func machine(_ code: [UInt8], coherent: Bool, blockLength: Int = 64) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 2, .writable)
      map(page, to: 0x4000, pages: 2, .writable)
    }
    // The page tables of the page, at the address that is their own.
    for level in 1...3 {
      let frame = guest.tables.entry(page, level: level).rawValue & ~0xfff
      guest.map(map(frame, to: frame, .writable))
    }
    var options = ProcessorOptions()
    options.coherentTLB = coherent
    options.blockLength = blockLength
    return TinyMachine(
      guest, code: code, at: 0x1000, profile: .flat(.commonTLBs + .commonStructureCaches), options: options)
  }

  private static func bits(_ machine: TinyMachine, level: Int) -> UInt64 {
    machine.guest.host.word(at: machine.guest.tables.entry(page, level: level)) & 0x60
  }

  @Test(arguments: [1, 64]) func `A and D that the guest clears are set again by the next access`(blockLength: Int) {
    for coherent in [false, true] {
      // mov [rbx], al; and byte [rdx], 0x9f; mov [rbx], al; jmp here
      let machine = Self.machine(
        [0x88, 0x03, 0x80, 0x22, 0x9f, 0x88, 0x03, 0xeb, 0xfe], coherent: coherent, blockLength: blockLength)
      machine[Slot.rbx] = Self.page
      machine[Slot.rdx] = machine.guest.tables.entry(Self.page, level: 1).rawValue
      machine.run(2)
      #expect(Self.bits(machine, level: 1) == 0)
      machine.run(1)
      #expect(Self.bits(machine, level: 1) == (coherent ? 0x60 : 0))
    }
  }

  @Test func `A of an upper entry is set again, although a paging-structure cache knows its table`() {
    for coherent in [false, true] {
      // mov al, [rbx]; and byte [rdx], 0xdf; mov al, [rbx + 4096]; jmp here
      let machine = Self.machine(
        [0x8a, 0x03, 0x80, 0x22, 0xdf, 0x8a, 0x83, 0x00, 0x10, 0x00, 0x00, 0xeb, 0xfe], coherent: coherent)
      machine[Slot.rbx] = Self.page
      machine[Slot.rdx] = machine.guest.tables.entry(Self.page, level: 2).rawValue
      machine.run(3)
      #expect(Self.bits(machine, level: 2) & 0x20 == (coherent ? 0x20 : 0))
    }
  }

  @Test(arguments: [1, 64]) func `an entry that is taken away faults at the next access`(blockLength: Int) {
    for coherent in [false, true] {
      // mov al, [rbx]; mov al, [rbx]; mov byte [rdx], 0; mov al, [rbx]; jmp here
      let machine = Self.machine(
        [0x8a, 0x03, 0x8a, 0x03, 0xc6, 0x02, 0x00, 0x8a, 0x03, 0xeb, 0xfe], coherent: coherent,
        blockLength: blockLength)
      machine.installHandlers()
      machine[Slot.rbx] = Self.page
      machine[Slot.rdx] = machine.guest.tables.entry(Self.page, level: 2).rawValue
      machine.run(10)
      #expect((machine.lastException?.address == Self.page) == coherent)
    }
  }

  @Test(arguments: [1, 64]) func `code whose page is taken away is not gone on with`(blockLength: Int) {
    for coherent in [false, true] {
      // mov byte [rdx], 0; inc ecx; inc ecx; jmp here
      let machine = Self.machine(
        [0xc6, 0x02, 0x00, 0xff, 0xc1, 0xff, 0xc1, 0xeb, 0xfe], coherent: coherent, blockLength: blockLength)
      machine.installHandlers()
      machine[Slot.rdx] = machine.guest.tables.entry(0x1000, level: 1).rawValue
      let frame = machine[Slot.rdx] & ~0xfff
      machine.guest.map(map(frame, to: frame, .writable))
      machine.run(3)
      #expect((machine.lastException?.vector == 14) == coherent)
      #expect(machine[Slot.rcx] == (coherent ? 0 : 2))
    }
  }

  @Test func `hits that were checked once are hits in the direct cache`() {
    // mov al, [rbx]; jmp back
    let machine = Self.machine([0x8a, 0x03, 0xeb, 0xfc], coherent: true)
    machine[Slot.rbx] = Self.page
    machine.run(10)
    let counted = machine.processor.counters.dataMisses
    machine.run(1000)
    #expect(machine.processor.counters.dataMisses == counted)
  }
}
