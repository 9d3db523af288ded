/* Pages that are absent, read-only, not for users or not for execution, and the error code that says so. */

#include "chapters.h"
#include "check.h"
#include "page.h"

enum { RETURN = 0xc3, INTERRUPT_DONE = 0x80cd };

/* A fetch shows in the error code only where some fetches are forbidden. */
static uint64_t fetch_bit(void) {
    return processor_has(FEATURE_NX) ? FAULT_FETCH : 0;
}

static void absent(void) {
    struct page page = page_create(PAGE_USER | PAGE_WRITABLE);
    *page.entry = 0;
    uint64_t address = page.address + 0x128;
    check_page_fault("read of an absent page", attempt_read(address), 0, address);
    check_page_fault("write of an absent page", attempt_write(address, 1), FAULT_WRITE, address);
    check_page_fault("fetch from an absent page", attempt_call(address), fetch_bit(), address);
    check_page_fault("user read of an absent page", attempt_user_read(address), FAULT_USER, address);
    check_page_fault("user write of an absent page", attempt_user_write(address, 1), FAULT_USER | FAULT_WRITE, address);
    check_page_fault("user fetch from an absent page", attempt_user_jump(address), FAULT_USER | fetch_bit(), address);

    uint64_t no_tables = address_reserve(1ull << 39);
    check_page_fault("read without a PML4 entry", attempt_read(no_tables), 0, no_tables);
    entry_for(current_root(), no_tables, LEVEL_PDPT);
    check_page_fault("write without a PDPT entry", attempt_write(no_tables, 1), FAULT_WRITE, no_tables);
    entry_for(current_root(), no_tables, LEVEL_PD);
    check_page_fault("read without a PD entry", attempt_read(no_tables), 0, no_tables);
}

static void locked_or(uint64_t address) {
    asm volatile("lock orq $1, (%0)" : : "r"(address) : "memory");
}

static void failing_exchange(uint64_t address) {
    asm volatile("lock cmpxchgq %%rcx, (%0)" : : "r"(address), "a"(-1ll), "c"(0) : "memory");
}

static void locked(void) {
    struct page absent = page_create(PAGE_WRITABLE), read_only = page_create(0);
    *absent.entry = 0;
    check_page_fault("a locked access to an absent page is a write", attempt(locked_or, absent.address), FAULT_WRITE, absent.address);
    check_page_fault("CMPXCHG that does not exchange is a write", attempt(failing_exchange, read_only.address), FAULT_PRESENT | FAULT_WRITE,
                     read_only.address);
}

static void read_only(void) {
    struct page page = page_create(0);
    check_no_fault("read of a read-only page", attempt_read(page.address));
    check_page_fault("write of a read-only page, CR0.WP=1", attempt_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE, page.address);
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    check_no_fault("write of a read-only page, CR0.WP=0", attempt_write(page.address, 7));
    check_equal("... reaches the frame", 7, *frame_word(page.frame, 0));
    check_equal("... and sets D", PAGE_DIRTY, *page.entry & PAGE_DIRTY);

    struct page user = page_create(PAGE_USER);
    check_page_fault("user write of a read-only page, CR0.WP=0", attempt_user_write(user.address, 1), FAULT_PRESENT | FAULT_WRITE | FAULT_USER,
                     user.address);
    write_cr0(read_cr0() | CR0_WP);
    check_page_fault("user write of a read-only page, CR0.WP=1", attempt_user_write(user.address, 1), FAULT_PRESENT | FAULT_WRITE | FAULT_USER,
                     user.address);
    struct page after = page_create(0);
    attempt_read(after.address);
    check_page_fault("write of a read-only page, CR0.WP=1 again", attempt_write(after.address, 1), FAULT_PRESENT | FAULT_WRITE, after.address);
}

static void user_and_supervisor(void) {
    struct page user = page_create(PAGE_USER | PAGE_WRITABLE);
    *frame_word(user.frame, 0) = 42;
    struct fault read = attempt_user_read(user.address);
    check_no_fault("user read of a user page", read);
    check_equal("... gives its contents", 42, read.rax);
    check_no_fault("user write of a user page", attempt_user_write(user.address, 43));
    check_equal("... reaches the frame", 43, *frame_word(user.frame, 0));
    *frame_word(user.frame, 0) = INTERRUPT_DONE;
    check_no_fault("user fetch from a user page", attempt_user_jump(user.address));

    struct page supervisor = page_create(PAGE_WRITABLE);
    uint64_t address = supervisor.address;
    check_page_fault("user read of a supervisor page", attempt_user_read(address), FAULT_PRESENT | FAULT_USER, address);
    check_page_fault("user write of a supervisor page", attempt_user_write(address, 1), FAULT_PRESENT | FAULT_USER | FAULT_WRITE, address);
    check_page_fault("user fetch from a supervisor page", attempt_user_jump(address), FAULT_PRESENT | FAULT_USER | fetch_bit(), address);
    check_no_fault("supervisor read of the same page", attempt_read(address));
}

static void no_execute(void) {
    if (!feature_or_skip(FEATURE_NX))
        return;
    struct page page = page_create(PAGE_USER | PAGE_WRITABLE | PAGE_NO_EXECUTE);
    *frame_word(page.frame, 0) = RETURN;
    check_no_fault("read of a no-execute page", attempt_read(page.address));
    check_page_fault("fetch from a no-execute page", attempt_call(page.address), FAULT_PRESENT | FAULT_FETCH, page.address);
    check_page_fault("user fetch from a no-execute page", attempt_user_jump(page.address), FAULT_PRESENT | FAULT_FETCH | FAULT_USER, page.address);
    *page.entry &= ~PAGE_NO_EXECUTE;
    invalidate_page(page.address);
    check_no_fault("fetch after the bit is cleared", attempt_call(page.address));
}

void tour_protection(void) {
    chapter("protection");
    absent();
    locked();
    read_only();
    user_and_supervisor();
    no_execute();
}
