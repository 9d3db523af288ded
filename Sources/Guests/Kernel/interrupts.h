/* Exceptions and interrupts: one C handler a vector. */
#pragma once

#include <stdint.h>

enum vector {
    VECTOR_DIVIDE_ERROR = 0,
    VECTOR_BREAKPOINT = 3,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_STACK_FAULT = 12,
    VECTOR_GENERAL_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_IRQ0 = 32, /* where the PIC's sixteen lines are mapped to */
};

/* Bits of a page fault's error code (SDM vol. 3, 4.7). */
enum {
    FAULT_PRESENT = 1 << 0, /* a protection violation; clear: the page was not present */
    FAULT_WRITE = 1 << 1,
    FAULT_USER = 1 << 2,
    FAULT_RESERVED = 1 << 3,
    FAULT_FETCH = 1 << 4,
};

/* What is on the stack while a handler runs; a handler may change it. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*handler)(struct frame *);

/* The handler of each vector; a vector without one ends the guest. */
extern handler handlers[256];

/* Loads the IDT and maps the PIC's lines to vectors 32-47, all masked. */
void interrupts_initialize(void);

/* Makes a vector enter code of the guest's own, which finds what the processor has pushed and ends with IRETQ. */
void interrupts_set_gate(unsigned vector, const void *code);

/* Makes a vector run on stack `ist` (1-7) of the interrupt stack table; 0: the current stack. */
void interrupts_set_stack(unsigned vector, unsigned ist);

/* Lets ring 3 raise the vector by INT n. */
void interrupts_allow_user(unsigned vector);

void interrupt_unmask(unsigned line);
void interrupt_acknowledge(unsigned line);
