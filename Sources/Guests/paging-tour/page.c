/* Pages at fresh addresses. */

#include "page.h"

/* Entry 1 of the PML4 and everything above: the runtime uses entry 0 only. */
static uint64_t next_address = 1ull << 39;

uint64_t address_reserve(uint64_t size) {
    uint64_t address = (next_address + size - 1) & -size;
    next_address = address + size;
    return address;
}

void pages_create(struct page pages[], unsigned count, uint64_t bits) {
    if (next_address % PAGE_2M + count * PAGE_4K > PAGE_2M)
        address_reserve(PAGE_2M);
    for (unsigned index = 0; index < count; index++) {
        struct page page = {.address = address_reserve(PAGE_4K), .frame = frame_allocate()};
        page.entry = entry_for(current_root(), page.address, LEVEL_PT);
        *page.entry = page.frame | bits | PAGE_PRESENT;
        pages[index] = page;
    }
}

struct page page_create(uint64_t bits) {
    struct page page;
    pages_create(&page, 1, bits);
    return page;
}

uint64_t page_exchange(struct page *page, uint64_t frame) {
    uint64_t old = page->frame;
    *(volatile entry *)page->entry = (*page->entry & ~PAGE_ADDRESS) | frame;
    page->frame = frame;
    return old;
}
