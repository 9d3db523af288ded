/* A planted bug, for the debugger's tutorial: blocks are filled through a window of one page that moves from block to block,
   and the processor is told the wrong address when it moves. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
#define WINDOW 0x8000000000ull

enum { BLOCKS = 6, WORDS = FRAME_SIZE / 8 };

uint64_t blocks[BLOCKS];

/* Points the window at a block. */
NOINLINE void window_move(uint64_t block) {
    entry *window = entry_for(current_root(), WINDOW, LEVEL_PT);
    *window = block | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page((uint64_t)window); /* the bug: this is where the entry is, not the page that it maps */
}

NOINLINE void block_fill(unsigned number) {
    window_move(blocks[number]);
    volatile uint64_t *words = (volatile uint64_t *)WINDOW;
    for (unsigned word = 0; word < WORDS; word++)
        words[word] = number + 1;
}

/* Looks at the block where it is, not through the window. */
NOINLINE bool block_check(unsigned number) {
    uint64_t found = *(volatile uint64_t *)blocks[number];
    if (found == number + 1)
        return true;
    print("block %u should hold %u, but holds %lu\n", number, number + 1, found);
    return false;
}

void kernel_main(const char *parameters) {
    (void)parameters;
    for (unsigned number = 0; number < BLOCKS; number++)
        blocks[number] = frame_allocate();
    for (unsigned number = 0; number < BLOCKS; number++)
        block_fill(number);
    bool good = true;
    for (unsigned number = 0; number < BLOCKS; number++)
        good &= block_check(number);
    print("blocks are %s\n", good ? "as they should be" : "wrong");
    exit_guest(good ? EXIT_SUCCESS : EXIT_FAILURE);
}
