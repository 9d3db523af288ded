/// A guest that has every device at work: the timer interrupts each millisecond, and each time it writes a dot and loads
/// CR3; every third tick it waits for a byte of input and echoes it; between them it counts on 1024 pages. A `q` ends
/// it, with the number of ticks as its status.
public enum EchoGuest {
  /// A static ELF64, entered in 64-bit mode with the low 4 GiB identity-mapped.
  public static var image: [UInt8] {
    let address: UInt64 = 0x20_0000
    let headerSize = UInt64(64 + 56)
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: 0, count: 9)
    // Executable, x86-64, version 1; entry, program header table; sizes and counts.
    file += bytes(UInt16(2)) + bytes(UInt16(62)) + bytes(UInt32(1)) + bytes(address) + bytes(UInt64(64))
    file += bytes(UInt64(0)) + bytes(UInt32(0)) + [64, 56, 1, 0, 0, 0].flatMap { bytes(UInt16($0)) }
    // One segment with all rights, zeroed beyond the code for the interrupt table.
    file += bytes(UInt32(1)) + bytes(UInt32(7)) + bytes(headerSize) + bytes(address) + bytes(address)
    file += bytes(UInt64(code.count)) + bytes(UInt64(0x2000)) + bytes(UInt64(0x1000))
    return file + code
  }

  private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  private static let code: [UInt8] = [
    // The gate of vector 0x20 in the table after the code, and LIDT.
    0x48, 0x8d, 0x3d, 0xc9, 0x00, 0x00, 0x00,  // leaq 201(%rip), %rdi
    0x48, 0x8d, 0x05, 0x8b, 0x00, 0x00, 0x00,  // leaq 139(%rip), %rax
    0x66, 0x89, 0x87, 0x00, 0x02, 0x00, 0x00,  // movw %ax, 512(%rdi)
    0x8c, 0x8f, 0x02, 0x02, 0x00, 0x00,  // movw %cs, 514(%rdi)
    0x66, 0xc7, 0x87, 0x04, 0x02, 0x00, 0x00, 0x00, 0x8e,  // movw $36352, 516(%rdi)
    0x48, 0xc1, 0xe8, 0x10,  // shrq $16, %rax
    0x66, 0x89, 0x87, 0x06, 0x02, 0x00, 0x00,  // movw %ax, 518(%rdi)
    0x48, 0x8d, 0x05, 0x82, 0x00, 0x00, 0x00,  // leaq 130(%rip), %rax
    0x48, 0x89, 0x78, 0x02,  // movq %rdi, 2(%rax)
    0x0f, 0x01, 0x18,  // lidtq (%rax)
    // The interrupt controller: vectors from 0x20, only the timer.
    0xb0, 0x11,  // movb $17, %al
    0xe6, 0x20,  // outb %al, $32
    0xb0, 0x20,  // movb $32, %al
    0xe6, 0x21,  // outb %al, $33
    0xb0, 0x04,  // movb $4, %al
    0xe6, 0x21,  // outb %al, $33
    0xb0, 0x01,  // movb $1, %al
    0xe6, 0x21,  // outb %al, $33
    0xb0, 0xfe,  // movb $-2, %al
    0xe6, 0x21,  // outb %al, $33
    // The timer: every 1193 cycles of its own, a millisecond.
    0xb0, 0x34,  // movb $52, %al
    0xe6, 0x43,  // outb %al, $67
    0xb0, 0xa9,  // movb $-87, %al
    0xe6, 0x40,  // outb %al, $64
    0xb0, 0x04,  // movb $4, %al
    0xe6, 0x40,  // outb %al, $64
    // Ticks, the tick to wait for, where to count.
    0x31, 0xdb,  // xorl %ebx, %ebx
    0x31, 0xed,  // xorl %ebp, %ebp
    0xbe, 0x00, 0x00, 0x40, 0x00,  // movl $4194304, %esi
    0xfb,  // sti
    // Three ticks from now,
    0x83, 0xc5, 0x03,  // addl $3, %ebp
    // until which pages are counted up;
    0xff, 0x06,  // incl (%rsi)
    0x81, 0xc6, 0x40, 0x10, 0x00, 0x00,  // addl $4160, %esi
    0x81, 0xe6, 0xff, 0xff, 0x7f, 0x00,  // andl $8388607, %esi
    0x81, 0xce, 0x00, 0x00, 0x40, 0x00,  // orl $4194304, %esi
    0x39, 0xeb,  // cmpl %ebp, %ebx
    0x72, 0xe8,  // jb 0x6a
    // then a byte is awaited, echoed, and ends the machine if it is a q: with the ticks.
    0x66, 0xba, 0xfd, 0x03,  // movw $1021, %dx
    0xec,  // inb %dx, %al
    0xa8, 0x01,  // testb $1, %al
    0x74, 0xfb,  // je 0x86
    0x66, 0xba, 0xf8, 0x03,  // movw $1016, %dx
    0xec,  // inb %dx, %al
    0xee,  // outb %al, %dx
    0x3c, 0x71,  // cmpb $113, %al
    0x75, 0xd2,  // jne 0x67
    0x89, 0xd8,  // movl %ebx, %eax
    0xe7, 0xf4,  // outl %eax, $244
    // A tick: a dot, a load of CR3, the end of the interrupt.
    0x50,  // pushq %rax
    0x52,  // pushq %rdx
    0xff, 0xc3,  // incl %ebx
    0x66, 0xba, 0xf8, 0x03,  // movw $1016, %dx
    0xb0, 0x2e,  // movb $46, %al
    0xee,  // outb %al, %dx
    0x0f, 0x20, 0xd8,  // movq %cr3, %rax
    0x0f, 0x22, 0xd8,  // movq %rax, %cr3
    0xb0, 0x20,  // movb $32, %al
    0xe6, 0x20,  // outb %al, $32
    0x5a,  // popq %rdx
    0x58,  // popq %rax
    0x48, 0xcf,  // iretq
    0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
    // The table: limit and base.
    0x0f, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  ]
}
