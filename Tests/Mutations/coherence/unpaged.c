/* What is written to tables while nothing is translated by them. */

#include "chapters.h"
#include "check.h"
#include "page.h"

void store_without_paging(uint64_t address, uint64_t value);

void unpaged(void) {
    chapter("tables written without paging");
    uint64_t region = address_reserve(PAGE_2M), table = frames_allocate(1, PAGE_4K), page = frame_with(8);
    *frame_word(table, 0) = frame_with(7) | PAGE_PRESENT;
    *entry_for(current_root(), region, LEVEL_PD) = table | PAGE_PRESENT | PAGE_WRITABLE;
    check_equal("a load by the table", 7, load(region));
    store_without_paging(table, page | PAGE_PRESENT | PAGE_WRITABLE);
    check_equal("a load when the entry has been written", 8, load(region));
    store_without_paging(page, 9);
    check_equal("... and the page", 9, load(region));
    store(region, 10);
    check_equal("a store by the new entry", 10, *frame_word(page, 0));
}
