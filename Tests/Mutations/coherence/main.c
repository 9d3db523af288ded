/* What a hypervisor has to follow besides what the built-in guests do: modes of paging that change while tables are in use,
   protection keys, one instruction that changes several entries, code that overwrites itself, large pages in pieces, more tables
   than it keeps shadows of, tables written while paging is off, and tables that another processor writes. Everything is
   invalidated as the manual asks (Intel SDM vol. 3, 4.10.4). */

#include "chapters.h"
#include "check.h"
#include "page.h"
#include "smp.h"

enum { CR4_PKE = 1 << 22, FAULT_KEY = 1 << 5, KEY_SHIFT = 59, RETURN = 0xc3 };

/* CR0.WP is clear: a supervisor writes a page that users may only read; it may still not execute what is theirs. */
static void write_protection(void) {
    chapter("CR0.WP");
    struct page page = page_create(PAGE_USER);
    bool has_smep = feature_or_skip(FEATURE_SMEP);
    if (has_smep)
        write_cr4(read_cr4() | CR4_SMEP);
    write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
    check_no_fault("supervisor write of a read-only user page, CR0.WP=0", attempt_write(page.address, RETURN));
    if (has_smep)
        check_page_fault("... and its fetch, CR4.SMEP=1", attempt_call(page.address), FAULT_PRESENT | FAULT_FETCH, page.address);
    check_no_fault("... and a user's read", attempt_user_read(page.address));
    check_page_fault("... and a user's write", attempt_user_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE | FAULT_USER, page.address);
    write_cr0(read_cr0() | CR0_WP);
    check_page_fault("supervisor write of the same page, CR0.WP=1", attempt_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE, page.address);
    write_cr4(read_cr4() & ~(uint64_t)CR4_SMEP);
}

/* A page that was in use before bit 63 became reserved. */
static void no_execute(void) {
    chapter("EFER.NXE");
    if (!feature_or_skip(FEATURE_NX))
        return;
    struct page page = page_create(PAGE_WRITABLE | PAGE_NO_EXECUTE);
    check_no_fault("read of a no-execute page", attempt_read(page.address));
    write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(uint64_t)EFER_NXE);
    invalidate_page(page.address);
    check_page_fault("... with EFER.NXE=0", attempt_read(page.address), FAULT_PRESENT | FAULT_RESERVED, page.address);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
    invalidate_page(page.address);
    check_no_fault("... with EFER.NXE=1 again", attempt_read(page.address));
    check_page_fault("... and its fetch", attempt_call(page.address), FAULT_PRESENT | FAULT_FETCH, page.address);
}

static bool has_keys(void) {
    uint32_t a = 7, b, c = 0, d;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 3 & 1;
}

static void write_pkru(uint32_t rights) {
    asm volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory");
}

static void keys(void) {
    chapter("protection keys");
    if (!has_keys()) {
        print("not available, skipped\n");
        return;
    }
    struct page page = page_create(PAGE_USER | PAGE_WRITABLE | 1ull << KEY_SHIFT);
    uint64_t address = page.address;
    write_cr4(read_cr4() | CR4_PKE);
    write_pkru(0);
    check_no_fault("user write of a page with key 1", attempt_user_write(address, 1));
    write_pkru(1 << 2);
    check_page_fault("user read with AD for the key", attempt_user_read(address), FAULT_PRESENT | FAULT_USER | FAULT_KEY, address);
    check_page_fault("supervisor read with AD for the key", attempt_read(address), FAULT_PRESENT | FAULT_KEY, address);
    write_pkru(2 << 2);
    check_no_fault("user read with WD for the key", attempt_user_read(address));
    check_page_fault("user write with WD for the key", attempt_user_write(address, 2), FAULT_PRESENT | FAULT_USER | FAULT_WRITE | FAULT_KEY, address);
    write_pkru(0);
    check_no_fault("user write once it is allowed again", attempt_user_write(address, 3));
    write_cr4(read_cr4() & ~(uint64_t)CR4_PKE);
}

/* Two entries in use that one instruction exchanges. */
static void several_entries(void) {
    chapter("one instruction, several entries");
    if (!feature_or_skip(FEATURE_CMPXCHG16B))
        return;
    struct page pages[2];
    do {
        pages_create(pages, 2, PAGE_WRITABLE);
    } while ((uint64_t)pages[0].entry % 16 != 0);
    for (unsigned index = 0; index < 2; index++) {
        store(pages[index].address, 100 + index);
        load(pages[index].address);
    }
    uint64_t first = *pages[0].entry, second = *pages[1].entry;
    asm volatile("lock cmpxchg16b (%0)" : : "r"(pages[0].entry), "a"(first), "d"(second), "b"(second), "c"(first) : "memory");
    for (unsigned index = 0; index < 2; index++)
        invalidate_page(pages[index].address);
    check_equal("LOCK CMPXCHG16B: the first entry", 101, load(pages[0].address));
    check_equal("... and the second", 100, load(pages[1].address));
}

/* Page tables in turn, and between them always the first one: processors remember the way to it. The pages are those that compete for
   places in a TLB. */
enum { REGIONS = 160, LONGEST_PERIOD = 31 };

static void many_tables(void) {
    chapter("many page tables");
    uint64_t base = address_reserve(PAGE_1G);
    for (unsigned region = 0; region < REGIONS; region++)
        map_page(current_root(), base + region * PAGE_2M, frame_with(region), PAGE_WRITABLE);
    unsigned wrong = 0;
    for (unsigned period = 1; period <= LONGEST_PERIOD; period++) {
        reload_cr3();
        for (unsigned region = 1; region < REGIONS; region++) {
            wrong += load(base + region * PAGE_2M) != region;
            if (region % period == 0)
                wrong += load(base) != 0;
        }
    }
    check_equal("loads through the wrong table", 0, wrong);
}

/* The code is fetched anew after every store to it, even of the instruction that stores (Intel SDM vol. 3, 11.6). */
static void own_code(void) {
    chapter("a repetition over its own code");
    /* STD; REP STOSB; five NOPs; CLD; RET. */
    static const uint8_t code[] = {0xfd, 0xf3, 0xaa, 0x90, 0x90, 0x90, 0x90, 0x90, 0xfc, 0xc3};
    uint64_t address = page_create(PAGE_WRITABLE).address + 0x100, target = address + 4, count = 32;
    memcpy((void *)address, code, sizeof code);
    asm volatile("call *%3" : "+D"(target), "+c"(count) : "a"(0x90), "r"(address) : "memory", "cc");
    /* The third one makes it PAUSE. */
    check_equal("elements left when its opcode was overwritten", 29, count);
}

static void on_every_processor(unsigned processor) {
    another_writes(processor);
    roots_of_their_own(processor);
}

void kernel_main(const char *parameters) {
    (void)parameters;
    attempt_initialize();
    write_protection();
    no_execute();
    keys();
    several_entries();
    many_tables();
    own_code();
    pieces();
    unpaged();
    modes();
    chapter("another processor's stores");
    processors_run(on_every_processor);
    exit_guest(check_summary() ? EXIT_SUCCESS : EXIT_FAILURE);
}
