/* void store_without_paging(uint64_t address, uint64_t value): stores 32 bits with CR0.PG clear; address and value lie below
   4 GiB. Interrupts have to be off, CR4.PCIDE clear, and the code mapped to itself.

   Paging cannot be turned off in 64-bit mode (SDM vol. 3, 4.1.2): the way is through compatibility mode. The segments for it
   come from a table of their own. What the registers hold beyond those of 32-bit modes is undefined afterwards (SDM vol. 1,
   3.4.1.1). */

#define CR0_PG              (1 << 31)
#define CODE_64             0x08
#define DATA                0x10
#define CODE_32             0x18

    .section .text.store_without_paging, "ax"
    .code64
    .globl store_without_paging
store_without_paging:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, saved_stack
    movl %ds, %edx
    sgdt saved_pointer
    lgdt own_pointer
    pushq $CODE_32
    pushq $1f
    lretq

    .code32
1:  movl $DATA, %eax
    movl %eax, %ds
    movl %cr0, %ecx
    andl $~CR0_PG, %ecx
    movl %ecx, %cr0
    movl %esi, (%edi)
    orl $CR0_PG, %ecx
    movl %ecx, %cr0
    ljmp $CODE_64, $2f

    .code64
2:  movq saved_stack, %rsp
    lgdt saved_pointer
    movl %edx, %ds
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .section .data.store_without_paging, "aw"
    .balign 8
own_gdt:
    .quad 0
    .quad 0x00af9a000000ffff                /* 0x08 kernel code, 64-bit, as in entry.S */
    .quad 0x00cf92000000ffff                /* 0x10 data, as in entry.S */
    .quad 0x00cf9a000000ffff                /* 0x18 kernel code, 32-bit */
own_gdt_end:

own_pointer:
    .word own_gdt_end - own_gdt - 1
    .quad own_gdt

saved_stack:
    .quad 0
saved_pointer:
    .word 0
    .quad 0
