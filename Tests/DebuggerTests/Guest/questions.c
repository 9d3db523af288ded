/* The guest of the debugger's dialogues: short stretches of what kernels do, each in a function of its own, with symbols
   and frame pointers. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
/* Pages of its own, under a PML4 entry of their own. */
#define AREA 0x8000000000ull

volatile uint64_t counter;
volatile uint64_t faults;
volatile uint64_t last_address;
uint64_t numbers[8] = {3, 1, 4, 1, 5, 9, 2, 6};
entry *first_space, *second_space;

NOINLINE uint64_t fibonacci(unsigned n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

NOINLINE uint64_t sum(const uint64_t *from, unsigned count) {
    uint64_t total = 0;
    for (unsigned index = 0; index < count; index++)
        total += from[index];
    return total;
}

NOINLINE void count(uint64_t amount) {
    counter += amount;
}

NOINLINE void store(uint64_t address, uint64_t value) {
    *(volatile uint64_t *)address = value;
}

NOINLINE uint64_t fetch(uint64_t address) {
    return *(volatile uint64_t *)address;
}

/* Takes a mapping away and forgets INVLPG. */
NOINLINE void forget_page(uint64_t address) {
    *entry_find(current_root(), address, LEVEL_PT) = 0;
}

NOINLINE void unmap_page(uint64_t address) {
    *entry_find(current_root(), address, LEVEL_PT) = 0;
    invalidate_page(address);
}

NOINLINE void switch_to(entry *root) {
    write_cr3((uint64_t)root);
}

NOINLINE void page_fault(struct frame *frame) {
    faults++;
    last_address = read_cr2();
    if (frame->error & FAULT_PRESENT)
        *entry_find(current_root(), last_address, LEVEL_PT) |= PAGE_WRITABLE;
    else
        map_page(current_root(), last_address & ~0xfffull, frame_allocate(), PAGE_WRITABLE);
    invalidate_page(last_address);
}

NOINLINE void breakpoint(struct frame *frame) {
    counter += frame->vector;
}

NOINLINE void protect(void) {
    map_page(current_root(), AREA, frame_allocate(), 0);
    store(AREA, 1);
}

NOINLINE void demand(void) {
    store(AREA + 0x10000, 2);
}

NOINLINE void stale(void) {
    map_page(current_root(), AREA + 0x1000, frame_allocate(), PAGE_WRITABLE);
    store(AREA + 0x1000, 3);
    forget_page(AREA + 0x1000);
    count(fetch(AREA + 0x1000));
    unmap_page(AREA + 0x1000);
}

NOINLINE void alias(void) {
    uint64_t frame = frame_allocate();
    map_page(current_root(), AREA + 0x2000, frame, PAGE_WRITABLE);
    map_page(current_root(), AREA + 0x3000, frame, PAGE_WRITABLE);
    store(AREA + 0x3000, 4);
    count(fetch(AREA + 0x2000));
}

NOINLINE void switches(void) {
    first_space = current_root();
    second_space = root_create();
    for (unsigned round = 0; round < 3; round++) {
        switch_to(second_space);
        count(1);
        switch_to(first_space);
    }
}

void kernel_main(const char *parameters) {
    (void)parameters;
    interrupts_initialize();
    handlers[VECTOR_PAGE_FAULT] = page_fault;
    handlers[VECTOR_BREAKPOINT] = breakpoint;
    write_cr0(read_cr0() | CR0_WP);
    print("numbers: %lu\n", sum(numbers, 8));
    count(fibonacci(10));
    protect();
    demand();
    stale();
    alias();
    switches();
    asm volatile("int3");
    print("counter: %lu, faults: %lu\n", counter, faults);
}
