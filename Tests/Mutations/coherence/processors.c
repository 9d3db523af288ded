/* What one processor does to tables that another one uses. */

#include "chapters.h"
#include "check.h"
#include "page.h"
#include "smp.h"

static bool is_last(unsigned processor) {
    return processor == processor_count - 1;
}

/* A frame that the last processor may write becomes a page table of the first one's. */
void another_writes(unsigned processor) {
    static struct page window;
    static uint64_t region, frames[2];
    if (processor == 0) {
        for (unsigned index = 0; index < 2; index++)
            frames[index] = frame_with(index + 1) | PAGE_PRESENT | PAGE_WRITABLE;
        window = page_create(PAGE_WRITABLE);
        region = address_reserve(PAGE_2M);
        /* The tables above. */
        entry_for(current_root(), region, LEVEL_PD);
    }
    barrier();
    if (is_last(processor))
        store(window.address, frames[0]);
    barrier();
    if (processor == 0) {
        *entry_for(current_root(), region, LEVEL_PD) = window.frame | PAGE_PRESENT | PAGE_WRITABLE;
        check_equal("a frame that another processor has written, as a page table", 1, load(region));
    }
    barrier();
    if (is_last(processor))
        store(window.address, frames[1]);
    barrier();
    if (processor == 0) {
        invalidate_page(region);
        check_equal("... which then writes it again", 2, load(region));
    }
    barrier();
}

/* The last processor waits in an address space of its own while the first one uses more tables than a hypervisor may keep
   shadows of. */
void roots_of_their_own(unsigned processor) {
    enum { TABLES = 160 };
    static struct page page;
    static uint64_t base;
    static unsigned wrong;
    if (processor == 0) {
        page = page_create(PAGE_WRITABLE);
        store(page.address, 5);
        base = address_reserve(PAGE_1G);
        for (unsigned table = 0; table < TABLES; table++)
            map_page(current_root(), base + table * PAGE_2M, frame_with(table), PAGE_WRITABLE);
    }
    barrier();
    uint64_t home = read_cr3();
    if (is_last(processor)) {
        write_cr3((uint64_t)root_copied());
        wrong += load(page.address) != 5;
    }
    barrier();
    if (processor == 0)
        for (unsigned table = 0; table < TABLES; table++)
            wrong += load(base + table * PAGE_2M) != table;
    barrier();
    if (is_last(processor)) {
        wrong += load(page.address) != 5;
        for (unsigned table = 0; table < TABLES; table++)
            wrong += load(base + table * PAGE_2M) != table;
        write_cr3(home);
    }
    barrier();
    if (processor == 0)
        check_equal("loads through the wrong tables", 0, wrong);
    barrier();
}
