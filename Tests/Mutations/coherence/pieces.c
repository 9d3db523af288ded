/* Large pages that a hypervisor may have in pieces: an invalidation that names one of them is for all (Intel SDM vol. 3,
   4.10.4.1). */

#include "chapters.h"
#include "check.h"
#include "page.h"

enum { TOUCHED = 4 };

static void fill(uint64_t address, uint64_t first) {
    for (unsigned index = 0; index < TOUCHED; index++)
        store(address + index * PAGE_4K, first + index);
}

static unsigned wrong_in(uint64_t memory, uint64_t first) {
    unsigned wrong = 0;
    for (unsigned index = 0; index < TOUCHED; index++)
        wrong += *frame_word(memory + index * PAGE_4K, 0) != first + index;
    return wrong;
}

/* The page's own entry stays as it is. */
static void entry_above(void) {
    chapter("entries above a large page");
    uint64_t address = address_reserve(PAGE_1G), memory = frames_allocate(512, PAGE_2M);
    *entry_for(current_root(), address, LEVEL_PD) = memory | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
    fill(address, 1);
    *(volatile entry *)entry_for(current_root(), address, LEVEL_PDPT) &= ~PAGE_WRITABLE;
    invalidate_page(address);
    unsigned faults = 0;
    for (unsigned index = 0; index < TOUCHED; index++)
        faults += attempt_write(address + index * PAGE_4K, 9).vector == VECTOR_PAGE_FAULT;
    check_equal("writes that fault once the PDPTE forbids them", TOUCHED, faults);
    check_equal("... and what they would have changed", 0, wrong_in(memory, 1));
}

/* A page table lies in the page, and is data again after a while. */
static void whole_again(void) {
    chapter("a large page with a table in it for a time");
    uint64_t memory[2] = {frames_allocate(512, PAGE_2M), frames_allocate(512, PAGE_2M)};
    uint64_t address = address_reserve(PAGE_2M), region = address_reserve(PAGE_2M), table = memory[0] + 8 * PAGE_4K;
    volatile entry *large = entry_for(current_root(), address, LEVEL_PD), *above = entry_for(current_root(), region, LEVEL_PD);
    *frame_word(table, 0) = frame_with(7) | PAGE_PRESENT;
    *above = table | PAGE_PRESENT;
    check_equal("a load by the table", 7, load(region));
    *large = memory[0] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
    fill(address, 1);
    *above = 0;
    invalidate_page(region);
    for (unsigned word = 0; word < 3; word++)
        store(address + 8 * PAGE_4K + 0x100 + 8 * word, 0x41414141);
    for (unsigned index = 0; index < TOUCHED; index++)
        load(address + index * PAGE_4K);
    load(address + 9 * PAGE_4K);
    *large = memory[1] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
    invalidate_page(address + 9 * PAGE_4K);
    fill(address, 0x21);
    check_equal("stores that went where the page was before", 0, wrong_in(memory[0], 1));
    check_equal("... and did not come where it is now", 0, wrong_in(memory[1], 0x21));
}

void pieces(void) {
    entry_above();
    whole_again();
}
