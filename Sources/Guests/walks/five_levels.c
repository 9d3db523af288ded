/* The new root, and what CPUID says. */

#include "five_levels.h"

#include "frames.h"
#include "processor.h"

void enter_five_levels(uint64_t root);

bool five_levels_supported(void) {
    uint32_t a = 7, b, c = 0, d;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 16 & 1;
}

void five_levels_begin(void) {
    entry *root = (entry *)frame_allocate();
    root[0] = read_cr3() | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    enter_five_levels((uint64_t)root);
}
