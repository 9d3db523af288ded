/* Segment selectors and the task state segment. */
#pragma once

#include <stdint.h>

/* Selectors of the GDT in entry.S; the order is what SYSCALL and SYSRET ask for. */
enum selector {
    KERNEL_CODE = 0x08,
    KERNEL_DATA = 0x10,
    USER_CODE32 = 0x18 | 3,
    USER_DATA = 0x20 | 3,
    USER_CODE = 0x28 | 3,
    TASK_STATE = 0x30,
};

/* Fills in the TSS, its descriptor, and an own stack for each of the first two entries of the interrupt stack table. */
void descriptors_initialize(void);

/* The stack that an interrupt from ring 3 switches to. */
void descriptors_set_kernel_stack(uint64_t top);

/* The range of one of the interrupt stacks (1 or 2): lowest address and first address behind. */
uint64_t interrupt_stack_bottom(unsigned ist);
uint64_t interrupt_stack_top(unsigned ist);
