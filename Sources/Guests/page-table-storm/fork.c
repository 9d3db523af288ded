/* Copy-on-write: a child shares its parent's pages read-only; who writes first gets a copy. */

#include "storm.h"

enum { FRAMES = 1 << 18 }; /* 1 GiB */

#define PAGE_COPY_ON_WRITE (1ull << 9) /* one of the bits that the processor ignores */

static uint8_t sharers[FRAMES]; /* how many spaces map the frame, by frame number */
static unsigned copies, last_writers;

static void write_to_shared(struct frame *frame) {
    uint64_t address = read_cr2();
    require(frame->error == (FAULT_PRESENT | FAULT_WRITE), "an unexpected page fault");
    entry *e = entry_for(current_root(), address, LEVEL_PT);
    require(*e & PAGE_COPY_ON_WRITE, "a write to a read-only page");

    uint64_t shared = *e & PAGE_ADDRESS;
    if (sharers[shared / FRAME_SIZE] == 1) {
        *e = shared | PAGE_PRESENT | PAGE_WRITABLE;
        last_writers++;
    } else {
        sharers[shared / FRAME_SIZE]--;
        uint64_t copy = frame_allocate();
        memcpy((void *)copy, (const void *)shared, FRAME_SIZE);
        sharers[copy / FRAME_SIZE] = 1;
        *e = copy | PAGE_PRESENT | PAGE_WRITABLE;
        copies++;
    }
    invalidate_page(address);
}

static entry *fork(entry *parent, unsigned pages) {
    entry *child = root_create();
    for (unsigned page = 0; page < pages; page++) {
        entry *e = entry_for(parent, page_address(page), LEVEL_PT);
        *e = (*e & ~PAGE_WRITABLE) | PAGE_COPY_ON_WRITE;
        *entry_for(child, page_address(page), LEVEL_PT) = *e & ~(PAGE_ACCESSED | PAGE_DIRTY);
        sharers[(*e & PAGE_ADDRESS) / FRAME_SIZE]++;
    }
    reload_cr3(); /* the parent's pages were writable */
    return child;
}

static void free_pages(entry *root, unsigned pages) {
    for (unsigned page = 0; page < pages; page++) {
        uint64_t frame = *entry_for(root, page_address(page), LEVEL_PT) & PAGE_ADDRESS;
        if (--sharers[frame / FRAME_SIZE] == 0)
            frame_free(frame);
    }
    tables_free(&root[table_index(STORM_BASE, LEVEL_PML4)], LEVEL_PML4);
}

static uint64_t sum_of_pages(unsigned pages) {
    uint64_t sum = 0;
    for (unsigned page = 0; page < pages; page++)
        sum = mix(sum, *page_word(page));
    return sum;
}

/* The child writes every second page, the parent every fourth. */
uint64_t copy_on_write(const struct storm *storm) {
    uint64_t sum = 0;
    entry *parent = current_root();
    copies = last_writers = 0;
    handlers[VECTOR_PAGE_FAULT] = write_to_shared;
    for (unsigned page = 0; page < storm->pages; page++) {
        uint64_t frame = frame_allocate();
        map_page(parent, page_address(page), frame, PAGE_WRITABLE);
        sharers[frame / FRAME_SIZE] = 1;
        *page_word(page) = page;
    }
    for (unsigned round = 0; round < storm->rounds; round++) {
        entry *child = fork(parent, storm->pages);
        write_cr3((uint64_t)child);
        for (unsigned page = 0; page < storm->pages; page += 2)
            *page_word(page) += 1000 + round;
        sum = mix(sum, sum_of_pages(storm->pages));

        write_cr3((uint64_t)parent);
        for (unsigned page = 0; page < storm->pages; page += 4)
            *page_word(page) += round;
        free_pages(child, storm->pages);
        frame_free((uint64_t)child);
        sum = mix(sum, sum_of_pages(storm->pages));
    }
    free_pages(parent, storm->pages);
    reload_cr3();
    handlers[VECTOR_PAGE_FAULT] = 0;
    return mix(sum, copies * 65536ull + last_writers);
}
