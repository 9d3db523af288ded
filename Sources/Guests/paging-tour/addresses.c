/* Addresses at the borders: of the canonical halves, and of pages. */

#include "chapters.h"
#include "check.h"
#include "page.h"

#define LOWER_END 0x0000800000000000ull
#define UPPER_START 0xffff800000000000ull

static void read_through_stack(uint64_t address) {
    asm volatile("pushq %%rbp; movq %0, %%rbp; movq (%%rbp), %%rax; popq %%rbp" : : "r"(address) : "rax", "memory");
}

static void canonical(void) {
    check_fault("read of a non-canonical address", attempt_read(LOWER_END), VECTOR_GENERAL_PROTECTION, 0, 0);
    check_fault("write of a non-canonical address", attempt_write(UPPER_START - 8, 1), VECTOR_GENERAL_PROTECTION, 0, 0);
    check_fault("call of a non-canonical address", attempt_call(LOWER_END), VECTOR_GENERAL_PROTECTION, 0, 0);
    check_fault("read through RBP of a non-canonical address", attempt(read_through_stack, LOWER_END), VECTOR_STACK_FAULT, 0, 0);

    entry *root = current_root();
    map_page(root, LOWER_END - PAGE_4K, frame_allocate(), PAGE_WRITABLE);
    map_page(root, UPPER_START, frame_with(11), PAGE_WRITABLE);
    store(LOWER_END - 8, 10);
    check_equal("the last quadword of the lower half", 10, load(LOWER_END - 8));
    check_equal("the first quadword of the upper half", 11, load(UPPER_START));
    check_fault("read across the end of the lower half", attempt_read(LOWER_END - 4), VECTOR_GENERAL_PROTECTION, 0, 0);
    check_page_fault("read of an absent page of the upper half", attempt_read(UPPER_START + PAGE_4K), 0, UPPER_START + PAGE_4K);
}

static void fill_bytes(uint64_t address) {
    uint64_t count = 100;
    asm volatile("rep stosb" : "+D"(address), "+c"(count) : "a"(0xaa) : "memory");
}

static void crossing_data(void) {
    struct page pages[2];
    pages_create(pages, 2, PAGE_WRITABLE);
    uint64_t border = pages[1].address;
    store(border - 3, 0x1122334455667788);
    check_equal("a write across two pages", 0x1122334455667788, load(border - 3));
    check_equal("... has its end in the second", 0x1122334455, *frame_word(pages[1].frame, 0));

    pages_create(pages, 2, PAGE_WRITABLE);
    border = pages[1].address;
    *pages[1].entry = 0;
    check_page_fault("read across two pages, the second absent", attempt_read(border - 3), 0, border);
    check_page_fault("write across two pages, the second absent", attempt_write(border - 3, -1ull), FAULT_WRITE, border);
    check_equal("... leaves the first as it was", 0, *frame_word(pages[0].frame, PAGE_4K - 8));
    struct fault fault = attempt(fill_bytes, border - 60);
    check_page_fault("REP STOSB into an absent page", fault, FAULT_WRITE, border);
    check_equal("... has 40 bytes left to do", 40, fault.rcx);
    check_equal("... and the others done", 0xaaaaaaaaaaaaaaaa, *frame_word(pages[0].frame, PAGE_4K - 8));

    pages_create(pages, 2, PAGE_WRITABLE);
    *pages[0].entry = 0;
    check_page_fault("read across two pages, the first absent", attempt_read(pages[1].address - 3), 0, pages[1].address - 3);
    pages_create(pages, 2, PAGE_WRITABLE);
    *pages[1].entry &= ~PAGE_WRITABLE;
    check_page_fault("write across two pages, the second read-only", attempt_write(pages[1].address - 3, 1), FAULT_PRESENT | FAULT_WRITE,
                     pages[1].address);
}

static void crossing_code(void) {
    static const uint8_t code[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xc3}; /* movabs $0x0807060504030201, %rax; ret */
    struct page pages[2];
    pages_create(pages, 2, PAGE_WRITABLE);
    uint64_t start = pages[1].address - 4;
    memcpy((void *)(pages[0].frame + PAGE_4K - 4), code, 4);
    memcpy((void *)pages[1].frame, code + 4, sizeof code - 4);
    *pages[1].entry = 0;
    struct fault fault = attempt_call(start);
    check_page_fault("an instruction across two pages, the second absent", fault, processor_has(FEATURE_NX) ? FAULT_FETCH : 0, pages[1].address);
    check_equal("... faults as a whole", start, fault.rip);
    *pages[1].entry = pages[1].frame | PAGE_PRESENT;
    check_equal("... and runs when both are there", 0x0807060504030201, attempt_call(start).rax);
}

void tour_addresses(void) {
    chapter("addresses");
    canonical();
    crossing_data();
    crossing_code();
}
