/* The switch itself, the loop that every task runs, and the system call that yields. */

    .text

/* switch_stacks(uint64_t *save, uint64_t load, uint64_t cr3, bool load_cr3)
   With and without the load of CR3, all else is the same. */
    .globl switch_stacks
switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    testl %ecx, %ecx
    jz 1f
    movq %rdx, %cr3
1:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* Adds one to a quadword of each of the RBX pages that start at R12, every time in another cache line of the page. */
    .macro TOUCH_PAGES
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    movl %ecx, %edx
    andl $63, %eax
    shlq $6, %rax
    shlq $12, %rdx
    addq %rdx, %rax
    incq (%r12, %rax)
    incl %ecx
    cmpl %ebx, %ecx
    jne 1b
    .endm

    .globl kernel_task, kernel_task_spinning
kernel_task:
    TOUCH_PAGES
    call yield
    jmp kernel_task

kernel_task_spinning:
    TOUCH_PAGES
    jmp kernel_task_spinning

/* Ring 3 runs a copy of this at an address of its own. */
    .globl user_code, user_code_end, user_task, user_task_spinning
user_code:
user_task:
    TOUCH_PAGES
    syscall
    jmp user_task

user_task_spinning:
    TOUCH_PAGES
    jmp user_task_spinning
user_code_end:

/* SYSCALL: every system call is a yield. */
    .globl system_call
system_call:
    movq %rsp, user_stack
    movq system_call_stack, %rsp
    pushq user_stack
    pushq %rcx                              /* RIP */
    pushq %r11                              /* RFLAGS */
    subq $8, %rsp
    call yield
    addq $8, %rsp
    popq %r11
    popq %rcx
    popq %rsp
    sysretq

    .bss
    .balign 8
    .globl system_call_stack
system_call_stack:
    .skip 8
user_stack:
    .skip 8
