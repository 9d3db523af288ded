/* What a change of a mapping needs before it counts, and what invalidates what (SDM vol. 3, 4.10.4). */

#include "chapters.h"
#include "check.h"
#include "page.h"

static struct page page_with(uint64_t value, uint64_t bits) {
    struct page page = page_create(PAGE_WRITABLE | bits);
    *frame_word(page.frame, 0) = value;
    return page;
}

static void by_page(void) {
    struct page page = page_with(1, 0);
    load(page.address);
    page_exchange(&page, frame_with(2));
    invalidate_page(page.address);
    check_equal("another frame, then INVLPG", 2, load(page.address));
    page_exchange(&page, frame_with(3));
    invalidate_page(page.address + 0xabc);
    check_equal("INVLPG by any address in the page", 3, load(page.address));

    *page.entry &= ~PAGE_WRITABLE;
    invalidate_page(page.address);
    check_page_fault("made read-only, then INVLPG", attempt_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE, page.address);
    *page.entry |= PAGE_WRITABLE;
    invalidate_page(page.address);
    check_no_fault("made writable, then INVLPG", attempt_write(page.address, 4));
    *page.entry &= ~PAGE_PRESENT;
    invalidate_page(page.address);
    check_page_fault("made absent, then INVLPG", attempt_read(page.address), 0, page.address);
    *page.entry |= PAGE_PRESENT;
    check_equal("made present, which needs nothing", 4, load(page.address));
    invalidate_page(0x7ffffffff000);
    check("INVLPG of an absent page does nothing", true);
    check_no_fault("INVLPG of a non-canonical address does nothing", attempt(invalidate_page, 1ull << 63));
}

static void by_table(void) {
    uint64_t address = address_reserve(PAGE_1G);
    entry *root = current_root();
    map_page(root, address, frame_with(1), PAGE_WRITABLE);
    load(address);
    entry *table = (entry *)frame_allocate();
    table[0] = frame_with(2) | PAGE_PRESENT | PAGE_WRITABLE;
    *entry_for(root, address, LEVEL_PD) = (uint64_t)table | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page(address);
    check_equal("another page table, then INVLPG", 2, load(address));
    entry *directory = (entry *)frame_allocate();
    directory[0] = (uint64_t)table | PAGE_PRESENT;
    *entry_for(root, address, LEVEL_PDPT) = (uint64_t)directory | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page(address);
    check_page_fault("another, read-only page directory, then INVLPG", attempt_write(address, 1), FAULT_PRESENT | FAULT_WRITE, address);
    *entry_for(root, address, LEVEL_PDPT) = 0;
    reload_cr3();
    check_page_fault("the page directory removed, then MOV to CR3", attempt_read(address), 0, address);
}

static void everything(void) {
    struct page page = page_with(1, 0);
    load(page.address);
    page_exchange(&page, frame_with(2));
    reload_cr3();
    check_equal("another frame, then MOV to CR3", 2, load(page.address));

    uint64_t large = address_reserve(PAGE_2M), frames = frames_allocate(1024, PAGE_2M);
    *frame_word(frames, 0x5000) = 3;
    *frame_word(frames, PAGE_2M + 0x5000) = 4;
    entry *e = entry_for(current_root(), large, LEVEL_PD);
    *e = frames | PAGE_PRESENT | PAGE_LARGE;
    check_equal("a 2 MiB page", 3, load(large + 0x5000));
    *e = (frames + PAGE_2M) | PAGE_PRESENT | PAGE_LARGE;
    invalidate_page(large + 0x1ff000);
    check_equal("another 2 MiB frame, then INVLPG by another address in it", 4, load(large + 0x5000));
}

static void globals(void) {
    if (!feature_or_skip(FEATURE_GLOBAL_PAGES))
        return;
    struct page page = page_with(1, PAGE_GLOBAL);
    load(page.address);
    reload_cr3();
    check_equal("a global page is there after MOV to CR3", 1, load(page.address));
    page_exchange(&page, frame_with(2));
    invalidate_page(page.address);
    check_equal("another frame of a global page, then INVLPG", 2, load(page.address));
    page_exchange(&page, frame_with(3));
    write_cr4(read_cr4() & ~(uint64_t)CR4_PGE);
    write_cr4(read_cr4() | CR4_PGE);
    check_equal("another frame of a global page, then CR4.PGE off and on", 3, load(page.address));

    /* A global page stays global in another address space that maps it as well. */
    entry *root = root_create(), *old = current_root();
    for (unsigned index = 1; index < 512; index++)
        root[index] = old[index];
    load(page.address);
    write_cr3((uint64_t)root);
    check_equal("a global page in another address space", 3, load(page.address));
    page_exchange(&page, frame_with(4));
    invalidate_page(page.address);
    write_cr3((uint64_t)old);
    check_equal("... changed there, and seen here", 4, load(page.address));
}

void tour_invalidation(void) {
    chapter("invalidation");
    by_page();
    by_table();
    everything();
    globals();
}
