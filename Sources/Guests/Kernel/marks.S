/* A table of all 256 marks, for IDs that are computed. */

    .section .text.mark, "ax"
    .balign 16
    .globl mark
mark:
    movzbl %dil, %edi
    shll $4, %edi
    leaq marks(%rdi), %rdi
    jmpq *%rdi

    .balign 16
marks:
id = 0
    .rept 256
    .balign 16
    nopl 0x50454e00 + id(%rax, %rax, 1)
    ret
id = id + 1
    .endr
