import Support
import Testing

@testable import Machine

/// `tlb=coherent`: nothing that a guest forgets to invalidate can be seen, A and D bits included.
struct CoherentTLBTests {
  private static let page: UInt64 = 0x40_0000
  private static let rival = page + UInt64(DirectCache.entries) << 12

  private static func machine(_ code: [UInt8], coherent: Bool, blockLength: Int = 64) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 2, .writable)
      map(page, to: 0x4000, pages: 2, .writable)
      // Where the direct cache has one place for both.
      map(rival, to: 0x6000, .writable)
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

  @Test(arguments: [1, 64], [1, 2, 3])
  func `pages used in turn that share a verdict's place are looked at anew when a table is written`(
    blockLength: Int, level: Int
  ) {
    // mov al, [rbx]; mov al, [rsi], three times; mov byte [rdx], 0; mov al, [rbx]; jmp here
    let turns: [UInt8] = [0x8a, 0x03, 0x8a, 0x06, 0x8a, 0x03, 0x8a, 0x06, 0x8a, 0x03, 0x8a, 0x06]
    for coherent in [false, true] {
      let machine = Self.machine(
        turns + [0xc6, 0x02, 0x00, 0x8a, 0x03, 0xeb, 0xfe], coherent: coherent, blockLength: blockLength)
      machine.installHandlers()
      (machine[Slot.rbx], machine[Slot.rsi]) = (Self.page, Self.rival)
      machine[Slot.rdx] = machine.guest.tables.entry(Self.page, level: level).rawValue
      machine.run(6)
      if coherent { #expect(Self.stands(Self.page, machine) && Self.stands(Self.rival, machine)) }
      machine.run(1)
      #expect(!Self.stands(Self.page, machine) && !Self.stands(Self.rival, machine))
      machine.run(4)
      // The table of level 3 is that of the handler, too.
      guard level < 3 else { continue }
      #expect((machine.lastException?.address == Self.page) == coherent)
    }
  }

  @Test func `what stands under one root is looked at anew under another, though the entry is global`() {
    // mov al, [rbx]; mov al, [rsi], twice; mov cr3, rdx; mov al, [rbx]; jmp here
    let code: [UInt8] = [
      0x8a, 0x03, 0x8a, 0x06, 0x8a, 0x03, 0x8a, 0x06, 0x0f, 0x22, 0xda, 0x8a, 0x03, 0xeb, 0xfe,
    ]
    for coherent in [false, true] {
      let machine = Self.machine(code, coherent: coherent)
      let guest = machine.guest
      guest.map(map(Self.page, to: 0x4000, .writable, .global))
      guest.map(map(Self.rival, to: 0x6000, .writable, .global))
      guest.write([1], atPhysical: 0x4000)
      guest.write([2], atPhysical: 0x7000)
      // Copies of all tables on the way, of which the last leads elsewhere.
      for level in 1...4 {
        let entry = guest.tables.entry(Self.page, level: level).rawValue
        let copy = 0x8000 + UInt64(level) << 12
        guest.write(Array(guest.host.read(HostPhysical(entry & ~0xfff), count: 4096)), atPhysical: copy)
        let target: UInt64 = level == 1 ? 0x7163 : (copy - 0x1000) | 0x63
        guest.setWord(target, atPhysical: copy + entry & 0xfff)
      }
      machine.update { $0.cr4 |= CR4.pageGlobal }
      (machine[Slot.rbx], machine[Slot.rsi], machine[Slot.rdx]) = (Self.page, Self.rival, 0xc000)
      machine.run(6)
      #expect(machine[Slot.rax] & 0xff == (coherent ? 2 : 1))
    }
  }

  @Test func `a check stands for its page, its entry, its kind of access and its context alone`() {
    var checks = StandingChecks()
    defer { checks.deallocate() }
    var stamp: UInt64 = 0
    withUnsafeMutablePointer(to: &stamp) { stamp in
      func hit(_ size: PageSize, _ entry: UInt64) -> TranslationLookaside.Hit {
        TranslationLookaside.Hit(size: size, way: 0, entry: TLBEntry(rawValue: entry), stamp: stamp)
      }
      let read = Access(.read, .supervisor)
      let (known, address) = (hit(.page4K, 0x4017), Self.page)
      checks.insert(known, address, read, context: 1)
      checks.insert(known, Self.rival, read, context: 1)
      for kept in [address, address | 0xfff, Self.rival] { #expect(checks.contains(known, kept, read, context: 1)) }
      #expect(!checks.contains(known, address + 0x1000, read, context: 1))
      #expect(!checks.contains(known, address | 1 << 63, read, context: 1))
      #expect(!checks.contains(hit(.page4K, 0x401f), address, read, context: 1))
      #expect(!checks.contains(hit(.page2M, 0x4017), address, read, context: 1))
      #expect(!checks.contains(known, address, Access(.write, .supervisor), context: 1))
      #expect(!checks.contains(known, address, Access(.fetch, .supervisor), context: 1))
      for privilege in [Privilege.user, .implicitSupervisor] {
        #expect(!checks.contains(known, address, Access(.read, privilege), context: 1))
      }
      for context in [0, 2] { #expect(!checks.contains(known, address, read, context: context)) }
      checks.removeAll()
      for gone in [address, Self.rival] { #expect(!checks.contains(known, gone, read, context: 1)) }
    }
  }

  /// Whether a check of reads of a page stands.
  private static func stands(_ page: UInt64, _ machine: TinyMachine) -> Bool {
    let processor = machine.processor
    let buffer = processor.translation.data
    guard let hit = buffer.peek(page, tag: processor.tag, globalTag: processor.globalTag) else { return false }
    return processor.translation.standing.contains(
      hit, page, Access(.read, .supervisor), context: processor.directContext)
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
