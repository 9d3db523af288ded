/* The shortest kernel of one's own: Penumbra enters any static ELF64 at its entry point in 64-bit mode,
   with the low 4 GiB identity-mapped, a stack, interrupts off, and RDI pointing to an information block.

     clang -target x86_64-unknown-none-elf -c minimal.S -o minimal.o
     ld.lld --image-base=0x100000 minimal.o -o minimal
     penumbra run minimal */

    .globl _start
_start:
    leaq message(%rip), %rsi
    movl $(message_end - message), %ecx
1:  movw $0x3fd, %dx                        /* the serial port's line status */
    inb %dx, %al
    testb $0x20, %al                        /* ready for the next character? */
    jz 1b
    movw $0x3f8, %dx                        /* ... which goes here */
    lodsb
    outb %al, %dx
    loop 1b

    xorl %eax, %eax
    outl %eax, $0xf4                        /* debug exit: status (0 << 1) | 1 */
2:  hlt
    jmp 2b

message:
    .ascii "Hello from a kernel of one's own!\n"
message_end:
