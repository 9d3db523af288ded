#include "descriptors_random.h"

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "random.h"
#include "run.h"

enum { FIXED = 8, RANDOM = 24 };

extern uint64_t gdt[];

static uint64_t table[FIXED + RANDOM] __attribute__((aligned(16)));

/* Base 0, so that code in any of them is where it is; limits of data segments count for LSL alone. */
static uint64_t segment(void) {
    uint64_t type = random_below(16);
    uint64_t limit = type & 8 ? 0xfffff : random_next() & 0xfffff;
    uint64_t descriptor = (limit & 0xffff) | (limit >> 16) << 48 | type << 40 | 1ul << 44;
    descriptor |= random_below(4) << 45;
    descriptor |= random_once(8) ? 0 : 1ul << 47;
    /* AVL; code of 64 bits, of 32, and what is neither; 16-bit code would read the stubs differently. */
    descriptor |= random_below(2) << 52;
    if (type & 8)
        descriptor |= (random_once(8) ? 3ul : random_once(2) ? 1ul : 2ul) << 53 | 1ul << 55;
    else
        descriptor |= random_below(2) << 54 | random_below(2) << 55;
    return descriptor;
}

/* A call gate to the kernel's page of code, or a descriptor of the system that is of no use here. */
static uint64_t gate(void) {
    uint64_t type = random_once(3) ? random_below(16) : 12;
    uint64_t offset = place_kernel.code + TARGET;
    uint64_t selector = random_once(4) ? selector_random() : KERNEL_CODE;
    return (offset & 0xffff) | selector << 16 | type << 40 | random_below(4) << 45 | (random_once(8) ? 0 : 1ul << 47) |
           (offset >> 16 & 0xffff) << 48;
}

void descriptors_randomize(void) {
    for (unsigned index = 0; index < FIXED; index++)
        if (!table[index] || index < TASK_STATE / 8)
            table[index] = gdt[index];
    for (unsigned index = FIXED; index < FIXED + RANDOM; index += 2) {
        int isGate = random_once(4);
        table[index] = isGate ? gate() : segment();
        /* Descriptors of the system take two places. */
        table[index + 1] = isGate ? 0 : segment();
    }
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof table - 1, (uint64_t)table};
    asm volatile("lgdt %0" : : "m"(pointer));
}

uint16_t selector_random(void) {
    uint64_t rpl = random_below(4);
    switch (random_below(12)) {
    case 0: return (uint16_t)rpl;
    case 1: case 2: return (uint16_t)(random_below(FIXED) << 3 | rpl);
    case 3: return (uint16_t)(random_next() | sizeof table);
    case 4: return (uint16_t)(random_below(FIXED + RANDOM) << 3 | 4 | rpl);
    default: return (uint16_t)((FIXED + random_below(RANDOM)) << 3 | rpl);
    }
}

uint64_t descriptor_of(uint16_t selector) {
    return selector & 4 || selector >= sizeof table ? 0 : table[selector >> 3];
}

uint16_t selector_suiting(unsigned ring, int isCode) {
    if (random_once(2))
        return selector_random();
    if (ring == 0)
        return isCode ? KERNEL_CODE : KERNEL_DATA;
    return isCode ? (random_once(3) ? USER_CODE32 : USER_CODE) : USER_DATA;
}
