/* The way in of the other processors. A start-up interrupt brings them here in real mode; the code, copied below 1 MiB,
   takes them to 64-bit mode in one step and on to `processor_started` with a stack of their own. */

#define TRAMPOLINE      0x8000              /* where the code is copied to: start-up vector 8 */
#define CR4_PAE         (1 << 5)
#define MSR_EFER        0xc0000080

    .text
    .globl trampoline, trampoline_end, trampoline_root, trampoline_gdt
    .code16
trampoline:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl (trampoline_root - trampoline + TRAMPOLINE), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    movl (trampoline_efer - trampoline + TRAMPOLINE), %eax
    xorl %edx, %edx
    wrmsr
    lgdtl (trampoline_gdt - trampoline + TRAMPOLINE)
    movl $0x80010001, %eax                  /* PG, WP and PE: real mode to compatibility mode */
    movl %eax, %cr0
    ljmpl $0x08, $processor_enter

    .balign 8
trampoline_root:
    .long 0
    .globl trampoline_efer
trampoline_efer:
    .long 0
trampoline_gdt:                             /* limit and base, as SGDT stores them */
    .skip 10
trampoline_end:

    .code64
processor_enter:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $1, %eax
    cpuid
    shrl $24, %ebx                          /* the APIC ID */
    movl %ebx, %edi
    leal 1(%rbx), %eax
    shll $14, %eax                          /* 16 KiB each */
    addl $processor_stacks, %eax
    movl %eax, %esp
    xorl %ebp, %ebp
    call processor_started
1:  cli
    hlt
    jmp 1b

    .bss
    .balign 4096
    .globl processor_stacks
processor_stacks:
    .skip 64 * 16384
