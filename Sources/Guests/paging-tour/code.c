/* Code that changes: written over, seen through another mapping, or remapped. */

#include "chapters.h"
#include "check.h"
#include "page.h"

/* movl $value, %eax; ret */
static void write_code(uint64_t target, uint8_t value) {
    const uint8_t code[] = {0xb8, value, 0, 0, 0, 0xc3};
    for (unsigned index = 0; index < sizeof code; index++)
        ((volatile uint8_t *)target)[index] = code[index];
}

static void serialize(void) {
    uint32_t eax = 0;
    asm volatile("cpuid" : "+a"(eax) : : "ebx", "ecx", "edx", "memory");
}

static uint64_t call(uint64_t address) {
    return (uint32_t)attempt_call(address).rax;
}

void tour_code(void) {
    chapter("changing code");
    struct page page = page_create(PAGE_WRITABLE);
    write_code(page.address, 1);
    check_equal("code written and run", 1, call(page.address));
    write_code(page.address, 2);
    check_equal("code written over and run", 2, call(page.address));
    write_code(page.frame, 3);
    serialize();
    check_equal("code written over through another mapping", 3, call(page.address));

    /* movb $7, the next instruction's operand; movl $0, %eax; ret */
    static const uint8_t modifies_itself[] = {0xc6, 0x05, 1, 0, 0, 0, 7, 0xb8, 0, 0, 0, 0, 0xc3};
    memcpy((void *)page.address, modifies_itself, sizeof modifies_itself);
    serialize();
    check_equal("an instruction that changes the next one", 7, call(page.address));

    uint64_t first = frame_allocate(), second = frame_allocate();
    write_code(first, 4);
    write_code(second, 5);
    page_exchange(&page, first);
    invalidate_page(page.address);
    check_equal("a code page remapped", 4, call(page.address));
    page_exchange(&page, second);
    invalidate_page(page.address);
    check_equal("... and to another frame", 5, call(page.address));
    page_exchange(&page, first);
    invalidate_page(page.address);
    check_equal("... and back", 4, call(page.address));
    write_code(second, 6);
    page_exchange(&page, second);
    invalidate_page(page.address);
    check_equal("... to the frame that was changed meanwhile", 6, call(page.address));

    struct page other = page_create(PAGE_WRITABLE);
    page_exchange(&other, second);
    check_equal("the same frame at two addresses", 6, call(other.address));
    write_code(other.address, 8);
    serialize();
    check_equal("... changed through one, run at the other", 8, call(page.address));
}
