/* run_enter(registers, rip, cs, ss): enters at RIP with registers loaded. An exception or INT comes back, through run_resume. */

    .text
    .globl run_enter, run_resume
run_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, run_stack
    pushq %rcx
    pushq 56(%rdi)                          /* RSP */
    pushq 64(%rdi)                          /* RFLAGS */
    pushq %rdx
    pushq %rsi
    movq 0(%rdi), %rax
    movq 8(%rdi), %rcx
    movq 16(%rdi), %rdx
    movq 24(%rdi), %rbx
    movq 32(%rdi), %rsi
    movq 48(%rdi), %rbp
    movq 40(%rdi), %rdi
    iretq
run_resume:
    movq run_stack, %rsp
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* Where SYSCALL arrives: RSP is still the program's. */
    .globl run_system_call
run_system_call:
    int $0x80

    .bss
    .balign 8
    .globl run_stack
run_stack:
    .skip 8
