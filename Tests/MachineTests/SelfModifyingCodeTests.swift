import Support
import Testing

@testable import Machine

/// Code that changes under the processor's feet is executed as it stands at every moment (SDM vol. 3, 11.6: the linear
/// address that is written is the one that is fetched; other cases are coherent here too).
struct SelfModifyingCodeTests {
  /// A page of code at 0x1000 with an alias at 0x9000, the page behind it, and another page that can be mapped in their
  /// place.
  private static func machine(_ code: [UInt8], at rip: UInt64 = 0x1000, blockLength: Int = 64) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, pages: 2, .writable)
      map(0x9000, to: 0x1000, pages: 2, .writable)
      map(0x80_0000, to: 0x80_0000, size: .page2M, .writable)
    }
    var options = ProcessorOptions()
    options.blockLength = blockLength
    let machine = TinyMachine(guest, code: code, at: rip, profile: .flat(.commonTLBs), options: options)
    machine.installHandlers()
    return machine
  }

  /// inc eax is FF C0, dec eax FF C8.
  static let increment: [UInt8] = [0xff, 0xc0]

  @Test(arguments: [1, 2, 64])
  func `a store to the next instruction is seen by it`(blockLength: Int) {
    // mov byte [rip + 1], 0xc8; inc eax; hlt
    let code: [UInt8] = [0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0xc8] + Self.increment + [0xf4]
    let machine = Self.machine(code, blockLength: blockLength)
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0xffff_ffff)
  }

  @Test func `a store through an alias is seen`() {
    // mov byte [0x9009], 0xc8; inc eax; hlt
    let machine = Self.machine([0xc6, 0x04, 0x25, 0x09, 0x90, 0x00, 0x00, 0xc8] + Self.increment + [0xf4])
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0xffff_ffff)
  }

  @Test func `a loop that rewrites its own body does so in every turn`() {
    // xor byte [rip + 1], 8; inc eax; inc ebx; cmp ebx, 10; jne back; hlt: dec, inc, dec, ...
    let code: [UInt8] =
      [0x80, 0x35, 0x01, 0x00, 0x00, 0x00, 0x08] + Self.increment + [0xff, 0xc3, 0x83, 0xfb, 0x09, 0x75, 0xf0, 0xf4]
    let machine = Self.machine(code)
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0xffff_ffff && machine[Slot.rbx] == 9)
  }

  @Test func `a call that pushes its return address over the code behind it`() {
    // At 0x1000: call 0x1020, RSP such that the push overwrites 0x1020 with the address 0x1005: add eax, 0x...
    let machine = Self.machine([0xe8, 0x1b, 0x00, 0x00, 0x00, 0xf4])
    machine.guest.write(Self.increment + [0xf4], atPhysical: 0x1020)
    machine[Slot.rsp] = 0x1028
    // Run the target once, so that it has been decoded.
    machine.update { $0.rip = 0x1020 }
    machine.run(1)
    machine.update { $0.rip = 0x1000 }
    machine.run(2)
    // 05 10 00 00 00: add eax, 0x10
    #expect(machine[Slot.rax] == 0x11)
    #expect(machine.processor.state.rip == 0x1025)
  }

  @Test func `REP STOSB over the running code is seen`() {
    // mov edi, 0x100b; mov ecx, 2; rep stosb; then al = 0x90 over: inc eax
    let machine = Self.machine(
      [0xbf, 0x0c, 0x10, 0x00, 0x00, 0xb9, 0x02, 0x00, 0x00, 0x00, 0xf3, 0xaa] + Self.increment + [0xf4])
    // The NOPs overwrite what follows REP STOSB.
    machine[Slot.rax] = 0x90
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0x90)
  }

  @Test(arguments: [1, 64])
  func `a repeated string instruction that overwrites itself goes on as what it has become`(blockLength: Int) {
    for (opcode, element) in [(0xaa, 1), (0xa4, 1), (0xab, 4)] as [(UInt8, UInt64)] {
      // std; rep stosb, movsb or stosd, downwards over its own bytes; then NOPs and hlt.
      let code = [0xfd, 0xf3, opcode] + [UInt8](repeating: 0x90, count: 5) + [0xf4]
      let machine = Self.machine(code, blockLength: blockLength)
      machine.guest.write([UInt8](repeating: 0x90, count: 64), atPhysical: 0x3000)
      machine.guest.map(map(0x3000, to: 0x3000, .writable))
      machine[Slot.rax] = 0x9090_9090
      machine[Slot.rcx] = 32
      machine[Slot.rsi] = 0x3030
      machine[Slot.rdi] = 0x1004
      #expect(machine.run() == .haltedForEver)
      // The element that reached its opcode made it PAUSE or NOPs.
      #expect(machine[Slot.rcx] == 32 - (element == 1 ? 3 : 2), "opcode \(opcode)")
    }
  }

  @Test func `a page of code that is mapped elsewhere is fetched from there after INVLPG`() {
    // At 0x2000: inc eax; ret. At 0x1000: call 0x2000; mov [pte], rcx; invlpg [0x2000]; call 0x2000; hlt
    let machine = Self.machine(
      [0xe8, 0xfb, 0x0f, 0x00, 0x00, 0x48, 0x89, 0x0b, 0x0f, 0x01, 0x3c, 0x25, 0x00, 0x20, 0x00, 0x00]
        + [0xe8, 0xeb, 0x0f, 0x00, 0x00, 0xf4])
    machine.guest.write(Self.increment + [0xc3], atPhysical: 0x2000)
    machine.guest.write([0xff, 0xc8, 0xff, 0xc8, 0xc3], atPhysical: 0x5000)
    machine.guest.map(map(0x20_0000, to: 0x2000_0000, pages: 16, .writable))
    machine[Slot.rbx] = 0x20_0000 + machine.guest.tables.entry(0x2000, level: 1).rawValue - 0x2000_0000
    machine[Slot.rcx] = 0x5000 | 0x61
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0xffff_ffff)
  }

  // MARK: Instructions across two pages

  /// mov eax, imm32 whose immediate begins on the second page, then hlt.
  private static func crossing() -> TinyMachine {
    let machine = machine([0xb8], at: 0x1fff)
    machine.guest.write([0x11, 0x22, 0x33, 0x44, 0xf4], atPhysical: 0x2000)
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0x4433_2211)
    return machine
  }

  private static func again(_ machine: TinyMachine) {
    machine.update {
      $0.rip = 0x1fff
      $0.isHalted = false
    }
    #expect(machine.run() == .haltedForEver)
  }

  @Test func `a change of its second page is seen`() {
    let machine = Self.crossing()
    // mov byte [0x2002], 0x99
    machine.guest.write([0xc6, 0x04, 0x25, 0x02, 0x20, 0x00, 0x00, 0x99], atPhysical: 0x1800)
    machine.update {
      $0.rip = 0x1800
      $0.isHalted = false
    }
    machine.run(1)
    Self.again(machine)
    #expect(machine[Slot.rax] == 0x4499_2211)
  }

  @Test func `a change of its first page is seen`() {
    let machine = Self.crossing()
    // mov byte [0x1fff], 0xbb: mov ebx, imm32
    machine.guest.write([0xc6, 0x04, 0x25, 0xff, 0x1f, 0x00, 0x00, 0xbb], atPhysical: 0x1800)
    machine.update {
      $0.rip = 0x1800
      $0.isHalted = false
    }
    machine.run(1)
    Self.again(machine)
    #expect(machine[Slot.rbx] == 0x4433_2211)
  }

  @Test func `a second page that is mapped elsewhere is seen`() {
    let machine = Self.crossing()
    machine.guest.write([0x55, 0x66, 0x77, 0x08, 0xf4], atPhysical: 0x6000)
    machine.guest.setEntry(0x2000, level: 1, 0x6000 | 0x63)
    // The stale entry still leads to the old page.
    Self.again(machine)
    #expect(machine[Slot.rax] == 0x4433_2211)
    machine.processor.invalidatePage(GuestVirtual(0x2000), pcid: 0, globals: true)
    Self.again(machine)
    #expect(machine[Slot.rax] == 0x0877_6655)
  }

  @Test func `a second page that is gone faults there`() {
    let machine = Self.crossing()
    machine.guest.setEntry(0x2000, level: 1, 0)
    machine.processor.invalidatePage(GuestVirtual(0x2000), pcid: 0, globals: true)
    machine[Slot.rax] = 7
    Self.again(machine)
    #expect(machine.lastException == GuestException(vector: 14, errorCode: 0x10, address: 0x2000))
    #expect(machine.processor.recentlyDelivered.last?.rip == 0x1fff && machine[Slot.rax] == 7)
  }

  // MARK: Bytes that are no instruction

  @Test(arguments: [0x103e, 0x1fff] as [UInt64])
  func `bytes that were no instruction are decoded anew when the later ones change`(rip: UInt64) {
    // 66 27 (DAA) is no instruction of 64-bit mode, 66 90 is a NOP; 0f 0a is none, 0f a2 is CPUID.
    for (bytes, second) in [([0x66, 0x27], 0x90), ([0x0f, 0x0a], 0xa2)] as [([UInt8], UInt8)] {
      let machine = Self.machine(bytes, at: rip == 0x103e ? 0x103f : rip)
      let start = machine.processor.state.rip
      machine.run(1)
      #expect(machine.lastException == .invalidOpcode)
      // mov byte [rbx], al
      machine.guest.write([0x88, 0x03], atPhysical: 0x1800)
      machine.update { state in
        state.rip = 0x1800
        state.isHalted = false
        state.slots[Int(Slot.rbx)] = start + 1
        state.slots[Int(Slot.rax)] = UInt64(second)
      }
      machine.run(1)
      machine.update { $0.rip = start }
      machine.run(1)
      #expect(machine.processor.state.rip == start + 2, "\(bytes) at \(start)")
    }
  }

  // MARK: Many changes

  @Test func `a change of code drops what ends on its frame, and only that`() {
    // An instruction across two pages, and many blocks elsewhere: the second page's change reaches the first's block.
    let machine = Self.crossing()
    for offset in stride(from: 0x1100, to: 0x1700, by: 4) as StrideTo<UInt64> {
      machine.guest.write([0x90, 0xf4], atPhysical: offset)
      machine.update {
        $0.rip = offset
        $0.isHalted = false
      }
      machine.run(1)
    }
    for value in [0x55, 0x66, 0x77] as [UInt8] {
      machine.guest.write([0xc6, 0x04, 0x25, 0x01, 0x20, 0x00, 0x00, value], atPhysical: 0x1800)
      machine.processor.hostMemoryChanged(at: HostPhysical(0x1800), count: 8)
      machine.update {
        $0.rip = 0x1800
        $0.isHalted = false
      }
      machine.run(1)
      Self.again(machine)
      #expect(machine[Slot.rax] == 0x4433_0011 | UInt64(value) << 8)
    }
  }

  @Test func `the price of a change does not grow with the changes before it`() {
    // mov [rdi + 1], ebx; call rdi; dec ebx; jnz back; hlt, and at RDI: mov eax, imm32; ret.
    func visited(_ rounds: UInt64) -> UInt64 {
      let machine = Self.machine([0x89, 0x5f, 0x01, 0xff, 0xd7, 0xff, 0xcb, 0x75, 0xf7, 0xf4])
      machine.guest.write([0xb8, 0, 0, 0, 0, 0xc3], atPhysical: 0x2000)
      machine[Slot.rdi] = 0x2000
      machine[Slot.rbx] = rounds
      #expect(machine.run(1_000_000) == .haltedForEver)
      #expect(machine[Slot.rax] == 1)
      return machine.processor.blocks.visited
    }
    let (few, many) = (visited(1000), visited(4000))
    // Quadratic it was 16 times as much.
    #expect(few > 0 && many < few * 5)
  }

  // MARK: Large pages

  @Test func `code on a large page that is written is seen, near and far`() {
    let machine = Self.machine([])
    // mov byte [rip + 1], 0xc8; inc eax; mov byte [0x9ff001], 0xc8; jmp 0x9ff000
    machine.guest.write(
      [0xc6, 0x05, 0x01, 0x00, 0x00, 0x00, 0xc8] + Self.increment
        + [0xc6, 0x04, 0x25, 0x01, 0xf0, 0x9f, 0x00, 0xc8, 0xe9, 0xea, 0xef, 0x1f, 0x00],
      atPhysical: 0x80_0000)
    machine.guest.write(Self.increment + [0xf4], atPhysical: 0x9f_f000)
    machine.update { $0.rip = 0x9f_f000 }
    machine.run(1)
    machine.update { $0.rip = 0x80_0000 }
    #expect(machine.run() == .haltedForEver)
    #expect(machine[Slot.rax] == 0xffff_ffff)
  }

  @Test func `code is seen through a small and a large page alike`() {
    let machine = Self.machine([])
    machine.guest.map(map(0xa000, to: 0x80_1000, .writable))
    machine.guest.write(Self.increment + [0xf4], atPhysical: 0x80_1000)
    machine.update { $0.rip = 0x80_1000 }
    machine.run(1)
    // mov byte [0xa001], 0xc8
    machine.guest.write([0xc6, 0x04, 0x25, 0x01, 0xa0, 0x00, 0x00, 0xc8], atPhysical: 0x1000)
    machine.update { $0.rip = 0x1000 }
    machine.run(1)
    machine.update { $0.rip = 0x80_1000 }
    machine.run(1)
    #expect(machine[Slot.rax] == 0)
  }

  @Test func `a walk that sets A in a table that is also executed drops what was decoded`() {
    let machine = Self.machine([])
    // Nobody does this; the processor must not fall over it. The PTE of 0x30_0000 is mapped as code at 0x40_0000.
    machine.guest.map(map(0x30_0000, to: 0x4000, .writable, .fresh))
    let entry = machine.guest.tables.entry(0x30_0000, level: 1).rawValue
    machine.guest.map(map(0x40_0000, to: entry & ~0xfff, .writable))
    machine.update {
      $0.rip = 0x40_0000 + entry & 0xfff
      $0.slots[Int(Slot.rax)] = 0x1000
    }
    // 01 40 00: add [rax], eax, as long as A is clear; 21 40 00: and [rax], eax.
    machine.guest.setEntry(0x30_0000, level: 1, 0x4001)
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x1000) & 0xffff_ffff == 0x1000)
    // mov al, [0x300000]
    machine.guest.write([0x8a, 0x0c, 0x25, 0x00, 0x00, 0x30, 0x00], atPhysical: 0x1800)
    machine.update { $0.rip = 0x1800 }
    machine.run(1)
    #expect(machine.guest.entry(0x30_0000, level: 1) & 0x20 != 0)
    machine.update {
      $0.rip = 0x40_0000 + entry & 0xfff
      $0.slots[Int(Slot.rax)] = 0x1000
    }
    machine.run(1)
    #expect(machine.guest.word(atPhysical: 0x1000) & 0xffff_ffff == 0x1000)
  }
}
