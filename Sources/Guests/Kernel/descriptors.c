/* The task state segment: stacks for interrupts from ring 3 (RSP0) and for vectors that ask for their own (IST). */

#include "descriptors.h"

#include "processor.h"

enum { STACK_SIZE = 8192, INTERRUPT_STACKS = 2 };

struct task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

extern uint64_t gdt[];

static struct task_state task_state;
static uint8_t stacks[INTERRUPT_STACKS][STACK_SIZE] __attribute__((aligned(16)));
static uint8_t kernel_stack[STACK_SIZE] __attribute__((aligned(16)));

void descriptors_initialize(void) {
    uint64_t base = (uint64_t)&task_state;
    uint64_t limit = sizeof task_state - 1;
    gdt[TASK_STATE / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[TASK_STATE / 8 + 1] = base >> 32;

    task_state.io_map_base = sizeof task_state;
    task_state.rsp[0] = (uint64_t)kernel_stack + STACK_SIZE;
    for (unsigned ist = 1; ist <= INTERRUPT_STACKS; ist++)
        task_state.ist[ist - 1] = interrupt_stack_top(ist);
    load_task_register(TASK_STATE);
}

void descriptors_set_kernel_stack(uint64_t top) {
    task_state.rsp[0] = top;
}

uint64_t interrupt_stack_bottom(unsigned ist) {
    return (uint64_t)stacks[ist - 1];
}

uint64_t interrupt_stack_top(unsigned ist) {
    return (uint64_t)stacks[ist - 1] + STACK_SIZE;
}
