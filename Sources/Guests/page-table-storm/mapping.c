/* Two phases that write entries of one address space: map and unmap, protect and unprotect. */

#include "storm.h"

static uint64_t frame_of[MOST_PAGES];

static void frames_take(unsigned count) {
    for (unsigned page = 0; page < count; page++)
        frame_of[page] = frame_allocate();
}

static void frames_give_back(unsigned count) {
    for (unsigned page = 0; page < count; page++)
        frame_free(frame_of[page]);
}

static void remove_tables(void) {
    tables_free(&current_root()[table_index(STORM_BASE, LEVEL_PML4)], LEVEL_PML4);
    reload_cr3();
}

uint64_t map_and_unmap(const struct storm *storm) {
    uint64_t sum = 0;
    entry *root = current_root();
    unsigned count = storm->pages;
    frames_take(count);
    for (unsigned round = 0; round < storm->rounds; round++) {
        for (unsigned page = 0; page < count; page++) {
            map_page(root, page_address(page), frame_of[(page + round) % count], PAGE_WRITABLE);
            *page_word(page) += page;
        }
        for (unsigned page = 0; page < count; page++) {
            sum = mix(sum, *page_word(page));
            *entry_for(root, page_address(page), LEVEL_PT) = 0;
            invalidate_page(page_address(page));
        }
    }
    frames_give_back(count);
    remove_tables();
    return sum;
}

uint64_t protect(const struct storm *storm) {
    uint64_t sum = 0;
    entry *root = current_root();
    frames_take(storm->pages);
    for (unsigned page = 0; page < storm->pages; page++)
        map_page(root, page_address(page), frame_of[page], PAGE_WRITABLE);
    for (unsigned round = 0; round < storm->rounds; round++) {
        for (unsigned page = 0; page < storm->pages; page++) {
            *page_word(page) += page ^ round;
            *entry_for(root, page_address(page), LEVEL_PT) &= ~PAGE_WRITABLE;
            invalidate_page(page_address(page));
        }
        for (unsigned page = 0; page < storm->pages; page++) {
            sum = mix(sum, *page_word(page));
            *entry_for(root, page_address(page), LEVEL_PT) |= PAGE_WRITABLE;
            invalidate_page(page_address(page));
        }
    }
    frames_give_back(storm->pages);
    remove_tables();
    return sum;
}
