/* void enter_five_levels(uint64_t root): goes on with five levels of tables below a PML5 at `root`, which must lie below 4 GiB
   and lead to what the four levels led to.

   CR4.LA57 cannot be changed in 64-bit mode (SDM vol. 3, 4.1.2): the way is through compatibility mode, with paging off. The
   segments for it come from a table of their own. */

#define CR0_PG              (1 << 31)
#define CR4_LA57            (1 << 12)
#define CODE_64             0x08
#define CODE_32             0x10

    .section .text.enter_five_levels, "ax"
    .code64
    .globl enter_five_levels
enter_five_levels:
    sgdt saved_pointer
    lgdt levels_pointer
    pushq $CODE_32
    pushq $1f
    lretq

    .code32
1:  movl %cr0, %ecx
    andl $~CR0_PG, %ecx
    movl %ecx, %cr0
    movl %cr4, %eax
    orl $CR4_LA57, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    orl $CR0_PG, %ecx
    movl %ecx, %cr0
    ljmp $CODE_64, $2f

    .code64
2:  lgdt saved_pointer
    ret

    .section .data.five_levels, "aw"
    .balign 8
levels_gdt:
    .quad 0
    .quad 0x00af9a000000ffff                /* 0x08 kernel code, 64-bit, as in entry.S */
    .quad 0x00cf9a000000ffff                /* 0x10 kernel code, 32-bit */
levels_gdt_end:

levels_pointer:
    .word levels_gdt_end - levels_gdt - 1
    .quad levels_gdt

saved_pointer:
    .word 0
    .quad 0
