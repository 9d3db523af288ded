/* One address space in two modes of paging, and two roots that share their tables: a hypervisor may have shadows for each. */

#include "chapters.h"
#include "check.h"
#include "page.h"

enum { ROUNDS = 6 };

static void write_protect(bool on) {
    write_cr0(on ? read_cr0() | CR0_WP : read_cr0() & ~(uint64_t)CR0_WP);
}

static void no_execute(bool on) {
    uint64_t efer = read_msr(MSR_EFER);
    write_msr(MSR_EFER, on ? efer | EFER_NXE : efer & ~(uint64_t)EFER_NXE);
}

entry *root_copied(void) {
    entry *root = root_create();
    memcpy(root, current_root(), PAGE_4K);
    return root;
}

/* A page fault invalidates its page, and nothing else does (Intel SDM vol. 3, 4.10.4.1). Every other address space is a new
   one. */
static void faults(const char *name, void (*set_mode)(bool on), uint64_t home) {
    chapter(name);
    unsigned missed = 0, stale = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct page page = page_create(0);
        write_cr3(round % 2 ? (uint64_t)root_copied() : home);
        set_mode(false);
        load(page.address);
        set_mode(true);
        *(volatile entry *)page.entry = frame_with(2) | PAGE_PRESENT | PAGE_ACCESSED;
        missed += attempt_write(page.address, 9).vector != VECTOR_PAGE_FAULT;
        set_mode(false);
        stale += load(page.address) != 2;
        set_mode(true);
    }
    write_cr3(home);
    check_equal("writes that did not fault", 0, missed);
    check_equal("loads from where the page was before the fault", 0, stale);
}

static void loads(uint64_t home) {
    chapter("loads of CR3, in two modes");
    struct page page = page_create(PAGE_WRITABLE);
    uint64_t other = (uint64_t)root_copied();
    unsigned stale = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        write_cr3(other);
        write_cr3(home);
        write_protect(false);
        load(page.address);
        write_protect(true);
        page_exchange(&page, frame_with(round + 1));
        write_cr3(home);
        write_protect(false);
        stale += load(page.address) != round + 1;
        write_protect(true);
    }
    check_equal("loads from where the page was before", 0, stale);
}

static void roots(uint64_t home) {
    chapter("roots that were used in another mode");
    struct page page = page_create(0);
    uint64_t other = (uint64_t)root_copied();
    unsigned refused = 0, granted = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        write_cr3(other);
        load(page.address);
        write_cr3(home);
        load(page.address);
        for (unsigned time = 0; time < 2; time++) {
            write_protect(false);
            write_protect(true);
        }
        write_cr3(other);
        write_cr3(home);
        write_protect(false);
        write_cr3(other);
        refused += attempt_write(page.address, 5).vector != NO_EXCEPTION;
        write_protect(true);
        granted += attempt_write(page.address, 6).vector != VECTOR_PAGE_FAULT;
        write_cr3(home);
    }
    check_equal("writes that faulted with CR0.WP=0", 0, refused);
    check_equal("writes that did not with CR0.WP=1", 0, granted);
}

/* Until there are PCIDs every load of CR3 flushes, and a hypervisor need not remember which root has a flush due. */
static void contexts(uint64_t home) {
    chapter("PCIDs, from one load of CR3 to the next");
    if (!feature_or_skip(FEATURE_PCID))
        return;
    unsigned stale = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t region = address_reserve(PAGE_2M), values[2];
        for (unsigned index = 0; index < 2; index++)
            values[index] = frame_with(index) | PAGE_PRESENT | PAGE_ACCESSED | PAGE_DIRTY | PAGE_WRITABLE;
        struct page window = page_create(PAGE_WRITABLE);
        volatile entry *above = entry_for(current_root(), region, LEVEL_PD);
        uint64_t other = (uint64_t)root_copied();
        write_cr3(other);
        write_cr3(home);
        *above = window.frame | PAGE_PRESENT | PAGE_WRITABLE;
        write_cr3(other);
        store(window.address, values[0]);
        write_cr3(home);
        /* From here on it is a page table. */
        stale += load(region) != 0;
        write_cr4(read_cr4() | CR4_PCIDE);
        write_cr3(other | CR3_NO_FLUSH);
        store(window.address, values[1]);
        invalidate_page(region);
        stale += load(region) != 1;
        write_cr3(home);
        write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
    }
    check_equal("loads by what the table has held before", 0, stale);
}

void modes(void) {
    uint64_t home = read_cr3();
    faults("a page fault, and CR0.WP", write_protect, home);
    if (processor_has(FEATURE_NX))
        faults("a page fault, and EFER.NXE", no_execute, home);
    loads(home);
    roots(home);
    contexts(home);
}
