/* A boot sector that stands in for a Multiboot loader, for machines that boot from a disk only (Bochs).
   The disk: this sector, a sector with the command line, then the kernel as it lies in memory from 1 MiB on, without .bss. */

#ifndef KERNEL_SECTORS
#define KERNEL_SECTORS 127
#endif
#define BUFFER          0x10000             /* the command line's sector, then the kernel */
#define KERNEL          0x100000
#define MEMORY_UPPER    (126 << 10)         /* KiB above 1 MiB: 128 MiB without what a BIOS keeps */
#define CHUNK           64                  /* sectors read at a time */

    .code16
    .globl start
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7c00, %sp
    movb %dl, drive
    movw $0x2401, %ax                       /* A20 on */
    int $0x15

1:  movb $0x42, %ah                         /* extended read */
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jc failed
    addw $(CHUNK * 512 / 16), packet_segment
    addl $CHUNK, packet_sector
    cmpl $(KERNEL_SECTORS + 2), packet_sector
    jb 1b

    lgdt gdt_pointer
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmp $0x08, $protected

failed:
    hlt
    jmp failed

    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    cld
    movl $(BUFFER + 512), %esi
    movl $KERNEL, %edi
    movl $(KERNEL_SECTORS * 512 / 4), %ecx
    rep movsl
    movl entry_point, %edx
    movl $0x2badb002, %eax
    movl $information, %ebx
    jmpl *%edx

    .balign 4
packet:
    .word 16, CHUNK, 0
packet_segment:
    .word BUFFER / 16
packet_sector:
    .long 1, 0

information:
    .long 1 << 0 | 1 << 2                   /* memory, command line */
    .long 640, MEMORY_UPPER
    .long 0
    .long BUFFER

    .balign 8
gdt:
    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
drive:
    .byte 0

    .org 436
entry_point:
    .long KERNEL_ENTRY
    .org 510
    .word 0xaa55
