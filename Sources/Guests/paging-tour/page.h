/* Pages to try things on. Each lies at an address never used before, so that nothing about it can be cached. */
#pragma once

#include "kernel.h"

struct page {
    uint64_t address, frame;
    entry *entry; /* its PTE, through the identity mapping */
};

/* A 4 KiB page with a frame of zeros; all tables above it are writable and for users. */
struct page page_create(uint64_t bits);

/* Adjacent pages; they never straddle two page tables. */
void pages_create(struct page pages[], unsigned count, uint64_t bits);

/* Unused addresses for a mapping of another size: the size is the alignment as well. */
uint64_t address_reserve(uint64_t size);

/* Points a present page to another frame, and gives the old one. Invalidating is for the caller. */
uint64_t page_exchange(struct page *page, uint64_t frame);

/* The quadword at an offset of a frame. */
static inline uint64_t *frame_word(uint64_t frame, uint64_t offset) {
    return (uint64_t *)(frame + offset);
}

/* A new frame with the value in its first quadword. */
static inline uint64_t frame_with(uint64_t value) {
    uint64_t frame = frame_allocate();
    *frame_word(frame, 0) = value;
    return frame;
}

/* The quadword at a guest-virtual address. */
static inline uint64_t load(uint64_t address) {
    return *(volatile uint64_t *)address;
}

static inline void store(uint64_t address, uint64_t value) {
    *(volatile uint64_t *)address = value;
}
