/* Demand paging: the first touch of a page faults, and the handler maps a frame of zeros. */

#include "storm.h"

static unsigned faults;

static void map_on_demand(struct frame *frame) {
    uint64_t address = read_cr2();
    require(!(frame->error & FAULT_PRESENT) && address >= STORM_BASE, "an unexpected page fault");
    map_page(current_root(), address, frame_allocate(), PAGE_WRITABLE);
    faults++;
}

uint64_t demand_paging(const struct storm *storm) {
    uint64_t sum = 0;
    entry *root = current_root();
    handlers[VECTOR_PAGE_FAULT] = map_on_demand;
    faults = 0;
    for (unsigned round = 0; round < storm->rounds; round++) {
        for (unsigned page = 0; page < storm->pages; page++)
            *page_word(page) += page * (round + 1);
        for (unsigned page = 0; page < storm->pages; page++) {
            sum = mix(sum, *page_word(page));
            entry *e = entry_for(root, page_address(page), LEVEL_PT);
            frame_free(*e & PAGE_ADDRESS);
            *e = 0;
        }
        tables_free(&root[table_index(STORM_BASE, LEVEL_PML4)], LEVEL_PML4);
        reload_cr3();
    }
    handlers[VECTOR_PAGE_FAULT] = 0;
    require(faults == storm->rounds * storm->pages, "a page faulted twice, or not at all");
    return mix(sum, faults);
}
