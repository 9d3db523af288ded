import Machine
import Support
import Testing

/// Vector instructions that were decoded when nothing forbade them ask again where the mode changes.
struct VectorModeTests {
  /// A loop that is executed twice: xorps %xmm1, %xmm1; movups (%rdi), %xmm2; inc %rax; then the instructions in
  /// between; jmp back.
  private static func machine(_ between: [UInt8], _ change: (inout ProcessorState) -> Void = { _ in }) -> TinyMachine {
    let body: [UInt8] = [0x0f, 0x57, 0xc9, 0x0f, 0x10, 0x17, 0x48, 0xff, 0xc0] + between
    return VectorExceptionTests.machine(body + [0xeb, UInt8(truncatingIfNeeded: -body.count - 2)], change)
  }

  @Test func `CR0 TS makes them ask, and CLTS makes them stop asking`() {
    // smsw %cx; or $8, %ecx; lmsw %cx
    let machine = Self.machine([0x0f, 0x01, 0xe1, 0x83, 0xc9, 0x08, 0x0f, 0x01, 0xf1])
    // #NM: clts; iretq
    machine.setHandler(7, [0x0f, 0x06, 0x48, 0xcf])
    machine.run(1000)
    #expect(machine.processor.recentlyRaised.allSatisfy { $0.exception == .deviceNotAvailable })
    #expect(machine.lastException == .deviceNotAvailable)
    // Nine instructions a round, with the handler's two.
    #expect(machine[Slot.rax] >= 110 && machine[Slot.rax] <= 112)
  }

  @Test func `CR4 OSFXSR makes them undefined`() {
    // mov %cr4, %rcx; btr $9, %rcx; mov %rcx, %cr4
    let machine = Self.machine([0x0f, 0x20, 0xe1, 0x48, 0x0f, 0xba, 0xf1, 9, 0x0f, 0x22, 0xe1])
    machine.run()
    #expect(machine.lastException == .invalidOpcode)
    #expect(machine[Slot.rax] == 1)
  }

  @Test func `XSETBV makes what is behind VEX undefined`() {
    // vxorps %xmm2, %xmm2, %xmm1; xor %ecx, %ecx; xor %edx, %edx; mov $3, %eax; xsetbv
    let code: [UInt8] = [0xc5, 0xe8, 0x57, 0xca, 0x31, 0xc9, 0x31, 0xd2, 0xb8, 3, 0, 0, 0, 0x0f, 0x01, 0xd1]
    let machine = VectorExceptionTests.machine(code + [0xeb, UInt8(truncatingIfNeeded: -code.count - 2)]) {
      $0.xcr0 = 7
    }
    machine.run()
    #expect(machine.lastException == .invalidOpcode)
    #expect(machine.processor.state.xcr0 == 3)
  }

  @Test func `accesses are counted alike however the code is cut`() {
    // movups 1(%rdi), %xmm1; movaps (%rdi), %xmm1; movups %xmm1, 9(%rdi); movss (%rdi), %xmm1; paddd (%rdi), %xmm1;
    // addsd (%rdi), %xmm1; addps (%rdi), %xmm1; movups (%rsi), %xmm1 across two pages
    let code: [UInt8] = [
      0x0f, 0x10, 0x4f, 1, 0x0f, 0x28, 0x0f, 0x0f, 0x11, 0x4f, 9, 0xf3, 0x0f, 0x10, 0x0f, 0x66, 0x0f, 0xfe, 0x0f, 0xf2,
      0x0f, 0x58, 0x0f, 0x0f, 0x58, 0x0f, 0x0f, 0x10, 0x0e,
    ]
    var counts: [UInt64] = []
    for length in [1, 64] {
      var options = ProcessorOptions()
      options.blockLength = length
      let guest = GuestMemory {
        map(0x1000, to: 0x1000)
        map(0x2000, to: 0x2000, pages: 2, .writable)
      }
      let machine = TinyMachine(guest, code: code + [0xf4], at: 0x1000, options: options)
      machine.update { state in
        state.cr4 |= CR4.osFXSR
        state.slots[Int(Slot.rdi)] = 0x2000
        state.slots[Int(Slot.rsi)] = 0x2ff8
      }
      machine.run(8)
      #expect(machine.processor.recentlyRaised.isEmpty)
      counts.append(machine.processor.state.accesses)
    }
    #expect(counts == [9, 9])
  }
}
