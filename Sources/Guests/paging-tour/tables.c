/* Stores of every kind into a page table that is in use. From absent to present needs no invalidation. */

#include "chapters.h"
#include "check.h"
#include "page.h"

enum { COUNT = 8 };

static struct page pages[COUNT];
static uint64_t contents; /* what the entry of the first page shall hold */

/* Fresh pages that are absent; page i would show 100 + i. */
static volatile entry *prepare(void) {
    pages_create(pages, COUNT, PAGE_WRITABLE);
    for (unsigned index = 0; index < COUNT; index++) {
        *frame_word(pages[index].frame, 0) = 100 + index;
        *pages[index].entry = 0;
    }
    contents = pages[0].frame | PAGE_PRESENT | PAGE_WRITABLE;
    return pages[0].entry;
}

static void check_mapped(const char *name) {
    struct fault read = attempt_read(pages[0].address);
    check(name, read.vector == NO_EXCEPTION && read.rax == 100);
}

static void plain(void) {
    volatile entry *e = prepare();
    *e = contents;
    check_mapped("MOV of 8 bytes");
    e = prepare();
    ((volatile uint32_t *)e)[1] = (uint32_t)(contents >> 32);
    ((volatile uint32_t *)e)[0] = (uint32_t)contents;
    check_mapped("MOV of 4 bytes, twice");
    e = prepare();
    *e = contents & ~PAGE_PRESENT;
    *(volatile uint8_t *)e = (uint8_t)contents;
    check_mapped("MOV of the lowest byte");
    e = prepare();
    *(volatile uint64_t *)((uint64_t)e - 4) = contents << 32;
    check_mapped("MOV across two entries");
    e = prepare();
    asm volatile("movq %%rsp, %%rcx; leaq 8(%0), %%rsp; pushq %1; movq %%rcx, %%rsp" : : "r"(e), "r"(contents) : "rcx", "memory");
    check_mapped("PUSH");
    e = prepare();
    asm volatile("pushq %1; popq (%0)" : : "r"(e), "r"(contents) : "memory");
    check_mapped("POP");
}

static void locked(void) {
    uint64_t value;
    volatile entry *e = prepare();
    value = contents;
    asm volatile("xchgq %1, (%0)" : : "r"(e), "r"(value) : "memory");
    check_mapped("XCHG");
    e = prepare();
    *e = contents & ~PAGE_PRESENT;
    asm volatile("lock orq $1, (%0)" : : "r"(e) : "memory");
    check_mapped("LOCK OR");
    e = prepare();
    *e = contents & ~PAGE_PRESENT;
    asm volatile("lock btsq $0, (%0)" : : "r"(e) : "memory");
    check_mapped("LOCK BTS");
    e = prepare();
    value = contents;
    asm volatile("lock xaddq %1, (%0)" : : "r"(e), "r"(value) : "memory");
    check_mapped("LOCK XADD");
    e = prepare();
    asm volatile("lock cmpxchgq %1, (%0)" : : "r"(e), "r"(contents), "a"(0) : "memory");
    check_mapped("LOCK CMPXCHG");
    if (!feature_or_skip(FEATURE_CMPXCHG16B))
        return;
    /* An entry with an even index, and the one behind it. */
    for (e = prepare(); (uint64_t)e % 16; e = prepare())
        pages_create(pages, 1, 0);
    uint64_t second = pages[1].frame | PAGE_PRESENT;
    asm volatile("lock cmpxchg16b (%0)" : : "r"(e), "a"(0), "d"(0), "b"(contents), "c"(second) : "memory");
    check_mapped("LOCK CMPXCHG16B");
    check_equal("... and its second entry", 101, load(pages[1].address));
}

static void strings(void) {
    volatile entry *e = prepare();
    uint64_t count = COUNT;
    asm volatile("rep stosq" : "+D"(e), "+c"(count) : "a"(contents) : "memory");
    check_mapped("REP STOSQ");
    check_equal("... and its last entry", 100, load(pages[COUNT - 1].address));
    e = prepare();
    uint64_t source[COUNT], *from = source;
    for (unsigned index = 0; index < COUNT; index++)
        source[index] = pages[index].frame | PAGE_PRESENT | PAGE_WRITABLE;
    count = COUNT;
    asm volatile("rep movsq" : "+D"(e), "+S"(from), "+c"(count) : : "memory");
    check_mapped("REP MOVSQ");
    check_equal("... and its last entry", 107, load(pages[COUNT - 1].address));
}

static void removing(void) {
    uint64_t value = 0;
    volatile entry *e = prepare();
    *e = contents;
    load(pages[0].address);
    asm volatile("xchgq %1, (%0)" : : "r"(e), "r"(value) : "memory");
    invalidate_page(pages[0].address);
    check_page_fault("XCHG to absent, then INVLPG", attempt_read(pages[0].address), 0, pages[0].address);
    e = prepare();
    *e = contents;
    store(pages[0].address, 1);
    asm volatile("lock btrq $1, (%0)" : : "r"(e) : "memory");
    invalidate_page(pages[0].address);
    check_page_fault("LOCK BTR of R/W, then INVLPG", attempt_write(pages[0].address, 1), FAULT_PRESENT | FAULT_WRITE, pages[0].address);
}

/* A page table that is mapped as a page elsewhere, and one that maps itself. */
static void through_pages(void) {
    volatile entry *e = prepare();
    struct page window = page_create(PAGE_WRITABLE);
    page_exchange(&window, (uint64_t)e & PAGE_ADDRESS);
    store(window.address + (uint64_t)e % PAGE_4K, contents);
    check_mapped("MOV through another mapping of the table");
    check_equal("... which sees A being set", PAGE_ACCESSED, load(window.address + (uint64_t)e % PAGE_4K) & PAGE_ACCESSED);

    uint64_t base = address_reserve(PAGE_2M), frame = frame_with(5);
    entry *table = (entry *)((uint64_t)entry_for(current_root(), base, LEVEL_PT) & PAGE_ADDRESS);
    table[511] = (uint64_t)table | PAGE_PRESENT | PAGE_WRITABLE;
    store(base + 511 * PAGE_4K + 7 * 8, frame | PAGE_PRESENT);
    check_equal("MOV into a table through the table itself", 5, load(base + 7 * PAGE_4K));
    store(base + 511 * PAGE_4K + 511 * 8, (uint64_t)table | PAGE_PRESENT);
    invalidate_page(base + 511 * PAGE_4K);
    check_page_fault("a table that makes itself read-only", attempt_write(base + 511 * PAGE_4K, 0), FAULT_PRESENT | FAULT_WRITE,
                     base + 511 * PAGE_4K);
}

/* A frame that was a page table, then holds data, then is a page table again. */
static void reuse(void) {
    uint64_t base = address_reserve(PAGE_2M);
    entry *above = entry_for(current_root(), base, LEVEL_PD);
    map_page(current_root(), base, frame_with(1), PAGE_WRITABLE);
    uint64_t table = *above & PAGE_ADDRESS;
    load(base);
    *above = 0;
    invalidate_page(base);
    check_page_fault("a page table removed", attempt_read(base), 0, base);
    struct page data = page_create(PAGE_WRITABLE);
    page_exchange(&data, table);
    for (unsigned index = 0; index < 512; index++)
        store(data.address + index * 8, index * 0x1003);
    check_equal("its frame as data", 511 * 0x1003, load(data.address + 511 * 8));
    store(data.address + 8, frame_with(9) | PAGE_PRESENT);
    *above = table | PAGE_PRESENT | PAGE_WRITABLE;
    check_equal("its frame as a page table again", 9, load(base + PAGE_4K));
}

void tour_tables(void) {
    chapter("stores into page tables");
    plain();
    locked();
    strings();
    removing();
    through_pages();
    reuse();
}
