/* SMEP and SMAP: user pages that the supervisor must not execute or touch. */

#include "chapters.h"
#include "check.h"
#include "page.h"

static struct page user_page(void) {
    struct page page = page_create(PAGE_USER | PAGE_WRITABLE);
    *frame_word(page.frame, 0) = 0xc3; /* ret */
    return page;
}

static void smep(void) {
    if (!feature_or_skip(FEATURE_SMEP))
        return;
    struct page page = user_page();
    check_no_fault("supervisor fetch from a user page, CR4.SMEP=0", attempt_call(page.address));
    write_cr4(read_cr4() | CR4_SMEP);
    check_page_fault("supervisor fetch from a user page, CR4.SMEP=1", attempt_call(page.address), FAULT_PRESENT | FAULT_FETCH, page.address);
    check_no_fault("supervisor read of a user page, CR4.SMEP=1", attempt_read(page.address));
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMEP);
}

static void read_with_stac(uint64_t address) {
    asm volatile("stac");
    load(address);
    asm volatile("clac");
}

static void read_after_clac(uint64_t address) {
    asm volatile("stac");
    load(address);
    asm volatile("clac");
    load(address + 8);
}

static void smap(void) {
    if (!feature_or_skip(FEATURE_SMAP))
        return;
    write_cr4(read_cr4() | CR4_SMAP);
    struct page page = user_page();
    check_page_fault("supervisor read of a user page, CR4.SMAP=1", attempt_read(page.address), FAULT_PRESENT, page.address);
    check_page_fault("supervisor write of a user page, CR4.SMAP=1", attempt_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE, page.address);
    check_no_fault("... allowed by STAC", attempt(read_with_stac, page.address));
    check_page_fault("... forbidden again by CLAC", attempt(read_after_clac, page.address), FAULT_PRESENT, page.address + 8);
    check_no_fault("user read of a user page, CR4.SMAP=1", attempt_user_read(page.address));
    check_no_fault("supervisor fetch from a user page, CR4.SMAP=1", attempt_call(page.address));
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMAP);
    check_no_fault("supervisor read of a user page, CR4.SMAP=0", attempt_read(page.address));
}

void tour_supervisor_guards(void) {
    chapter("SMEP and SMAP");
    smep();
    smap();
}
