/* The measured loops. Each is `operation(count, ground, mark)`. All have the same frame, so that the control's region is what
   the others spend besides their operation. RBX counts; R12 points to the ground. */

    /* struct ground */
    .set PAGE, 0
    .set ABSENT, 8
    .set ENTRY, 16
    .set USER_CODE, 24
    .set USER_STACK, 32
    .set FAULTS, 40

    .set USER_CODE_SELECTOR, 0x28 | 3
    .set USER_DATA_SELECTOR, 0x20 | 3
    .set IGNORED_BIT, 1 << 9
    .set MARK, 0x50454e00
    .set SYSTEM_CALL_REGION, 3

    .macro ENTER
    pushq %rbx
    pushq %r12
    movq %rdi, %rbx
    movq %rsi, %r12
    .endm

    .macro LEAVE
    popq %r12
    popq %rbx
    ret
    .endm

    /* `prepare` runs before the first mark and leaves RDX alone. */
    .macro MEASURED name, operation, prepare
    .globl \name
\name:
    ENTER
    \prepare
    movl %edx, %edi
    call mark
    .balign 16
1:  \operation
    decq %rbx
    jnz 1b
    xorl %edi, %edi
    call mark
    LEAVE
    .endm

    .macro DIVIDE_BY_ZERO
divide:
    divl %ecx
divided:
    .endm

    .macro READ_ABSENT_PAGE
read:
    movq (%rsi), %rax
was_read:
    .endm

    .text
    MEASURED loop_nothing
    MEASURED loop_call, "call nothing"
    MEASURED loop_port, "inb $0x80, %al"
    MEASURED loop_cr8, "movq %rax, %cr8", "xorl %eax, %eax"
    MEASURED loop_divide, DIVIDE_BY_ZERO, "xorl %ecx, %ecx"
    MEASURED loop_page_fault, READ_ABSENT_PAGE, "movq ABSENT(%r12), %rsi"
    MEASURED loop_entry, "xorq $IGNORED_BIT, (%rsi)", "movq ENTRY(%r12), %rsi"
    MEASURED loop_invlpg, "invlpg (%rsi)", "movq PAGE(%r12), %rsi"
    MEASURED loop_cr3, "movq %rax, %cr3", "movq %cr3, %rax"

nothing:
    ret

    .globl step_over_divide_error, step_over_page_fault
step_over_page_fault:
    addq $8, %rsp                           /* the error code */
    addq $(was_read - read), (%rsp)
    jmp stepped_over
step_over_divide_error:
    addq $(divided - divide), (%rsp)
stepped_over:
    incq FAULTS(%r12)
    iretq

    /* The loop runs in ring 3 and has its marks there; a breakpoint brings it back. */
    .globl loop_system_call
loop_system_call:
    ENTER
    movq %rsp, kernel_rsp(%rip)
    pushq $USER_DATA_SELECTOR
    pushq USER_STACK(%r12)
    pushq $2                                /* RFLAGS: interrupts stay off */
    pushq $USER_CODE_SELECTOR
    pushq USER_CODE(%r12)
    iretq

    .globl leave_user
leave_user:
    movq kernel_rsp(%rip), %rsp
    LEAVE

    .globl user_loop, user_loop_end
user_loop:
    testl %edx, %edx
    jz 1f
    nopl MARK + SYSTEM_CALL_REGION(%rax, %rax, 1)
    .balign 16
1:  syscall
    decq %rbx
    jnz 1b
    nopl MARK(%rax, %rax, 1)
    int3
user_loop_end:

    .globl system_call
system_call:
    sysretq

    .bss
    .balign 8
kernel_rsp:
    .skip 8
