/* Page sizes, aliases, splitting and merging, and the tables mapped into themselves. */

#include "chapters.h"
#include "check.h"
#include "page.h"

enum { PATTERN = 0x5eed, OFFSET = 0x12348, SELF_ENTRY = 510 };

static uint64_t large_page(uint64_t frame) {
    uint64_t address = address_reserve(PAGE_2M);
    *entry_for(current_root(), address, LEVEL_PD) = frame | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
    return address;
}

static void sizes(void) {
    struct page small = page_create(PAGE_WRITABLE);
    *frame_word(small.frame, 8) = PATTERN;
    check_equal("read through a 4 KiB page", PATTERN, load(small.address + 8));
    store(small.address + 16, PATTERN + 1);
    check_equal("write through a 4 KiB page", PATTERN + 1, *frame_word(small.frame, 16));

    uint64_t frames = frames_allocate(512, PAGE_2M);
    uint64_t large = large_page(frames);
    *frame_word(frames, OFFSET) = PATTERN + 2;
    check_equal("read through a 2 MiB page", PATTERN + 2, load(large + OFFSET));
    store(large + PAGE_2M - 8, PATTERN + 3);
    check_equal("write through a 2 MiB page", PATTERN + 3, *frame_word(frames, PAGE_2M - 8));

    if (feature_or_skip(FEATURE_GIGABYTE_PAGES)) {
        uint64_t huge = address_reserve(PAGE_1G);
        *entry_for(current_root(), huge, LEVEL_PDPT) = PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
        check_equal("read through a 1 GiB page", PATTERN + 2, load(huge + frames + OFFSET));
        store(huge + small.frame, PATTERN + 4);
        check_equal("write through a 1 GiB page", PATTERN + 4, load(small.address));
    }

    struct page alias = page_create(PAGE_WRITABLE);
    page_exchange(&alias, small.frame);
    store(alias.address + 24, PATTERN + 5);
    check_equal("two addresses of one frame", PATTERN + 5, load(small.address + 24));
}

static void split_and_merge(void) {
    uint64_t frames = frames_allocate(512, PAGE_2M);
    for (unsigned index = 0; index < 512; index++)
        *frame_word(frames + index * PAGE_4K, 0) = index;
    uint64_t address = large_page(frames);
    uint64_t large_entry = *entry_for(current_root(), address, LEVEL_PD);
    check_equal("before the split", 77, load(address + 77 * PAGE_4K));

    entry *table = (entry *)frame_allocate();
    for (unsigned index = 0; index < 512; index++)
        table[index] = (frames + index * PAGE_4K) | PAGE_PRESENT | PAGE_WRITABLE;
    uint64_t other = frame_with(1000);
    table[78] = other | PAGE_PRESENT | PAGE_WRITABLE;
    entry *above = entry_for(current_root(), address, LEVEL_PD);
    *above = (uint64_t)table | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page(address);
    check_equal("a 2 MiB page split into 4 KiB pages", 77, load(address + 77 * PAGE_4K));
    check_equal("one of them remapped", 1000, load(address + 78 * PAGE_4K));
    uint64_t sum = 0;
    for (unsigned index = 0; index < 512; index++)
        sum += load(address + index * PAGE_4K);
    check_equal("all 512 of them", 511 * 512 / 2 - 78 + 1000, sum);

    *above = large_entry & ~(PAGE_ACCESSED | PAGE_DIRTY);
    reload_cr3();
    frame_free((uint64_t)table);
    check_equal("merged into a 2 MiB page again", 78, load(address + 78 * PAGE_4K));
}

/* With entry 510 of the PML4 pointing to the PML4 itself, a walk goes through it once more for each time that
   an address says 510, and ends in a table instead of a page. */
static void self_map(void) {
    struct page page = page_create(PAGE_WRITABLE);
    store(page.address, PATTERN);
    entry *root = current_root();
    root[SELF_ENTRY] = (uint64_t)root | PAGE_PRESENT | PAGE_WRITABLE;

    uint64_t self = 0xffff000000000000 | (uint64_t)SELF_ENTRY << 39;
    uint64_t root_address = self | (uint64_t)SELF_ENTRY << 30 | (uint64_t)SELF_ENTRY << 21 | (uint64_t)SELF_ENTRY << 12;
    uint64_t entry_address = self | (page.address >> 9 & 0x7ffffffff8);
    check_equal("the PML4 seen through itself", root[SELF_ENTRY] | PAGE_ACCESSED | PAGE_DIRTY,
                load(root_address + SELF_ENTRY * 8) | PAGE_ACCESSED | PAGE_DIRTY);
    check_equal("a PTE seen through the self-map", *page.entry, load(entry_address));

    uint64_t frame = frame_with(PATTERN + 1);
    store(entry_address, frame | PAGE_PRESENT | PAGE_WRITABLE);
    invalidate_page(page.address);
    check_equal("a PTE written through the self-map", PATTERN + 1, load(page.address));

    root[SELF_ENTRY] = 0;
    reload_cr3();
    check_page_fault("the self-map removed", attempt_read(root_address), 0, root_address);
}

void tour_mappings(void) {
    chapter("mappings");
    sizes();
    split_and_merge();
    self_map();
}
