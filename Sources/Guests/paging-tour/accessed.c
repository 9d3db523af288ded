/* The accessed and dirty bits (SDM vol. 3, 4.8). */

#include "chapters.h"
#include "check.h"
#include "page.h"

static uint64_t marks_of(const entry *e) {
    return *(const volatile entry *)e & (PAGE_ACCESSED | PAGE_DIRTY);
}

static void clear_marks(entry *e) {
    *(volatile entry *)e &= ~(PAGE_ACCESSED | PAGE_DIRTY);
}

void tour_accessed_and_dirty(void) {
    chapter("accessed and dirty");
    struct page page = page_create(PAGE_WRITABLE);
    check_equal("nothing is set without an access", 0, marks_of(page.entry));
    load(page.address);
    check_equal("a read sets A and not D", PAGE_ACCESSED, marks_of(page.entry));
    store(page.address, 1);
    check_equal("a write sets D as well", PAGE_ACCESSED | PAGE_DIRTY, marks_of(page.entry));

    clear_marks(page.entry);
    invalidate_page(page.address);
    load(page.address);
    check_equal("A is set again after INVLPG", PAGE_ACCESSED, marks_of(page.entry));
    clear_marks(page.entry);
    invalidate_page(page.address);
    store(page.address, 1);
    check_equal("a first write sets both", PAGE_ACCESSED | PAGE_DIRTY, marks_of(page.entry));

    struct page code = page_create(0);
    *frame_word(code.frame, 0) = 0xc3; /* ret */
    attempt_call(code.address);
    check_equal("a fetch sets A and not D", PAGE_ACCESSED, marks_of(code.entry));

    struct page read_only = page_create(0);
    attempt_write(read_only.address, 1);
    check_equal("a faulting write sets no D", 0, marks_of(read_only.entry) & PAGE_DIRTY);

    uint64_t frames = frames_allocate(512, PAGE_2M);
    uint64_t large = address_reserve(PAGE_1G);
    entry *root = current_root();
    entry *directory_entry = entry_for(root, large, LEVEL_PD);
    *directory_entry = frames | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
    entry *above = entry_for(root, large, LEVEL_PDPT);
    load(large);
    check_equal("a read of a 2 MiB page sets A in its PDE", PAGE_ACCESSED, marks_of(directory_entry));
    check_equal("... and in the PDPTE above", PAGE_ACCESSED, marks_of(above));
    store(large + PAGE_4K, 1);
    check_equal("a write of a 2 MiB page sets D in its PDE", PAGE_ACCESSED | PAGE_DIRTY, marks_of(directory_entry));
    check_equal("... and not in the PDPTE above", PAGE_ACCESSED, marks_of(above));
}
