/* uint64_t loop(void *left, void *right, uint64_t bytes): RDI, RSI, RDX; the result in RAX. */

.macro loop name
    .globl loop_\name
loop_\name:
    xorl %ecx, %ecx
.endm

.macro turn step
    addq $\step, %rcx
    cmpq %rdx, %rcx
    jb 1b
.endm

/* The scalar product of integers. */
loop integers
    xorl %eax, %eax
1:  movq (%rdi, %rcx), %r8
    imulq (%rsi, %rcx), %r8
    addq %r8, %rax
    turn 8
    ret

loop copy
1:  movdqu (%rdi, %rcx), %xmm0
    movdqu %xmm0, (%rsi, %rcx)
    turn 16
    movq -8(%rsi, %rdx), %rax
    ret

/* strlen: the byte after the last one of the left buffer but one is 0. */
loop length
    pxor %xmm1, %xmm1
1:  movdqa (%rdi, %rcx), %xmm0
    pcmpeqb %xmm1, %xmm0
    pmovmskb %xmm0, %eax
    addq $16, %rcx
    testl %eax, %eax
    jz 1b
    addq %rcx, %rax
    ret

loop xor
1:  movdqa (%rdi, %rcx), %xmm0
    pxor (%rsi, %rcx), %xmm0
    movdqa %xmm0, (%rsi, %rcx)
    turn 16
    movq -16(%rsi, %rdx), %rax
    ret

/* Unpacking, adding, shuffling and comparing lanes. */
loop lanes
    pxor %xmm3, %xmm3
1:  movdqa (%rdi, %rcx), %xmm0
    punpcklbw (%rsi, %rcx), %xmm0
    paddd %xmm0, %xmm3
    pshufd $0x1b, %xmm3, %xmm1
    paddq %xmm1, %xmm3
    psubw %xmm0, %xmm1
    pcmpgtd %xmm1, %xmm3
    turn 16
    movq %xmm3, %rax
    ret

loop dot_scalar
    xorpd %xmm2, %xmm2
1:  movsd (%rdi, %rcx), %xmm0
    mulsd (%rsi, %rcx), %xmm0
    addsd %xmm0, %xmm2
    turn 8
    movq %xmm2, %rax
    ret

/* Square roots by four steps of Newton's. */
loop roots
    movabsq $0x3fe0000000000000, %rax
    movq %rax, %xmm3
    pxor %xmm2, %xmm2
1:  movsd (%rdi, %rcx), %xmm0
    movapd %xmm0, %xmm1
    movl $4, %eax
2:  movapd %xmm0, %xmm4
    divsd %xmm1, %xmm4
    addsd %xmm4, %xmm1
    mulsd %xmm3, %xmm1
    decl %eax
    jnz 2b
    comisd %xmm2, %xmm1
    jbe 3f
    movapd %xmm1, %xmm2
3:  turn 8
    movq %xmm2, %rax
    ret

/* Sums of integers as doubles. */
loop sums
    pxor %xmm1, %xmm1
    pxor %xmm2, %xmm2
1:  cvtsi2sdq %rcx, %xmm0
    addsd %xmm0, %xmm1
    comisd %xmm2, %xmm1
    turn 8
    movq %xmm1, %rax
    ret

loop dot_packed
    xorpd %xmm2, %xmm2
1:  movapd (%rdi, %rcx), %xmm0
    mulpd (%rsi, %rcx), %xmm0
    addpd %xmm0, %xmm2
    turn 16
    movhlps %xmm2, %xmm0
    addsd %xmm0, %xmm2
    movq %xmm2, %rax
    ret
