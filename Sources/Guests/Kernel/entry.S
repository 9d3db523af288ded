/* The way in: a Multiboot-1 loader enters `start` in 32-bit protected mode with paging off;
   `start` identity-maps the first GiB with 2 MiB pages, switches to 64-bit mode and calls `runtime_start`. */

#define MULTIBOOT_MAGIC     0x1badb002
#define MULTIBOOT_FLAGS     0x00000003      /* page-aligned modules, memory size */

#define CR0_WP              (1 << 16)
#define CR0_PG              (1 << 31)
#define CR4_PAE             (1 << 5)
#define MSR_EFER            0xc0000080
#define EFER_LME            (1 << 8)
#define EFER_NXE            (1 << 11)

#define PAGE_PRESENT_WRITABLE   0x03
#define PAGE_LARGE              0x80

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .globl start
start:
    cli
    cld
    movl %ebx, %esi                         /* the Multiboot information */
    movl $boot_stack_top, %esp

    /* Page tables: one PML4 entry, one PDPT entry, 512 pages of 2 MiB. */
    movl $(boot_pdpt + PAGE_PRESENT_WRITABLE), boot_pml4
    movl $(boot_pd + PAGE_PRESENT_WRITABLE), boot_pdpt
    movl $(PAGE_PRESENT_WRITABLE | PAGE_LARGE), %eax
    xorl %ecx, %ecx
1:  movl %eax, boot_pd(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b

    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3

    /* EFER: long mode, and no-execute where the processor has it. */
    movl $0x80000001, %eax
    cpuid
    andl $(1 << 20), %edx                   /* NX */
    shrl $9, %edx                           /* ... becomes EFER.NXE */
    orl $EFER_LME, %edx
    movl %edx, %ebx
    movl $MSR_EFER, %ecx
    rdmsr
    orl %ebx, %eax
    wrmsr

    movl %cr0, %eax
    orl $(CR0_PG | CR0_WP), %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $start64

    .code64
start64:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp
    movl %esi, %edi                         /* clears the upper half of RDI as well */
    call runtime_start
1:  cli
    hlt
    jmp 1b

    .data
    .balign 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00af9a000000ffff                /* 0x08 kernel code, 64-bit */
    .quad 0x00cf92000000ffff                /* 0x10 kernel data */
    .quad 0x00cffa000000ffff                /* 0x18 user code, 32-bit: SYSRET wants it here */
    .quad 0x00cff2000000ffff                /* 0x20 user data */
    .quad 0x00affa000000ffff                /* 0x28 user code, 64-bit */
    .quad 0, 0                              /* 0x30 task state segment, filled in by descriptors.c */
gdt_end:

gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

    .bss
    .balign 4096
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4096
boot_stack:
    .skip 16384
boot_stack_top:
