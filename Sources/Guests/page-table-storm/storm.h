/* The phases of the storm, each a region of its own.

   mark  phase
   1     map_and_unmap   entries written, pages touched, entries cleared with INVLPG
   2     protect         entries made read-only and writable again with INVLPG
   3     demand_paging   pages touched that a page fault maps
   4     copy_on_write   an address space copied, writes fault and copy pages
   5     spaces          address spaces made and ended, their tables' frames used for data
   0     what lies between the phases */
#pragma once

#include "kernel.h"

#define STORM_BASE (1ull << 39) /* where all phases map their pages */

enum { MOST_PAGES = 4096 };

struct storm {
    unsigned rounds, pages;
};

/* Each gives a checksum that depends on the parameters only. */
uint64_t map_and_unmap(const struct storm *storm);
uint64_t protect(const struct storm *storm);
uint64_t demand_paging(const struct storm *storm);
uint64_t copy_on_write(const struct storm *storm);
uint64_t spaces(const struct storm *storm);

static inline uint64_t page_address(unsigned page) {
    return STORM_BASE + page * PAGE_4K;
}

/* The quadword that the phases touch in a page: another cache line in each. */
static inline volatile uint64_t *page_word(unsigned page) {
    return (volatile uint64_t *)(page_address(page) + (page & 63) * 64);
}

static inline uint64_t mix(uint64_t sum, uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15;
    return sum ^ sum >> 29;
}

/* Ends the guest if the condition does not hold. */
void require(bool condition, const char *what);
