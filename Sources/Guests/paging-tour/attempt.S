/* Calls that an exception ends: see attempt.h. */

    .text
    .globl attempt_kernel, attempt_ring3, attempt_resume

/* attempt_kernel(body, argument) */
attempt_kernel:
    call save
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%rax
attempt_resume:
    movq attempt_stack, %rsp
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* attempt_ring3(rip, rsp, rdi, rsi): enters ring 3; only an exception or INT comes back. */
attempt_ring3:
    call save
    pushq $0x23                             /* USER_DATA */
    pushq %rsi
    pushq $0x02                             /* RFLAGS: interrupts off */
    pushq $0x2b                             /* USER_CODE */
    pushq %rdi
    movq %rdx, %rdi
    movq %rcx, %rsi
    iretq

/* Puts what a C function must preserve on the stack below the return address, and remembers where. */
save:
    popq %rax
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, attempt_stack
    jmpq *%rax

    .bss
    .balign 8
    .globl attempt_stack
attempt_stack:
    .skip 8

/* What ring 3 runs, copied to a page of its own. */
    .section .rodata.user_code, "a"
    .globl user_code, user_read, user_write, user_breakpoint, user_privileged, user_interrupt, user_code_end
user_code:
user_read:
    movq (%rdi), %rax
    int $0x80
user_write:
    movq %rsi, (%rdi)
    int $0x80
user_breakpoint:
    int3
user_privileged:
    cli
user_interrupt:
    int $0x40
user_code_end:
