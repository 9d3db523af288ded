/* Page-table writes against TLB misses: where one kind of paging becomes cheaper than another. A turn maps a page, touches it
   and unmaps it, `writes` times, then touches pages of a working set that is too large for the TLBs, `misses` times.

   Mark 1: the measured turns.

   Parameters: writes=1 misses=100 (of a turn) pages=8192 (of the working set) turns=50 */

#include "kernel.h"

/* 512 GiB and 1 TiB. */
#define WORKING_SET (1ull << 39)
#define WINDOW (2ull << 39)

enum { WINDOW_PAGES = 64 };

struct load {
    uint64_t writes, misses, pages, turns;
};

static uint64_t page, window_page, sum;

static void change_mappings(uint64_t writes, const uint64_t *frames) {
    for (uint64_t write = 0; write < writes; write++) {
        uint64_t address = WINDOW + window_page * PAGE_4K;
        entry *at = entry_for(current_root(), address, LEVEL_PT);
        *at = frames[window_page] | PAGE_PRESENT | PAGE_WRITABLE;
        sum += *(volatile uint64_t *)address;
        *at = 0;
        invalidate_page(address);
        window_page = (window_page + 1) % WINDOW_PAGES;
    }
}

/* Goes through the set in steps that are prime to its size, so that no page comes again before all others have. */
static void touch(const struct load *load) {
    for (uint64_t miss = 0; miss < load->misses; miss++) {
        sum += *(volatile uint64_t *)(WORKING_SET + page * PAGE_4K);
        page = (page + 1021) % load->pages;
    }
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"writes", "misses", "pages", "turns", 0};
    parameters_expect(parameters, names);
    struct load load = {
        .writes = parameter_number(parameters, "writes", 1),
        .misses = parameter_number(parameters, "misses", 100),
        .pages = parameter_number(parameters, "pages", 8192),
        .turns = parameter_number(parameters, "turns", 50),
    };
    if (load.pages < 2 || load.pages > 1 << 16 || load.pages & (load.pages - 1) || load.turns < 1) {
        print("pages must be a power of two up to 65536, and there must be a turn\n");
        exit_guest(EXIT_FAILURE);
    }
    static uint64_t frames[WINDOW_PAGES];
    for (unsigned index = 0; index < WINDOW_PAGES; index++) {
        frames[index] = frame_allocate();
        *(uint64_t *)frames[index] = index;
    }
    uint64_t first = frames_allocate(load.pages, FRAME_SIZE);
    for (uint64_t index = 0; index < load.pages; index++) {
        map_page(current_root(), WORKING_SET + index * PAGE_4K, first + index * FRAME_SIZE, PAGE_WRITABLE);
        *(uint64_t *)(WORKING_SET + index * PAGE_4K) = index;
    }
    change_mappings(WINDOW_PAGES, frames);
    mark(1);
    for (uint64_t turn = 0; turn < load.turns; turn++) {
        change_mappings(load.writes, frames);
        touch(&load);
    }
    mark(0);
    print("%lu turns of %lu mappings and %lu touches: %016lx\n", load.turns, load.writes, load.misses, sum);
}
