/* A planted bug, for the debugger's tutorial: a page table is given back when nothing is mapped through it any more, and stays
   in use all the same. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
#define AREA 0x8000000000ull

static const char story[] = "Once in a while a frame is freed too early, and somebody else writes a story into it. ";

/* Takes a page out, and its table with it if that was the last one. */
NOINLINE void unmap_page(uint64_t address) {
    entry *above = entry_find(current_root(), address, LEVEL_PD);
    entry *table = table_of(*above);
    table[table_index(address, LEVEL_PT)] = 0;
    invalidate_page(address);
    for (unsigned index = 0; index < 512; index++)
        if (table[index] & PAGE_PRESENT)
            return;
    frame_free((uint64_t)table); /* the bug: the directory's entry still says that there is a table */
}

NOINLINE uint64_t page_new(uint64_t address) {
    uint64_t frame = frame_allocate();
    map_page(current_root(), address, frame, PAGE_WRITABLE);
    return frame;
}

NOINLINE void text_write(char *text) {
    for (unsigned at = 0; at < FRAME_SIZE; at++)
        text[at] = story[at % (sizeof story - 1)];
}

NOINLINE uint64_t value_get(uint64_t address) {
    return *(volatile uint64_t *)address;
}

NOINLINE void value_set(uint64_t address, uint64_t value) {
    *(volatile uint64_t *)address = value;
}

NOINLINE void page_fault(struct frame *frame) {
    print("page fault at %lx, error %lx\n", read_cr2(), frame->error);
    exit_guest(EXIT_FAILURE);
}

void kernel_main(const char *parameters) {
    (void)parameters;
    handlers[VECTOR_PAGE_FAULT] = page_fault;
    frame_free(page_new(AREA));
    unmap_page(AREA);

    char *text = (char *)frame_allocate();
    page_new(AREA + PAGE_4K);
    value_set(AREA + PAGE_4K, 42);
    text_write(text);
    reload_cr3(); /* another task had its turn */
    print("the value is %lu\n", value_get(AREA + PAGE_4K));
}
