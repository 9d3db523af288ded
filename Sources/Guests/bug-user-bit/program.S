/* The program in ring 3: counts in its data page, which RDI points to, and tells the kernel. */

    .text
    .globl user_program, user_program_end
user_program:
    movl $1000, %ecx
1:  incq (%rdi)
    loop 1b
    movq (%rdi), %rax
    int $0x80
user_program_end:
