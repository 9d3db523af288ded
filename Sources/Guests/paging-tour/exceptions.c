/* Exceptions and the stacks that they run on. */

#include "chapters.h"
#include "check.h"
#include "page.h"

static void divide_by_zero(uint64_t zero) {
    asm volatile("xorl %%edx, %%edx; movl $1, %%eax; divl %0" : : "r"((uint32_t)zero) : "eax", "edx");
}

static void breakpoint(uint64_t unused) {
    (void)unused;
    asm volatile("int3");
}

static void undefined(uint64_t unused) {
    (void)unused;
    asm volatile("ud2");
}

static void bad_selector(uint64_t selector) {
    asm volatile("movl %0, %%fs" : : "r"((uint32_t)selector));
}

static void push_at(uint64_t stack) {
    asm volatile("movq %0, %%rsp; pushq $1" : : "r"(stack) : "memory");
}

static bool within(uint64_t address, uint64_t bottom, uint64_t top) {
    return address >= bottom && address < top;
}

static void simple(void) {
    check_fault("division by zero", attempt(divide_by_zero, 0), 0, 0, 0);
    struct fault fault = attempt(breakpoint, 0);
    check_fault("INT3", fault, VECTOR_BREAKPOINT, 0, 0);
    check_equal("... returns behind itself", 0xcc, *(const uint8_t *)(fault.rip - 1));
    fault = attempt(undefined, 0);
    check_fault("UD2", fault, VECTOR_INVALID_OPCODE, 0, 0);
    check_equal("... returns to itself", 0x0b0f, *(const uint16_t *)fault.rip);
    check_fault("a selector beyond the GDT", attempt(bad_selector, 0x1f8), VECTOR_GENERAL_PROTECTION, 0x1f8, 0);
}

static void from_ring3(void) {
    struct page stack = page_create(PAGE_WRITABLE), absent = page_create(PAGE_USER);
    *absent.entry = 0;
    descriptors_set_kernel_stack(stack.address + PAGE_4K);
    struct fault fault = attempt_user_read(absent.address);
    check_page_fault("a page fault in ring 3", fault, FAULT_USER, absent.address);
    check_equal("... comes from ring 3", 3, fault.cs & 3);
    check_equal("... on the stack of RSP0", stack.address + PAGE_4K - sizeof(struct frame), fault.stack);
    check_fault("INT3 in ring 3", attempt_user_stub(user_breakpoint), VECTOR_BREAKPOINT, 0, 0);
    check_fault("a privileged instruction in ring 3", attempt_user_stub(user_privileged), VECTOR_GENERAL_PROTECTION, 0, 0);
    check_fault("INT n in ring 3 of a gate for ring 0", attempt_user_stub(user_interrupt), VECTOR_GENERAL_PROTECTION, 0x40 << 3 | 2, 0);
}

static void own_stacks(void) {
    interrupts_set_stack(VECTOR_BREAKPOINT, 2);
    struct fault fault = attempt(breakpoint, 0);
    check("a vector with a stack of its own", within(fault.stack, interrupt_stack_bottom(2), interrupt_stack_top(2)));
    interrupts_set_stack(VECTOR_BREAKPOINT, 0);
    fault = attempt(breakpoint, 0);
    check("... and without it again", !within(fault.stack, interrupt_stack_bottom(2), interrupt_stack_top(2)));

    /* The push faults; the page fault cannot be delivered on the same stack; that makes a double fault. */
    interrupts_set_stack(VECTOR_DOUBLE_FAULT, 1);
    struct page absent = page_create(PAGE_WRITABLE), present = page_create(PAGE_WRITABLE);
    *absent.entry = 0;
    fault = attempt(push_at, absent.address + 0x800);
    check_fault("a double fault: an absent stack", fault, VECTOR_DOUBLE_FAULT, 0, 0);
    check("... on a stack of its own", within(fault.stack, interrupt_stack_bottom(1), interrupt_stack_top(1)));

    descriptors_set_kernel_stack(absent.address + PAGE_4K);
    fault = attempt_user_read(absent.address);
    check_fault("a double fault: an absent RSP0 stack", fault, VECTOR_DOUBLE_FAULT, 0, 0);

    interrupts_set_stack(VECTOR_PAGE_FAULT, 2);
    fault = attempt(push_at, absent.address + 0x800);
    check_page_fault("a page fault with a stack of its own instead", fault, FAULT_WRITE, absent.address + 0x7f8);
    interrupts_set_stack(VECTOR_PAGE_FAULT, 0);
    descriptors_set_kernel_stack(present.address + PAGE_4K);
    check_no_fault("and ring 3 still works", attempt_user_read(page_create(PAGE_USER).address));
}

void tour_exceptions(void) {
    chapter("exceptions");
    simple();
    from_ring3();
    own_stacks();
}
